//! Messages, workers, and calls from outside the node.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, Ended, ErrorKind, Group, Limits, Reason, Result, Routed, Supervision, Worker,
};

use crate::{GUEST, Guest, SLOW, Slow, drop_after, drop_at_every_poll};

/// The futures that are dropped here, after every number of polls.
pub(crate) const DROPPED: &[&str] = &[
    "Context::new_detached",
    "Context::send_urgent",
    "Context::start_group",
    "Context::start_replicated",
    "Context::start_supervised",
    "Context::start_worker",
    "Context::start_worker_on",
    "Context::start_worker_with",
    "Context::stop_worker",
    "Context::stop_worker_now",
    "Context::watch",
    "Context::watch_as",
    "Forward",
    "NodeHandle::request",
    "NodeHandle::request_urgent",
    "NodeHandle::request_urgent_within",
    "NodeHandle::request_within",
    "NodeHandle::run_on",
    "NodeHandle::send_message",
    "NodeHandle::send_urgent",
    "NodeHandle::start_worker",
    "NodeHandle::stop_worker",
    "Receive",
    "Request",
    "SendMessage",
    "Sleep",
    "YieldNow",
];

/// As [`DROPPED`], of ways in which these are made besides the plain one.
const VARIANTS: &[&str] = &["urgent Request"];

const CREDITS: u32 = 4;
const CORES: usize = 2;
/// A worker of the group that is started.
const MEMBER: &str = "member";

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = CREDITS;
    limits.link_credits = CREDITS;
    limits.urgent_credits = CREDITS;
    limits.outside_credits = CREDITS;
    limits.ring_slots = 16;
    limits
}

/// Forwards a message to the slow worker, and drops that after so many polls.
struct Forwarder(usize);

impl Worker for Forwarder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let back = msg.return_route();
        let done = drop_after(ctx, self.0, ctx.forward(msg)).await;
        ctx.send_message(back, u64::from(done.is_some())).await
    }
}

/// Sends to the slow worker until it has no room. How many there was room for.
fn fill(ctx: &Context) -> u32 {
    let mut sent = 0;
    while ctx.try_send_message(SLOW, 0u64).is_ok() {
        sent += 1;
    }
    sent
}

/// Sends urgently until there is no room for that. How many there was room for.
fn fill_urgently(ctx: &Context) -> u32 {
    let mut sent = 0;
    while ctx.try_send_urgent(SLOW, 0u64).is_ok() {
        sent += 1;
    }
    sent
}

/// Makes a future that has to wait for something, and drops it after so many polls. Whether it was done.
async fn attempt(name: &str, ctx: &mut Context, polls: usize) -> Result<bool> {
    Ok(match name {
        "SendMessage" => {
            fill(ctx);
            let send = ctx.send_message(SLOW, 0u64);
            drop_after(ctx, polls, send).await.is_some()
        }
        "Context::send_urgent" => {
            fill_urgently(ctx);
            let urgent = ctx.send_urgent(SLOW, 0u64);
            drop_after(ctx, polls, urgent).await.is_some()
        }
        "urgent Request" => {
            fill_urgently(ctx);
            let request = ctx.request::<u64>(SLOW, 1u64).urgent();
            drop_after(ctx, polls, request).await.is_some()
        }
        "Request" => {
            fill(ctx);
            let request = ctx.request::<u64>(SLOW, 1u64);
            drop_after(ctx, polls, request).await.is_some()
        }
        "Forward" => {
            fill(ctx);
            ctx.start_worker("forwarder", Forwarder(polls)).await?;
            ctx.send_message(ringpost::route!["forwarder", SLOW], 0u64)
                .await?;
            let done = *ctx.receive::<u64>().await? == 1;
            ctx.stop_worker("forwarder").await?;
            done
        }
        "Receive" => {
            let asking = ctx.request::<u64>(SLOW, 1u64);
            asking.await?;
            ctx.send_message(SLOW, 7u64).await?;
            let other = ctx.detached()?;
            let done = drop_after(&other, polls, ctx.receive::<u64>()).await;
            let done = done.is_some();
            if !done {
                // What was not received is there for the next.
                assert_eq!(*ctx.receive::<u64>().await?, 7);
            }
            done
        }
        "Sleep" => {
            let sleep = ctx.sleep(Duration::from_millis(10));
            drop_after(ctx, polls, sleep).await.is_some()
        }
        "YieldNow" => drop_after(ctx, polls, ctx.yield_now()).await.is_some(),
        "Context::watch" | "Context::watch_as" => attempt_watch(name, ctx, polls).await?,
        other => match other.strip_prefix("NodeHandle::") {
            Some(call) if call.contains("urgent") => {
                attempt_urgent_outside(call, ctx, polls).await?
            }
            Some(call) => attempt_outside(call, ctx, polls).await?,
            None => attempt_lifecycle(other, ctx, polls).await?,
        },
    })
}

/// A watch that was polled is begun, whether or not its future was kept: one message comes of it.
async fn attempt_watch(name: &str, ctx: &mut Context, polls: usize) -> Result<bool> {
    ctx.start_worker(GUEST, Guest).await?;
    let done = match name {
        "Context::watch" => drop_after(ctx, polls, ctx.watch(GUEST)).await.is_some(),
        _ => {
            let news = |ended: Ended| ended.address.to_string();
            let watch = ctx.watch_as(GUEST, news);
            drop_after(ctx, polls, watch).await.is_some()
        }
    };
    ctx.stop_worker(GUEST).await?;
    let soon = Duration::from_millis(20);
    let mut news = 0;
    while ctx.receive_timeout::<Ended>(soon).await.is_ok() {
        news += 1;
    }
    while ctx.receive_timeout::<String>(soon).await.is_ok() {
        news += 1;
    }
    assert_eq!(news, usize::from(polls > 0), "news of the end");
    Ok(done)
}

/// The same of calls by which workers start and stop.
async fn attempt_lifecycle(name: &str, ctx: &Context, polls: usize) -> Result<bool> {
    let away = 1 - ctx.home(GUEST);
    if name.contains("stop_worker") {
        ctx.start_worker(GUEST, Guest).await?;
    }
    let done = match name {
        "Context::start_worker" => drop_after(ctx, polls, ctx.start_worker(GUEST, Guest)).await,
        "Context::start_worker_with" => {
            let start = ctx.start_worker_with(GUEST, || Guest);
            drop_after(ctx, polls, start).await
        }
        "Context::start_worker_on" => {
            let start = ctx.start_worker_on(away, GUEST, Guest);
            drop_after(ctx, polls, start).await
        }
        "Context::start_replicated" => {
            let start = ctx.start_replicated(GUEST, || Guest);
            drop_after(ctx, polls, start).await
        }
        "Context::start_supervised" => {
            let start = ctx.start_supervised(GUEST, Supervision::permanent(), || Guest);
            drop_after(ctx, polls, start).await
        }
        "Context::start_group" => {
            let terms = Supervision::transient();
            let group = Group::one_for_all()
                .worker(MEMBER, terms.clone(), || Guest)
                .worker("another", terms, || Guest);
            drop_after(ctx, polls, ctx.start_group(GUEST, group)).await
        }
        "Context::new_detached" => {
            let detached = drop_after(ctx, polls, ctx.new_detached(GUEST)).await;
            detached.map(|ctx| ctx.map(drop))
        }
        "Context::stop_worker" => drop_after(ctx, polls, ctx.stop_worker(GUEST)).await,
        "Context::stop_worker_now" => drop_after(ctx, polls, ctx.stop_worker_now(GUEST)).await,
        other => panic!("nothing is known of {other}"),
    };
    done.transpose().map(|done| done.is_some())
}

/// The same of calls from outside the node.
async fn attempt_outside(name: &str, ctx: &Context, polls: usize) -> Result<bool> {
    let handle = ctx.handle();
    // Beside the credits of the worker, those of threads outside are used up too.
    let full = |ctx: &Context| {
        fill(ctx);
        while ctx.handle().try_send_message(SLOW, 0u64).is_ok() {}
    };
    let done = match name {
        "send_message" => {
            full(ctx);
            drop_after(ctx, polls, handle.send_message(SLOW, 0u64)).await
        }
        "request" => {
            full(ctx);
            let request = handle.request::<u64>(SLOW, 1u64);
            let answer = drop_after(ctx, polls, request).await;
            answer.map(|answer| answer.map(drop))
        }
        "request_within" => {
            full(ctx);
            let request = handle.request_within::<u64>(Duration::from_secs(5), SLOW, 1u64);
            let answer = drop_after(ctx, polls, request).await;
            answer.map(|answer| answer.map(drop))
        }
        "start_worker" => drop_after(ctx, polls, handle.start_worker(GUEST, || Guest)).await,
        "stop_worker" => {
            ctx.start_worker(GUEST, Guest).await?;
            drop_after(ctx, polls, handle.stop_worker(GUEST)).await
        }
        "run_on" => {
            let work = async |ctx: Context| ctx.sleep(Duration::from_millis(9)).await;
            drop_after(ctx, polls, handle.run_on(1 - ctx.core(), work)).await
        }
        other => panic!("nothing is known of {other}"),
    };
    done.transpose().map(|done| done.is_some())
}

/// The same of calls from outside that are urgent.
async fn attempt_urgent_outside(name: &str, ctx: &Context, polls: usize) -> Result<bool> {
    let handle = ctx.handle();
    fill_urgently(ctx);
    while handle.try_send_urgent(SLOW, 0u64).is_ok() {}
    let done = match name {
        "send_urgent" => drop_after(ctx, polls, handle.send_urgent(SLOW, 0u64)).await,
        "request_urgent" => {
            let request = handle.request_urgent::<u64>(SLOW, 1u64);
            let answer = drop_after(ctx, polls, request).await;
            answer.map(|answer| answer.map(drop))
        }
        "request_urgent_within" => {
            let long = Duration::from_secs(5);
            let request = handle.request_urgent_within::<u64>(long, SLOW, 1u64);
            let answer = drop_after(ctx, polls, request).await;
            answer.map(|answer| answer.map(drop))
        }
        other => panic!("nothing is known of {other}"),
    };
    done.transpose().map(|done| done.is_some())
}

/// The name is free, or will be when its worker has ended.
async fn free(ctx: &Context, name: &str) -> Result<()> {
    match ctx.stop_worker(name).await {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Everything is as if the future had never been: there is as much room, who waits gets some, and names are free.
async fn check_that_nothing_is_left(ctx: &mut Context, room: u32) -> Result<()> {
    ctx.sleep(Duration::from_secs(1)).await;
    while ctx
        .receive_timeout::<u64>(Duration::from_millis(1))
        .await
        .is_ok()
    {}
    assert_eq!(fill(ctx), room, "credits");
    assert_eq!(fill_urgently(ctx), CREDITS, "credits for urgent messages");
    let more = (0..100).filter(|_| ctx.handle().try_send_urgent(SLOW, 0u64).is_ok());
    assert_eq!(
        more.count(),
        CREDITS as usize,
        "permits for urgent messages"
    );
    ctx.send_message(SLOW, 0u64).await?;
    let long = Duration::from_secs(3);
    let handle = ctx.handle();
    assert_eq!(handle.request_within::<u64>(long, SLOW, 5u64).await?, 5);
    free(ctx, GUEST).await?;
    for name in [GUEST, MEMBER] {
        ctx.start_worker(name, Guest).await?;
        ctx.stop_worker(name).await?;
        drop(ctx.new_detached(name).await?);
    }
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Drops one kind of future after each number of polls, until it is done first.
fn check(name: &'static str, seed: u64, away: bool) {
    let sim = Sim::new(seed).cores(CORES as u16).limits(limits());
    let report = sim.run(async move |mut ctx: Context| {
        let core = if away { 1 - ctx.core() } else { ctx.core() };
        ctx.start_worker_on(core, SLOW, Slow).await?;
        let room = fill(&ctx);
        let at_every_poll = drop_at_every_poll(async |polls| {
            check_that_nothing_is_left(&mut ctx, room).await?;
            attempt(name, &mut ctx, polls).await
        });
        at_every_poll.await?;
        check_that_nothing_is_left(&mut ctx, room).await?;
        ctx.stop().await
    });
    let output = report.output;
    output.unwrap_or_else(|error| panic!("{name}, seed {seed}, away {away}: {error}"));
    let stats = &report.stats;
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    // A reply that came late was counted as a reply.
    let lost = stats.undelivered_total() - stats.undelivered(Reason::LateReply);
    let ended = stats.total(|core| core.handled) + lost;
    assert_eq!(sent, ended, "{name}, seed {seed}, away {away}");
}

/// G3, G4: whichever future is dropped, and whenever.
#[test]
fn g4_a_future_that_is_dropped_leaves_nothing_behind() {
    for name in DROPPED.iter().chain(VARIANTS) {
        for (seed, away) in [(1, false), (2, true), (3, true)] {
            check(name, seed, away);
        }
    }
}
