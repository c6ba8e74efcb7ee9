//! The promises of GUARANTEES.md, one test each, on the deterministic driver with many seeds.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Context, CoreStats, ErrorKind, Limits, Node, NodeStats, Reason, Result, Route, Routed, Worker,
    local_message,
};
use ringpost_mailbox::sync::Mutex;

/// What a receiver saw, shared with the test.
type Log<T> = Arc<Mutex<Vec<T>>>;

/// Small limits, so that every wait and every full ring is reached.
fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.ring_slots = 16;
    limits.worker_burst = 4;
    limits
}

/// Nothing is unaccounted for: what was accepted was handled, or reported.
fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

/// Writes down what it gets, taking its time.
struct Recorder {
    log: Log<(u64, u64)>,
    pause: Duration,
}

impl Worker for Recorder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        if !self.pause.is_zero() {
            ctx.sleep(self.pause).await;
        }
        self.log.lock().push(*msg);
        Ok(())
    }
}

/// Sends numbers to a recorder: its own number and a counter.
struct Sender {
    number: u64,
    count: u64,
}

impl Worker for Sender {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        for count in 0..self.count {
            ctx.send_message(msg.as_str(), (self.number, count)).await?;
        }
        ctx.send_message(msg.reply(), true).await
    }
}

/// Runs `senders` senders to one recorder over four cores; what it saw.
fn many_to_one(seed: u64, senders: u64, count: u64) -> Vec<(u64, u64)> {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let report = Sim::new(seed)
        .cores(4)
        .limits(tight())
        .run(async move |mut ctx: Context| {
            let pause = Duration::from_micros(seed % 3);
            ctx.start_worker("recorder", Recorder { log, pause })
                .await?;
            for number in 0..senders {
                ctx.start_worker(format!("sender-{number}"), Sender { number, count })
                    .await?;
                ctx.send_message(format!("sender-{number}"), "recorder".to_string())
                    .await?;
            }
            for _ in 0..senders {
                ctx.receive::<bool>().await?;
            }
            ctx.stop().await
        });
    done(report);
    std::mem::take(&mut seen.lock())
}

/// G1: messages of one sender arrive in the order sent, across cores, whatever the schedule.
#[test]
fn g1_order_from_one_sender_to_one_receiver() {
    for seed in 0..40 {
        let seen = many_to_one(seed, 8, 50);
        for sender in 0..8 {
            let of_one = seen
                .iter()
                .filter(|(from, _)| *from == sender)
                .map(|(_, count)| *count);
            assert!(of_one.eq(0..50), "seed {seed}, sender {sender}: {seen:?}");
        }
    }
}

/// G2: no message is handled twice.
#[test]
fn g2_at_most_once() {
    for seed in 100..140 {
        let mut seen = many_to_one(seed, 5, 40);
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all, "seed {seed}");
    }
}

/// Ends in the way it is told to, with messages waiting.
struct Fragile;

impl Worker for Fragile {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            3 => panic!("asked to"),
            5 => ctx.stop_worker_now(ctx.address()).await,
            _ => Ok(()),
        }
    }
}

/// G3: each accepted message is handled, or reported with its reason; totals balance at the end.
#[test]
fn g3_every_accepted_message_is_handled_or_reported() {
    let mut after_panics = 0;
    for seed in 0..40 {
        let reported: Log<Reason> = Log::default();
        let hook = Arc::clone(&reported);
        let sim = Sim::new(seed).cores(3).limits(tight());
        let sim = sim.on_undelivered(move |lost| hook.lock().push(lost.reason));
        let report = sim.run(async move |ctx: Context| {
            for (name, end) in [("panics", 3u64), ("stops", 5)] {
                ctx.start_worker(name, Fragile).await?;
                for number in [1, 2, end, 7, 8, 9] {
                    // Once the worker is gone the message comes back.
                    let sent = ctx.send_message(name, number).await;
                    if let Err(error) = sent {
                        assert!(
                            matches!(error.kind(), ErrorKind::NotFound { .. }),
                            "{error}"
                        );
                        assert_eq!(error.into_message::<u64>().unwrap(), number);
                    }
                }
            }
            // To a name that nobody has, on some core.
            for number in 0..20u64 {
                let _ = ctx.send_message(format!("nobody-{number}"), number).await;
            }
            // Of a type that the receiver does not take.
            ctx.start_worker("takes-numbers", Fragile).await?;
            ctx.send_message("takes-numbers", "a word".to_string())
                .await?;
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.stop().await
        });
        assert_balanced(&report.stats);
        report.output.unwrap();
        let reported = reported.lock();
        assert_eq!(
            reported.len() as u64,
            report.stats.undelivered_total(),
            "seed {seed}"
        );
        assert_eq!(
            report.stats.undelivered(Reason::WrongType),
            1,
            "seed {seed}"
        );
        after_panics += report.stats.undelivered(Reason::Panicked);
    }
    assert!(after_panics > 0, "some waited for a worker that panicked");
}

/// G4: a full mailbox makes `send_message` wait and `try_send_message` refuse; there is no back door.
#[test]
fn g4_a_full_mailbox_refuses_or_makes_wait() {
    for seed in 0..20 {
        let log = Log::default();
        let report = Sim::new(seed)
            .cores(2)
            .limits(tight())
            .run(async move |ctx: Context| {
                let pause = Duration::from_millis(1);
                for name in ["slow-a", "slow-b", "slow-c"] {
                    ctx.start_worker(
                        name,
                        Recorder {
                            log: Arc::clone(&log),
                            pause,
                        },
                    )
                    .await?;
                    let mut accepted = 0;
                    let refused = loop {
                        match ctx.try_send_message(name, (0u64, accepted)) {
                            Ok(()) => accepted += 1,
                            Err(error) => break error,
                        }
                        assert!(accepted <= 32, "the mailbox is bounded");
                    };
                    assert!(
                        matches!(refused.kind(), ErrorKind::Full { .. }),
                        "{refused}"
                    );
                    assert_eq!(refused.into_message::<(u64, u64)>().unwrap(), (0, accepted));
                    for number in accepted..accepted + 20 {
                        ctx.send_message(name, (0u64, number)).await?;
                    }
                }
                Ok(())
            });
        assert!(report.stats.total(|core| core.senders_blocked) > 0);
        done(report);
    }
}

/// Floods a partner on another core, and answers its requests, with tiny rings.
struct Chatter {
    partner: String,
    left: u64,
}

impl Worker for Chatter {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 1 {
            return ctx.send_message(msg.reply(), 2u64).await;
        }
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        ctx.send_message(self.partner.as_str(), 0u64).await
    }
}

/// Answers 0, and is not done with anything else for an hour.
struct Stuck;

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg > 0 {
            ctx.sleep(Duration::from_secs(3600)).await;
        }
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Sends as many messages as there is room for, and tries a few more.
async fn fill(ctx: &Context, route: &Route) {
    let wait = Duration::from_millis(1);
    for _ in 0..8 {
        // Nobody answers; what was accepted is reported in the end.
        let _ = ctx.request::<u64>(route, 1u64).within(wait).await;
    }
}

/// G4: a core has a window for a worker's name and one for its place, however often it closes links.
#[test]
fn g4_a_mailbox_holds_what_its_formula_says() {
    let mut limits = tight();
    limits.links_max = 8;
    let most = limits.mailbox_credits + 2 * limits.link_credits;
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |mut ctx: Context| {
            let away = |name: &String| ctx.home(name.as_str()) != ctx.core();
            let mut names = (0..100)
                .map(|number| format!("stuck-{number}"))
                .filter(away);
            let by_name = Route::from(names.next().unwrap());
            let others: Vec<_> = names.take(9).collect();
            ctx.start_worker(by_name.last().unwrap().clone(), Stuck)
                .await?;
            for other in &others {
                ctx.start_worker(other.as_str(), Stuck).await?;
            }
            ctx.send_message(&by_name, 0u64).await?;
            let by_place = ctx.receive::<u64>().await?.return_route();
            ctx.send_message(&by_place, 1u64).await?;
            ctx.sleep(Duration::from_millis(1)).await;

            for _ in 0..3 {
                fill(&ctx, &by_name).await;
                fill(&ctx, &by_place).await;
                // There are fewer links than destinations.
                for other in &others {
                    ctx.request::<u64>(other.as_str(), 0u64).await?;
                }
            }
            let (there, route) = (1 - ctx.core(), by_name.clone());
            let local = async move |ctx| fill(&ctx, &route).await;
            ctx.handle().run_on(there, local).await?;
            ctx.stop_now().await
        });
        let waiting = report.stats.undelivered(Reason::NodeStopped);
        assert_eq!(waiting, u64::from(most), "seed {seed}");
        done(report);
    }
}

/// G5: with every ring full in both directions, the cores go on, and replies come through.
#[test]
fn g5_full_rings_do_not_stop_the_cores() {
    const PAIRS: u64 = 8;
    // Those of one worker at a time fit into the ring, and those of all do not.
    let mut limits = tight();
    limits.ring_slots = 8;
    for seed in 0..30 {
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async |ctx: Context| {
            for number in 0..PAIRS {
                for (core, own, partner) in [(0, "left", "right"), (1, "right", "left")] {
                    let (own, partner) = (format!("{own}-{number}"), format!("{partner}-{number}"));
                    let left = 100;
                    ctx.start_worker_on(core, own, Chatter { partner, left })
                        .await?;
                }
            }
            for number in 0..4 * PAIRS {
                for side in ["left", "right"] {
                    let name = format!("{side}-{}", number % PAIRS);
                    ctx.send_message(name, 0u64).await?;
                }
            }
            for number in 0..PAIRS {
                for side in ["left", "right"] {
                    let reply: u64 = ctx.request(format!("{side}-{number}"), 1u64).await?;
                    assert_eq!(reply, 2);
                }
            }
            ctx.stop().await
        });
        let is_full = |core: &CoreStats| core.pairs.iter().any(|pair| pair.ring_full > 0);
        let both = report.stats.cores.iter().all(is_full);
        assert!(both, "seed {seed}: rings are full in both directions");
        done(report);
    }
}

/// Notices when it is entered twice.
struct OneAtATime {
    inside: Rc<Cell<bool>>,
}

impl Worker for OneAtATime {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert!(
            !self.inside.replace(true),
            "a handler began before the last had ended"
        );
        ctx.sleep(Duration::from_micros(*msg % 50)).await;
        ctx.yield_now().await;
        self.inside.set(false);
        Ok(())
    }
}

/// G6: one message at a time, also across an await.
#[test]
fn g6_one_message_at_a_time() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(3).run(async |ctx: Context| {
            let build = || OneAtATime {
                inside: Rc::default(),
            };
            ctx.start_worker_with("one", build).await?;
            for number in 0..60u64 {
                ctx.send_message("one", number).await?;
            }
            ctx.stop().await
        });
        assert_eq!(report.stats.total(|core| core.panics), 0);
        done(report);
    }
}

/// G7: a panic, or an error, costs only its worker; the others on its core go on.
#[test]
fn g7_a_panic_costs_only_its_worker() {
    let report = Sim::new(7).cores(1).run(async |ctx: Context| {
        ctx.start_worker("fragile", Fragile).await?;
        ctx.start_worker(
            "chatter",
            Chatter {
                partner: "chatter".to_owned(),
                left: 0,
            },
        )
        .await?;
        ctx.send_message("fragile", 3u64).await?;
        let reply: u64 = ctx.request("chatter", 1u64).await?;
        assert_eq!(reply, 2);
        let gone = ctx.send_message("fragile", 1u64).await.unwrap_err();
        assert!(matches!(gone.kind(), ErrorKind::NotFound { .. }));
        // The address is free again.
        ctx.start_worker("fragile", Fragile).await?;
        ctx.stop().await
    });
    assert_eq!(report.stats.total(|core| core.panics), 1);
    done(report);
}

/// G8: wake-ups are never lost: real threads that sleep between messages, and none is found late.
#[test]
fn g8_no_wake_up_is_lost_and_idle_nodes_sleep() {
    let node = Node::builder().cores(2).pin(false).start().unwrap();
    let handle = node.handle();
    handle
        .start_worker_blocking("echo-a", || Chatter {
            partner: "echo-b".to_owned(),
            left: 0,
        })
        .unwrap();
    handle
        .start_worker_blocking("echo-b", || Chatter {
            partner: "echo-a".to_owned(),
            left: 0,
        })
        .unwrap();
    for _ in 0..2_000 {
        let reply: u64 = handle.request_blocking("echo-a", 1u64).unwrap();
        assert_eq!(reply, 2);
    }
    let stats = handle.stats();
    assert_eq!(stats.total(|core| core.found_after_timeout), 0);
    assert!(stats.total(|core| core.parks) > 0, "idle cores sleep");
    node.stop().unwrap();
}

local_message!(Unit);
struct Unit;

/// Says when it was shut down.
struct Last {
    log: Log<&'static str>,
}

impl Worker for Last {
    type Message = Unit;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<Unit>) -> Result<()> {
        ctx.sleep(Duration::from_micros(10)).await;
        self.log.lock().push("handled");
        Ok(())
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        self.log.lock().push("shut down");
        Ok(())
    }
}

/// G9: a stop handles what is queued, runs `shutdown` last, and accounts for every message.
#[test]
fn g9_stop_accounts_for_every_message() {
    for seed in 0..30 {
        let log: Log<&'static str> = Log::default();
        let seen = Arc::clone(&log);
        let report = Sim::new(seed).cores(3).run(async move |ctx: Context| {
            ctx.start_worker("last", Last { log }).await?;
            for _ in 0..20 {
                ctx.send_message("last", Unit).await?;
            }
            ctx.stop().await?;
            let late = ctx.start_worker("late", Fragile).await.unwrap_err();
            assert_eq!(*late.kind(), ErrorKind::Stopping);
            Ok(())
        });
        let handled = seen
            .lock()
            .iter()
            .filter(|entry| **entry == "handled")
            .count() as u64;
        assert_eq!(seen.lock().last(), Some(&"shut down"), "seed {seed}");
        let lost = report.stats.undelivered(Reason::NodeStopped);
        assert_eq!(handled + lost, 20, "seed {seed}: {:?}", report.stats);
        done(report);
    }
}

/// G9: what is left when the time to drain is over is reported, and the stop ends all the same.
#[test]
fn g9_a_worker_that_does_not_end_is_cut_short() {
    let sim = Sim::new(3).cores(2).drain(Duration::from_millis(20));
    let log: Log<(u64, u64)> = Log::default();
    let report = sim.run(async move |ctx: Context| {
        ctx.start_worker(
            "slow",
            Recorder {
                log,
                pause: Duration::from_secs(3600),
            },
        )
        .await?;
        for number in 0..5u64 {
            ctx.send_message("slow", (0u64, number)).await?;
        }
        ctx.sleep(Duration::from_millis(1)).await;
        ctx.stop().await
    });
    assert_eq!(report.stats.undelivered(Reason::NodeStopped), 4);
    assert!(
        report.elapsed < Duration::from_secs(1),
        "{:?}",
        report.elapsed
    );
    report.output.unwrap();
}

/// G12: the same seed gives the same trace, and other seeds give others.
#[test]
fn g12_same_seed_same_trace() {
    let trace = |seed| {
        let log: Log<(u64, u64)> = Log::default();
        let report = Sim::new(seed)
            .cores(4)
            .limits(tight())
            .run(async move |ctx: Context| {
                ctx.start_worker(
                    "recorder",
                    Recorder {
                        log,
                        pause: Duration::ZERO,
                    },
                )
                .await?;
                for number in 0..6u64 {
                    ctx.start_worker(format!("sender-{number}"), Sender { number, count: 30 })
                        .await?;
                    ctx.send_message(format!("sender-{number}"), "recorder".to_string())
                        .await?;
                }
                ctx.sleep(Duration::from_millis(5)).await;
                ctx.stop().await
            });
        report.output.unwrap();
        report.trace
    };
    let traces: Vec<_> = (0..20).map(trace).collect();
    assert_eq!(traces, (0..20).map(trace).collect::<Vec<_>>());
    let mut different = traces;
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 15, "seeds make a difference");
}
