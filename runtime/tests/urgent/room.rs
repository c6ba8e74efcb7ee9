//! The room of urgent messages: how many may wait, who is served next, and what is refused.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Overflow, Result, Route, Routed, Worker, route};

use crate::common::{Log, PANIC, PAUSE, Slow, URGENT, done, lane, slow, tight};

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

/// Greets once, which shows its place, and takes nothing more.
struct Stuck;

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await?;
        loop {
            ctx.sleep(Duration::from_secs(3600)).await;
        }
    }
}

/// How many urgent messages find room along this route, and are not refused.
async fn room_along(ctx: &Context, way: &Route) -> usize {
    let mut found = 0;
    for _ in 0..100 {
        found += usize::from(ctx.try_send_urgent(way, URGENT).is_ok());
        // A lane to another core has its room back when the message was found to lie there.
        ctx.sleep(Duration::from_micros(50)).await;
    }
    found
}

/// G15: each core has a window for the name of a worker, and one for its place; and threads outside have one for each
/// address, besides that of the core by which they send.
#[test]
fn g15_urgent_messages_are_bounded_by_name_by_place_and_from_outside() {
    const WINDOW: usize = 4;
    for seed in 0..30 {
        let sim = Sim::new(seed).cores(2).limits(tight());
        let report = sim.run(async move |mut ctx: Context| {
            // Where it lives follows from its name.
            let name = Route::from(format!("stuck-{seed}"));
            ctx.start_worker(format!("stuck-{seed}"), Stuck).await?;
            ctx.send_message(&name, PAUSE).await?;
            let place = ctx.receive::<u64>().await?.return_route();
            for way in [&name, &place] {
                assert_eq!(room_along(&ctx, way).await, WINDOW, "seed {seed}: {way}");
            }
            let handle = ctx.handle();
            let mut from_outside = 0;
            for _ in 0..100 {
                from_outside += usize::from(handle.try_send_urgent(&name, URGENT).is_ok());
                ctx.sleep(Duration::from_micros(50)).await;
            }
            ctx.stop_now().await?;
            Ok(from_outside)
        });
        let from_outside = done(report);
        assert!(from_outside <= 2 * WINDOW, "seed {seed}: {from_outside}");
        assert!(from_outside >= WINDOW, "seed {seed}: {from_outside}");
    }
}
