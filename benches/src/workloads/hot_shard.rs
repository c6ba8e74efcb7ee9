//! Traffic that is not spread evenly: most of it goes to one worker.

use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::counting::{Count, Counter};
use super::stage::{Dice, Stage};
use crate::Measured;

/// Of a hundred messages so many go to the hot worker.
const HOT_PERCENT: usize = 80;

/// Workers that share the rest.
const COLD: usize = 63;

/// Sends at random, mostly to the first.
struct Client {
    to: Vec<Route>,
    dice: Dice,
}

impl Worker for Client {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..*msg {
            let number = if self.dice.below(100) < HOT_PERCENT {
                0
            } else {
                1 + self.dice.below(COLD)
            };
            ctx.send_message(&self.to[number], Count::One).await?;
        }
        for route in &self.to {
            ctx.send_message(route, Count::Done).await?;
        }
        Ok(())
    }
}

/// `n` messages from one client on each core to 64 workers over all cores, 80 % of them to one.
///
/// # Errors
/// Those of the node.
pub async fn hot_shard(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let clients = stage.cores() as u64;
    let mut to = Vec::new();
    for number in 0..=COLD {
        let counter = Counter::of(clients, stage.driver());
        let core = number % stage.cores();
        let name = format!("shard-{number}");
        to.push(stage.introduce(core, name, counter).await?);
    }
    let mut names = Vec::new();
    for core in 0..stage.cores() {
        let client = Client {
            to: to.clone(),
            dice: Dice::new(core as u64 + 1),
        };
        names.push(stage.start(core, "client", client).await?);
    }
    let each = n.div_ceil(clients);
    let start = Instant::now();
    for name in names {
        stage.ctx().send_message(name, each).await?;
    }
    let mut total = 0;
    for _ in &to {
        total += stage.report::<u64>().await?;
    }
    let took = start.elapsed();
    assert_eq!(total, each * clients);
    stage.end().await?;
    Ok(Measured::new(took, total))
}
