//! Urgent messages pass those that wait, in order among themselves, and starve nobody (G15).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Any, Context, ErrorKind, Limits, NodeStats, Overflow, Reason, Result, Routed, Worker, route,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

type Log = Arc<Mutex<Vec<u64>>>;

/// From here on numbers are urgent.
const URGENT: u64 = 1_000;
const PANIC: u64 = 9_999;
const PAUSE: u64 = 0;

/// Takes its time over each number.
struct Slow {
    log: Log,
    pause: Duration,
    overflow: Overflow,
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(self.pause).await;
        assert_ne!(*msg, PANIC, "asked to");
        self.log.lock().push(*msg);
        Ok(())
    }
}

fn slow(log: &Log) -> Slow {
    Slow {
        log: Arc::clone(log),
        pause: Duration::from_millis(1),
        overflow: Overflow::Wait,
    }
}

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.urgent_credits = 4;
    limits.worker_burst = 4;
    limits
}

/// The numbers of one lane, which are in order.
fn lane(log: &[u64], is_urgent: bool) -> Vec<u64> {
    let is_its = |number: &&u64| (**number >= URGENT) == is_urgent;
    log.iter().filter(is_its).copied().collect()
}

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
            assert!(log.iter().all(|urgent| *urgent <= 2 * most), "{log:?}");
            ctx.stop_now().await
        });
        done(report);
    }
}

/// G15, G4: no more than so many urgent messages wait; then senders do, first come first served, or are refused.
#[test]
fn g15_urgent_messages_are_bounded_too() {
    for seed in 0..30 {
        let report = Sim::new(seed)
            .cores(2)
            .limits(tight())
            .run(async move |ctx: Context| {
                let mut logs = Vec::new();
                for name in ["slow-a", "slow-b", "slow-c"] {
                    let log = Log::default();
                    ctx.start_worker(name, slow(&log)).await?;
                    logs.push(log);
                    let taken =
                        (0..100).take_while(|it| ctx.try_send_urgent(name, URGENT + it).is_ok());
                    assert_eq!(taken.count(), 4, "seed {seed}");
                    let full = ctx.try_send_urgent(name, URGENT).unwrap_err();
                    assert!(matches!(full.kind(), ErrorKind::Full { .. }), "{full}");
                    assert_eq!(full.into_message::<u64>().unwrap(), URGENT);
                    for number in 4..12u64 {
                        ctx.send_urgent(name, URGENT + number).await?;
                    }
                    // Others have room.
                    ctx.try_send_message(name, 1u64)?;
                }
                ctx.sleep(Duration::from_millis(100)).await;
                let numbers: Vec<u64> = (URGENT..URGENT + 12).collect();
                for log in logs {
                    assert_eq!(lane(&log.lock(), true), numbers, "seed {seed}");
                    assert_eq!(lane(&log.lock(), false), [1], "seed {seed}");
                }
                ctx.send_urgent("slow-a", PANIC).await?;
                ctx.sleep(Duration::from_millis(10)).await;
                // The lane to who has ended is empty again, whether that was known at once or not.
                for _ in 0..12 {
                    let _ = ctx.send_urgent("slow-a", URGENT).await;
                }
                ctx.stop().await
            });
        done(report);
    }
}

/// Passes on whatever comes.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// G15, G3: urgent messages are accounted for like any other, also along routes, at ends, and when given up.
#[test]
fn g15_urgent_messages_are_accounted_for() {
    for seed in 0..40 {
        let log = Log::default();
        let report = Sim::new(seed)
            .cores(3)
            .limits(tight())
            .run(async move |ctx: Context| {
                for name in ["hop-a", "hop-b"] {
                    ctx.start_worker(name, Hop).await?;
                }
                for name in ["slow-a", "slow-b", "slow-c"] {
                    ctx.start_worker(name, slow(&log)).await?;
                    ctx.send_message(name, 0u64).await?;
                    ctx.send_urgent(route!["hop-a", "hop-b", name], URGENT)
                        .await?;
                    ctx.send_urgent(name, URGENT).await?;
                    ctx.send_urgent(name, PANIC).await?;
                    for number in 0..3u64 {
                        let _ = ctx.send_urgent(name, URGENT + number).await;
                        let _ = ctx.send_urgent("nobody", number).await;
                    }
                    // Given up while it waits.
                    for _ in 0..8 {
                        let own = ctx.detached()?;
                        let name = name.to_owned();
                        let send = async move { own.send_urgent(name, URGENT + 1).await };
                        let wait = ctx.sleep(Duration::from_micros(100));
                        first_of(send, wait).await;
                    }
                }
                ctx.sleep(Duration::from_millis(seed % 7)).await;
                ctx.stop_now().await
            });
        let wrong = report.stats.undelivered(Reason::WrongType);
        assert_eq!(wrong, 0, "seed {seed}");
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

/// G15, G4: what drops messages that it has no room for drops no urgent ones for others.
#[test]
fn g15_an_urgent_message_is_not_dropped_for_others() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let report = Sim::new(1).limits(tight()).run(async move |ctx: Context| {
            let log = Log::default();
            let worker = Slow {
                overflow,
                ..slow(&log)
            };
            ctx.start_worker("slow", worker).await?;
            for number in 0..9u64 {
                ctx.send_message("slow", number).await?;
            }
            ctx.sleep(Duration::from_micros(100)).await;
            for number in 0..4u64 {
                ctx.try_send_urgent("slow", URGENT + number)?;
            }
            ctx.sleep(Duration::from_micros(100)).await;
            for number in 9..20u64 {
                ctx.send_message("slow", number).await?;
            }
            ctx.sleep(Duration::from_millis(50)).await;
            let urgent: Vec<u64> = (URGENT..URGENT + 4).collect();
            assert_eq!(lane(&log.lock(), true), urgent, "{overflow:?}");
            ctx.stop().await
        });
        done(report);
    }
}

/// G15: the words of the node are above urgent messages: a stop that is in a hurry does not wait for them.
#[test]
fn g15_a_stop_in_a_hurry_passes_urgent_messages() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(tight());
        let report = sim.run(async move |ctx: Context| {
            for name in ["slow-a", "slow-b", "slow-c"] {
                let log = Log::default();
                ctx.start_worker(name, slow(&log)).await?;
                ctx.send_message(name, 1u64).await?;
                ctx.sleep(Duration::from_micros(100)).await;
                while ctx.try_send_urgent(name, URGENT).is_ok() {}
                ctx.sleep(Duration::from_micros(100)).await;
                // The handler that runs is cut short, and nothing more is handled.
                ctx.stop_worker_now(name).await?;
                assert_eq!(log.lock().len(), 0, "seed {seed}");
            }
            ctx.stop().await
        });
        assert_eq!(report.stats.undelivered(Reason::Stopped), 12);
        done(report);
    }
}

/// Takes a second message with the first, and puts it back when an urgent one has come.
struct Fickle(Log);

impl Worker for Fickle {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        if *msg == 1 {
            let second = ctx.receive::<u64>().await?;
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.put_back(second);
        }
        Ok(())
    }
}

/// G15: what is put back is before the others of its kind, and behind what is urgent.
#[test]
fn g15_a_message_that_is_put_back_stays_behind_urgent_ones() {
    let report = Sim::new(1).run(async move |ctx: Context| {
        let log = Log::default();
        ctx.start_worker("fickle", Fickle(Arc::clone(&log))).await?;
        for number in 1..=3u64 {
            ctx.send_message("fickle", number).await?;
        }
        ctx.sleep(Duration::from_micros(100)).await;
        for number in 0..2u64 {
            ctx.send_urgent("fickle", URGENT + number).await?;
        }
        ctx.sleep(Duration::from_millis(9)).await;
        assert_eq!(*log.lock(), [1, URGENT, URGENT + 1, 2, 3]);
        ctx.stop().await
    });
    done(report);
}

/// Takes the second message while it has the first, and puts it back; answers the others.
struct Undecided {
    log: Log,
    is_first: bool,
}

impl Worker for Undecided {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.log.lock().push(*msg);
        if std::mem::take(&mut self.is_first) {
            ctx.sleep(Duration::from_millis(1)).await;
            let second = ctx.receive::<u64>().await?;
            ctx.put_back(second);
            return Ok(());
        }
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// G15: an urgent message that is put back is the first of its kind again, request or not, however far it came, and waits
/// for none that is not urgent.
#[test]
fn g15_an_urgent_message_that_is_put_back_is_the_next() {
    for (seed, overflow) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut limits = tight();
        limits.mailbox_credits = if overflow { 1 } else { limits.mailbox_credits };
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let log = Log::default();
            let undecided = Undecided {
                log: Arc::clone(&log),
                is_first: true,
            };
            let other = usize::from(ctx.core() == 0);
            let core = if seed % 2 == 0 { ctx.core() } else { other };
            ctx.start_worker_on(core, "undecided", undecided).await?;
            ctx.send_urgent("undecided", URGENT).await?;
            let asked = ctx.detached()?;
            ctx.spawn(async move {
                let answer = asked.request::<u64>("undecided", URGENT + 1).urgent().await;
                assert_eq!(answer.unwrap(), URGENT + 1);
            });
            ctx.yield_now().await;
            ctx.send_urgent("undecided", URGENT + 2).await?;
            ctx.send_message("undecided", 1u64).await?;
            ctx.sleep(Duration::from_millis(9)).await;
            let numbers = [URGENT, URGENT + 1, URGENT + 2, 1];
            assert_eq!(*log.lock(), numbers, "seed {seed}");
            ctx.stop().await
        });
        done(report);
    }
}

/// G15: who waits to send urgently is served in order; and what was granted for who has ended is there for the next.
#[test]
fn g15_urgent_credits_go_to_the_first_who_waits_and_are_never_lost() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(tight());
        let report = sim.run(async move |ctx: Context| {
            for name in ["slow-a", "slow-b", "slow-c"] {
                let log = Log::default();
                ctx.start_worker(name, slow(&log)).await?;
                let full = || (0..9).take_while(|_| ctx.try_send_urgent(name, URGENT).is_ok());
                assert_eq!(full().count(), 4);
                for number in 1..=6 {
                    let own = ctx.detached()?;
                    ctx.spawn(async move { own.send_urgent(name, URGENT + number).await.unwrap() });
                }
                ctx.sleep(Duration::from_millis(50)).await;
                assert_eq!(
                    lane(&log.lock(), true)[4..],
                    [1, 2, 3, 4, 5, 6].map(|it| URGENT + it)
                );
                // These find nobody any more when they are granted what they wait for.
                assert_eq!(full().count(), 4);
                for _ in 0..3 {
                    let own = ctx.detached()?;
                    ctx.spawn(async move {
                        let _ = own.send_urgent(name, URGENT).await;
                    });
                }
                ctx.yield_now().await;
                ctx.stop_worker_now(name).await?;
                ctx.sleep(Duration::from_millis(50)).await;
                ctx.start_worker(name, slow(&log)).await?;
                assert_eq!(full().count(), 4, "seed {seed}");
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

/// G15: the deadline of an urgent request counts its wait for a credit; a message that was not sent comes back.
#[test]
fn g15_an_urgent_request_that_cannot_be_sent_gives_its_message_back() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(tight());
        let report = sim.run(async move |ctx: Context| {
            for name in ["slow-a", "slow-b", "slow-c"] {
                let log = Log::default();
                let worker = Slow {
                    pause: Duration::from_secs(1),
                    ..slow(&log)
                };
                ctx.start_worker(name, worker).await?;
                while ctx.try_send_urgent(name, URGENT).is_ok() {}
                ctx.sleep(Duration::from_millis(1)).await;
                while ctx.try_send_urgent(name, URGENT).is_ok() {}
                let long = Duration::from_millis(50);
                let asked = ctx.request::<u64>(name, 7u64).urgent().within(long).await;
                let error = asked.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
                assert_eq!(error.into_message::<u64>().unwrap(), 7);
                let nobody = ctx.request::<u64>("nobody", 7u64).urgent().await;
                let kind = nobody.unwrap_err().kind().clone();
                assert!(matches!(kind, ErrorKind::NotFound { .. }), "{kind:?}");
                let own = ctx.request::<u64>(ctx.address(), 7u64).urgent().await;
                let kind = own.unwrap_err().kind().clone();
                assert!(matches!(kind, ErrorKind::WaitsForItself { .. }), "{kind:?}");
            }
            ctx.stop_now().await
        });
        done(report);
    }
}

/// Fills its own urgent lane, and then would have to wait for itself.
struct Narcissus(Overflow);

impl Worker for Narcissus {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.0
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg > 0 {
            return Ok(());
        }
        let own = ctx.address();
        let is_own = |error: &ringpost::Error| matches!(error.kind(), ErrorKind::WaitsForItself { address } if *address == own);
        for number in 1..=u64::from(tight().urgent_credits) {
            ctx.send_urgent(own.clone(), number).await?;
        }
        let error = ctx.send_urgent(own.clone(), 7u64).await.unwrap_err();
        assert!(is_own(&error), "{error}");
        assert_eq!(error.into_message::<u64>().unwrap(), 7);
        let by_itself = route![own.clone(), "elsewhere"];
        let error = ctx.request::<u64>(by_itself, 8u64).urgent().await;
        let error = error.unwrap_err();
        assert!(is_own(&error), "{error}");
        assert_eq!(error.into_message::<u64>().unwrap(), 8);
        let full = ctx.try_send_urgent(own.clone(), 9u64).unwrap_err();
        assert!(matches!(full.kind(), ErrorKind::Full { .. }), "{full}");
        let back = msg.reply();
        ctx.send_message(back, 0u64).await
    }
}

/// G15, G5: an urgent message to oneself that would have to wait is an error at once, on whichever core, whatever
/// happens to messages that are not urgent; and its worker can do the same again.
#[test]
fn g15_an_urgent_message_to_oneself_never_waits() {
    for cores in [1, 3] {
        let sim = Sim::new(1).cores(cores).limits(tight());
        let report = sim.run(async move |ctx: Context| {
            for core in 0..ctx.cores() {
                for overflow in [Overflow::Wait, Overflow::Refuse, Overflow::DropOldest] {
                    let worker = Narcissus(overflow);
                    ctx.start_worker_on(core, "narcissus", worker).await?;
                    for _ in 0..2 {
                        let done: u64 = ctx.request("narcissus", 0u64).await?;
                        assert_eq!(done, 0);
                    }
                    ctx.stop_worker("narcissus").await?;
                }
            }
            ctx.stop().await
        });
        assert!(report.elapsed < Duration::from_secs(1));
        done(report);
    }
}

/// Whichever is done first.
async fn first_of(one: impl Future<Output = Result<()>>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|polling| match one.as_mut().poll(polling) {
        std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
        std::task::Poll::Pending => other.as_mut().poll(polling),
    })
    .await;
}
