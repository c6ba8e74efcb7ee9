//! What hostile peers can do.

use std::net::SocketAddr;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{Context, Route};
use ringpost_router::wire::{Frame, Limits};

use crate::common::{SERVER, connected, serve, to};

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
