//! Answers that come back by way of workers that have passed the request on.

use std::sync::Arc;

use ringpost::sim::Sim;
use ringpost::{Any, Context, Limits, Reason, Result, Routed, Worker, route};
use ringpost_mailbox::sync::Mutex;

/// Passes everything on.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// Answers each request so many times.
struct Echo(u64);

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for time in 0..self.0 {
            ctx.send_message(msg.reply(), *msg + time).await?;
        }
        Ok(())
    }
}

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 2;
    limits.link_credits = 2;
    limits.ring_slots = 8;
    limits
}

/// Has so many clients ask at the same time, each once. How many were answered.
async fn ask(ctx: &Context, clients: u64) -> Result<u64> {
    let answered = Arc::new(Mutex::new(0));
    let mut over = Vec::new();
    for number in 0..clients {
        let (ctx, answered) = (ctx.detached()?, Arc::clone(&answered));
        let ask = async move || {
            let way = route!["near", "far", "echo"];
            let request = ctx.request::<u64>(way, number).without_deadline();
            if request.await.is_ok_and(|answer| answer == number) {
                *answered.lock() += 1;
            }
        };
        over.push(ask);
    }
    futures_of(ctx, over).await?;
    Ok(*answered.lock())
}

/// Runs them all on this core until they are over.
async fn futures_of<F>(ctx: &Context, tasks: Vec<F>) -> Result<()>
where
    F: AsyncFnOnce() + 'static,
{
    let left = Arc::new(Mutex::new(tasks.len()));
    for task in tasks {
        let left = Arc::clone(&left);
        ctx.spawn(async move {
            task().await;
            *left.lock() -= 1;
        });
    }
    for _ in 0..10_000 {
        if *left.lock() == 0 {
            return Ok(());
        }
        ctx.sleep(std::time::Duration::from_millis(1)).await;
    }
    Err(ringpost::Error::other("some wait for ever"))
}

/// G5: far more requests than there is room for, by way of two workers that pass them on.
#[test]
fn g5_answers_that_come_back_by_other_workers_never_wait() {
    for seed in 0..40 {
        let cores = 1 + (seed % 3) as u16;
        let sim = Sim::new(seed).cores(cores).limits(tight());
        let report = sim.run(async |ctx: Context| {
            ctx.start_worker("near", Hop).await?;
            ctx.start_worker("far", Hop).await?;
            ctx.start_worker("echo", Echo(1)).await?;
            let answered = ask(&ctx, 100).await?;
            ctx.stop().await?;
            Ok(answered)
        });
        let answered = report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(answered, 100, "seed {seed}");
        assert_eq!(report.stats.undelivered_total(), 0, "seed {seed}");
    }
}

/// G3, G4: who answers more than once has no way round the limits, and what is too much is reported.
#[test]
fn further_answers_are_bounded_and_reported() {
    for seed in 0..20 {
        let cores = 1 + (seed % 3) as u16;
        let sim = Sim::new(seed).cores(cores).limits(tight());
        let report = sim.run(async |ctx: Context| {
            ctx.start_worker("near", Hop).await?;
            ctx.start_worker("far", Hop).await?;
            ctx.start_worker("echo", Echo(5)).await?;
            let way = route!["near", "far", "echo"];
            for number in 0..20u64 {
                assert_eq!(ctx.request::<u64>(way.clone(), number).await?, number);
            }
            ctx.stop().await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let late = report.stats.undelivered(Reason::LateReply);
        let stopped = report.stats.undelivered(Reason::NodeStopped);
        assert_eq!(late + stopped, 4 * 20, "seed {seed}");
    }
}

/// Who is answered more than once takes nothing from others who ask at the same time.
#[test]
fn further_answers_cost_nobody_else_an_answer() {
    for seed in 0..40 {
        let cores = 1 + (seed % 3) as u16;
        let sim = Sim::new(seed).cores(cores).limits(tight());
        let report = sim.run(async |ctx: Context| {
            ctx.start_worker("near", Hop).await?;
            ctx.start_worker("far", Hop).await?;
            ctx.start_worker("echo", Echo(2)).await?;
            let answered = ask(&ctx, 100).await?;
            ctx.stop().await?;
            Ok(answered)
        });
        let answered = report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(answered, 100, "seed {seed}");
    }
}
