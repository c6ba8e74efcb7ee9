//! Memory that is refused where a peer decides how much is wanted: a connection waits for it, and loses nothing; one that
//! gets none for long ends with that reason, and costs only itself.

use std::time::Duration;

use ringpost::sim::{Fault, Faults, Report, Sim};
use ringpost::transport::TcpLimits;
use std::io;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::{
    BufMut, Context, Error, ErrorKind, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, UDP, UdpListenerOptions, UdpTransport, Worker,
};

use crate::datagrams::Sink;
use crate::{Echo, lost};

const SERVER: &str = "10.0.0.1:4000";
/// Longer than any of the scenarios.
const NEVER: Duration = Duration::from_secs(100_000);
/// Payloads that are copied out of what was read, ones that keep it, and ones that take several reads.
const LENGTHS: [usize; 7] = [10, 10, 300, 5_000, 40_000, 70_000, 300_000];

/// Answers, as often as there is no memory for the routes of the answer.
struct Patient;

impl Worker for Patient {
    type Message = Vec<u8>;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Vec<u8>>) -> Result<()> {
        let back = msg.reply();
        send(ctx, back, msg.take()).await
    }
}

async fn send(ctx: &Context, route: Route, mut message: Vec<u8>) -> Result<()> {
    loop {
        let error = match ctx.send_message(route.clone(), message).await {
            Err(error) if matches!(error.kind(), ErrorKind::NoMemory { .. }) => error,
            sent => return sent,
        };
        message = error.into_message()?;
        ctx.sleep(Duration::from_millis(1)).await;
    }
}

/// Asks, as often as there is no memory for the routes of the question.
async fn ask(ctx: &Context, mut question: Vec<u8>) -> Result<Vec<u8>> {
    loop {
        let error = match ctx.request(to_echo(), question).await {
            Err(error) if matches!(error.kind(), ErrorKind::NoMemory { .. }) => error,
            answer => return answer,
        };
        question = error.into_message()?;
        ctx.sleep(Duration::from_millis(1)).await;
    }
}

async fn serve(ctx: Context) -> Result<()> {
    ctx.start_worker("echo", Patient).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echo");
    tcp.listen(SERVER, options).await.map(|_| ())
}

fn to_echo() -> Route {
    Route::new().append_t(TCP, SERVER).append("echo")
}

/// A run in which so many questions for memory are refused, for so long.
fn refusing(
    seed: u64,
    chance: f64,
    until: Duration,
    serve: impl AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
) -> Sim {
    let faults = Faults::none().with(Fault::NoMemory, chance);
    Sim::new(seed)
        .faults(faults.with(Fault::EmptyPools, 1.0))
        .heal_after(until)
        .on_undelivered(|_| {})
        .node("server", 1)
        .main("server", serve)
}

async fn serve_datagrams(ctx: Context) -> Result<()> {
    ctx.start_worker("sink", Sink).await?;
    let udp = UdpTransport::create(&ctx).await?;
    loop {
        let options = UdpListenerOptions::new().expose("sink");
        match udp.listen(SERVER, options).await {
            Err(error) if matches!(error.kind(), ErrorKind::NoMemory { .. }) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// G3, G4: what comes in a datagram for which there is no memory is dropped and counted, and the others are handled.
#[test]
fn g4_a_datagram_without_memory_is_dropped_and_counted() {
    let report = refusing(1, 0.5, NEVER, serve_datagrams).run(async |ctx: Context| {
        UdpTransport::create(&ctx).await?;
        ctx.sleep(Duration::from_millis(1)).await;
        let mut sent = 0;
        while sent < 100 {
            let route = Route::new().append_t(UDP, SERVER).append("sink");
            send(&ctx, route, vec![7u8; 1000]).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            sent = ctx.handle().stats().total(|it| it.transport.frames_written);
        }
        Ok(sent)
    });
    assert_eq!(report.violation, None);
    let sent = *report.output.as_ref().expect("main ends");
    let server = &report.neighbours[0].1;
    let dropped = server.total(|core| core.transport.datagrams_dropped);
    let read = server.total(|core| core.transport.frames_read);
    assert!(dropped > 10 && read > 10, "{dropped} {read}");
    assert_eq!(read + dropped, sent);
    assert_eq!(lost(server, "datagrams"), 0);
}

/// G4: a read that finds no memory says so, and what has come is read later.
#[test]
fn g4_a_read_without_memory_loses_nothing() {
    let report = refusing(1, 0.5, NEVER, read_all).run(async |ctx: Context| {
        ctx.sleep(Duration::from_millis(1)).await;
        let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
        for _ in 0..50 {
            stream.write_all(&[7; 100]).await?;
            ctx.sleep(Duration::from_millis(1)).await;
        }
        stream.write_all(&[8]).await?;
        let mut end = [0; 1];
        stream.read_exact(&mut end).await?;
        Ok(end)
    });
    assert_eq!(report.violation, None);
    assert_eq!(*report.output.as_ref().expect("all is read"), [8]);
    assert!(refused(&report) > 10, "{}", refused(&report));
}

/// Reads to the last byte, and sends that back.
async fn read_all(ctx: Context) -> Result<()> {
    let mut listener = TcpListener::bind(&ctx, SERVER.parse()?, &ListenOptions::default())?;
    let (mut stream, _) = listener.accept().await?;
    let (mut bytes, mut count) = (BufMut::default(), 0);
    while count < 5_001 {
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(Error::other("it ended")),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(last) = bytes.iter().copied().last().filter(|_| count == 5_001) {
            stream.write_all(&[last]).await?;
        }
        bytes.clear();
    }
    Ok(())
}

fn refused<T>(report: &Report<T>) -> u64 {
    let all = report.faults.iter();
    all.filter(|(fault, _)| *fault == Fault::NoMemory)
        .map(|(_, count)| count)
        .sum()
}

/// G3, G4: half of all questions for memory are refused, and each request is answered over the one connection.
#[test]
fn g4_a_connection_waits_for_memory_and_loses_nothing() {
    for seed in 0..10 {
        let report = refusing(seed, 0.5, NEVER, serve).run(async |ctx: Context| {
            TcpTransport::create(&ctx).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            for length in LENGTHS.repeat(3) {
                let question = vec![7u8; length];
                let answer = ask(&ctx, question.clone()).await?;
                assert_eq!(answer, question);
            }
            Ok(())
        });
        assert_eq!(report.violation, None, "{seed}");
        report.output.as_ref().expect("all is answered");
        assert!(refused(&report) > 20, "{seed}: {}", refused(&report));
        for stats in [&report.stats, &report.neighbours[0].1] {
            assert_eq!(lost(stats, "memory"), 0, "{seed}");
            assert!(stats.total(|core| core.memory_refused) > 0, "{seed}");
            assert_eq!(stats.total(|core| core.transport.opened), 1, "{seed}");
            assert_eq!(stats.total(|core| core.transport.faulted), 0, "{seed}");
        }
    }
}

/// G4, G7: no memory is to be had at all. The connection ends with that reason and without a fault of the peer, what needs
/// no memory goes on, and once there is some, the next request is answered.
#[test]
fn g4_a_connection_without_memory_ends_and_says_so() {
    let until = Duration::from_secs(10);
    let report = refusing(1, 1.0, until, serve).run(async move |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        ctx.start_worker("local", Echo).await?;
        ctx.sleep(Duration::from_millis(1)).await;
        let mut limits = TcpLimits::default();
        limits.stall = Duration::from_secs(1);
        let options = TcpConnectionOptions::new().limits(limits);
        tcp.connect(SERVER, options).await?;
        let asked = ask(&ctx, vec![7u8; 10]).await;
        let local: Vec<u8> = ctx.request("local", vec![1u8]).await?;
        assert_eq!(local, [1]);
        ctx.sleep(until).await;
        let later = ask(&ctx, vec![8u8; 10]).await?;
        assert_eq!(later, [8; 10]);
        asked
    });
    assert_eq!(report.violation, None);
    let error = report.output.as_ref().expect_err("nothing can be read");
    let ErrorKind::Disconnected { reason, .. } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(
        reason,
        "there was no memory for what the peer sends for 1s (stall)"
    );
    for stats in [&report.stats, &report.neighbours[0].1] {
        lost(stats, "no memory");
        assert_eq!(stats.total(|core| core.transport.faulted), 0);
    }
}
