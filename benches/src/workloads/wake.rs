//! Messages to cores that sleep in the kernel.

use std::time::{Duration, Instant};

use ringpost::{Context, Result, Route, Routed, Worker};

use super::ping_pong::Echo;
use super::stage::{Stage, announce};
use crate::Measured;

/// Long enough for a core to find no work, stop spinning and go to sleep.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy)]
enum Word {
    Begin,
    /// Sent at this time.
    Leg(Instant),
}

ringpost::local_message!(Word);

/// Waits until everybody sleeps, and sends the time.
async fn send_leg(ctx: &Context, to: impl Into<Route>) -> Result<()> {
    ctx.sleep(PAUSE).await;
    ctx.send_message(to, Word::Leg(Instant::now())).await
}

/// Sends the first leg of each round trip, and adds up how long the second ones were on their way.
struct Pinger {
    ponger: Route,
    left: u64,
    took: Duration,
    driver: Route,
}

impl Worker for Pinger {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        if let Word::Leg(sent) = *msg {
            self.took += sent.elapsed();
            self.left -= 1;
        }
        match self.left {
            0 => ctx.send_message(&self.driver, self.took).await,
            _ => send_leg(ctx, &self.ponger).await,
        }
    }
}

/// Adds up how long the first legs were on their way, and sends the second ones.
struct Ponger {
    left: u64,
    took: Duration,
    driver: Route,
}

impl Worker for Ponger {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        if let Word::Leg(sent) = *msg {
            self.took += sent.elapsed();
            self.left -= 1;
        }
        send_leg(ctx, msg.reply()).await?;
        match self.left {
            0 => ctx.send_message(&self.driver, self.took).await,
            _ => Ok(()),
        }
    }
}

/// `n` round trips between two cores, each of which sleeps when a message is sent to it.
///
/// Only the time from sending to handling counts, not the pauses in which the cores fall asleep.
///
/// # Errors
/// Those of the node.
pub async fn parked_ping_pong(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let (left, took) = (n, Duration::ZERO);
    let driver = stage.driver();
    let ponger = Ponger { left, took, driver };
    let ponger = stage.introduce(stage.other(), "ponger", ponger).await?;
    let driver = stage.driver();
    let pinger = Pinger {
        ponger,
        left,
        took,
        driver,
    };
    let pinger = stage.start(0, "pinger", pinger).await?;
    stage.ctx().send_message(pinger, Word::Begin).await?;
    let mut took = Duration::ZERO;
    for _ in 0..2 {
        took += stage.report::<Duration>().await?;
    }
    stage.end().await?;
    Ok(Measured::new(took, n))
}

/// `n` requests to a worker whose core sleeps when it is asked, from one that waits for the reply.
///
/// # Errors
/// Those of the node.
pub async fn parked_request(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let driver = stage.driver();
    let echo = stage
        .introduce(stage.other(), "echo", Echo { driver })
        .await?;
    let mut took = Duration::ZERO;
    for number in 0..n {
        stage.ctx().sleep(PAUSE).await;
        let start = Instant::now();
        let reply: u64 = stage.ctx().request(&echo, number).await?;
        took += start.elapsed();
        assert_eq!(reply, number);
    }
    stage.end().await?;
    Ok(Measured::new(took, n))
}
