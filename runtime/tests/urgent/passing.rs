//! Urgent messages pass those that wait, in order among themselves, and starve nobody.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Overflow, Result, Routed, Worker};
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Log, PAUSE, Slow, URGENT, done, lane, slow, tight};

/// G15: an urgent message gets through a full mailbox, before all that waits there, from whichever core.
#[test]
fn g15_an_urgent_message_passes_those_that_wait() {
    for seed in 0..40 {
        done(
            Sim::new(seed)
                .cores(3)
                .limits(tight())
                .run(async move |ctx: Context| {
                    let log = Log::default();
                    for overflow in [Overflow::Wait, Overflow::Refuse, Overflow::DropOldest] {
                        for number in 0..4 {
                            let name = format!("slow-{number}-{overflow:?}");
                            let worker = Slow {
                                overflow,
                                ..slow(&log)
                            };
                            ctx.start_worker(name.as_str(), worker).await?;
                            let own = ctx.detached()?;
                            let to = name.clone();
                            ctx.spawn(async move {
                                for number in 0..20u64 {
                                    let _ = own.send_message(to.as_str(), number).await;
                                }
                            });
                            ctx.sleep(Duration::from_micros(3_500)).await;
                            let before = log.lock().len();
                            ctx.send_urgent(name.as_str(), URGENT).await?;
                            ctx.try_send_urgent(name.as_str(), URGENT + 1)?;
                            ctx.sleep(Duration::from_millis(60)).await;
                            let log = std::mem::take(&mut *log.lock());
                            // The one in hand is handled first.
                            assert_eq!(
                                log[before + 1..before + 3],
                                [URGENT, URGENT + 1],
                                "seed {seed}"
                            );
                            assert!(lane(&log, false).is_sorted(), "seed {seed}: {log:?}");
                        }
                    }
                    ctx.stop().await
                }),
        );
    }
}

/// G15: each lane is in order, and none is lost or doubled, where senders of all cores wait in both.
#[test]
fn g15_each_lane_keeps_its_order() {
    for seed in 0..40 {
        let log = Log::default();
        let seen = Arc::clone(&log);
        let report = Sim::new(seed)
            .cores(3)
            .limits(tight())
            .run(async move |ctx: Context| {
                ctx.start_worker("slow", slow(&log)).await?;
                for core in 0..ctx.cores() {
                    let node = ctx.handle();
                    let send = async move |ctx: Context| {
                        for number in 0..40u64 {
                            let number = number + 100 * core as u64;
                            match number % 3 {
                                0 => ctx.send_urgent("slow", URGENT + number).await.unwrap(),
                                _ => ctx.send_message("slow", number).await.unwrap(),
                            }
                        }
                    };
                    ctx.spawn(async move { node.run_on(core, send).await.unwrap() });
                }
                ctx.sleep(Duration::from_secs(1)).await;
                ctx.stop().await
            });
        let log = seen.lock();
        assert_eq!(log.len(), 120, "seed {seed}");
        for is_urgent in [false, true] {
            for core in 0..3 {
                let lane = lane(&log, is_urgent);
                let own = lane.iter().filter(|number| *number % URGENT / 100 == core);
                assert!(own.is_sorted(), "seed {seed}: {log:?}");
            }
        }
        done(report);
    }
}

/// Sends itself another urgent message with each that it handles, and notes the others.
struct Restless {
    log: Log,
    urgent: u64,
    suspends: bool,
}

impl Worker for Restless {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if self.suspends {
            ctx.yield_now().await;
        }
        if *msg < URGENT {
            self.log.lock().push(std::mem::take(&mut self.urgent));
            return Ok(());
        }
        self.urgent += 1;
        ctx.send_urgent(ctx.address(), *msg).await
    }
}

/// G15: urgent messages without end do not starve the others, nor the other workers of the core.
#[test]
fn g15_no_lane_starves_the_other() {
    for suspends in [false, true] {
        let limits = tight();
        let report = Sim::new(1).limits(limits).run(async move |ctx: Context| {
            let log = Log::default();
            let restless = Restless {
                log: Arc::clone(&log),
                urgent: 0,
                suspends,
            };
            ctx.start_worker("restless", restless).await?;
            for _ in 0..4 {
                ctx.send_urgent("restless", URGENT).await?;
            }
            for number in 0..50u64 {
                ctx.send_message("restless", number).await?;
            }
            for _ in 0..10_000 {
                ctx.yield_now().await;
            }
            assert_eq!(log.lock().len(), 50);
            let most = u64::from(limits.worker_burst);
            let log = std::mem::take(&mut *log.lock());
            // Before the first came, urgent ones were alone.
            assert!(log[1..].iter().all(|urgent| *urgent <= most), "{log:?}");
            assert!(log[0] <= 2 * most, "{log:?}");
            ctx.stop_now().await
        });
        done(report);
    }
}

/// Answers each number, after its pause.
struct Clerk(Slow);

impl Worker for Clerk {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(self.0.pause).await;
        self.0.log.lock().push(*msg);
        let back = msg.reply();
        ctx.send_message(back, *msg).await
    }
}

/// G15: urgent messages and requests of threads outside pass all that waits there, at whichever core, and in order.
#[test]
fn g15_urgent_messages_from_outside_pass_those_that_wait() {
    for seed in 0..40 {
        let mut limits = tight();
        limits.outside_credits = 3;
        let sim = Sim::new(seed).cores(3).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            for name in ["clerk-a", "clerk-b", "clerk-c"] {
                let (log, handle) = (Log::default(), ctx.handle());
                ctx.start_worker(name, Clerk(slow(&log))).await?;
                // More than there is room for, in the mailbox, in line for it, and outside.
                for number in 0..20u64 {
                    let handle = handle.clone();
                    ctx.spawn(async move { handle.send_message(name, number).await.unwrap() });
                }
                ctx.sleep(Duration::from_micros(2_500)).await;
                let before = log.lock().len();
                handle.send_urgent(name, URGENT).await?;
                handle.try_send_urgent(name, URGENT + 1)?;
                for number in 2..9 {
                    handle.send_urgent(name, URGENT + number).await?;
                }
                let asked = handle.request_urgent::<u64>(name, URGENT + 9).await?;
                assert_eq!(asked, URGENT + 9);
                let asked: u64 = ctx.request(name, URGENT + 10).urgent().await?;
                assert_eq!(asked, URGENT + 10);
                ctx.sleep(Duration::from_millis(60)).await;
                let log = std::mem::take(&mut *log.lock());
                let urgent: Vec<u64> = (URGENT..=URGENT + 10).collect();
                assert_eq!(lane(&log, true), urgent, "seed {seed}");
                assert_eq!(lane(&log, false).len(), 20, "seed {seed}");
                // The one in hand, and after each burst of urgent ones one that is not.
                let last = log.iter().position(|number| *number == URGENT + 10);
                let passed = before + urgent.len() + 6;
                assert!(last < Some(passed), "seed {seed}: {log:?}");
            }
            ctx.stop().await
        });
        done(report);
    }
}

/// Sends itself a message for each that it handles, and counts them; notes how many there were at an urgent one.
struct Busy {
    handled: Arc<AtomicU64>,
    log: Log,
}

impl Worker for Busy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == PAUSE {
            for _ in 0..4 {
                ctx.yield_now().await;
            }
        }
        let before = self.handled.fetch_add(1, Ordering::Relaxed);
        match *msg {
            PAUSE => self.log.lock().push(before),
            URGENT.. => self.log.lock().push(before),
            _ if before < 20_000 => ctx.try_send_message(ctx.address(), *msg)?,
            _ => {}
        }
        Ok(())
    }
}

/// G15: an urgent message does not wait for the turn of its receiver, where many workers take turns.
#[test]
fn g15_an_urgent_message_waits_for_no_turn() {
    for seed in 0..20 {
        let mut limits = tight();
        limits.mailbox_credits = 100;
        let sim = Sim::new(seed).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let (handled, log) = (Arc::<AtomicU64>::default(), Log::default());
            for number in 0..8 {
                let busy = Busy {
                    handled: Arc::clone(&handled),
                    log: Arc::clone(&log),
                };
                ctx.start_worker(format!("busy-{number}"), busy).await?;
            }
            for _ in 0..100 {
                for number in 0..8 {
                    ctx.try_send_message(format!("busy-{number}"), 1u64)?;
                }
            }
            for number in 0..40 {
                ctx.sleep(Duration::from_nanos(seed)).await;
                let before = handled.load(Ordering::Relaxed);
                let name = format!("busy-{}", number % 8);
                ctx.send_urgent(name, URGENT + number).await?;
                while log.lock().is_empty() {
                    ctx.yield_now().await;
                }
                let waited = log.lock().drain(..).sum::<u64>() - before;
                let most = 2 * u64::from(limits.worker_burst);
                assert!(waited <= most, "seed {seed}: {waited} were before it");
            }
            // Nor does it where the receiver's handler has to end first.
            ctx.send_urgent("busy-0", PAUSE).await?;
            ctx.yield_now().await;
            ctx.send_urgent("busy-0", URGENT).await?;
            while log.lock().len() < 2 {
                ctx.yield_now().await;
            }
            let log = std::mem::take(&mut *log.lock());
            let (waited, most) = (log[1] - log[0], 2 * u64::from(limits.worker_burst));
            assert!(waited <= most, "seed {seed}: {waited} were before it");
            ctx.stop_now().await
        });
        done(report);
    }
}
