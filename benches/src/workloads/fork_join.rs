//! Savina's fork-join: messages to many workers, and many workers with one message each.

use std::time::{Duration, Instant};

use ringpost::{Address, Context, Result, Route, Routed, Worker};

use super::counting::{Count, Counter};
use super::stage::{Stage, announce};
use crate::Measured;

/// Workers that are started before their reports are waited for; the number is Savina's.
const FORKS_MAX: u64 = 40_000;

/// `n` messages to `workers` workers in turn, from one sender.
///
/// # Errors
/// Those of the node.
pub async fn fork_join_throughput(ctx: Context, n: u64, workers: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let mut routes = Vec::new();
    for number in 0..workers {
        let counter = Counter::of(1, stage.driver());
        let core = number as usize % stage.cores();
        let name = format!("counter-{number}");
        routes.push(stage.introduce(core, name, counter).await?);
    }
    let each = n.div_ceil(workers);
    let start = Instant::now();
    for _ in 0..each {
        for route in &routes {
            stage.ctx().send_message(route, Count::One).await?;
        }
    }
    for route in &routes {
        stage.ctx().send_message(route, Count::Done).await?;
    }
    let mut total = 0;
    for _ in 0..workers {
        total += stage.report::<u64>().await?;
    }
    let took = start.elapsed();
    assert_eq!(total, each * workers);
    stage.end().await?;
    Ok(Measured::new(took, total))
}

/// Does a little work for its one message, and ends.
struct Fork {
    joiner: Route,
}

impl Worker for Fork {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.stop_worker(ctx.address()).await?;
        let sine = (*msg as f64).sin();
        ctx.send_message(&self.joiner, sine).await
    }
}

/// Hears from forks until all have ended.
struct Joiner {
    left: u64,
    sum: f64,
    driver: Route,
}

impl Worker for Joiner {
    type Message = f64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<f64>) -> Result<()> {
        self.sum += *msg;
        self.left -= 1;
        if self.left == 0 {
            ctx.send_message(&self.driver, self.sum).await?;
        }
        Ok(())
    }
}

/// `n` workers started, each sent one message, at which it reports and ends.
///
/// # Errors
/// Those of the node.
pub async fn fork_join_create(ctx: Context, n: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let mut took = Duration::ZERO;
    let mut left = n;
    while left > 0 {
        let forks = left.min(FORKS_MAX);
        left -= forks;
        took += fork(&mut stage, forks).await?;
    }
    stage.end().await?;
    Ok(Measured::new(took, n))
}

async fn fork(stage: &mut Stage, forks: u64) -> Result<Duration> {
    let joiner = Joiner {
        left: forks,
        sum: 0.0,
        driver: stage.driver(),
    };
    let name = stage.name_on(0, "joiner");
    let joiner = stage.introduce(0, "joiner", joiner).await?;
    let start = Instant::now();
    for number in 0..forks {
        // Nobody spells the names of forks; which core is the home of each follows from them.
        let fork = Address::random_local(number.into());
        let joiner = joiner.clone();
        let ctx = stage.ctx();
        ctx.start_worker(fork.clone(), Fork { joiner }).await?;
        ctx.send_message(fork, number).await?;
    }
    let sum: f64 = stage.report().await?;
    let took = start.elapsed();
    assert!(sum.is_finite());
    stage.stop(name).await?;
    Ok(took)
}
