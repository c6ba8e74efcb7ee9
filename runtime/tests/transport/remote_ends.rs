//! Watches on workers of other nodes: what is heard when they end while the connection stands (G13).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Network, Report, Sim};
use ringpost::transport::{Backoff, TcpLimits};
use ringpost::{
    Address, Context, EndReason, Ended, Limits, Result, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Watch, Worker,
};
use ringpost_mailbox::sync::Mutex;

use crate::common::{SERVER, connected, to};

/// Ends in several ways, and may say much before.
struct Guest;

impl Worker for Guest {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        match msg.as_str() {
            "stop" => ctx.stop_worker(ctx.address()).await,
            "panic" => panic!("the guest was asked to"),
            many => {
                for number in 0..many.parse::<u32>().expect("a number") {
                    ctx.send_message(msg.reply(), number.to_string()).await?;
                }
                ctx.stop_worker(ctx.address()).await
            }
        }
    }
}

/// Starts guests.
struct Keeper;

impl Worker for Keeper {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.start_worker(msg.as_str(), Guest).await?;
        ctx.send_message(msg.reply(), String::new()).await
    }
}

async fn keep(ctx: Context, limits: TcpLimits) -> Result<()> {
    ctx.start_worker("keeper", Keeper).await?;
    ctx.start_worker("secret", Guest).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("keeper");
    let options = options.expose_prefix("guest").limits(limits);
    tcp.listen(SERVER, options).await?;
    Ok(())
}

async fn start(ctx: &Context, name: &str) -> Result<()> {
    let started: String = ctx.request(to(SERVER, "keeper"), name.to_owned()).await?;
    assert_eq!(started, "");
    Ok(())
}

async fn tell(ctx: &Context, name: &str, what: &str) -> Result<()> {
    ctx.send_message(to(SERVER, name), what.to_owned()).await
}

/// The only news that comes.
async fn news(ctx: &mut Context) -> Result<(Address, EndReason)> {
    let ended = ctx.receive::<Ended>().await?.take();
    let more = ctx.receive_timeout::<Ended>(Duration::from_secs(9)).await;
    assert!(more.is_err(), "after {ended:?}: {more:?}");
    Ok((ended.address, ended.reason))
}

/// Starts a guest and watches it.
async fn watch_a_new(ctx: &Context, name: &str) -> Result<Watch> {
    start(ctx, name).await?;
    ctx.watch(to(SERVER, name)).await
}

/// Watches a guest that is stopped, and is told so.
async fn hears_of_a_stop(ctx: &mut Context, name: &str) -> Result<()> {
    watch_a_new(ctx, name).await?;
    tell(ctx, name, "stop").await?;
    assert_eq!(news(ctx).await?, (name.into(), EndReason::Stopped));
    Ok(())
}

fn done<T>(seed: u64, report: Report<T>) -> T {
    let stats = &report.stats;
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "seed {seed}: sent = handled + undelivered");
    report
        .output
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

/// G13: news come of how a worker of another node has ended, once, and of nobody and of those who are not exposed that
/// there is nobody.
#[test]
fn g13_who_watches_a_worker_of_another_node_hears_how_it_ended() {
    for seed in 0..10 {
        let serve = async |ctx: Context| keep(ctx, TcpLimits::default()).await;
        let sim = Sim::new(seed).cores(2).beside(serve);
        let report = sim.run(async move |mut ctx: Context| {
            let tcp = connected(&ctx, SERVER).await?;
            for name in ["guest-a", "guest-b"] {
                hears_of_a_stop(&mut ctx, name).await?;
                watch_a_new(&ctx, name).await?;
                tell(&ctx, name, "panic").await?;
                let (of, reason) = news(&mut ctx).await?;
                let panicked = matches!(&reason, EndReason::Panicked { message } if !message.contains("asked"));
                assert!(panicked && of == name.into(), "{reason}");
                ctx.watch(to(SERVER, name)).await?;
                assert_eq!(news(&mut ctx).await?, (name.into(), EndReason::NotFound));
            }
            ctx.watch(to(SERVER, "secret")).await?;
            assert_eq!(news(&mut ctx).await?.1, EndReason::NotFound);
            // The connection has nothing more to say, also of who goes on.
            let watch = watch_a_new(&ctx, "guest-a").await?;
            assert!(ctx.unwatch(watch));
            ctx.sleep(Duration::from_millis(seed)).await;
            tell(&ctx, "guest-a", "stop").await?;
            ctx.sleep(Duration::from_millis(50)).await;
            tcp.disconnect(Address::new(TCP, SERVER)).await?;
            let more = ctx.receive_timeout::<Ended>(Duration::from_secs(9)).await;
            assert!(more.is_err(), "{more:?}");
            ctx.stop().await
        });
        done(seed, report);
    }
}

/// Writes down what it gets, slowly; watches whom it is told to.
struct Watcher(Arc<Mutex<Vec<String>>>);

impl Worker for Watcher {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        if msg.starts_with("guest") {
            ctx.watch_as(to(SERVER, &msg), |ended| ended.to_string())
                .await?;
            return tell(ctx, &msg, "60").await;
        }
        self.0.lock().push(msg.take());
        ctx.sleep(Duration::from_micros(50)).await;
        Ok(())
    }
}

/// G13: the news come after all that the worker had sent, also where most of that waits for room.
#[test]
fn g13_news_of_an_end_on_another_node_come_after_the_last_message() {
    for seed in 0..20 {
        let limits = TcpLimits::default();
        let sim = Sim::new(seed).cores(2).limits(tight());
        let sim = sim.beside(async move |ctx: Context| keep(ctx, limits).await);
        let report = sim.run(async move |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for number in 0..3 {
                let log = Arc::default();
                let (watcher, guest) = (format!("watcher-{number}"), format!("guest-{number}"));
                ctx.start_worker(watcher.as_str(), Watcher(Arc::clone(&log)))
                    .await?;
                start(&ctx, &guest).await?;
                ctx.send_message(watcher, guest.clone()).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                let mut expected: Vec<_> = (0..60u32).map(|it| it.to_string()).collect();
                expected.push(format!("0#{guest} has ended: it was stopped"));
                assert_eq!(*log.lock(), expected, "seed {seed}");
            }
            ctx.stop().await
        });
        done(seed, report);
    }
}

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 3;
    limits.link_credits = 3;
    limits
}

/// G13: the end and the loss of the connection at nearly the same time, in both orders: one message comes, and the next
/// connection brings nothing of it.
#[test]
fn g13_the_end_of_a_worker_and_of_its_connection_bring_one_message() {
    let mut heard = [0, 0];
    for seed in 0..60u64 {
        let serve = async |ctx: Context| keep(ctx, TcpLimits::default()).await;
        let (least, most) = (Duration::from_micros(50), Duration::from_micros(150));
        let network = Network::new().latency(least, most);
        let sim = Sim::new(seed).cores(2).network(network).beside(serve);
        let report = sim.run(async move |mut ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            let patient = TcpConnectionOptions::new().reconnect(Backoff::default());
            while tcp.connect(SERVER, patient.clone()).await.is_err() {}
            watch_a_new(&ctx, "guest").await?;
            tell(&ctx, "guest", "stop").await?;
            ctx.sleep(Duration::from_micros(7 * seed)).await;
            tcp.disconnect(Address::new(TCP, SERVER)).await?;
            let (of, first) = news(&mut ctx).await?;
            assert_eq!(of, "guest".into());
            tcp.connect(SERVER, patient).await?;
            for name in ["guest-a", "guest-b"] {
                hears_of_a_stop(&mut ctx, name).await?;
            }
            ctx.stop().await?;
            Ok(first)
        });
        let is_loss = match done(seed, report) {
            EndReason::Stopped => 0,
            EndReason::Disconnected { .. } => 1,
            other => panic!("seed {seed}: {other}"),
        };
        heard[is_loss] += 1;
    }
    assert!(heard.iter().all(|times| *times > 5), "{heard:?}");
}

/// G13: no more than so many watches are at the peer at one time; others wait for those, and all are told.
#[test]
fn g13_more_watches_than_a_peer_takes_wait_for_others() {
    for seed in 0..10 {
        let mut limits = TcpLimits::default();
        limits.watches_max = 2;
        let sim = Sim::new(seed).cores(2);
        let sim = sim.beside(async move |ctx: Context| keep(ctx, limits).await);
        let report = sim.run(async move |mut ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            let names = ["guest-a", "guest-b", "guest-c", "guest-d", "guest-e"];
            let mut watches = Vec::new();
            for name in names {
                watches.push(watch_a_new(&ctx, name).await?);
            }
            // Of those that the peer knows, and of those that wait.
            assert!(ctx.unwatch(watches[1]) && ctx.unwatch(watches[3]));
            ctx.sleep(Duration::from_millis(20)).await;
            for name in ["guest-b", "guest-d", "guest-c", "guest-e", "guest-a"] {
                tell(&ctx, name, "stop").await?;
            }
            let mut told = Vec::new();
            while let Ok(ended) = ctx.receive_timeout::<Ended>(Duration::from_secs(9)).await {
                told.push(ended.to_string());
            }
            told.sort();
            assert_eq!(told.len(), 3, "seed {seed}: {told:?}");
            for (told, name) in told.iter().zip(["guest-a", "guest-c", "guest-e"]) {
                // It may have ended before its watch came to the peer.
                let ends = ["it was stopped", "there was nobody"];
                let is_end = |end: &&str| *told == format!("0#{name} has ended: {end}");
                assert!(ends.iter().any(is_end), "seed {seed}: {told}");
            }
            ctx.stop().await
        });
        done(seed, report);
    }
}

/// Watches whoever writes to it, and keeps what it hears.
struct Host(Arc<Mutex<Vec<String>>>);

impl Worker for Host {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        if msg.as_str() == "hello" {
            let ended = |ended: Ended| ended.reason.to_string();
            ctx.watch_as(msg.reply(), ended).await?;
            return ctx.send_message(msg.reply(), "stop".to_owned()).await;
        }
        self.0.lock().push(msg.take());
        Ok(())
    }
}

/// Writes to the host, and does what that says.
struct Visitor;

impl Worker for Visitor {
    type Message = String;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        tell(ctx, "host", "hello").await
    }

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<String>) -> Result<()> {
        ctx.stop_worker(ctx.address()).await
    }
}

/// G13: a node watches those who write to it by their return routes, whose names it does not know.
#[test]
fn g13_who_answers_a_worker_of_another_node_can_watch_it() {
    for seed in 0..10 {
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&log);
        let serve = async move |ctx: Context| {
            ctx.start_worker("host", Host(log)).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, TcpListenerOptions::new().expose("host"))
                .await?;
            Ok(())
        };
        let sim = Sim::new(seed).cores(2).beside(serve);
        let report = sim.run(async move |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for name in ["visitor-a", "visitor-b"] {
                ctx.start_worker(name, Visitor).await?;
            }
            ctx.sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        done(seed, report);
        assert_eq!(*heard.lock(), ["it was stopped"; 2], "seed {seed}");
    }
}
