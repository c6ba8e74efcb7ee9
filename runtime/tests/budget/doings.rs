//! Pools of what workers do: each is flooded by itself, and holds what the budget says of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Any, Context, DeadLetter, Ended, Error, ErrorKind, Limits, Load, Overflow, Result, Route,
    Routed, Worker, route,
};

use crate::{TURN, begin_count, counted_since};

type Payload = [u64; 12];

/// What else a run holds meanwhile: queues that grow to the size of a burst, and what comes of them.
const BESIDE: u64 = 64 << 10;

/// Holds what these pools may take at the most.
pub(crate) fn assert_within(limits: &Limits, load: &Load, pools: &[&str], held: u64) {
    let budget = limits.budget(load);
    let counted = budget.pools.iter().filter(|it| pools.contains(&it.name));
    assert_eq!(counted.clone().count(), pools.len(), "no such pool");
    let most: u64 = counted.map(|pool| pool.bytes()).sum();
    assert!(
        held <= most + BESIDE,
        "{held} bytes held, and {most} may be of {pools:?}\n{budget}"
    );
}

pub(crate) fn load(cores: u16) -> Load {
    Load {
        cores,
        receivers: 2,
        senders: 1,
        payload: size_of::<Payload>() as u64,
        hops: 2,
        requests: u64::MAX,
        passed_on: u64::MAX,
        watches: u64::MAX,
        starts: u64::MAX,
        blocking: u64::MAX,
        dead_letters: true,
        ..Load::default()
    }
}

/// Keeps the way back of each request, and answers them all at once when it is told to.
struct Late(Vec<Route>);

impl Worker for Late {
    type Message = Payload;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Payload>) -> Result<()> {
        if msg[0] != u64::MAX {
            self.0.push(msg.return_route());
            return Ok(());
        }
        for back in self.0.drain(..) {
            ctx.send_message(back, *msg).await?;
        }
        Ok(())
    }
}

type Request<'a> = Pin<Box<dyn Future<Output = Result<Payload>> + 'a>>;

/// Polls each of them once, and a few at a time, so that none has to wait for room. How many are over, by `check`.
async fn poll_each(
    ctx: &Context,
    requests: &mut [Request<'_>],
    check: impl Fn(Result<Payload>),
) -> usize {
    let mut over = 0;
    for few in requests.chunks_mut(100) {
        poll_fn(|polling| {
            for request in few.iter_mut() {
                if let Poll::Ready(result) = request.as_mut().poll(polling) {
                    check(result);
                    over += 1;
                }
            }
            Poll::Ready(())
        })
        .await;
        ctx.sleep(Duration::from_millis(1)).await;
    }
    over
}

/// A request for which there is no place, and its message.
fn check_refused(result: Result<Payload>) {
    let error = result.expect_err("there is no place");
    let reached = ErrorKind::LimitReached {
        limit: "requests_max",
        most: REQUESTS as u32,
    };
    assert_eq!(error.kind(), &reached);
    assert_eq!(
        error.into_message::<Payload>().expect("it comes back"),
        [7; 12]
    );
}

const REQUESTS: usize = 1000;

/// Begins five times as many requests as there may be, and has them answered.
async fn ask_too_much(ctx: Context, limits: Limits) -> Result<()> {
    let load = load(ctx.cores() as u16);
    let ask = |_| {
        let request = ctx.request::<Payload>("late", [7_u64; 12]);
        Box::pin(request.without_deadline()) as Request<'_>
    };
    let mut requests: Vec<_> = (0..5 * REQUESTS).map(ask).collect();
    let before = begin_count();
    let refused = poll_each(&ctx, &mut requests, check_refused).await;
    assert_eq!(refused, 4 * REQUESTS);
    let held = counted_since(before);
    assert_within(&limits, &load, &["requests under way"], held);
    ctx.send_message("late", [u64::MAX; 12]).await?;
    ctx.sleep(Duration::from_millis(50)).await;
    let held = counted_since(before);
    assert_within(&limits, &load, &["requests under way"], held);
    requests.truncate(REQUESTS);
    let check = |answer: Result<Payload>| assert_eq!(answer.expect("an answer"), [u64::MAX; 12]);
    assert_eq!(poll_each(&ctx, &mut requests, check).await, REQUESTS);
    // There are places again.
    let again = ctx.request::<Payload>("late", [1_u64; 12]);
    let error = again.within(Duration::from_millis(1)).await;
    let error = error.expect_err("it is not answered");
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }));
    ctx.stop_now().await
}

/// G4: a core has so many requests under way; one more is refused, with its message. What there are, with
/// their answers that nobody has fetched, takes what the budget says.
#[test]
fn g4_requests_under_way_stay_within_their_pool() {
    let _turn = TURN.lock();
    for cores in [1, 2] {
        let mut limits = Limits::default();
        limits.requests_max = REQUESTS as u32;
        let sim = Sim::new(3).cores(cores).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let late = Late(Vec::with_capacity(5 * REQUESTS));
            ctx.start_worker_on(usize::from(cores - 1), "late", late)
                .await?;
            ask_too_much(ctx, limits).await
        });
        report.output.unwrap();
    }
}

/// Passes everything on.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// Takes requests, looks at the way back, and answers none.
struct Silent;

impl Worker for Silent {
    type Message = Payload;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<Payload>) -> Result<()> {
        drop(msg.return_route());
        Ok(())
    }
}

/// G4: however many workers pass on requests that nobody answers, a core notes so many.
#[test]
fn g4_requests_passed_on_stay_within_their_pool() {
    let _turn = TURN.lock();
    const HOPS: u64 = 20;
    let mut limits = Limits::default();
    limits.passed_on_max = 2000;
    let report = Sim::new(3)
        .cores(1)
        .limits(limits)
        .run(async move |ctx: Context| {
            ctx.start_worker("silent", Silent).await?;
            for hop in 0..HOPS {
                ctx.start_worker(format!("hop-{hop}"), Hop).await?;
            }
            let ask_all = async |times: u64| {
                for number in 0..times {
                    let way = route![format!("hop-{}", number % HOPS), "silent"];
                    let asked = ctx.request::<Payload>(way, [number; 12]);
                    let answer = asked.within(Duration::from_micros(200)).await;
                    assert!(answer.is_err(), "nobody answers");
                }
            };
            ask_all(HOPS).await;
            let before = begin_count();
            ask_all(20_000).await;
            let held = counted_since(before);
            assert_within(&limits, &load(1), &["requests passed on"], held);
            ctx.stop_now().await
        });
    report.output.unwrap();
}

/// Passes requests on, and never takes the answers that come back by it.
struct Choosy;

impl Worker for Choosy {
    type Message = Payload;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Payload>) -> Result<()> {
        ctx.forward(msg).await?;
        loop {
            let next = ctx.receive::<Payload>().await?;
            ctx.forward(next).await?;
        }
    }
}

/// Answers each request with another type.
struct Told;

impl Worker for Told {
    type Message = Payload;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Payload>) -> Result<()> {
        ctx.send_message(msg.return_route(), 7_u64).await
    }
}

/// G4: answers that come back by a worker which does not take them wait there without room, but so many of a
/// core and no more. Others need room, and are reported where there is none.
#[test]
fn g4_answers_on_their_way_back_stay_within_their_pool() {
    let _turn = TURN.lock();
    for cores in [1, 2] {
        let mut limits = Limits::default();
        limits.passed_on_max = 500;
        limits.mailbox_credits = 100;
        let sim = Sim::new(3)
            .cores(cores)
            .limits(limits)
            .on_undelivered(|_| {});
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker_on(usize::from(cores - 1), "told", Told)
                .await?;
            ctx.start_worker_on(0, "choosy", Choosy).await?;
            let before = begin_count();
            for number in 0..10_000_u64 {
                let way = route!["choosy", "told"];
                let asked = ctx.request::<u64>(way, [number; 12]);
                let answer = asked.within(Duration::from_micros(200)).await;
                assert!(answer.is_err(), "the answer stays where it is");
            }
            let held = counted_since(before);
            let pools = [
                "answers on their way back",
                "requests passed on",
                "messages set aside",
            ];
            assert_within(&limits, &load(cores), &pools[..2], held);
            ctx.stop_now().await
        });
        report.output.unwrap();
    }
}

/// G4: a core has so many watches that have brought no news; one more is refused.
#[test]
fn g4_watches_stay_within_their_pool() {
    let _turn = TURN.lock();
    const MOST: u32 = 1000;
    for cores in [1, 2] {
        let mut limits = Limits::default();
        limits.watches_max = MOST;
        let report = Sim::new(3)
            .cores(cores)
            .limits(limits)
            .run(async move |mut ctx: Context| {
                ctx.start_worker_on(usize::from(cores - 1), "silent", Silent)
                    .await?;
                let before = begin_count();
                let mut refused = 0;
                for _ in 0..3 * MOST {
                    if let Err(error) = ctx.watch("silent").await {
                        let reached = ErrorKind::LimitReached {
                            limit: "watches_max",
                            most: MOST,
                        };
                        assert_eq!(error.kind(), &reached);
                        refused += 1;
                    }
                }
                assert_eq!(refused, 2 * MOST);
                ctx.stop_worker("silent").await?;
                ctx.sleep(Duration::from_millis(10)).await;
                let held = counted_since(before);
                assert_within(&limits, &load(cores), &["watches, and news of ends"], held);
                for _ in 0..MOST {
                    drop(ctx.receive::<Ended>().await?);
                }
                // There are places again, also when a watch is given up.
                ctx.start_worker("late", Silent).await?;
                for _ in 0..2 * MOST {
                    let watch = ctx.watch("late").await?;
                    ctx.unwatch(watch);
                }
                ctx.stop_now().await
            });
        report.output.unwrap();
    }
}

/// G4: news that nobody has taken keep the places of their watches, until they are taken or their receiver has ended.
#[test]
fn g4_news_that_wait_keep_the_places_of_their_watches() {
    let _turn = TURN.lock();
    const MOST: u32 = 1000;
    for cores in [1, 2] {
        let mut limits = Limits::default();
        limits.watches_max = MOST;
        let report = Sim::new(3)
            .cores(cores)
            .limits(limits)
            .on_undelivered(|_| {})
            .run(async move |mut ctx: Context| {
                let before = begin_count();
                assert_eq!(watch_nobody(&ctx, 20 * MOST).await, MOST);
                let held = counted_since(before);
                assert_within(&limits, &load(cores), &["watches, and news of ends"], held);
                // One that is taken makes place for one, and so does one that has no receiver any more.
                drop(ctx.receive::<Ended>().await?);
                assert_eq!(watch_nobody(&ctx, 10).await, 1);
                while watch_taken(&mut ctx).await? {}
                let other = ctx.detached()?;
                assert_eq!(watch_nobody(&other, 2 * MOST).await, MOST);
                drop(other);
                ctx.sleep(Duration::from_millis(10)).await;
                assert_eq!(watch_nobody(&ctx, 2 * MOST).await, MOST);
                ctx.stop_now().await
            });
        report.output.unwrap();
    }
}

/// Begins watches on nobody, whose news come at once. How many were not refused.
async fn watch_nobody(ctx: &Context, count: u32) -> u32 {
    let mut begun = 0;
    for _ in 0..count {
        begun += u32::from(ctx.watch("nobody").await.is_ok());
    }
    begun
}

/// Takes one message of a watch, if there is one.
async fn watch_taken(ctx: &mut Context) -> Result<bool> {
    let taken = ctx
        .receive::<Ended>()
        .within(Duration::from_millis(1))
        .await;
    match taken {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Timeout { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes its time with each letter.
struct Archive;

impl Worker for Archive {
    type Message = DeadLetter;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _: Routed<DeadLetter>) -> Result<()> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

/// Drops what it has no room for.
struct Full;

impl Worker for Full {
    type Message = Payload;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        Overflow::DropNewest
    }

    async fn handle_message(&mut self, ctx: &mut Context, _: Routed<Payload>) -> Result<()> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

/// G4: letters that nobody reads take what the budget says; the rest are dropped and counted.
#[test]
fn g4_dead_letters_stay_within_their_pool() {
    let _turn = TURN.lock();
    let mut limits = Limits::default();
    limits.mailbox_credits = 200;
    let sim = Sim::new(3).cores(1).limits(limits).dead_letters("archive");
    let report = sim.run(async move |ctx: Context| {
        ctx.start_worker("archive", Archive).await?;
        ctx.start_worker("full", Full).await?;
        for number in 0..200_u64 {
            ctx.send_message("full", [number; 12]).await?;
        }
        let before = begin_count();
        for number in 0..5000_u64 {
            ctx.send_message("full", [number; 12]).await?;
            if number % 100 == 0 {
                ctx.yield_now().await;
            }
        }
        let held = counted_since(before);
        let dropped = ctx.handle().stats().total(|core| core.letters_dropped);
        assert!((4500..5000).contains(&dropped), "{dropped} letters dropped");
        assert_within(&limits, &load(1), &["dead letters"], held);
        ctx.stop_now().await
    });
    report.output.unwrap();
}

/// G4: calls that block wait in a queue of so many; the others wait in their futures, with their closures.
#[test]
fn g4_calls_that_block_stay_within_their_pool() {
    let _turn = TURN.lock();
    const CALLS: usize = 2000;
    let mut limits = Limits::default();
    (limits.blocking_threads, limits.blocking_queue) = (1, 100);
    let node = ringpost::Node::builder()
        .cores(1)
        .limits(limits)
        .start()
        .unwrap();
    let work = async move |ctx: Context| {
        let (open, closed) = std::sync::mpsc::channel::<()>();
        let first = ctx.spawn_blocking(move || closed.recv().is_err());
        let captured = [1_u64; 12];
        let call = |_| Box::pin(ctx.spawn_blocking(move || captured.iter().sum::<u64>()));
        let mut calls: Vec<_> = (0..CALLS).map(call).collect();
        let mut first = std::pin::pin!(first);
        let before = begin_count();
        poll_fn(|polling| {
            assert!(first.as_mut().poll(polling).is_pending());
            let pending = calls
                .iter_mut()
                .all(|call| call.as_mut().poll(polling).is_pending());
            assert!(pending, "the only thread is taken");
            Poll::Ready(())
        })
        .await;
        let held = counted_since(before);
        let waiters = (CALLS * 64) as u64;
        assert_within(
            &limits,
            &load(1),
            &["calls that block"],
            held.saturating_sub(waiters),
        );
        drop(open);
        assert!(first.await?);
        for call in calls {
            assert_eq!(call.await?, 12);
        }
        Ok::<_, Error>(())
    };
    pollster::block_on(node.handle().run_on(0, work))
        .unwrap()
        .unwrap();
    node.stop().unwrap();
}
