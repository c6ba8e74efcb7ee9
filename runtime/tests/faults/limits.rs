//! What is refused when a limit is reached: room, credits, places and blocks, as `Limits`, the limits of connections, pools
//! and the system's descriptors bound them; memory itself is refused in `memory.rs`. Each limit is at its smallest here,
//! alone and with all others; who waits is served, who does not is refused and has the message back, and everything is
//! accounted for.

use std::time::Duration;

use ringpost::sim::{Fault, Faults, Network, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{
    Context, Ended, ErrorKind, Limits, Result, Route, Routed, TCP, TcpListenerOptions,
    TcpTransport, Worker,
};

use crate::{Echo, lost};

const SERVER: &str = "10.0.0.1:4000";
const SENDERS: u64 = 3;
const MESSAGES: u64 = 12;

/// Each limit of a node, and how it is made the smallest that is allowed.
type Smallest<L> = (&'static str, fn(&mut L));

const SMALLEST: &[Smallest<Limits>] = &[
    ("mailbox_credits", |limits| limits.mailbox_credits = 1),
    ("link_credits", |limits| limits.link_credits = 1),
    ("urgent_credits", |limits| limits.urgent_credits = 1),
    ("outside_credits", |limits| limits.outside_credits = 1),
    ("inbox_slots", |limits| limits.inbox_slots = 1),
    ("ring_slots", |limits| limits.ring_slots = 8),
    ("links_max", |limits| limits.links_max = 1),
    ("senders_known", |limits| limits.senders_known = 1),
    ("ring_burst", |limits| limits.ring_burst = 1),
    ("turn_messages", |limits| limits.turn_messages = 1),
    ("worker_burst", |limits| limits.worker_burst = 1),
    ("timers_burst", |limits| limits.timers_burst = 1),
    ("blocking_threads", |limits| limits.blocking_threads = 1),
    ("blocking_queue", |limits| limits.blocking_queue = 1),
    ("passed_on_max", |limits| limits.passed_on_max = 1),
    ("requests_max", |limits| limits.requests_max = 1),
    ("starts_max", |limits| limits.starts_max = 1),
    ("watches_max", |limits| limits.watches_max = 1),
    ("flush_slots", |limits| limits.flush_slots = 1),
];

/// The same of a connection, but for those of time.
const SMALLEST_OF_TCP: &[Smallest<TcpLimits>] = &[
    ("queued_bytes_max", |limits| limits.queued_bytes_max = 1),
    ("queued_frames_max", |limits| limits.queued_frames_max = 1),
    ("peer_credits", |limits| limits.peer_credits = 1),
    ("watches_max", |limits| limits.watches_max = 1),
    ("waiting_frames_max", |limits| limits.waiting_frames_max = 1),
    ("waiting_bytes_max", |limits| limits.waiting_bytes_max = 1),
    ("unhandled_bytes_max", |limits| {
        limits.unhandled_bytes_max = 1
    }),
    ("return_routes_max", |limits| limits.return_routes_max = 4),
    ("return_route_bytes_max", |limits| {
        limits.return_route_bytes_max = 2_000
    }),
    ("heartbeats_max", |limits| limits.heartbeats_max = 1),
    ("connections_max", |limits| limits.connections_max = 1),
];

/// Takes its time.
struct Sink;

impl Worker for Sink {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_micros(100)).await;
        Ok(())
    }
}

/// Asks, as often as it is refused because others of the core do.
async fn ask(ctx: &Context, route: &Route, mut question: Vec<u8>) -> Result<Vec<u8>> {
    loop {
        let error = match ctx.request(route.clone(), question).await {
            Err(error) if matches!(error.kind(), ErrorKind::LimitReached { .. }) => error,
            answer => return answer,
        };
        question = error.into_message()?;
        ctx.sleep(Duration::from_micros(100)).await;
    }
}

/// Hears of the end of nobody, as often as it is refused because others of the core watch.
async fn watch_nobody(ctx: &mut Context) -> Result<()> {
    loop {
        match ctx.watch("nobody").await {
            Err(error) if matches!(error.kind(), ErrorKind::LimitReached { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => return ctx.receive::<Ended>().await.map(drop),
        }
        ctx.sleep(Duration::from_micros(100)).await;
    }
}

/// Sends in every way there is, and waits for room in each.
async fn send_all(ctx: &mut Context) -> Result<()> {
    let far = Route::new().append_t(TCP, SERVER).append("echo");
    for number in 0..MESSAGES {
        for sink in ["sink-0", "sink-1"] {
            ctx.send_message(sink, number).await?;
            ctx.send_urgent(sink, number).await?;
            ctx.handle().send_message(sink, number).await?;
        }
        // What a mailbox, a block and several reads hold.
        for length in [1, 1_000, 5_000] {
            let question = vec![7u8; length];
            for route in [far.clone(), "echo".into()] {
                assert_eq!(ask(ctx, &route, question.clone()).await?, question);
            }
        }
        ctx.sleep(Duration::from_micros(number)).await;
        assert_eq!(ctx.spawn_blocking(move || number).await?, number);
        watch_nobody(ctx).await?;
    }
    Ok(())
}

/// Whoever does not wait is refused at the limit, and has the message back.
fn refuse(ctx: &Context, limits: &Limits) {
    for sink in ["sink-0", "sink-1"] {
        for number in 0.. {
            let Err(error) = ctx.try_send_message(sink, number) else {
                assert!(number < u64::from(limits.mailbox_credits), "no end of room");
                continue;
            };
            assert!(matches!(error.kind(), ErrorKind::Full { .. }), "{error}");
            assert_eq!(error.into_message::<u64>().expect("it comes back"), number);
            break;
        }
    }
}

async fn play(ctx: Context, limits: Limits) -> Result<()> {
    for core in 0..2 {
        ctx.start_worker_on(core, format!("sink-{core}"), Sink)
            .await?;
    }
    ctx.start_worker("echo", Echo).await?;
    TcpTransport::create(&ctx).await?;
    ctx.sleep(Duration::from_millis(50)).await;
    let mut hear = ctx.detached()?;
    for sender in 0..SENDERS {
        let to = hear.address();
        let send = async move |ctx: Context| {
            let mut mine = ctx.detached().expect("a context");
            ctx.spawn(async move {
                let sent = send_all(&mut mine).await.map_err(|error| error.to_string());
                mine.send_message(to, sent).await.expect("somebody waits");
            });
        };
        ctx.handle().run_on(sender as usize % 2, send).await?;
    }
    for _ in 0..SENDERS {
        let sent = hear.receive::<std::result::Result<(), String>>().await?;
        sent.take().map_err(ringpost::Error::other)?;
    }
    refuse(&ctx, &limits);
    ctx.sleep(Duration::from_secs(1)).await;
    ctx.stop().await
}

/// Plays within these limits, and looks at what is left.
fn check(what: &str, limits: Limits, of_tcp: &TcpLimits, faults: Faults) {
    let of_tcp = of_tcp.clone();
    let serve = async move |ctx: Context| {
        ctx.start_worker("echo", Echo).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new()
            .expose("echo")
            .limits(of_tcp.clone());
        tcp.listen(SERVER, options).await?;
        Ok(())
    };
    let sim = Sim::new(3)
        .cores(2)
        .limits(limits)
        .network(Network::new().buffer(2_000))
        .faults(faults)
        .heal_after(Duration::from_secs(3600))
        .on_undelivered(|_| {})
        .node("server", 2)
        .main("server", serve);
    let report = sim.run(async move |ctx: Context| play(ctx, limits).await);
    report
        .output
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let server = &report.neighbours[0].1;
    for (node, stats) in [("main", &report.stats), ("server", server)] {
        let what = format!("{what}, {node}");
        assert_eq!(lost(stats, &what), 0, "{what}");
    }
}

/// The names of the fields of a struct, as it shows itself.
fn fields(shown: &str) -> Vec<String> {
    let (_, fields) = shown.split_once(" { ").expect("a struct");
    let names = fields
        .split(", ")
        .filter_map(|field| field.split_once(": "));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// G3, G4: no limit is so small that something is lost, or nobody served.
#[test]
fn g4_what_a_limit_refuses_is_refused_and_nothing_else() {
    let default = Limits::default();
    let names: Vec<_> = SMALLEST.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(
        fields(&format!("{default:?}")),
        names,
        "each limit has a line"
    );
    let none = Faults::none;
    let mut all = default;
    for (name, make_smallest) in SMALLEST {
        let mut limits = default;
        make_smallest(&mut limits);
        make_smallest(&mut all);
        check(name, limits, &TcpLimits::default(), none());
    }
    check("all of a node", all, &TcpLimits::default(), none());
    let mut all_of_tcp = TcpLimits::default();
    for (name, make_smallest) in SMALLEST_OF_TCP {
        let mut limits = TcpLimits::default();
        make_smallest(&mut limits);
        make_smallest(&mut all_of_tcp);
        check(name, default, &limits, none());
    }
    check("all of a connection", default, &all_of_tcp, none());
    check("all", all, &all_of_tcp, none());
    let no_blocks = none().with(Fault::EmptyPools, 1.0);
    check("pools that keep nothing", all, &all_of_tcp, no_blocks);
}
