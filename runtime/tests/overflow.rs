//! Workers that do not let their senders wait: what happens to what they have no room for (G3, G4).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Context, ErrorKind, Limits, Node, Overflow, Reason, Result, Routed, Supervision, Worker,
};
use ringpost_mailbox::sync::Mutex;

type Log<T> = Arc<Mutex<Vec<T>>>;

/// Writes down what it gets, taking its time for each.
struct Slow {
    overflow: Overflow,
    log: Log<u64>,
    answers: bool,
    pause: Duration,
}

fn slow(overflow: Overflow, log: Log<u64>) -> Slow {
    Slow {
        overflow,
        log,
        answers: false,
        pause: Duration::from_millis(1),
    }
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(self.pause).await;
        self.log.lock().push(*msg);
        match self.answers {
            true => ctx.send_message(msg.reply(), *msg).await,
            false => Ok(()),
        }
    }
}

const CREDITS: u64 = 8;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = CREDITS as u32;
    limits.link_credits = CREDITS as u32;
    limits
}

/// Where the sender is, seen from the receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    SameCore,
    OtherCore,
    /// By the name of a worker that is placed away from its home, through the forwarder there.
    Forwarder,
}

const WAYS: [From; 3] = [From::SameCore, From::OtherCore, From::Forwarder];

/// What came of a flood of numbers from 0, sent without waiting for time to pass.
struct Flood {
    sent: u64,
    errors: Vec<ErrorKind>,
    report: Report<()>,
    handled: Vec<u64>,
    lost: Vec<Reason>,
}

fn flood(seed: u64, overflow: Overflow, from: From, count: u64) -> Flood {
    let (log, lost, results): (Log<u64>, Log<Reason>, Log<Result<()>>) = Default::default();
    let (handled, hook, outcomes) = (Arc::clone(&log), Arc::clone(&lost), Arc::clone(&results));
    let sim = Sim::new(seed).cores(2).limits(limits());
    let sim = sim.on_undelivered(move |lost| hook.lock().push(lost.reason));
    let report = sim.run(async move |ctx: Context| {
        let home = ctx.home("slow");
        let worker = slow(overflow, log);
        let (at, sender) = match from {
            From::SameCore => (home, home),
            From::OtherCore => (home, 1 - home),
            From::Forwarder => (1 - home, home),
        };
        ctx.start_worker_on(at, "slow", worker).await?;
        let send = async move |ctx: Context| {
            for number in 0..count {
                let sent = ctx.send_message("slow", number).await;
                results.lock().push(sent);
                if from != From::SameCore {
                    // The flood is slower than the rings, and faster than the worker.
                    ctx.sleep(Duration::from_micros(50)).await;
                }
            }
        };
        ctx.handle().run_on(sender, send).await?;
        ctx.sleep(Duration::from_millis(100)).await;
        ctx.stop().await
    });
    let outcomes = std::mem::take(&mut *outcomes.lock());
    let sent = outcomes.iter().filter(|sent| sent.is_ok()).count() as u64;
    let errors = outcomes.into_iter().filter_map(|sent| sent.err());
    Flood {
        sent,
        errors: errors.map(|error| error.kind().clone()).collect(),
        report,
        handled: std::mem::take(&mut handled.lock()),
        lost: std::mem::take(&mut lost.lock()),
    }
}

impl Flood {
    /// Nothing was lost in silence: what was accepted was handled or reported (G3).
    fn assert_accounted(&self, what: &str) {
        let lost = |reason| self.lost.iter().filter(|lost| **lost == reason).count() as u64;
        let overflowed = lost(Reason::Overflow);
        assert_eq!(self.sent, self.handled.len() as u64 + overflowed, "{what}");
        assert_eq!(
            self.report.stats.undelivered(Reason::Overflow),
            overflowed,
            "{what}"
        );
        assert!(self.report.output.is_ok(), "{what}");
    }
}

/// G4: with room for so many, the first and the last of a flood are handled, or those that came first.
#[test]
fn g4_a_worker_that_drops_keeps_the_oldest_or_the_newest() {
    for seed in 0..10 {
        for from in WAYS {
            let what = format!("seed {seed}, {from:?}");
            let newest = flood(seed, Overflow::DropNewest, from, 100);
            newest.assert_accounted(&what);
            assert!(newest.errors.is_empty(), "{what}: {:?}", newest.errors);
            assert!(newest.handled.is_sorted(), "{what}: {:?}", newest.handled);
            assert!(newest.handled.contains(&(CREDITS - 1)), "{what}");

            let oldest = flood(seed, Overflow::DropOldest, from, 100);
            oldest.assert_accounted(&what);
            assert!(oldest.errors.is_empty(), "{what}: {:?}", oldest.errors);
            assert!(oldest.handled.is_sorted(), "{what}: {:?}", oldest.handled);
            let last: Vec<_> = (100 - CREDITS..100).collect();
            assert!(
                oldest.handled.ends_with(&last),
                "{what}: {:?}",
                oldest.handled
            );
            if from == From::SameCore {
                let first: Vec<_> = (0..CREDITS).collect();
                assert_eq!(newest.handled, first, "{what}");
                assert_eq!(oldest.handled, last, "{what}");
            }
            assert_eq!(newest.report.stats.total(|core| core.senders_blocked), 0);
        }
    }
}

/// G4: a worker that refuses gives the message back, also to a sender on another core.
#[test]
fn g4_a_worker_that_refuses_lets_nobody_wait() {
    for seed in 0..10 {
        for from in [From::SameCore, From::OtherCore] {
            let what = format!("seed {seed}, {from:?}");
            let refused = flood(seed, Overflow::Refuse, from, 100);
            refused.assert_accounted(&what);
            assert!(!refused.errors.is_empty(), "{what}");
            let all_full = |kind: &ErrorKind| matches!(kind, ErrorKind::Full { address } if *address == "slow".into());
            assert!(
                refused.errors.iter().all(all_full),
                "{what}: {:?}",
                refused.errors
            );
            let counted = refused.report.stats.total(|core| core.refused);
            assert_eq!(counted, refused.errors.len() as u64, "{what}");
            assert!(refused.lost.is_empty(), "{what}: {:?}", refused.lost);
        }
        let behind = flood(seed, Overflow::Refuse, From::Forwarder, 100);
        behind.assert_accounted("behind a forwarder");
        assert!(behind.lost.contains(&Reason::Overflow), "seed {seed}");
    }
}

/// G4: what a worker chooses for messages without room holds where it is supervised, too, before and after a restart.
#[test]
fn g4_a_supervised_worker_says_what_becomes_of_what_has_no_room() {
    const FAIL: u64 = 1000;
    struct Fails(Slow);

    impl Worker for Fails {
        type Message = u64;
        type Context = Context;

        fn overflow(&self) -> Overflow {
            self.0.overflow
        }

        async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
            assert!(*msg != FAIL, "asked to");
            self.0.handle_message(ctx, msg).await
        }
    }

    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::Refuse] {
        for seed in 0..20 {
            let sim = Sim::new(seed).limits(limits());
            let report = sim.run(async move |ctx: Context| {
                let build = move || Fails(slow(overflow, Log::default()));
                let supervision = Supervision::transient();
                ctx.start_supervised("slow", supervision, build).await?;
                for _ in 0..2 {
                    let mut refused = 0;
                    for number in 0..100u64 {
                        refused += u32::from(ctx.send_message("slow", number).await.is_err());
                    }
                    let refuses = overflow == Overflow::Refuse;
                    assert_eq!(refused > 0, refuses, "seed {seed}, {overflow:?}");
                    ctx.sleep(Duration::from_secs(1)).await;
                    ctx.send_message("slow", FAIL).await?;
                    ctx.sleep(Duration::from_secs(1)).await;
                }
                ctx.stop().await
            });
            report.output.unwrap();
            let stats = report.stats;
            let waited = stats.total(|core| core.senders_blocked);
            assert_eq!(waited, 0, "seed {seed}, {overflow:?}");
            let dropped = stats.undelivered(Reason::Overflow) > 0;
            assert_eq!(dropped, overflow != Overflow::Refuse, "{overflow:?}");
        }
    }
}

/// Who asks a worker that drops the request is told at once.
#[test]
fn who_asks_is_told_that_there_was_no_room() {
    for (overflow, seed) in [
        (Overflow::DropNewest, 1),
        (Overflow::DropOldest, 2),
        (Overflow::Refuse, 3),
    ] {
        let report = Sim::new(seed)
            .limits(limits())
            .run(async move |ctx: Context| {
                let log = Log::default();
                let asked = Slow {
                    answers: true,
                    ..slow(overflow, log)
                };
                ctx.start_worker("slow", asked).await?;
                let mut full = 0;
                let asking = (0..40u64).map(|number| ctx.request::<u64>("slow", number));
                for asked in futures_all(asking.collect()).await {
                    match asked {
                        Ok(_) => {}
                        Err(error) => {
                            assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error}");
                            assert_eq!(error.has_message(), overflow == Overflow::Refuse);
                            full += 1;
                        }
                    }
                }
                assert!(full >= 40 - CREDITS - 1, "{overflow:?}: {full}");
                ctx.stop().await
            });
        report.output.unwrap();
        assert!(report.elapsed < Duration::from_secs(1));
    }
}

/// Polls all of them until each is done.
async fn futures_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|polling| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = std::pin::Pin::new(future).poll(polling)
            {
                *output = Some(ready);
            }
        }
        match outputs.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// What a worker is told besides messages gets through when it drops messages: it starts, stops after what it
/// has, and starts again.
#[test]
fn control_is_never_dropped() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest, Overflow::Refuse] {
        for seed in 0..10 {
            let sim = Sim::new(seed).cores(2).limits(limits());
            let report = sim.run(async move |ctx: Context| {
                for _ in 0..3 {
                    let log = Log::default();
                    let seen = Arc::clone(&log);
                    ctx.start_worker("slow", slow(overflow, log)).await?;
                    for number in 0..50u64 {
                        let _ = ctx.send_message("slow", number).await;
                    }
                    ctx.sleep(Duration::from_millis(2)).await;
                    ctx.stop_worker("slow").await?;
                    assert!(seen.lock().len() >= CREDITS as usize);
                }
                ctx.stop().await
            });
            report.output.unwrap();
        }
    }
}

/// A thread outside was told `Ok` when its message is refused: so the refusal is reported.
#[test]
fn g3_what_is_refused_to_a_thread_outside_is_reported() -> Result<()> {
    let lost = Log::default();
    let hook = Arc::clone(&lost);
    let node = Node::builder()
        .cores(1)
        .limits(limits())
        .on_undelivered(move |lost| hook.lock().push(lost.reason));
    let node = node.start()?;
    let log = Log::default();
    let seen = Arc::clone(&log);
    let overflow = Overflow::Refuse;
    let pause = Duration::from_millis(50);
    let worker = Slow {
        pause,
        ..slow(overflow, log)
    };
    node.handle()
        .start_worker_blocking("slow", move || worker)?;
    for number in 0..200u64 {
        node.handle().send_message_blocking("slow", number)?;
    }
    // All of them have come to the core by then.
    while lost.lock().len() + (CREDITS as usize) < 199 {
        std::thread::yield_now();
    }
    node.stop()?;
    let refused = lost
        .lock()
        .iter()
        .filter(|it| **it == Reason::Overflow)
        .count();
    assert_eq!(seen.lock().len() + refused, 200, "{:?}", lost.lock());
    assert!(refused > 0);
    Ok(())
}
