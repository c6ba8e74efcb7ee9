//! Many senders and one receiver, and one sender and many receivers.

use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::counting::{Count, Counter, Producer};
use super::stage::Stage;
use crate::Measured;

/// `n` messages from `producers` workers to one, which is on a core without producers.
///
/// # Errors
/// Those of the node.
pub async fn fan_in(ctx: Context, n: u64, producers: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let counter = Counter::of(producers, stage.driver());
    let to = stage.introduce(0, "counter", counter).await?;
    let mut names = Vec::new();
    for number in 0..producers {
        let producer = Producer { to: to.clone() };
        let core = stage.elsewhere(number as usize);
        let name = format!("producer-{number}");
        names.push(stage.start(core, name, producer).await?);
    }
    let each = n.div_ceil(producers);
    let start = Instant::now();
    for name in names {
        stage.ctx().send_message(name, each).await?;
    }
    let total: u64 = stage.report().await?;
    let took = start.elapsed();
    assert_eq!(total, each * producers);
    stage.end().await?;
    Ok(Measured::new(took, total))
}

/// Sends to each of its receivers in turn, as often as it is told to.
pub(crate) struct Distributor {
    pub(crate) to: Vec<Route>,
}

impl Worker for Distributor {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..*msg {
            for route in &self.to {
                ctx.send_message(route, Count::One).await?;
            }
        }
        for route in &self.to {
            ctx.send_message(route, Count::Done).await?;
        }
        Ok(())
    }
}

/// `n` messages from one worker to `receivers`, which are on other cores.
///
/// # Errors
/// Those of the node.
pub async fn fan_out(ctx: Context, n: u64, receivers: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let mut to = Vec::new();
    for number in 0..receivers {
        let counter = Counter::of(1, stage.driver());
        let core = stage.elsewhere(number as usize);
        let name = format!("counter-{number}");
        to.push(stage.introduce(core, name, counter).await?);
    }
    let distributor = stage.start(0, "distributor", Distributor { to }).await?;
    let each = n.div_ceil(receivers);
    let start = Instant::now();
    stage.ctx().send_message(distributor, each).await?;
    let mut total = 0;
    for _ in 0..receivers {
        total += stage.report::<u64>().await?;
    }
    let took = start.elapsed();
    assert_eq!(total, each * receivers);
    stage.end().await?;
    Ok(Measured::new(took, total))
}
