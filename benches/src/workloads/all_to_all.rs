//! Every core sends to every other.

use std::time::Instant;

use ringpost::{Context, Result};

use super::counting::Counter;
use super::fan::Distributor;
use super::stage::Stage;
use crate::Measured;

/// `n` messages in all: on each core one worker that sends to the counters of all other cores. On a
/// node of one core that worker sends to the counter beside it.
///
/// The senders are workers of their own, so that nobody stops counting while it waits for room.
///
/// # Errors
/// Those of the node.
pub async fn all_to_all(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let cores = stage.cores();
    let receivers = (cores - 1).max(1) as u64;
    let mut counters = Vec::new();
    for core in 0..cores {
        let counter = Counter::of(receivers, stage.driver());
        counters.push(stage.introduce(core, "counter", counter).await?);
    }
    let mut distributors = Vec::new();
    for core in 0..cores {
        let others = counters.iter().enumerate();
        let others = others.filter(|(other, _)| cores == 1 || *other != core);
        let to = others.map(|(_, route)| route.clone()).collect();
        distributors.push(stage.start(core, "distributor", Distributor { to }).await?);
    }
    let each = n.div_ceil(cores as u64 * receivers);
    let start = Instant::now();
    for distributor in distributors {
        stage.ctx().send_message(distributor, each).await?;
    }
    let mut total = 0;
    for _ in 0..cores {
        total += stage.report::<u64>().await?;
    }
    let took = start.elapsed();
    assert_eq!(total, each * cores as u64 * receivers);
    stage.end().await?;
    Ok(Measured::new(took, total))
}
