//! Connections between nodes, and what is sent over them.

use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, UdpSocket, UnixListener};
use ringpost::sim::{Network, Sim};
use ringpost::{
    Address, Context, ErrorKind, Limits, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, UDP, UDS, UdpConnectionOptions, UdpListenerOptions,
    UdpTransport, UnixConnectionOptions, UnixListenerOptions, UnixTransport, Worker,
};

use crate::{SLOW, Slow, drop_after, drop_at_every_poll};

/// The futures that are dropped here, after every number of polls.
pub(crate) const DROPPED: &[&str] = &[
    "TcpListener::stop",
    "TcpTransport::connect",
    "TcpTransport::create",
    "TcpTransport::disconnect",
    "TcpTransport::listen",
    "UdpListener::stop",
    "UdpTransport::connect",
    "UdpTransport::create",
    "UdpTransport::disconnect",
    "UdpTransport::listen",
    "UnixListener::stop",
    "UnixTransport::connect",
    "UnixTransport::create",
    "UnixTransport::disconnect",
    "UnixTransport::listen",
];

/// Those of messages, which wait for the connection, its credits and its room.
const OVER_A_CONNECTION: &[&str] = &["SendMessage", "Request", "Forward", "NodeHandle::request"];

const SERVER: &str = "10.0.0.1:4000";
const HERE: &str = "10.0.0.2:4000";
const SERVER_PATH: &str = "/run/server";
const HERE_PATH: &str = "/run/here";

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.outside_credits = 4;
    limits
}

fn slow() -> Route {
    Route::new().append_t(TCP, SERVER).append(SLOW)
}

async fn serve(ctx: Context) -> Result<()> {
    ctx.start_worker(SLOW, Slow).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose(SLOW);
    tcp.listen(SERVER, options).await?;
    let unix = UnixTransport::create(&ctx).await?;
    let options = UnixListenerOptions::new().expose(SLOW);
    unix.listen(SERVER_PATH, options).await?;
    let udp = UdpTransport::create(&ctx).await?;
    let options = UdpListenerOptions::new().expose(SLOW);
    udp.listen(SERVER, options).await?;
    Ok(())
}

/// Passes one message on, and drops that after so many polls.
struct Forwarder(usize);

impl Worker for Forwarder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let back = msg.return_route();
        let forward = ctx.relay(msg, slow());
        let done = drop_after(ctx, self.0, forward).await.is_some();
        ctx.send_message(back, done).await
    }
}

/// Sends over the connection until something has to wait.
async fn fill(ctx: &Context) {
    while drop_after(ctx, 1, ctx.send_message(slow(), 0u64))
        .await
        .is_some()
    {}
}

async fn attempt(name: &str, ctx: &mut Context, polls: usize) -> Result<bool> {
    match name.split_once("::") {
        Some((kind, call)) if kind.starts_with("Tcp") => {
            return attempt_tcp(call, ctx, polls).await;
        }
        Some((kind, call)) if kind.starts_with("Udp") => {
            return attempt_udp(call, ctx, polls).await;
        }
        Some((kind, call)) if kind.starts_with("Unix") => {
            return attempt_unix(call, ctx, polls).await;
        }
        _ => {}
    }
    fill(ctx).await;
    let done = match name {
        "SendMessage" => drop_after(ctx, polls, ctx.send_message(slow(), 0u64)).await,
        "Request" => {
            let answer = drop_after(ctx, polls, ctx.request::<u64>(slow(), 3u64)).await;
            answer.map(|answer| answer.map(drop))
        }
        "NodeHandle::request" => {
            let handle = ctx.handle();
            let answer = drop_after(ctx, polls, handle.request::<u64>(slow(), 3u64)).await;
            answer.map(|answer| answer.map(drop))
        }
        "Forward" => {
            ctx.start_worker("forwarder", Forwarder(polls)).await?;
            ctx.send_message("forwarder", 0u64).await?;
            let done = ctx.receive::<bool>().await?.take();
            ctx.stop_worker("forwarder").await?;
            done.then_some(Ok(()))
        }
        other => panic!("nothing is known of {other}"),
    };
    done.transpose().map(|done| done.is_some())
}

/// The calls of one kind of transport, which has two places: where the server listens, and where nobody does.
macro_rules! attempts {
    ($attempt:ident, $transport:ident, $kind:expr, $server:expr, $here:expr, $listening:expr, $connecting:expr) => {
        async fn $attempt(call: &str, ctx: &Context, polls: usize) -> Result<bool> {
            if call == "create" {
                let created = drop_after(ctx, polls, $transport::create(ctx)).await;
                return Ok(created.transpose()?.is_some());
            }
            let transport = $transport::create(ctx).await?;
            let soon = Duration::from_millis(50);
            Ok(match call {
                "listen" => {
                    let listen = transport.listen($here, $listening);
                    let listener = drop_after(ctx, polls, listen).await.transpose()?;
                    match &listener {
                        Some(listener) => listener.stop(ctx).await?,
                        None => ctx.sleep(soon).await,
                    }
                    check_that_nobody_listens(ctx)?;
                    listener.is_some()
                }
                "stop" => {
                    let listener = transport.listen($here, $listening).await?;
                    let stopped = drop_after(ctx, polls, listener.stop(ctx)).await;
                    let done = stopped.transpose()?.is_some();
                    if polls == 0 {
                        listener.stop(ctx).await?;
                    }
                    ctx.sleep(soon).await;
                    check_that_nobody_listens(ctx)?;
                    done
                }
                "connect" => {
                    let connect = transport.connect($server, $connecting);
                    let done = drop_after(ctx, polls, connect).await.transpose()?;
                    if polls > 0 {
                        // It is opened all the same.
                        ctx.sleep(soon).await;
                        transport.disconnect(Address::new($kind, $server)).await?;
                    }
                    done.is_some()
                }
                "disconnect" => {
                    let address = transport.connect($server, $connecting).await?;
                    let slow = ringpost::route![address.clone(), SLOW];
                    ctx.send_message(slow, 0u64).await?;
                    let disconnect = transport.disconnect(address);
                    drop_after(ctx, polls, disconnect)
                        .await
                        .transpose()?
                        .is_some()
                }
                other => panic!("nothing is known of {other}"),
            })
        }
    };
}

attempts!(
    attempt_tcp,
    TcpTransport,
    TCP,
    SERVER,
    HERE,
    TcpListenerOptions::new(),
    TcpConnectionOptions::new()
);
attempts!(
    attempt_udp,
    UdpTransport,
    UDP,
    SERVER,
    HERE,
    UdpListenerOptions::new(),
    UdpConnectionOptions::new()
);
attempts!(
    attempt_unix,
    UnixTransport,
    UDS,
    SERVER_PATH,
    HERE_PATH,
    UnixListenerOptions::new(),
    UnixConnectionOptions::new()
);

fn check_that_nobody_listens(ctx: &Context) -> Result<()> {
    let (alone, address) = (ListenOptions::default(), HERE.parse().expect("an address"));
    drop(TcpListener::bind(ctx, address, &alone)?);
    drop(UnixListener::bind(ctx, HERE_PATH, &alone)?);
    drop(UdpSocket::bind(ctx, address)?);
    Ok(())
}

/// The way is open, for as many as before, and nobody but who was asked answers.
async fn check_that_nothing_is_left(ctx: &mut Context) -> Result<()> {
    ctx.sleep(Duration::from_secs(2)).await;
    let tcp = TcpTransport::create(ctx).await?;
    assert_eq!(ctx.request::<u64>(slow(), 5u64).await?, 5);
    for _ in 0..20 {
        ctx.send_message(slow(), 0u64).await?;
    }
    let server = Address::new(UDP, SERVER);
    for address in [
        Address::new(TCP, SERVER),
        Address::new(UDS, SERVER_PATH),
        server,
    ] {
        match tcp.disconnect(address).await {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound { .. }) => return Err(error),
            _ => {}
        }
    }
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// G3, G4: whichever future is dropped, and whenever.
#[test]
fn g4_a_future_of_a_connection_that_is_dropped_leaves_nothing_behind() {
    let soon = Duration::from_millis(1);
    for name in DROPPED.iter().chain(OVER_A_CONNECTION).copied() {
        for (seed, cores) in [(1, 1), (2, 2), (3, 3)] {
            let sim = Sim::new(seed)
                .cores(cores)
                .limits(limits())
                .network(Network::new().latency(soon, 3 * soon))
                .node("server", 2)
                .main("server", serve);
            let report = sim.run(async move |mut ctx: Context| {
                // The server has begun to listen.
                ctx.sleep(Duration::from_millis(20)).await;
                drop_at_every_poll(async |polls| {
                    check_that_nothing_is_left(&mut ctx).await?;
                    attempt(name, &mut ctx, polls).await
                })
                .await?;
                check_that_nothing_is_left(&mut ctx).await
            });
            let output = report.output;
            output.unwrap_or_else(|error| panic!("{name}, {cores} cores: {error}"));
        }
    }
}
