//! Who watches a worker hears of its end, once, and why (G13).

use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, EndReason, Ended, Error, Limits, Result, Routed, Worker, local_message};

/// Balanced, and its output.
fn done<T>(report: Report<T>) -> T {
    let stats = &report.stats;
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
    report.output.expect("the main function succeeds")
}

/// Ends in the way it is told to.
struct Fragile;

#[derive(Clone, Copy)]
enum Do {
    Panic,
    StopSelf,
    /// Sends numbers to whoever asks, then panics.
    SendAndPanic,
    /// Fails, and goes on.
    Fail,
}

local_message!(Do);

impl Worker for Fragile {
    type Message = Do;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Do>) -> Result<()> {
        match *msg {
            Do::Panic => panic!("asked to"),
            Do::StopSelf => ctx.stop_worker(ctx.address()).await,
            Do::SendAndPanic => {
                for number in 0..20u64 {
                    ctx.send_message(msg.reply(), number).await?;
                }
                panic!("said all")
            }
            Do::Fail => Err(Error::other("asked to")),
        }
    }
}

/// Fails to start, after a while.
struct Stillborn;

impl Worker for Stillborn {
    type Message = Do;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(5)).await;
        Err(Error::other("no"))
    }
}

fn panicked(message: &str) -> EndReason {
    let message = message.to_owned();
    EndReason::Panicked { message }
}

/// The next end, and no other for a while.
async fn only_end(ctx: &mut Context) -> Result<Ended> {
    let ended = ctx.receive::<Ended>().await?.take();
    let more = ctx.receive_timeout::<Ended>(Duration::from_millis(1)).await;
    assert!(more.is_err(), "an end is told once: {more:?}");
    Ok(ended)
}

/// G13: whatever ends a worker, on whichever core.
#[test]
fn g13_who_watches_a_worker_hears_why_it_ended() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(3);
        done(sim.run(async move |mut ctx: Context| {
            for number in 0..6 {
                let name = format!("fragile-{number}");
                let starts = async |ctx: &Context| -> Result<()> {
                    match number {
                        3 => ctx.start_worker_on(0, name.as_str(), Fragile).await,
                        4 => ctx.start_worker_on(1, name.as_str(), Fragile).await,
                        5 => ctx.start_replicated(name.as_str(), || Fragile).await,
                        _ => ctx.start_worker(name.as_str(), Fragile).await,
                    }
                };
                for (way, reason) in [
                    (Some(Do::Panic), panicked("asked to")),
                    (Some(Do::StopSelf), EndReason::Stopped),
                    (None, EndReason::Stopped),
                ] {
                    // The name may take a moment to be free again at its home.
                    while starts(&ctx).await.is_err() {
                        ctx.sleep(Duration::from_micros(50)).await;
                    }
                    ctx.watch(name.as_str()).await?;
                    match way {
                        // The instances of other cores end without a word.
                        Some(Do::Panic) if number == 5 && ctx.home(name.as_str()) != ctx.core() => {
                            ctx.stop_worker(name.as_str()).await?;
                            assert_eq!(only_end(&mut ctx).await?.reason, EndReason::Stopped);
                            continue;
                        }
                        Some(way) => ctx.send_message(name.as_str(), way).await?,
                        None => ctx.stop_worker_now(name.as_str()).await?,
                    }
                    let ended = only_end(&mut ctx).await?;
                    assert_eq!(ended.reason, reason, "seed {seed}, {name}");
                    assert_eq!(ended.address, name.as_str().into());
                }
            }
            ctx.stop().await
        }));
    }
}

/// G13: an end that has been is told as one, and so is that of a worker that never was.
#[test]
fn g13_who_watches_nobody_hears_that() {
    for seed in 0..10 {
        done(Sim::new(seed).cores(3).run(async move |mut ctx: Context| {
            for number in 0..8 {
                ctx.watch(format!("nobody-{number}")).await?;
                assert_eq!(only_end(&mut ctx).await?.reason, EndReason::NotFound);
            }
            let starting = ctx.handle();
            let core = ctx.core();
            ctx.spawn(async move {
                let start = async |ctx: Context| ctx.start_worker("stillborn", Stillborn).await;
                let _ = starting.run_on(core, start).await;
            });
            ctx.sleep(Duration::from_millis(1)).await;
            ctx.watch("stillborn").await?;
            let reason = only_end(&mut ctx).await?.reason;
            assert!(matches!(reason, EndReason::Failed { .. }), "{reason:?}");
            let side = ctx.new_detached("side").await?;
            ctx.watch("side").await?;
            drop(side);
            assert_eq!(only_end(&mut ctx).await?.reason, EndReason::Stopped);
            ctx.stop().await
        }));
    }
}

/// G13: the news come behind what the worker had sent, on its own core and on others.
#[test]
fn g13_news_of_an_end_come_after_the_last_message() {
    for seed in 0..20 {
        done(Sim::new(seed).cores(3).run(async move |mut ctx: Context| {
            for number in 0..6 {
                let name = format!("fragile-{number}");
                ctx.start_worker(name.as_str(), Fragile).await?;
                ctx.watch(name.as_str()).await?;
                ctx.send_message(name.as_str(), Do::SendAndPanic).await?;
                let ended = ctx.receive::<Ended>().await?;
                assert_eq!(ended.reason, panicked("said all"));
                assert_eq!(ended.sender(), name.as_str().into());
                for expected in 0..20u64 {
                    // What is there already is received without waiting.
                    let next = ctx.receive_timeout::<u64>(Duration::ZERO).await;
                    assert_eq!(*next.expect("it came before"), expected, "seed {seed}");
                }
            }
            ctx.stop().await
        }));
    }
}

/// Watches, and says what it has heard.
#[derive(Default)]
struct Watcher {
    heard: u64,
}

enum Event {
    Watch(String),
    Nothing,
    Ended(Ended),
    Heard,
}

local_message!(Event);

impl Worker for Watcher {
    type Message = Event;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, mut msg: Routed<Event>) -> Result<()> {
        match std::mem::replace(&mut *msg, Event::Nothing) {
            Event::Watch(name) => ctx.watch_as(name, Event::Ended).await.map(drop),
            Event::Ended(ended) => {
                assert_eq!(ended.reason, panicked("asked to"));
                self.heard += 1;
                Ok(())
            }
            Event::Nothing => {
                ctx.sleep(Duration::from_millis(1)).await;
                Ok(())
            }
            Event::Heard => ctx.send_message(msg.reply(), self.heard).await,
        }
    }
}

/// G13: news need no room at the watcher, and become what its handler takes.
#[test]
fn g13_news_of_ends_need_no_room() {
    let mut limits = Limits::default();
    limits.mailbox_credits = 2;
    limits.link_credits = 2;
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(limits);
        done(sim.run(async move |ctx: Context| {
            ctx.start_worker("watcher", Watcher::default()).await?;
            for number in 0..16 {
                let name = format!("fragile-{number}");
                ctx.start_worker(name.as_str(), Fragile).await?;
                ctx.send_message("watcher", Event::Watch(name)).await?;
            }
            let _: u64 = ctx.request("watcher", Event::Heard).await?;
            // One is being handled, and there is room for no more.
            let room =
                || (0..100).take_while(|_| ctx.try_send_message("watcher", Event::Nothing).is_ok());
            assert_eq!(room().count(), 2);
            for number in 0..16 {
                ctx.send_message(format!("fragile-{number}"), Do::Panic)
                    .await?;
            }
            ctx.sleep(Duration::from_millis(20)).await;
            let heard: u64 = ctx.request("watcher", Event::Heard).await?;
            assert_eq!(heard, 16, "seed {seed}");
            assert_eq!(room().count(), 2, "news leave no room behind");
            ctx.stop().await
        }));
    }
}

/// G13: a watch that was given up, or whose watcher has ended, brings nothing; an error is no end.
#[test]
fn g13_a_watch_that_was_given_up_brings_nothing() {
    for seed in 0..20 {
        done(Sim::new(seed).cores(3).run(async move |mut ctx: Context| {
            ctx.start_worker("fragile", Fragile).await?;
            let first = ctx.watch("fragile").await?;
            let second = ctx.watch("fragile").await?;
            let side = ctx.detached()?;
            side.watch("fragile").await?;
            drop(side);
            assert!(ctx.unwatch(first));
            assert!(!ctx.unwatch(first), "it is given up");
            ctx.send_message("fragile", Do::Fail).await?;
            ctx.send_message("fragile", Do::Panic).await?;
            only_end(&mut ctx).await?;
            assert!(!ctx.unwatch(second), "it has been told");
            ctx.stop().await
        }));
    }
}

/// G13: the end of the node is told to nobody, and leaves nothing unaccounted for.
#[test]
fn g13_the_end_of_the_node_is_no_news() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2);
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("watcher", Watcher::default()).await?;
            for number in 0..8 {
                let name = format!("fragile-{number}");
                ctx.start_worker(name.as_str(), Fragile).await?;
                ctx.watch(name.as_str()).await?;
                ctx.send_message("watcher", Event::Watch(name)).await?;
            }
            ctx.stop().await
        });
        assert_eq!(report.stats.undelivered_total(), 0, "seed {seed}");
        done(report);
    }
}
