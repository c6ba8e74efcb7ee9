//! What becomes of supervised workers that fail, and of what waits at them (G14).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{
    Backoff, Context, EndReason, Ended, Error, ErrorKind, Limits, NodeStats, Outcome, Reason,
    Result, Routed, Supervision, Worker,
};
use ringpost_mailbox::sync::Mutex;

fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

/// What a worker and its successors have done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    Built,
    Initialized,
    Handled(u64),
    ShutDown,
    Dropped,
}

use Deed::{Built, Dropped, Handled, Initialized, ShutDown};

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Deed>>>);

impl Diary {
    fn note(&self, deed: Deed) {
        self.0.lock().push(deed);
    }

    fn take(&self) -> Vec<Deed> {
        std::mem::take(&mut *self.0.lock())
    }

    fn handled(&self) -> Vec<u64> {
        let number = |deed| match deed {
            Handled(number) => Some(number),
            _ => None,
        };
        self.take().into_iter().filter_map(number).collect()
    }
}

const PANIC: u64 = 1_000;
const PANIC_LATER: u64 = 2_000;
const FAIL: u64 = 3_000;
const STOP: u64 = 4_000;
const SLEEP: u64 = 5_000;

/// Handles numbers, and fails at those that say so.
struct Fragile {
    diary: Diary,
}

impl Fragile {
    fn builder(diary: &Diary) -> impl Fn() -> Self + Send + 'static + use<> {
        let diary = diary.clone();
        move || {
            diary.note(Built);
            let diary = diary.clone();
            Self { diary }
        }
    }
}

impl Worker for Fragile {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_micros(50)).await;
        self.diary.note(Initialized);
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg / 1000 * 1000 {
            PANIC => panic!("asked to"),
            PANIC_LATER => {
                ctx.sleep(Duration::from_micros(10)).await;
                panic!("asked to, later");
            }
            SLEEP => ctx.sleep(Duration::from_micros(10)).await,
            FAIL => return Err(Error::other("asked to")),
            STOP => ctx.stop_worker(ctx.address()).await?,
            _ => {}
        }
        self.diary.note(Handled(*msg));
        Ok(())
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        self.diary.note(ShutDown);
        Ok(())
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.diary.note(Dropped);
    }
}

fn often() -> Supervision {
    Supervision::transient().intensity(1_000, Duration::from_secs(1))
}

/// G14: what waits at a worker that is restarted stays, in order, whoever sends it from wherever; the message
/// in whose handling it panicked is reported, once.
#[test]
fn g14_a_restart_keeps_the_mailbox_and_its_order() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.worker_burst = 4;
    for seed in 0..40 {
        let diary = Diary::default();
        let lost: Arc<Mutex<Vec<_>>> = Arc::default();
        let (own, hook) = (diary.clone(), Arc::clone(&lost));
        let sim = Sim::new(seed).cores(3).limits(limits);
        let sim = sim.on_undelivered(move |undelivered| hook.lock().push(undelivered.clone()));
        let report = sim.run(async move |ctx: Context| {
            ctx.start_supervised("fragile", often(), Fragile::builder(&own))
                .await?;
            for number in 0..100 {
                let fails = [0, PANIC, PANIC_LATER]
                    [usize::from(number % 10 == 3) * (1 + seed as usize % 2)];
                ctx.send_message("fragile", number + fails).await?;
            }
            ctx.sleep(Duration::from_secs(60)).await;
            ctx.stop().await
        });
        let expected: Vec<u64> = (0..100).filter(|number| number % 10 != 3).collect();
        assert_eq!(diary.handled(), expected, "seed {seed}");
        let lost = lost.lock();
        assert_eq!(lost.len(), 10, "seed {seed}");
        for undelivered in lost.iter() {
            assert_eq!(undelivered.reason, Reason::InHand);
            assert_eq!(undelivered.from, "app".into());
            assert_eq!(undelivered.to, "fragile".into());
            assert_eq!(undelivered.type_name, "u64");
        }
        assert_eq!(report.stats.total(|core| core.workers_restarted), 10);
        assert_eq!(report.stats.total(|core| core.workers_ended), 1);
        done(report);
    }
}

/// G14: the old value is gone before the next is built, and is asked to shut down unless it has panicked.
#[test]
fn g14_a_worker_is_taken_down_before_the_next_is_built() {
    for (how, deeds) in [
        (PANIC, vec![Dropped, Built, Initialized]),
        (FAIL, vec![ShutDown, Dropped, Built, Initialized]),
        (
            STOP,
            vec![Handled(STOP), ShutDown, Dropped, Built, Initialized],
        ),
    ] {
        let diary = Diary::default();
        let report = Sim::new(1).cores(2).run(async move |ctx: Context| {
            let terms = Supervision::permanent().on_error(Outcome::Restart);
            ctx.start_supervised("fragile", terms, Fragile::builder(&diary))
                .await?;
            ctx.watch("fragile").await?;
            assert_eq!(diary.take(), [Built, Initialized]);
            // From the queue, and from behind a message that takes its time.
            for first in [0, SLEEP] {
                for number in [first, how, 1] {
                    ctx.send_message("fragile", number).await?;
                }
                ctx.sleep(Duration::from_secs(1)).await;
                let expected = [&[Handled(first)], &deeds[..], &[Handled(1)]].concat();
                assert_eq!(diary.take(), expected);
            }
            // Who stops it from outside ends it.
            ctx.stop_worker("fragile").await?;
            assert_eq!(diary.take(), [ShutDown, Dropped]);
            ctx.start_supervised("fragile", often(), Fragile::builder(&diary))
                .await?;
            ctx.stop().await
        });
        done(report);
    }
}

/// G14: a worker without a word on errors goes on; one that may come to its end does.
#[test]
fn g14_what_is_no_failure_is_no_restart() {
    let report = Sim::new(2).run(async move |mut ctx: Context| {
        let diary = Diary::default();
        ctx.start_supervised("fragile", often(), Fragile::builder(&diary))
            .await?;
        ctx.watch("fragile").await?;
        for number in [FAIL, 1, STOP] {
            ctx.send_message("fragile", number).await?;
        }
        assert_eq!(ctx.receive::<Ended>().await?.reason, EndReason::Stopped);
        let deeds = [
            Built,
            Initialized,
            Handled(1),
            Handled(STOP),
            ShutDown,
            Dropped,
        ];
        assert_eq!(diary.take(), deeds);
        ctx.stop().await
    });
    assert_eq!(report.stats.total(|core| core.workers_restarted), 0);
    done(report);
}

/// G14: one restart more than is allowed within the time ends the worker; after that time they are forgotten.
#[test]
fn g14_a_worker_that_fails_too_often_ends() {
    for seed in 0..10 {
        let report = Sim::new(seed).cores(2).run(async move |mut ctx: Context| {
            let diary = Diary::default();
            let terms = Supervision::transient().intensity(3, Duration::from_secs(5));
            ctx.start_supervised("fragile", terms, Fragile::builder(&diary))
                .await?;
            ctx.watch("fragile").await?;
            for number in 0..6u64 {
                ctx.send_message("fragile", PANIC + number).await?;
                let apart = Duration::from_secs(2);
                let ended = ctx.receive_timeout::<Ended>(apart).await;
                assert!(ended.is_err(), "three in six seconds are not too often");
            }
            for number in 0..6u64 {
                ctx.send_message("fragile", PANIC + number).await?;
            }
            let ended = ctx.receive::<Ended>().await?;
            let reason = &ended.reason;
            assert!(matches!(reason, EndReason::Panicked { message } if message == "asked to"));
            let gone = ctx.request::<u64>("fragile", 1u64).await.unwrap_err();
            assert!(matches!(gone.kind(), ErrorKind::NotFound { .. }), "{gone}");
            ctx.stop().await
        });
        let stats = &report.stats;
        // Two of the last six seconds' restarts count with the first of the burst.
        assert_eq!(stats.undelivered(Reason::InHand), 6 + 2, "seed {seed}");
        assert_eq!(stats.undelivered(Reason::Panicked), 4, "seed {seed}");
        done(report);
    }
}

/// G14: the waits before restarts grow.
#[test]
fn g14_restarts_back_off() {
    let report = Sim::new(3).run(async move |ctx: Context| {
        let diary = Diary::default();
        let backoff = Backoff {
            first: Duration::from_millis(100),
            most: Duration::from_secs(1),
        };
        let terms = often()
            .intensity(100, Duration::from_secs(3600))
            .backoff(backoff);
        ctx.start_supervised("fragile", terms, Fragile::builder(&diary))
            .await?;
        let mut waits = Vec::new();
        for number in 0..8u64 {
            ctx.send_message("fragile", PANIC + number).await?;
            ctx.send_message("fragile", number).await?;
            let mut waited = 0;
            while !diary.0.lock().contains(&Handled(number)) {
                ctx.sleep(Duration::from_millis(1)).await;
                waited += 1;
            }
            waits.push(waited);
        }
        for (wait, most) in waits
            .iter()
            .zip([100, 200, 400, 800, 1000, 1000, 1000, 1000])
        {
            assert!((most / 2..=most + 2).contains(wait), "{waits:?}");
        }
        ctx.stop().await
    });
    done(report);
}

/// G14: who stops a worker that waits to be restarted does not wait with it, and what waits is reported.
#[test]
fn g14_a_worker_that_waits_to_be_restarted_is_stopped_at_once() {
    let slow = Backoff {
        first: Duration::from_secs(3600),
        most: Duration::from_secs(3600),
    };
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            for name in ["fragile", "other"] {
                let build = Fragile::builder(&Diary::default());
                ctx.start_supervised(name, often().backoff(slow), build)
                    .await?;
                for number in [PANIC, 1, 2] {
                    ctx.send_message(name, number).await?;
                }
            }
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop_worker("fragile").await?;
            let gone = ctx.request::<u64>("fragile", 1u64).await.unwrap_err();
            assert!(matches!(gone.kind(), ErrorKind::NotFound { .. }), "{gone}");
            ctx.stop().await
        });
        assert!(
            report.elapsed < Duration::from_secs(2),
            "{:?}",
            report.elapsed
        );
        assert_eq!(report.stats.undelivered(Reason::Stopped), 2);
        assert_eq!(report.stats.undelivered(Reason::NodeStopped), 2);
        assert_eq!(report.stats.undelivered(Reason::InHand), 2);
        done(report);
    }
}

/// G14: who stops a worker while it comes back is told when it has ended.
#[test]
fn g14_the_stop_of_a_worker_that_comes_back_is_told_when_it_has_ended() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let diary = Diary::default();
            ctx.start_supervised("fragile", often(), Fragile::builder(&diary))
                .await?;
            for number in [PANIC, 1] {
                ctx.send_message("fragile", number).await?;
            }
            let built = |deed: &&Deed| **deed == Built;
            while diary.0.lock().iter().filter(built).count() < 2 {
                ctx.sleep(Duration::from_micros(10)).await;
            }
            ctx.stop_worker("fragile").await?;
            let deeds = [Built, Initialized, Dropped, Built, Initialized];
            let end = [Handled(1), ShutDown, Dropped];
            assert_eq!(diary.take(), [&deeds[..], &end[..]].concat(), "seed {seed}");
            ctx.stop().await
        });
        done(report);
    }
}

/// Fails to come back, in one way after the other, before it does.
struct Stubborn {
    life: u64,
}

impl Worker for Stubborn {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.yield_now().await;
        match self.life {
            1 => panic!("at first"),
            2 => Err(Error::other("not yet")),
            _ => Ok(()),
        }
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            PANIC => panic!("asked to"),
            _ => ctx.send_message(msg.reply(), self.life).await,
        }
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        match self.life {
            2 => panic!("also when it is shut down"),
            _ => Err(Error::other("nor this")),
        }
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        if self.life == 1 {
            panic!("when it is dropped");
        }
    }
}

/// G14: a restart that fails is one more failure, whatever of it fails; requesters wait or are told.
#[test]
fn g14_a_restart_that_fails_is_a_failure() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |mut ctx: Context| {
            let lives = Mutex::new(0..);
            let build = move || {
                let life = lives.lock().next().expect("they are endless");
                assert_ne!(life, 3, "cannot be built");
                Stubborn { life }
            };
            let terms = Supervision::permanent().intensity(5, Duration::from_secs(5));
            ctx.start_supervised("stubborn", terms, build).await?;
            ctx.watch("stubborn").await?;
            let lost = ctx.request::<u64>("stubborn", PANIC).await.unwrap_err();
            assert!(matches!(lost.kind(), ErrorKind::Dropped { .. }), "{lost}");
            let life: u64 = ctx.request("stubborn", 0u64).await?;
            assert_eq!(life, 4, "seed {seed}");
            ctx.send_message("stubborn", PANIC).await?;
            let ended = ctx.receive::<Ended>().await?;
            assert!(matches!(ended.reason, EndReason::Panicked { .. }));
            ctx.stop().await
        });
        assert_eq!(report.stats.total(|core| core.workers_restarted), 5);
        done(report);
    }
}

/// G14: what is said to follow from a failure follows.
#[test]
fn g14_a_failure_ends_the_worker_or_the_node_if_it_is_to() {
    for (terms, how, ends_node) in [
        (Supervision::never(), PANIC, false),
        (Supervision::never().on_error(Outcome::Stop), FAIL, false),
        (
            Supervision::transient().on_panic(Outcome::Escalate),
            PANIC,
            true,
        ),
        (
            Supervision::transient().on_error(Outcome::Escalate),
            FAIL,
            true,
        ),
        (
            often().intensity(0, Duration::from_secs(1)),
            PANIC_LATER,
            false,
        ),
        (
            often().intensity(0, Duration::from_secs(1)).escalate(),
            PANIC,
            true,
        ),
        (
            Supervision::permanent().intensity(0, Duration::from_secs(1)),
            STOP,
            false,
        ),
    ] {
        let report = Sim::new(4).cores(2).run(async move |mut ctx: Context| {
            let diary = Diary::default();
            ctx.start_supervised("fragile", terms, Fragile::builder(&diary))
                .await?;
            ctx.watch("fragile").await?;
            ctx.send_message("fragile", how).await?;
            let heard = ctx.receive_timeout::<Ended>(Duration::from_secs(60)).await;
            match heard {
                Ok(ended) => {
                    assert!(!ends_node);
                    assert_eq!(how == STOP, ended.reason == EndReason::Stopped);
                }
                Err(error) => {
                    assert_eq!(*error.kind(), ErrorKind::Stopping);
                    assert!(ends_node);
                }
            }
            let shuts_down = matches!(how, FAIL | STOP);
            assert_eq!(diary.take().contains(&ShutDown), shuts_down);
            ctx.stop().await
        });
        assert_eq!(report.stats.total(|core| core.workers_restarted), 0);
        done(report);
    }
}

/// Takes an hour for each message.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    }
}

/// G14: a stop that cancels the handler of a supervised worker reports the message, whoever is stopped.
#[test]
fn g14_a_message_in_whose_handling_a_worker_is_stopped_is_reported() {
    for seed in 0..10 {
        for ends_node in [false, true] {
            let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
                ctx.start_supervised("slow", often(), || Slow).await?;
                ctx.send_message("slow", 1u64).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                if !ends_node {
                    ctx.stop_worker_now("slow").await?;
                }
                ctx.stop_now().await
            });
            assert_eq!(report.stats.undelivered(Reason::InHand), 1, "seed {seed}");
            assert_eq!(report.stats.undelivered_total(), 1, "seed {seed}");
            done(report);
        }
    }
}
