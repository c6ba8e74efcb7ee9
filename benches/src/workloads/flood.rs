//! A sender that outruns its receiver: every message finds the mailbox full or nearly so.

use std::time::Instant;

use ringpost::{Context, ErrorKind, NodeHandle, Result, Route, Routed, Worker};

use super::counting::{Count, Counter};
use super::stage::Stage;
use crate::Measured;

/// Sends without waiting while it is let, and waits its turn when it is refused.
struct Flooder {
    to: Route,
}

impl Worker for Flooder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..*msg {
            match ctx.try_send_message(&self.to, Count::One) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Full { .. }) => {
                    ctx.send_message(&self.to, Count::One).await?;
                }
                Err(error) => return Err(error),
            }
        }
        ctx.send_message(&self.to, Count::Done).await
    }
}

/// `n` messages by `try_send_message`, each refused one sent again by `send_message`.
///
/// # Errors
/// Those of the node.
pub async fn flood(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let counter = Counter::of(1, stage.driver());
    let to = stage.introduce(stage.other(), "counter", counter).await?;
    let flooder = stage.start(0, "flooder", Flooder { to }).await?;
    let start = Instant::now();
    stage.ctx().send_message(flooder, n).await?;
    let total: u64 = stage.report().await?;
    let took = start.elapsed();
    assert_eq!(total, n);
    stage.end().await?;
    Ok(Measured::new(took, n))
}

/// Counts what comes from outside, and answers when it has seen all of it.
struct Gauge {
    left: u64,
    asked: Option<Route>,
}

impl Worker for Gauge {
    type Message = Count;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Count>) -> Result<()> {
        match *msg {
            Count::One => self.left -= 1,
            Count::Done => self.asked = Some(msg.reply()),
        }
        if self.left == 0
            && let Some(asked) = self.asked.take()
        {
            ctx.send_message(asked, true).await?;
        }
        Ok(())
    }
}

/// `n` messages from the calling thread, which is no core of the node, to a worker.
///
/// # Errors
/// Those of the node.
pub fn flood_from_outside(handle: &NodeHandle, n: u64) -> Result<Measured> {
    let name = "gauge";
    let gauge = move || Gauge {
        left: n,
        asked: None,
    };
    handle.start_worker_blocking(name, gauge)?;
    let start = Instant::now();
    for _ in 0..n {
        handle.send_message_blocking(name, Count::One)?;
    }
    let all: bool = handle.request_blocking(name, Count::Done)?;
    let took = start.elapsed();
    assert!(all);
    pollster::block_on(handle.stop_worker(name))?;
    Ok(Measured::new(took, n))
}
