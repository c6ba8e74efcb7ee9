//! Requests, and what else waits for an answer on a core: starts, stops and watches. Each takes its own places.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Result, Routed, Worker};

use crate::TURN;
use crate::counting::{begin_count, counted_since};
use crate::doings::{assert_within, load};

const MOST: u32 = 10;

/// Keeps nothing, answers nothing, and takes long to start if it is told to.
struct Silent {
    starts_after: Duration,
}

impl Worker for Silent {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(self.starts_after).await;
        Ok(())
    }

    async fn handle_message(&mut self, _: &mut Context, msg: Routed<u64>) -> Result<()> {
        drop(msg.return_route());
        Ok(())
    }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Polls each of them once: how many wait, and how many were refused for `requests_max`.
async fn poll_each<T>(asked: &mut [Asked<'_, T>]) -> (u32, u32) {
    poll_each_within("requests_max", MOST, asked).await
}

/// As [`poll_each`], for this limit.
async fn poll_each_within<T>(
    limit: &'static str,
    most: u32,
    asked: &mut [Asked<'_, T>],
) -> (u32, u32) {
    let reached = ErrorKind::LimitReached { limit, most };
    let (mut waiting, mut refused) = (0, 0);
    for one in asked {
        match poll_fn(|polling| Poll::Ready(one.as_mut().poll(polling))).await {
            Poll::Pending => waiting += 1,
            Poll::Ready(Err(error)) => refused += u32::from(*error.kind() == reached),
            Poll::Ready(Ok(_)) => {}
        }
    }
    (waiting, refused)
}

fn requests(ctx: &Context, count: u32) -> Vec<Asked<'_, u64>> {
    let request = |n| ctx.request::<u64>("silent", u64::from(n));
    let requests = (0..count).map(|n| Box::pin(request(n).without_deadline()) as Asked<'_, u64>);
    requests.collect()
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.requests_max = MOST;
    limits
}

/// G4: so many requests are under way as may be, however much else of the core has been, and is not.
#[test]
fn g4_what_is_over_leaves_no_places_to_requests() {
    let _turn = TURN.lock();
    let report = Sim::new(3)
        .cores(2)
        .limits(limits())
        .run(async move |ctx: Context| {
            let starts_after = Duration::ZERO;
            ctx.start_worker_on(0, "silent", Silent { starts_after })
                .await?;
            let names = (0..10_000).map(|n| format!("nobody-{n}"));
            let away = names.filter(|name| ctx.home(name.as_str()) != ctx.core());
            let stop = |name| Box::pin(ctx.stop_worker(name)) as Asked<'_, ()>;
            let mut stops = away.take(500).map(stop).collect::<Vec<_>>();
            assert_eq!(poll_each(&mut stops).await, (500, 0));
            ctx.sleep(Duration::from_millis(10)).await;
            assert_eq!(poll_each(&mut stops).await, (0, 0));
            drop(stops);
            for _ in 0..2 {
                let mut requests = requests(&ctx, 200);
                assert_eq!(poll_each(&mut requests).await, (MOST, 200 - MOST));
            }
            ctx.stop_now().await
        });
    report.output.unwrap();
}

/// G4: workers that are being started take no places of requests, nor do requests take theirs.
#[test]
fn g4_what_else_is_under_way_takes_no_places_of_requests() {
    let _turn = TURN.lock();
    let report = Sim::new(3)
        .cores(1)
        .limits(limits())
        .run(async move |ctx: Context| {
            let starts_after = Duration::ZERO;
            ctx.start_worker("silent", Silent { starts_after }).await?;
            let starts_after = Duration::from_secs(5);
            let start = |n| ctx.start_worker(format!("late-{n}"), Silent { starts_after });
            let mut starts = (0..MOST)
                .map(|n| Box::pin(start(n)) as Asked<'_, ()>)
                .collect::<Vec<_>>();
            assert_eq!(poll_each(&mut starts).await, (MOST, 0));
            let mut requests = requests(&ctx, MOST + 1);
            assert_eq!(poll_each(&mut requests).await, (MOST, 1));
            ctx.start_worker("one more", Silent { starts_after })
                .await?;
            ctx.sleep(Duration::from_secs(1)).await;
            assert_eq!(poll_each(&mut starts).await, (0, 0));
            drop((starts, requests));
            ctx.stop_now().await
        });
    report.output.unwrap();
}

/// G4: requests that are begun and given up again leave nothing behind, however many there are until their worker lets
/// its core go on.
#[test]
fn g4_requests_that_are_given_up_at_once_leave_nothing_behind() {
    let _turn = TURN.lock();
    let mut limits = limits();
    limits.mailbox_credits = 4;
    let report = Sim::new(3).limits(limits).run(async move |ctx: Context| {
        let starts_after = Duration::from_secs(5);
        let silent = Silent { starts_after };
        let start = ctx.start_worker("silent", silent);
        let start = Box::pin(start) as Asked<'_, ()>;
        poll_each(&mut [start]).await;
        let before = begin_count();
        for _ in 0..50_000 {
            let mut some = requests(&ctx, MOST);
            assert_eq!(poll_each(&mut some).await, (MOST, 0));
        }
        let held = counted_since(before);
        ctx.stop_now().await?;
        Ok(held)
    });
    let held = report.output.unwrap();
    assert!(held < 64 << 10, "{held} bytes are held");
}

const STARTS: u32 = 1000;

/// G4: a core has so many starts and stops under way, those that were given up and are not answered among them; one more
/// is refused. What there are takes what the budget says.
#[test]
fn g4_starts_and_stops_stay_within_their_pool() {
    let _turn = TURN.lock();
    for cores in [1, 2] {
        let mut limits = Limits::default();
        limits.starts_max = STARTS;
        let sim = Sim::new(3).cores(cores).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let starts_after = Duration::from_secs(1);
            let names = (0..).map(|n| format!("late-{n}"));
            let is_last = |name: &String| ctx.home(name.as_str()) == usize::from(cores - 1);
            let name = names.into_iter().find(is_last).unwrap_or_default();
            let start = || Box::pin(ctx.start_worker(name.as_str(), Silent { starts_after }));
            let mut first = [start() as Asked<'_, ()>];
            assert_eq!(poll_each(&mut first).await, (1, 0));
            // A worker that is being started ends when it has started.
            let stop = |_| Box::pin(ctx.stop_worker(name.as_str())) as Asked<'_, ()>;
            let stops = || (0..5 * STARTS).map(stop).collect::<Vec<_>>();
            let (mut some, mut more) = (stops(), stops());
            let before = begin_count();
            let polled = poll_each_within("starts_max", STARTS, &mut some).await;
            assert_eq!(polled, (STARTS - 1, 4 * STARTS + 1));
            let pools = ["starts and stops under way"];
            assert_within(&limits, &load(cores), &pools, counted_since(before));
            ctx.sleep(starts_after / 2).await;
            assert_within(&limits, &load(cores), &pools, counted_since(before));
            // What was given up was asked for all the same.
            some.clear();
            let (waiting, _) = poll_each_within("starts_max", STARTS, &mut more).await;
            assert_eq!(waiting, 0);
            assert_within(&limits, &load(cores), &pools, counted_since(before));
            ctx.sleep(starts_after).await;
            let _ = poll_each(&mut first).await;
            more.clear();
            // There are places again.
            ctx.start_worker("again", Silent { starts_after }).await?;
            ctx.stop_now().await
        });
        report.output.unwrap();
    }
}
