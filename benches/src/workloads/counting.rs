//! Savina's counting: one producer, one counter, and a question at the end.

use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Stage, announce};
use crate::Measured;

/// What a counter is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// One more.
    One,
    /// A producer has sent all it had to.
    Done,
}

ringpost::local_message!(Count);

/// Counts, and reports to the driver when all its producers are done.
pub(crate) struct Counter {
    total: u64,
    producers: u64,
    driver: Route,
}

impl Counter {
    pub(crate) fn of(producers: u64, driver: Route) -> Self {
        Self {
            total: 0,
            producers,
            driver,
        }
    }
}

impl Worker for Counter {
    type Message = Count;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Count>) -> Result<()> {
        match *msg {
            Count::One => self.total += 1,
            Count::Done => {
                self.producers -= 1;
                if self.producers == 0 {
                    ctx.send_message(&self.driver, self.total).await?;
                }
            }
        }
        Ok(())
    }
}

/// Sends as many as it is told to, and says when it is done.
pub(crate) struct Producer {
    pub(crate) to: Route,
}

impl Worker for Producer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..*msg {
            ctx.send_message(&self.to, Count::One).await?;
        }
        ctx.send_message(&self.to, Count::Done).await
    }
}

/// `n` messages from one worker to another, along a resolved route.
///
/// # Errors
/// Those of the node.
pub async fn counting(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let counter = Counter::of(1, stage.driver());
    let to = stage.introduce(stage.other(), "counter", counter).await?;
    count(stage, n, to).await
}

/// `n` messages from one worker to another, each by the other's name.
///
/// # Errors
/// Those of the node.
pub async fn counting_by_name(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let core = stage.other();
    stage
        .introduce(core, "counter", Counter::of(1, stage.driver()))
        .await?;
    let to = stage.name_on(core, "counter").into();
    count(stage, n, to).await
}

async fn count(mut stage: Stage, n: u64, to: Route) -> Result<Measured> {
    let producer = stage.start(0, "producer", Producer { to }).await?;
    let start = Instant::now();
    stage.ctx().send_message(producer, n).await?;
    let total: u64 = stage.report().await?;
    let took = start.elapsed();
    assert_eq!(total, n);
    stage.end().await?;
    Ok(Measured::new(took, n))
}
