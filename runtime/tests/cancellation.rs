//! Futures that are dropped after any number of polls leave nothing behind: no lost message, no credit that is
//! gone, nobody who waits for ever (G3, G4).

use std::collections::BTreeSet;
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Reason, Result, Routed, Worker};

/// Each future of the public interface that is dropped here, after every number of polls.
const DROPPED: &[&str] = &[
    "Forward",
    "Receive",
    "Request",
    "SendMessage",
    "Sleep",
    "YieldNow",
    "new_detached",
    "request",
    "request_within",
    "run_on",
    "send_message",
    "send_urgent",
    "spawn_blocking",
    "start_replicated",
    "start_worker",
    "start_worker_on",
    "start_worker_with",
    "stop_worker",
    "stop_worker_now",
];

/// The end of a node, which leaves nothing to be looked at; and starts and watches whose parts are dropped above:
/// they await the same answer of another core (`Context::call`).
const ENDS_AND_PARTS: &[&str] = &[
    "start_group",
    "start_supervised",
    "stop",
    "stop_now",
    "watch",
    "watch_as",
];

/// Hold no credit and no place of a node; what a dropped one leaves is its socket's affair.
const OF_SOCKETS: &[&str] = &[
    "Accept",
    "connect",
    "connect_within",
    "create",
    "disconnect",
    "listen",
    "read",
    "read_exact",
    "recv_from",
    "resolve",
    "send_to",
    "write",
    "write_all",
    "write_vectored",
];

/// Are no part of the interface.
const INTERNAL: &[&str] = &["Passing", "Relay"];

/// So often is a future polled at the most; each of them is done by then.
const POLLS_MAX: usize = 60;
const CREDITS: u32 = 4;
const CORES: usize = 2;
/// The worker to which all of them send, and those that are started and stopped.
const SLOW: &str = "slow";
const GUEST: &str = "guest";

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = CREDITS;
    limits.link_credits = CREDITS;
    limits.urgent_credits = CREDITS;
    limits.outside_credits = CREDITS;
    limits.ring_slots = 16;
    limits
}

/// Takes ten milliseconds for each message, and answers requests.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(10)).await;
        match *msg {
            0 => Ok(()),
            number => ctx.send_message(msg.reply(), number).await,
        }
    }
}

/// Takes a while to start and to end.
#[derive(Clone)]
struct Guest;

impl Worker for Guest {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    }
}

/// Forwards a message to the slow worker, and drops that after so many polls.
struct Forwarder(usize);

impl Worker for Forwarder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let back = msg.return_route();
        let done = drop_after(ctx, self.0, ctx.forward(msg)).await;
        ctx.send_message(back, u64::from(done)).await
    }
}

/// Polls a future so often, a few milliseconds apart, and drops it. Whether it was done.
async fn drop_after<F: Future>(ctx: &Context, polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let poll = poll_fn(|polling| Poll::Ready(future.as_mut().poll(polling).is_ready()));
        if poll.await {
            return true;
        }
        ctx.sleep(Duration::from_millis(3)).await;
    }
    false
}

/// Sends to the slow worker until it has no room. How many there was room for.
fn fill(ctx: &Context) -> u32 {
    let mut sent = 0;
    while ctx.try_send_message(SLOW, 0u64).is_ok() {
        sent += 1;
    }
    sent
}

/// Makes a future that has to wait for something, and drops it after so many polls. Whether it was done.
async fn attempt(name: &str, ctx: &mut Context, polls: usize) -> Result<bool> {
    Ok(match name {
        "SendMessage" => {
            fill(ctx);
            drop_after(ctx, polls, ctx.send_message(SLOW, 0u64)).await
        }
        "send_urgent" => {
            while drop_after(ctx, 1, ctx.send_urgent(SLOW, 0u64)).await {}
            drop_after(ctx, polls, ctx.send_urgent(SLOW, 0u64)).await
        }
        "Request" => {
            fill(ctx);
            drop_after(ctx, polls, ctx.request::<u64>(SLOW, 1u64)).await
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
            let done = {
                let receive = ctx.receive::<u64>();
                drop_after(&other, polls, receive).await
            };
            if !done {
                // What was not received is there for the next.
                assert_eq!(*ctx.receive::<u64>().await?, 7);
            }
            done
        }
        "Sleep" => drop_after(ctx, polls, ctx.sleep(Duration::from_millis(10))).await,
        "YieldNow" => drop_after(ctx, polls, ctx.yield_now()).await,
        "spawn_blocking" => drop_after(ctx, polls, ctx.spawn_blocking(|| 7)).await,
        other => match other.strip_prefix("handle.") {
            Some(call) => attempt_outside(call, ctx, polls).await,
            None => attempt_lifecycle(other, ctx, polls).await?,
        },
    })
}

/// The same of calls by which workers start and stop.
async fn attempt_lifecycle(name: &str, ctx: &Context, polls: usize) -> Result<bool> {
    let away = 1 - ctx.home(GUEST);
    Ok(match name {
        "start_worker" => drop_after(ctx, polls, ctx.start_worker(GUEST, Guest)).await,
        "start_worker_with" => drop_after(ctx, polls, ctx.start_worker_with(GUEST, || Guest)).await,
        "start_worker_on" => drop_after(ctx, polls, ctx.start_worker_on(away, GUEST, Guest)).await,
        "start_replicated" => drop_after(ctx, polls, ctx.start_replicated(GUEST, || Guest)).await,
        "new_detached" => drop_after(ctx, polls, ctx.new_detached(GUEST)).await,
        "stop_worker" => {
            ctx.start_worker(GUEST, Guest).await?;
            drop_after(ctx, polls, ctx.stop_worker(GUEST)).await
        }
        "stop_worker_now" => {
            ctx.start_worker(GUEST, Guest).await?;
            drop_after(ctx, polls, ctx.stop_worker_now(GUEST)).await
        }
        other => panic!("nothing is known of {other}"),
    })
}

/// The same of calls from outside the node.
async fn attempt_outside(name: &str, ctx: &Context, polls: usize) -> bool {
    let handle = ctx.handle();
    // Beside the credits of the worker, those of threads outside are used up too.
    let full = |ctx: &Context| {
        fill(ctx);
        while ctx.handle().try_send_message(SLOW, 0u64).is_ok() {}
    };
    match name {
        "send_message" => {
            full(ctx);
            drop_after(ctx, polls, handle.send_message(SLOW, 0u64)).await
        }
        "request" => {
            full(ctx);
            drop_after(ctx, polls, handle.request::<u64>(SLOW, 1u64)).await
        }
        "request_within" => {
            full(ctx);
            let long = Duration::from_secs(5);
            drop_after(ctx, polls, handle.request_within::<u64>(long, SLOW, 1u64)).await
        }
        "start_worker" => drop_after(ctx, polls, handle.start_worker(GUEST, || Guest)).await,
        "stop_worker" => drop_after(ctx, polls, handle.stop_worker(GUEST)).await,
        "run_on" => {
            let work = async |ctx: Context| ctx.sleep(Duration::from_millis(9)).await;
            drop_after(ctx, polls, handle.run_on(1 - ctx.core(), work)).await
        }
        other => panic!("nothing is known of {other}"),
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
    ctx.send_message(SLOW, 0u64).await?;
    let long = Duration::from_secs(3);
    let handle = ctx.handle();
    assert_eq!(handle.request_within::<u64>(long, SLOW, 5u64).await?, 5);
    match ctx.stop_worker(GUEST).await {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound { .. }) => return Err(error),
        _ => {}
    }
    ctx.start_worker(GUEST, Guest).await?;
    ctx.stop_worker(GUEST).await?;
    drop(ctx.new_detached(GUEST).await?);
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Drops one kind of future after each number of polls, until it is done first. How many that took.
fn drop_at_every_poll(name: &'static str, seed: u64, away: bool) -> usize {
    let sim = Sim::new(seed).cores(CORES as u16).limits(limits());
    let report = sim.run(async move |mut ctx: Context| {
        let core = if away { 1 - ctx.core() } else { ctx.core() };
        ctx.start_worker_on(core, SLOW, Slow).await?;
        let room = fill(&ctx);
        for polls in 0..=POLLS_MAX {
            check_that_nothing_is_left(&mut ctx, room).await?;
            if attempt(name, &mut ctx, polls).await? {
                check_that_nothing_is_left(&mut ctx, room).await?;
                ctx.stop().await?;
                return Ok(polls);
            }
        }
        Err(ringpost::Error::other("it is never done"))
    });
    let polls = report.output;
    let polls = polls.unwrap_or_else(|error| panic!("{name}, seed {seed}, away {away}: {error}"));
    let stats = &report.stats;
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    // A reply that came late was counted as a reply.
    let lost = stats.undelivered_total() - stats.undelivered(Reason::LateReply);
    let ended = stats.total(|core| core.handled) + lost;
    assert_eq!(sent, ended, "{name}, seed {seed}, away {away}");
    polls
}

/// G3, G4: whichever future is dropped, and whenever.
#[test]
fn g4_a_future_that_is_dropped_leaves_nothing_behind() {
    let outside = [
        "handle.request",
        "handle.request_within",
        "handle.run_on",
        "handle.send_message",
        "handle.start_worker",
        "handle.stop_worker",
    ];
    let own = DROPPED
        .iter()
        .filter(|name| !["request", "request_within", "run_on", "send_message"].contains(*name));
    for name in own.copied().chain(outside) {
        for (seed, away) in [(1, false), (2, true), (3, true)] {
            let polls = drop_at_every_poll(name, seed, away);
            assert!(polls > 0, "{name} is done without having been polled");
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The name behind `before` in a line, up to what cannot be part of one.
fn name_behind<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// A future that is new in the interface has to be added to a list above.
#[test]
fn every_public_future_is_known_here() {
    let mut files = Vec::new();
    sources(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut files,
    );
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let impls = text.lines().filter(|line| line.starts_with("impl"));
        found.extend(
            impls
                .filter_map(|line| name_behind(line, " Future for "))
                .map(str::to_owned),
        );
        let calls = text
            .lines()
            .filter_map(|line| name_behind(line, "pub async fn "));
        found.extend(calls.map(str::to_owned));
    }
    let lists = [DROPPED, ENDS_AND_PARTS, OF_SOCKETS, INTERNAL];
    let known: BTreeSet<_> = lists.concat().into_iter().map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:?}, gone: {gone:?}"
    );
}
