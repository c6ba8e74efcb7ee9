//! Savina's ping-pong: two workers, one message under way.

use std::time::Instant;

use ringpost::{Address, Context, Result, Route, Routed, Worker};

use super::stage::{Stage, announce};
use crate::Measured;

/// Replies to each message along its return route.
pub(crate) struct Echo {
    pub(crate) driver: Route,
}

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Bounces a number that counts down between itself and an echo.
struct Pinger {
    echo: Route,
    driver: Route,
    serving: bool,
}

impl Worker for Pinger {
    type Message = u64;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let left = *msg;
        if left == 0 {
            return ctx.send_message(&self.driver, true).await;
        }
        // The first message is the driver's; all others are replies of the echo.
        if std::mem::replace(&mut self.serving, false) {
            return ctx.send_message(&self.echo, left - 1).await;
        }
        ctx.send_message(msg.reply(), left - 1).await
    }
}

/// Sends each message on to a name.
struct ByName {
    to: Address,
    driver: Route,
    /// Whether this is the one that counts.
    counts: bool,
}

impl Worker for ByName {
    type Message = u64;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let left = *msg;
        if self.counts && left == 0 {
            return ctx.send_message(&self.driver, true).await;
        }
        ctx.send_message(&self.to, left - u64::from(self.counts))
            .await
    }
}

/// `n` round trips between two workers that reply along return routes.
///
/// # Errors
/// Those of the node.
pub async fn ping_pong(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let echo = Echo {
        driver: stage.driver(),
    };
    let pinger = Pinger {
        echo: stage.introduce(stage.other(), "echo", echo).await?,
        driver: stage.driver(),
        serving: true,
    };
    let pinger = stage.start(0, "pinger", pinger).await?;
    play(stage, n, pinger).await
}

/// `n` round trips between two workers that know each other's names only.
///
/// # Errors
/// Those of the node.
pub async fn ping_pong_by_name(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let places = [(0, "pinger"), (stage.other(), "ponger")];
    for (number, (core, name)) in places.into_iter().enumerate() {
        let (core_to, name_to) = places[1 - number];
        let player = ByName {
            to: stage.name_on(core_to, name_to),
            driver: stage.driver(),
            counts: number == 0,
        };
        stage.start(core, name, player).await?;
    }
    let pinger = stage.name_on(0, "pinger");
    play(stage, n, pinger).await
}

async fn play(mut stage: Stage, n: u64, pinger: Address) -> Result<Measured> {
    let start = Instant::now();
    stage.ctx().send_message(pinger, n).await?;
    assert!(stage.report::<bool>().await?);
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, n))
}
