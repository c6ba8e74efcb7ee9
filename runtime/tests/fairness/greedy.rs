//! Workers that never have nothing to do, and others of their core.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::Ordering;

use crate::common::*;

/// G7: who comes after full mailboxes that never get empty waits for two bursts of each, also where others have to be
/// waited for as well.
#[test]
fn g7_a_greedy_worker_delays_others_by_two_bursts_at_most() {
    let cases = [
        (1, 1, Manner::Plain),
        (2, 1, Manner::Suspends),
        (3, 2, Manner::Urges),
        (4, 7, Manner::Plain),
        (5, 7, Manner::Suspends),
    ];
    for (seed, workers, manner) in cases {
        for others in [0, 500] {
            let report = Sim::new(seed).run(async move |ctx: Context| {
                let (mut handled, seen) = (Counts::new(), Arc::default());
                for number in 0..workers {
                    let count = Count::default();
                    let greedy = Greedy {
                        manner,
                        ..Greedy::new(&count, 100_000)
                    };
                    ctx.start_worker(name_of(number), greedy).await?;
                    handled.push(count);
                }
                let modest = Modest {
                    greedy: handled.clone(),
                    seen: Arc::clone(&seen),
                };
                ctx.start_worker("modest", modest).await?;
                ctx.start_worker("prompt", Prompt).await?;
                for other in 0..others {
                    ctx.start_worker(format!("quiet-{other}"), Quiet).await?;
                }
                fill(&ctx, workers)?;
                // Who has filled them in one go would wait for all of that.
                ctx.yield_now().await;
                let mut delays = Vec::new();
                for number in 0..20u64 {
                    for other in 0..others {
                        ctx.send_message(format!("quiet-{other}"), number).await?;
                    }
                    let before = of_each(&handled);
                    ctx.send_message("modest", number).await?;
                    while seen.lock().is_empty() {
                        ctx.yield_now().await;
                    }
                    delays.extend(seen.lock().drain(..).map(|at| most_between(&before, &at)));
                }
                let is_greedy = |count: &u64| (1..100_000).contains(count);
                assert!(of_each(&handled).iter().all(is_greedy), "greedy to the end");
                let most = two_bursts();
                assert!(
                    delays.iter().all(|delay| *delay <= most),
                    "seed {seed}, {others} others: {delays:?}"
                );
                ctx.stop().await
            });
            done(report);
        }
    }
}

/// G7: a spawned future that yields has its next turn, however many messages there are.
#[test]
fn g7_messages_do_not_starve_futures() {
    let limits = Limits::default();
    let report = Sim::new(1).run(async move |ctx: Context| {
        let handled = Count::default();
        ctx.start_worker(name_of(0), Greedy::new(&handled, 100_000))
            .await?;
        fill(&ctx, 1)?;
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
        ctx.start_worker(name_of(0), Greedy::new(&handled, 100_000))
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
                    fill(&own, 1).expect("there is room for them");
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
    const WORKERS: usize = 3;
    const MESSAGES: u64 = 2_000;
    let limits = Limits::default();
    let report = Sim::new(1).cores(2).run(async move |ctx: Context| {
        let node = ctx.handle();
        let seen = Arc::default();
        let handled: Counts = (0..WORKERS).map(|_| Count::default()).collect();
        let modest = Modest {
            greedy: handled.clone(),
            seen: Arc::clone(&seen),
        };
        let counts = handled.clone();
        let busy = async move |ctx: Context| {
            for (number, count) in counts.iter().enumerate() {
                let greedy = Greedy::new(count, 200_000);
                ctx.start_worker_on(1, name_of(number), greedy).await?;
            }
            ctx.start_worker_on(1, "modest", modest).await?;
            fill(&ctx, WORKERS)
        };
        node.run_on(1, busy).await??;
        for number in 0..MESSAGES {
            ctx.send_message("modest", number).await?;
        }
        while seen.lock().len() < MESSAGES as usize {
            ctx.yield_now().await;
        }
        let seen = std::mem::take(&mut *seen.lock());
        let gaps = seen.windows(2).map(|pair| most_between(&pair[0], &pair[1]));
        let longest = gaps.max().unwrap_or(0);
        // Others are looked at once a turn, in which each worker may be in the middle of its burst.
        let most = two_bursts() + u64::from(limits.turn_messages);
        assert!(
            longest <= most,
            "{longest} of one of its own between two from outside"
        );
        let total = most_between(&seen[0], &seen[MESSAGES as usize - 1]);
        assert!(
            total <= 2 * MESSAGES,
            "{total} of one of its own while {MESSAGES} from outside were handled"
        );
        let is_greedy = |count: &u64| (1..200_000).contains(count);
        assert!(of_each(&handled).iter().all(is_greedy), "greedy to the end");
        ctx.stop().await
    });
    done(report);
}
