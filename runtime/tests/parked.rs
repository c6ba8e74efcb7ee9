//! Requests to another core that wait for a credit, and are sent where they wait (`core/parked.rs`).

#[path = "helpers/some_of.rs"]
mod some_of;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Polling, Poll, Wake, Waker};
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Result, Route, Routed, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicBool, Ordering};
use some_of::some_of;

type Log = Arc<Mutex<Vec<(u64, u64)>>>;

/// Writes down what it gets, each after a pause, and answers.
struct Recorder {
    log: Log,
    pause: Duration,
}

impl Worker for Recorder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        if self.pause > Duration::ZERO {
            ctx.sleep(self.pause).await;
        }
        self.log.lock().push(*msg);
        if msg.1 % 4 == 3 {
            return Ok(());
        }
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// A name whose home is this core.
fn name_at(ctx: &Context, core: usize, what: &str) -> String {
    let mut names = (0..).map(|number| format!("{what}-{number}"));
    let is_there = |name: &String| ctx.home(name.as_str()) == core;
    names.find(is_there).expect("a name")
}

type Pinned<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Polls it, and no more if it is to wait.
async fn begin(work: &mut Pinned<'_>) -> Poll<Result<()>> {
    poll_fn(|polling| Poll::Ready(work.as_mut().poll(polling))).await
}

/// One that asks for this number, and expects it back.
fn asking<'a>(ctx: &'a Context, to: &'a Route, number: u64) -> Pinned<'a> {
    Box::pin(async move {
        let reply: (u64, u64) = ctx.request(to, (0u64, number)).await?;
        assert_eq!(reply, (0, number));
        Ok(())
    })
}

const PAUSE: Duration = Duration::from_millis(10);

/// Runs this on core 0, with a recorder on core 1 that takes its time, and a window of so many messages. What was recorded.
fn recorded<F>(seed: u64, window: u32, work: F) -> Vec<u64>
where
    F: AsyncFnOnce(Context, Route) -> Result<()> + Send + 'static,
{
    recorded_within(seed, window, Limits::default(), work)
}

/// As [`recorded`], within these limits.
fn recorded_within<F>(seed: u64, window: u32, mut limits: Limits, work: F) -> Vec<u64>
where
    F: AsyncFnOnce(Context, Route) -> Result<()> + Send + 'static,
{
    let log = Log::default();
    let there = Arc::clone(&log);
    limits.link_credits = window;
    let sim = Sim::new(seed).cores(2).limits(limits);
    let report = sim.run(async move |ctx: Context| {
        let recorder = Recorder {
            log: there,
            pause: PAUSE,
        };
        let name = name_at(&ctx, 1, "recorder");
        ctx.start_worker(&*name, recorder).await?;
        let work = async move |ctx: Context| work(ctx, name.into()).await;
        ctx.handle().run_on(0, work).await??;
        ctx.stop().await
    });
    report.output.unwrap_or_else(|error| panic!("{error}"));
    let log = log.lock();
    log.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_request_that_waits_for_a_credit_is_sent_without_being_polled() {
    for seed in 0..10 {
        let seen = recorded(seed, 1, async |ctx: Context, to: Route| {
            let mut waiting: Vec<_> = [0, 1, 2].map(|number| asking(&ctx, &to, number)).into();
            for work in &mut waiting {
                assert!(begin(work).await.is_pending());
            }
            // As many as wait, and nobody polls them.
            ctx.sleep(10 * PAUSE).await;
            ctx.send_message(&to, (0u64, 3u64)).await?;
            for work in waiting {
                work.await?;
            }
            ctx.sleep(10 * PAUSE).await;
            Ok(())
        });
        assert_eq!(seen, [0, 1, 2, 3], "seed {seed}");
    }
}

/// Starts a worker on core 0 that is not at home there.
async fn start_guest(ctx: &Context) -> Result<()> {
    let guest = Recorder {
        log: Log::default(),
        pause: PAUSE,
    };
    ctx.start_worker_on(0, name_at(ctx, 1, "guest"), guest)
        .await
}

/// G1: one that has a credit and was not polled since is not overtaken by one behind it that could be sent at once.
#[test]
fn g1_a_request_that_is_to_be_polled_goes_before_those_that_are_sent_where_they_wait() {
    let seen = recorded(1, 2, async |ctx: Context, to: Route| {
        let mut waiting: Vec<_> = [0, 1, 2, 4].map(|number| asking(&ctx, &to, number)).into();
        for work in &mut waiting {
            assert!(begin(work).await.is_pending());
        }
        start_guest(&ctx).await?;
        let mut last = asking(&ctx, &to, 5);
        assert!(begin(&mut last).await.is_pending());
        // Both get their credits meanwhile.
        ctx.sleep(10 * PAUSE).await;
        waiting.push(last);
        for work in waiting {
            work.await?;
        }
        Ok(())
    });
    assert_eq!(seen, [0, 1, 2, 4, 5]);
}

/// An instance of the sender's core is preferred, so names are looked up again when any worker has come that is not at home there.
#[test]
fn a_request_by_name_is_polled_before_it_is_sent_where_somebody_has_come() {
    let seen = recorded(1, 1, async |ctx: Context, to: Route| {
        let mut waiting: Vec<_> = [0, 1, 2].map(|number| asking(&ctx, &to, number)).into();
        for work in &mut waiting {
            assert!(begin(work).await.is_pending());
        }
        start_guest(&ctx).await?;
        ctx.sleep(10 * PAUSE).await;
        let late = waiting.pop();
        for work in waiting {
            work.await?;
        }
        // It has the credit, and is not sent.
        let over = ctx.try_send_message(&to, (0u64, 3u64)).unwrap_err();
        assert!(matches!(over.kind(), ErrorKind::Full { .. }), "{over}");
        late.expect("the third").await
    });
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn a_request_that_is_dropped_while_it_waits_for_a_credit_is_not_sent() {
    for seed in 0..10 {
        let seen = recorded(seed, 1, async |ctx: Context, to: Route| {
            let mut waiting: Vec<_> = [0, 1, 2, 4].map(|number| asking(&ctx, &to, number)).into();
            for work in &mut waiting {
                assert!(begin(work).await.is_pending());
            }
            drop(waiting.remove(1));
            drop(waiting.pop());
            for work in waiting {
                work.await?;
            }
            let late = ctx.request(&to, (0u64, 5u64)).without_deadline();
            let mut late = Box::pin(late);
            let _: (u64, u64) = late.as_mut().await?;
            Ok(())
        });
        assert_eq!(seen, [0, 2, 5], "seed {seed}");
    }
}

#[test]
fn a_request_whose_deadline_comes_while_it_waits_for_a_credit_gives_its_message_back() {
    for seed in 0..10 {
        let seen = recorded(seed, 1, async |ctx: Context, to: Route| {
            let mut waiting: Vec<_> = [0, 1].map(|number| asking(&ctx, &to, number)).into();
            for work in &mut waiting {
                assert!(begin(work).await.is_pending());
            }
            let late = ctx.request(&to, (0u64, 2u64)).within(PAUSE / 4);
            let late: Result<(u64, u64)> = late.await;
            let late = late.expect_err("it is over before there is a credit");
            assert!(matches!(late.kind(), ErrorKind::Timeout { .. }), "{late}");
            assert_eq!(late.into_message::<(u64, u64)>().ok(), Some((0, 2)));
            for work in waiting {
                work.await?;
            }
            asking(&ctx, &to, 4).await
        });
        assert_eq!(seen, [0, 1, 4], "seed {seed}");
    }
}

#[test]
fn a_request_whose_deadline_has_come_is_not_sent_though_a_credit_comes_before_it_is_polled() {
    for (seed, sent) in (0..20).map(|seed| (seed, seed % 2 == 0)) {
        let seen = recorded(seed, 1, async move |ctx: Context, to: Route| {
            // The handler has the first, its mailbox the second.
            let mut first: Vec<_> = [0, 1].map(|number| asking(&ctx, &to, number)).into();
            for work in &mut first {
                assert!(begin(work).await.is_pending());
            }
            // Behind a send that waits it is not sent where it waits.
            let mut before: Pinned<'_> = Box::pin(ctx.send_message(&to, (0u64, 3u64)));
            if sent {
                assert!(begin(&mut before).await.is_pending());
            }
            let mut late: Pinned<'_> = Box::pin(async {
                let late = ctx.request(&to, (0u64, 2u64)).within(PAUSE / 4);
                let late: Result<(u64, u64)> = late.await;
                let late = late.expect_err("it was over before there was a credit");
                assert!(matches!(late.kind(), ErrorKind::Timeout { .. }), "{late}");
                assert_eq!(late.into_message::<(u64, u64)>().ok(), Some((0, 2)));
                Ok(())
            });
            assert!(begin(&mut late).await.is_pending());
            ctx.sleep(4 * PAUSE).await;
            for work in first {
                work.await?;
            }
            if sent {
                before.await?;
            }
            ctx.sleep(4 * PAUSE).await;
            late.await?;
            asking(&ctx, &to, 4).await
        });
        let expected: &[u64] = if sent { &[0, 1, 3, 4] } else { &[0, 1, 4] };
        assert_eq!(seen, expected, "seed {seed}");
    }
}

#[test]
fn a_request_that_waits_for_a_credit_of_a_worker_that_ends_gives_its_message_back() {
    for seed in 0..20 {
        recorded(seed, 1, async move |mut ctx: Context, name: Route| {
            ctx.send_message(&name, (0u64, 4u64)).await?;
            let place = ctx.receive::<(u64, u64)>().await?.reply();
            let to = if seed % 2 == 0 { &name } else { &place };
            // The handler has the first, its mailbox the second.
            let mut first: Vec<_> = [0, 1].map(|number| asking(&ctx, to, number)).into();
            for work in &mut first {
                assert!(begin(work).await.is_pending());
                ctx.sleep(PAUSE / 4).await;
            }
            let mut last: Pinned<'_> = Box::pin(async {
                let asked: Result<(u64, u64)> = ctx.request(to, (0u64, 2u64)).await;
                let error = asked.expect_err("nobody is there");
                assert!(
                    matches!(error.kind(), ErrorKind::NotFound { .. }),
                    "{error}"
                );
                assert_eq!(error.into_message::<(u64, u64)>().ok(), Some((0, 2)));
                Ok(())
            });
            assert!(begin(&mut last).await.is_pending());
            ctx.stop_worker_now(name_at(&ctx, 1, "recorder")).await?;
            last.await
        });
    }
}

/// Panics when it is dropped, from some time on.
struct Rude(Arc<AtomicBool>);

impl Wake for Rude {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Rude {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::Relaxed), "it does not go");
    }
}

/// It was sent where it waited, its answer is there, and its future is dropped.
#[test]
fn a_request_that_was_sent_where_it_waited_leaves_no_place_behind_whatever_its_waker_does() {
    let mut limits = Limits::default();
    limits.requests_max = 2;
    let seen = recorded_within(1, 1, limits, async |ctx: Context, to: Route| {
        for _ in 0..3 {
            let rude = Arc::new(AtomicBool::new(false));
            let mut first = asking(&ctx, &to, 0);
            let mut parked = asking(&ctx, &to, 1);
            assert!(begin(&mut first).await.is_pending());
            let waker = Waker::from(Arc::new(Rude(Arc::clone(&rude))));
            let polled = parked.as_mut().poll(&mut Polling::from_waker(&waker));
            assert!(polled.is_pending(), "there is a place for it");
            drop(waker);
            first.await?;
            ctx.sleep(3 * PAUSE).await;
            rude.store(true, Ordering::Relaxed);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(parked)));
        }
        Ok(())
    });
    assert_eq!(seen, [0, 1, 0, 1, 0, 1]);
}

/// Asks and sends, several at one time.
struct Mixed {
    to: String,
    number: u64,
    several: usize,
}

const MESSAGES: u64 = 400;

impl Mixed {
    fn begin<'a>(&'a self, ctx: &'a Context, count: u64) -> Pinned<'a> {
        let message = (self.number, count);
        match count % 4 {
            3 => Box::pin(ctx.send_message(&*self.to, message)),
            _ => Box::pin(async move {
                let reply: (u64, u64) = ctx.request(&*self.to, message).await?;
                assert_eq!(reply, message);
                Ok(())
            }),
        }
    }
}

impl Worker for Mixed {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let mut waiting: VecDeque<Pinned<'_>> = VecDeque::new();
        for count in 0..MESSAGES {
            while waiting.len() >= self.several {
                some_of(&mut waiting).await?;
            }
            let mut work = self.begin(ctx, count);
            match begin(&mut work).await {
                Poll::Ready(done) => done?,
                Poll::Pending => waiting.push_back(work),
            }
        }
        while !waiting.is_empty() {
            some_of(&mut waiting).await?;
        }
        ctx.send_message(msg.reply(), true).await
    }
}

/// Who waits for room in the ring goes before a request that gets its credit meanwhile.
#[test]
fn a_request_that_is_sent_where_it_waits_passes_nobody_who_waits_for_room() {
    for seed in 0..40 {
        let log = Log::default();
        let there = Arc::clone(&log);
        let mut limits = Limits::default();
        limits.link_credits = 1;
        // Two messages, each with its link and its sender.
        limits.ring_slots = 8;
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let names = ["a", "b", "c"].map(|what| name_at(&ctx, 1, what));
            for name in &names {
                let recorder = Recorder {
                    log: Arc::clone(&there),
                    pause: Duration::ZERO,
                };
                ctx.start_worker(name.as_str(), recorder).await?;
            }
            // The rings are made, and a new sender has to be introduced.
            ctx.sleep(PAUSE).await;
            let work = async move |ctx: Context| {
                let [a, b, c] = names.map(Route::from);
                let other = ctx.detached()?;
                let mut first = asking(&ctx, &a, 0);
                let mut parked = asking(&ctx, &a, 1);
                assert!(begin(&mut first).await.is_pending());
                assert!(begin(&mut parked).await.is_pending());
                let mut sent: Vec<Pinned<'_>> = vec![
                    Box::pin(ctx.send_message(&b, (0u64, 2u64))),
                    Box::pin(other.send_message(&c, (0u64, 3u64))),
                ];
                let begun = [begin(&mut sent[0]).await, begin(&mut sent[1]).await];
                let waits = begun.iter().filter(|begun| begun.is_pending()).count();
                for (work, begun) in sent.into_iter().zip(begun) {
                    if begun.is_pending() {
                        work.await?;
                    }
                }
                first.await?;
                parked.await?;
                Ok(waits as u64)
            };
            let waits: Result<u64> = ctx.handle().run_on(0, work).await?;
            assert!(waits? > 0, "there is room for all");
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
        let log = log.lock();
        let at = |number| log.iter().position(|(_, it)| *it == number);
        assert!(at(3) < at(1), "seed {seed}: {log:?}");
    }
}

/// G1: a request that is sent where it waits overtakes nothing of its sender, and nothing overtakes it.
#[test]
fn g1_requests_and_sends_that_wait_for_credits_keep_their_order() {
    for seed in 0..60 {
        let log = Log::default();
        let there = Arc::clone(&log);
        let mut limits = Limits::default();
        limits.link_credits = [1, 3, 12, 40][seed as usize % 4];
        limits.ring_slots = 8 << (seed % 3);
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |mut ctx: Context| {
            let recorder = Recorder {
                log: there,
                pause: Duration::ZERO,
            };
            let to = name_at(&ctx, 1, "recorder");
            ctx.start_worker(&*to, recorder).await?;
            for number in 0..4 {
                let name = format!("mixed-{number}");
                let several = 1 + 5 * number as usize;
                let to = to.clone();
                let mixed = Mixed {
                    to,
                    number,
                    several,
                };
                ctx.start_worker_on(0, &*name, mixed).await?;
                ctx.send_message(name, ()).await?;
            }
            for _ in 0..4 {
                ctx.receive::<bool>().await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.stop().await
        });
        report.output.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.stats.undelivered_total(), 0);
        let log = log.lock();
        for number in 0..4 {
            let of_one = log.iter().filter(|(from, _)| *from == number);
            let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
            let all: Vec<u64> = (0..MESSAGES).collect();
            assert_eq!(of_one, all, "seed {seed}, sender {number}");
        }
    }
}
