//! The end of a node: it comes all the same, when who has asked for it does not wait.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Reason, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::{POLLS_MAX, SLOW, Slow, drop_after};

/// The futures that are dropped here, after every number of polls.
pub(crate) const DROPPED: &[&str] = &[
    "Context::stop",
    "Context::stop_now",
    "NodeHandle::stop",
    "NodeHandle::stop_now",
];

/// Whether the future was done before it was dropped.
type Seen = Arc<Mutex<Option<bool>>>;

async fn attempt(name: &str, ctx: &Context, polls: usize) -> bool {
    let handle = ctx.handle();
    let done = match name {
        "Context::stop" => drop_after(ctx, polls, ctx.stop()).await,
        "Context::stop_now" => drop_after(ctx, polls, ctx.stop_now()).await,
        "NodeHandle::stop" => drop_after(ctx, polls, handle.stop()).await,
        "NodeHandle::stop_now" => drop_after(ctx, polls, handle.stop_now()).await,
        other => panic!("nothing is known of {other}"),
    };
    done.is_some()
}

/// Asks for the stop in its handler.
struct Ender {
    name: &'static str,
    polls: usize,
    seen: Seen,
}

impl Worker for Ender {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        let done = attempt(self.name, ctx, self.polls).await;
        *self.seen.lock() = Some(done);
        Ok(())
    }
}

/// A node whose end is asked for, by a worker or by its main function. Whether who asked heard of it.
fn end(name: &'static str, polls: usize, by_worker: bool) -> bool {
    let seen = Seen::default();
    let told = Arc::clone(&seen);
    let main = async move |ctx: Context| {
        ctx.start_worker_on(1 - ctx.core(), SLOW, Slow).await?;
        for _ in 0..8 {
            ctx.send_message(SLOW, 0u64).await?;
        }
        if by_worker {
            let seen = Arc::clone(&told);
            ctx.start_worker("ender", Ender { name, polls, seen })
                .await?;
            return ctx.send_message("ender", 0u64).await;
        }
        let done = attempt(name, &ctx, polls).await;
        *told.lock() = Some(done);
        Ok(())
    };
    let what = format!("{name}, {polls} polls, by a worker: {by_worker}");
    // A handler that waits by the handle waits for its own end too, and is cut short when the time to drain is over.
    let sim = Sim::new(polls as u64)
        .drain(Duration::from_millis(100))
        .node("ending", 2)
        .main("ending", main);
    let cluster = sim.cluster();
    let report = sim.run(async move |ctx: Context| {
        ctx.sleep(Duration::from_secs(10)).await;
        let ending = cluster.handle("ending").expect("nobody has crashed it");
        let stats = ending.stats();
        let left = stats.total(|core| core.workers_started - core.workers_ended);
        Ok((ending.is_stopping(), left))
    });
    let (is_stopping, left) = report
        .output
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(is_stopping, polls > 0, "{what}");
    assert!(
        !is_stopping || left == 0,
        "{what}: {left} workers have not ended"
    );
    let stats = &report.neighbours[0].1;
    let lost = stats.undelivered_total() - stats.undelivered(Reason::LateReply);
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    assert_eq!(sent, stats.total(|core| core.handled) + lost, "{what}");
    // The node may have ended, and dropped the future with all others, before it was polled again.
    *seen.lock() != Some(false)
}

/// G4, G9: every worker ends, and every message is accounted for, however soon the future is dropped.
#[test]
fn g9_a_stop_whose_future_is_dropped_goes_on() {
    for name in DROPPED {
        for by_worker in [false, true] {
            let done = (0..POLLS_MAX).find(|polls| end(name, *polls, by_worker));
            assert!(done.is_some_and(|polls| polls > 0), "{name} is never done");
        }
    }
}
