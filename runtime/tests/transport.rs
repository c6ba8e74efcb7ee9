//! Messages between nodes, and what hostile peers can do, on the simulation's network.

use std::net::SocketAddr;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{
    Address, Context, Error, ErrorKind, Reason, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker,
};
use ringpost_router::wire::{Frame, Limits};

const SERVER: &str = "10.0.0.1:4000";
const MIDDLE: &str = "10.0.0.2:4000";

struct Echoer;

impl Worker for Echoer {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Serves `echoer`, and has `secret` beside it.
async fn serve(ctx: Context, limits: TcpLimits) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("secret", Echoer).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer").limits(limits);
    tcp.listen(SERVER, options).await?;
    Ok(())
}

async fn server(ctx: Context) -> Result<()> {
    serve(ctx, TcpLimits::default()).await
}

/// The transport, once the peer listens.
async fn connected(ctx: &Context, peer: &str) -> Result<TcpTransport> {
    let tcp = TcpTransport::create(ctx).await?;
    for _ in 0..100 {
        match tcp.connect(peer, TcpConnectionOptions::new()).await {
            Ok(_) => return Ok(tcp),
            Err(_) => ctx.sleep(Duration::from_millis(1)).await,
        }
    }
    Err(Error::other("nobody listens"))
}

fn to(peer: &str, name: &str) -> Route {
    Route::new().append_t(TCP, peer).append(name)
}

fn on_seeds<F>(client: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(server);
        let report = sim.run(client.clone());
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn requests_and_messages_are_answered_from_the_other_node() {
    on_seeds(async |mut ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        for len in [0usize, 5, 3000, 200_000] {
            let text = "x".repeat(len);
            let reply: String = ctx.request(to(SERVER, "echoer"), text.clone()).await?;
            assert!(reply == text, "{len}");
        }
        for number in 0..300 {
            ctx.send_message(to(SERVER, "echoer"), number.to_string())
                .await?;
        }
        for number in 0..300 {
            let reply = ctx.receive::<String>().await?;
            assert_eq!(*reply, number.to_string());
            assert_eq!(reply.reply(), to(SERVER, "echoer"));
        }
        Ok(())
    });
}

#[test]
fn an_address_is_connected_to_when_something_is_sent_there() {
    on_seeds(async |ctx: Context| {
        let _tcp = TcpTransport::create(&ctx).await?;
        for _ in 0..100 {
            let ask = ctx.request::<String>(to(SERVER, "echoer"), "first".to_string());
            match ask.await {
                Ok(reply) => {
                    assert_eq!(reply, "first");
                    return Ok(());
                }
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Disconnected { .. }),
                        "{error}"
                    );
                    ctx.sleep(Duration::from_millis(1)).await;
                }
            }
        }
        Err(Error::other("never connected"))
    });
}

#[test]
fn without_a_transport_a_tcp_address_is_refused() {
    let report = Sim::new(1).run(async |ctx: Context| {
        let sent = ctx
            .send_message(to(SERVER, "echoer"), "x".to_string())
            .await;
        let error = sent.expect_err("there is no transport");
        assert!(matches!(error.kind(), ErrorKind::NoTransport { .. }));
        Ok(())
    });
    report.output.expect("the main function ends well");
}

#[test]
fn g11_a_peer_reaches_what_is_exposed_and_nothing_else() {
    on_seeds(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        let _: String = ctx.request(to(SERVER, "echoer"), "hi".to_string()).await?;
        let ways = [
            to(SERVER, "secret"),
            to(SERVER, "nobody"),
            to(SERVER, "app"),
            to(SERVER, "echoer").append("secret"),
            Route::new()
                .append_t(TCP, SERVER)
                .append_t(TCP, MIDDLE)
                .append("echoer"),
        ];
        for way in ways {
            let asked = ctx.request::<String>(way.clone(), "hi".to_string()).await;
            let error = asked.expect_err("it is not exposed");
            assert!(
                matches!(error.kind(), ErrorKind::Refused { .. }),
                "{way}: {error}"
            );
        }
        assert_eq!(ctx.handle().stats().undelivered(Reason::Refused), 5);
        Ok(())
    });
}

#[test]
fn a_message_to_an_exposed_name_that_nobody_has_is_answered() {
    on_seeds(async |ctx: Context| {
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().expose_prefix("svc-");
        tcp.listen("10.0.0.9:1", options).await?;
        let asked = ctx.request::<String>(to("10.0.0.9:1", "svc-1"), "hi".to_string());
        let error = asked.await.expect_err("nobody is there");
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{error}"
        );
        Ok(())
    });
}

async fn middle(ctx: Context) -> Result<()> {
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(MIDDLE, TcpListenerOptions::new().relay_to(SERVER))
        .await?;
    Ok(())
}

#[test]
fn a_route_may_lead_through_several_nodes_and_back() {
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(server).beside(middle);
        let report = sim.run(async |ctx: Context| {
            let _tcp = connected(&ctx, MIDDLE).await?;
            let _direct = connected(&ctx, SERVER).await?;
            let way = Route::new()
                .append_t(TCP, MIDDLE)
                .append_t(TCP, SERVER)
                .append("echoer");
            let reply: String = ctx.request(way, "far".to_string()).await?;
            assert_eq!(reply, "far");
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// What one peer sends, and how the node takes it: its answer on that connection is read until the end.
fn hostile(bytes: Vec<u8>, limits: TcpLimits) -> Report<Duration> {
    let serve = async move |ctx: Context| serve(ctx, limits).await;
    Sim::new(3)
        .cores(2)
        .beside(serve)
        .run(async move |ctx: Context| {
            let tcp = connected(&ctx, SERVER).await?;
            let address: SocketAddr = SERVER.parse()?;
            let mut stream = TcpStream::connect(&ctx, address).await?;
            let begun = ctx.handle().stats();
            drop(begun);
            let writer = ctx.detached()?;
            // The node may close while this is written.
            let _ = stream.write_all(&bytes).await;
            let mut answer = vec![0; 4096];
            stream.set_read_timeout(Some(Duration::from_secs(3600)));
            while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
            drop((tcp, writer));
            // Others are served as before.
            let reply: String = ctx
                .request(to(SERVER, "echoer"), "still".to_string())
                .await?;
            assert_eq!(reply, "still");
            Ok(Duration::ZERO)
        })
}

#[test]
fn g10_hostile_peers_lose_their_connection_and_nobody_else_does() {
    let limits = TcpLimits::default();
    let whole = |routes: usize| {
        let mut bytes = vec![1];
        let way = (0..routes).fold(Route::new(), |way, _| way.append("echoer"));
        let frame = Frame::new(way, Route::new(), b"x");
        let generous = Limits {
            hops_max: 1000,
            ..Limits::default()
        };
        frame.encode(&generous, &mut bytes).map(|()| bytes)
    };
    assert!(whole(65).is_err(), "the writer has limits too");
    let mut heartbeats = vec![1];
    for _ in 0..2000 {
        heartbeats.extend_from_slice(&[0, 0, 0, 4, 0x83, 0x80, 0x80, 0x40]);
    }
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("another version", vec![9]),
        ("garbage", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("an oversize length", vec![1, 0xff, 0xff, 0xff, 0xff]),
        ("an empty frame", vec![1, 0, 0, 0, 0]),
        ("a deep route", vec![1, 0, 0, 0, 5, 0x83, 0x98, 65, 0x82, 0]),
        ("a flood of heartbeats", heartbeats),
        ("silence", Vec::new()),
        ("half a frame", vec![1, 0, 1, 0, 0, 0x83, 0x81]),
    ];
    for (what, bytes) in cases {
        let report = hostile(bytes, limits.clone());
        report
            .output
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        // Ended by the node's deadlines and not by the reader's patience.
        assert!(
            report.elapsed < Duration::from_secs(60),
            "{what}: {:?}",
            report.elapsed
        );
        assert_eq!(report.stats.total(|core| core.panics), 0, "{what}");
    }
}

#[test]
fn requests_end_when_the_connection_does() {
    let rude = async |ctx: Context| -> Result<()> {
        let address = SERVER.parse()?;
        let options = ringpost::net::ListenOptions::default();
        let mut listener = ringpost::net::TcpListener::bind(&ctx, address, &options)?;
        let (mut stream, _) = listener.accept().await?;
        let mut some = [0; 1];
        stream.read_exact(&mut some).await?;
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    };
    for seed in 0..10 {
        let report = Sim::new(seed).beside(rude).run(async |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            let asked = ctx.request::<String>(to(SERVER, "echoer"), "hi".to_string());
            let error = asked.await.expect_err("the peer hangs up");
            let address = Address::new(TCP, SERVER);
            assert!(
                matches!(error.kind(), ErrorKind::Disconnected { address: at, .. } if *at == address),
                "{error}"
            );
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            report.elapsed < Duration::from_secs(1),
            "{:?}",
            report.elapsed
        );
    }
}
