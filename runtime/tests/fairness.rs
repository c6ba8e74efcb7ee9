//! A worker that feeds itself without end does not starve the others of its core (G7).
//!
//! Virtual time stands still while a core handles messages, so what somebody waits is told by how many messages of
//! others are handled meanwhile.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringpost::sim::{Report, Sim};
use ringpost::{Context, Limits, Result, Routed, Worker};
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

/// How many messages the greedy worker has handled.
type Count = Arc<AtomicU64>;

fn done<T>(report: Report<T>) -> T {
    let sent = report
        .stats
        .total(|core| core.sent_local + core.sent_remote);
    let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered");
    report.output.expect("the main function succeeds")
}

/// Sends itself another message for each that it handles, as long as it may: its mailbox stays as full as it was.
struct Greedy {
    handled: Count,
    /// Messages that are still to come back.
    left: u64,
    last: u64,
    suspends: bool,
}

impl Greedy {
    fn new(handled: &Count, left: u64) -> Self {
        let handled = Arc::clone(handled);
        Self {
            handled,
            left,
            last: 0,
            suspends: false,
        }
    }
}

impl Worker for Greedy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert!(*msg > self.last, "{} after {}", *msg, self.last);
        self.last = *msg;
        self.handled.fetch_add(1, Ordering::Relaxed);
        if self.suspends && msg.is_multiple_of(100) {
            ctx.yield_now().await;
        }
        if self.left > 0 {
            self.left -= 1;
            let next = *msg + u64::from(Limits::default().mailbox_credits);
            ctx.try_send_message(ctx.address(), next)?;
        }
        Ok(())
    }
}

/// Notes how many the greedy worker had handled when a message came.
struct Modest {
    greedy: Count,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Worker for Modest {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.seen.lock().push(self.greedy.load(Ordering::Relaxed));
        Ok(())
    }
}

/// Fills the mailbox of the greedy worker.
fn fill(ctx: &Context) -> Result<()> {
    (1..=u64::from(Limits::default().mailbox_credits))
        .try_for_each(|it| ctx.try_send_message("greedy", it))
}

/// G7: who comes after a full mailbox that never gets empty waits for what it holds, and for nothing that comes later.
#[test]
fn g7_a_greedy_worker_delays_others_by_its_mailbox_at_most() {
    let limits = Limits::default();
    for (seed, suspends) in [(1, false), (2, true)] {
        let report = Sim::new(seed).run(async move |ctx: Context| {
            let (handled, seen) = (Count::default(), Arc::default());
            let greedy = Greedy {
                suspends,
                ..Greedy::new(&handled, 100_000)
            };
            ctx.start_worker("greedy", greedy).await?;
            let modest = Modest {
                greedy: Arc::clone(&handled),
                seen: Arc::clone(&seen),
            };
            ctx.start_worker("modest", modest).await?;
            fill(&ctx)?;
            let mut delays = Vec::new();
            for number in 0..20u64 {
                let before = handled.load(Ordering::Relaxed);
                ctx.send_message("modest", number).await?;
                while seen.lock().is_empty() {
                    ctx.yield_now().await;
                }
                delays.extend(seen.lock().drain(..).map(|at| at - before));
            }
            assert!(
                handled.load(Ordering::Relaxed) < 100_000,
                "it was greedy to the end"
            );
            let most = u64::from(limits.mailbox_credits);
            assert!(delays.iter().all(|delay| *delay <= most), "{delays:?}");
            ctx.stop().await
        });
        done(report);
    }
}

/// G7: a spawned future that yields has its next turn, however many messages there are.
#[test]
fn g7_messages_do_not_starve_futures() {
    let limits = Limits::default();
    let report = Sim::new(1).run(async move |ctx: Context| {
        let handled = Count::default();
        ctx.start_worker("greedy", Greedy::new(&handled, 100_000))
            .await?;
        fill(&ctx)?;
        let polled = Count::default();
        let (of_others, own) = (Arc::clone(&polled), ctx.detached()?);
        ctx.spawn(async move {
            loop {
                of_others.fetch_add(1, Ordering::Relaxed);
                own.yield_now().await;
            }
        });
        // It yields until the next turn.
        let most = 2 * u64::from(limits.turn_messages);
        let mut before = handled.load(Ordering::Relaxed);
        for _ in 0..100 {
            ctx.yield_now().await;
            let now = handled.load(Ordering::Relaxed);
            assert!(
                now - before <= most,
                "{} messages between two polls",
                now - before
            );
            before = now;
        }
        assert!(
            polled.load(Ordering::Relaxed) >= 50,
            "the other future waits"
        );
        assert!(
            handled.load(Ordering::Relaxed) < 100_000,
            "it was greedy to the end"
        );
        ctx.stop().await
    });
    done(report);
}

/// G7: a timer that is due is fired in the next turn that has room for it, however many messages there are.
#[test]
fn g7_messages_do_not_starve_timers() {
    let mut limits = Limits::default();
    limits.timers_burst = 1;
    let report = Sim::new(1).limits(limits).run(async move |ctx: Context| {
        let handled = Count::default();
        ctx.start_worker("greedy", Greedy::new(&handled, 100_000))
            .await?;
        // All of them are due at the same time, and the first of them brings the messages.
        let fired: Arc<Mutex<Vec<u64>>> = Arc::default();
        let wait = Duration::from_millis(1);
        for _ in 0..6 {
            let (handled, fired) = (Arc::clone(&handled), Arc::clone(&fired));
            let own = ctx.detached()?;
            ctx.spawn(async move {
                own.sleep(wait).await;
                if fired.lock().is_empty() {
                    fill(&own).expect("there is room for them");
                }
                fired.lock().push(handled.load(Ordering::Relaxed));
            });
        }
        ctx.sleep(2 * wait).await;
        let fired = std::mem::take(&mut *fired.lock());
        assert_eq!(fired.len(), 6);
        assert!(fired[5] > 0, "there were messages between: {fired:?}");
        let most = 2 * u64::from(limits.turn_messages);
        let is_near = |pair: &[u64]| pair[1] - pair[0] <= most;
        assert!(fired.windows(2).all(is_near), "{fired:?}");
        ctx.stop().await
    });
    done(report);
}

/// G7: a core that its own workers keep busy takes what comes from others each turn, and handles it.
#[test]
fn g7_remote_senders_have_their_share_of_a_busy_core() {
    let limits = Limits::default();
    let report = Sim::new(1).cores(2).run(async move |ctx: Context| {
        let node = ctx.handle();
        let (handled, seen) = (Count::default(), Arc::default());
        let modest = Modest {
            greedy: Arc::clone(&handled),
            seen: Arc::clone(&seen),
        };
        let greedy = Greedy::new(&handled, 200_000);
        let busy = async move |ctx: Context| {
            ctx.start_worker_on(1, "greedy", greedy).await?;
            ctx.start_worker_on(1, "modest", modest).await?;
            fill(&ctx)
        };
        node.run_on(1, busy).await??;
        for number in 0..2_000u64 {
            ctx.send_message("modest", number).await?;
        }
        while seen.lock().len() < 2_000 {
            ctx.yield_now().await;
        }
        let seen = std::mem::take(&mut *seen.lock());
        let gaps = seen.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().unwrap_or(0);
        let most = u64::from(limits.mailbox_credits + limits.turn_messages);
        assert!(
            longest <= most,
            "{longest} of its own between two from outside"
        );
        let total = seen[1_999] - seen[0];
        assert!(
            total <= 4 * 2_000,
            "{total} of its own while 2,000 from outside were handled"
        );
        assert!(
            handled.load(Ordering::Relaxed) < 200_000,
            "it was greedy to the end"
        );
        ctx.stop().await
    });
    done(report);
}
