//! One core that accepts connections for all.

use std::io::ErrorKind;
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::sim::Sim;
use ringpost::transport::{Acceptor, TcpLimits};
use ringpost::{
    Context, Error, Node, NodeStats, Result, TcpConnectionOptions, TcpListenerOptions, TcpTransport,
};
use ringpost_router::wire::VERSION;

use crate::common::{Echoer, SERVER, frame};

const CONNECTIONS: usize = 12;

fn options(limits: TcpLimits) -> TcpListenerOptions {
    TcpListenerOptions::new()
        .expose("echoer")
        .limits(limits)
        .acceptor(Acceptor::HandOver)
}

/// Connects and is answered.
async fn talk(ctx: &Context, address: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(ctx, address.parse()?).await?;
    ask(&mut stream).await?;
    Ok(stream)
}

/// Asks, and waits for the answer or the end.
async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&[VERSION]).await?;
    stream.write_all(&frame(b"\x02hi")).await?;
    stream.set_read_timeout(Some(Duration::from_secs(20)));
    let (mut answer, mut piece) = (Vec::new(), [0; 256]);
    while !answer.windows(3).any(|part| part == b"\x02hi") {
        match stream.read(&mut piece).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    Ok(())
}

/// How many connections came to stand on each core.
fn opened(stats: &NodeStats) -> Vec<u64> {
    let cores = stats.cores.iter();
    cores.map(|core| core.transport.opened).collect()
}

#[test]
fn what_one_core_accepts_lands_on_all_in_turn() {
    for seed in 0..10 {
        let server = async |ctx: Context| {
            ctx.start_worker("echoer", Echoer).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, options(TcpLimits::default())).await?;
            Ok(())
        };
        let sim = Sim::new(seed).cores(3).beside(server);
        let report = sim.run(async |ctx: Context| {
            ctx.sleep(Duration::from_millis(10)).await;
            let mut streams = Vec::new();
            for _ in 0..CONNECTIONS {
                streams.push(talk(&ctx, SERVER).await?);
            }
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(opened(&report.neighbours[0].1), [4, 4, 4], "seed {seed}");
    }
}

#[test]
fn what_one_core_accepts_on_real_sockets_lands_on_all_too() {
    let body = async |ctx: Context| {
        ctx.start_worker("echoer", Echoer).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let listener = tcp
            .listen("127.0.0.1:0", options(TcpLimits::default()))
            .await?;
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            streams.push(talk(&ctx, &listener.address()).await?);
        }
        let on_cores = opened(&ctx.handle().stats());
        listener.stop(&ctx).await?;
        // The address is free, and what was accepted stays.
        let again = TcpListener::bind(&ctx, listener.socket_address(), &ListenOptions::default())?;
        drop(again);
        assert_eq!(on_cores, [4, 4, 4]);
        ctx.stop().await
    };
    let node = Node::builder().cores(3).pin(false);
    node.run(body).expect("all are answered");
}

#[test]
fn a_core_takes_no_more_connections_than_are_allowed() {
    let server = async |ctx: Context| {
        ctx.start_worker("echoer", Echoer).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let mut limits = TcpLimits::default();
        limits.connections_max = 2;
        tcp.listen(SERVER, options(limits)).await?;
        Ok(())
    };
    let sim = Sim::new(4).cores(2).beside(server);
    let report = sim.run(async |ctx: Context| {
        ctx.sleep(Duration::from_millis(10)).await;
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(talk(&ctx, SERVER).await?);
        }
        assert!(talk(&ctx, SERVER).await.is_err(), "there are two on each");
        assert!(talk(&ctx, SERVER).await.is_err());
        drop(streams);
        ctx.sleep(Duration::from_millis(10)).await;
        talk(&ctx, SERVER).await?;
        Ok(())
    });
    report.output.expect("there is room again");
    let server = &report.neighbours[0].1;
    assert_eq!(server.total(|core| core.transport.refused), 2);
}

#[test]
fn the_end_of_a_listener_that_hands_over_is_the_end_on_every_core() {
    for seed in 0..10 {
        let report = Sim::new(seed).cores(2).run(async |ctx: Context| {
            ctx.start_worker("echoer", Echoer).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            let listener = tcp.listen(SERVER, options(TcpLimits::default())).await?;
            let kept = talk(&ctx, SERVER).await?;
            // Some are on their way when it ends.
            let mut early = Vec::new();
            for _ in 0..3 {
                early.push(TcpStream::connect(&ctx, SERVER.parse()?).await?);
            }
            listener.stop(&ctx).await?;
            let late = tcp.connect(SERVER, TcpConnectionOptions::new()).await;
            assert!(late.is_err(), "nobody listens");
            for stream in &mut early {
                if let Err(error) = ask(stream).await {
                    assert_ne!(
                        error.kind(),
                        ErrorKind::TimedOut,
                        "it is closed, and does not hang"
                    );
                }
            }
            let shut = kept.shutdown(std::net::Shutdown::Write);
            shut.expect("what was accepted stays");
            tcp.listen(SERVER, options(TcpLimits::default())).await?;
            talk(&ctx, SERVER).await?;
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_connection_that_is_handed_over_and_dropped_is_closed() {
    let report = Sim::new(1).cores(2).run(async |ctx: Context| {
        let at = SERVER.parse()?;
        let mut listener = TcpListener::bind(&ctx, at, &ListenOptions::default())?;
        let mut client = TcpStream::connect(&ctx, at).await?;
        let (accepted, _) = listener.accept_detached().await?;
        let dropping = async move |_: Context| drop(accepted);
        ctx.handle().run_on(1, dropping).await?;
        let mut bytes = [0; 8];
        assert_eq!(client.read(&mut bytes).await?, 0, "it has ended");
        let mut client = TcpStream::connect(&ctx, at).await?;
        let (accepted, _) = listener.accept_detached().await?;
        let attach = async move |there: Context| {
            let mut stream = TcpStream::attach(&there, accepted)?;
            stream.write_all(b"attached").await?;
            Ok::<_, Error>(there.core())
        };
        assert_eq!(ctx.handle().run_on(1, attach).await??, 1);
        client.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"attached");
        Ok(())
    });
    report.output.expect("it is attached");
}
