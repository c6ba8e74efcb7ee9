//! The same transport over Unix sockets: on the simulation's network, and with files of the system.
#![cfg(unix)]

use std::fs;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringpost::net::UnixStream;
use ringpost::sim::Sim;
use ringpost::transport::{Backoff, TcpLimits};
use ringpost::{
    Address, Context, Error, ErrorKind, Node, Result, Route, TCP, TcpListenerOptions, TcpTransport,
    UDS, UnixConnectionOptions, UnixListenerOptions, UnixTransport,
};
use ringpost_router::wire::VERSION;

use crate::common::{self, Echoer, MIDDLE, frame};
use crate::hostile::Ends;

const PATH: &str = "/run/server.sock";

fn along(path: &str, name: &str) -> Route {
    Route::new().append_t(UDS, path).append(name)
}

/// Serves `echoer` at the path, and has `secret` beside it.
async fn serve(ctx: &Context, path: impl AsRef<Path>, limits: TcpLimits) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("secret", Echoer).await?;
    let options = UnixListenerOptions::new().expose("echoer").limits(limits);
    UnixTransport::create(ctx)
        .await?
        .listen(path, options)
        .await?;
    Ok(())
}

/// Connects once the peer listens.
async fn connected(ctx: &Context) -> Result<UnixTransport> {
    let unix = UnixTransport::create(ctx).await?;
    let options = UnixConnectionOptions::new().reconnect(Backoff::default());
    unix.connect(PATH, options).await?;
    Ok(unix)
}

async fn asks(ctx: &Context, path: &str, text: &str) -> Result<()> {
    common::asks(ctx, along(path, "echoer"), text).await
}

#[test]
fn who_is_asked_over_a_unix_socket_answers_and_closed_is_closed() {
    for seed in 0..10 {
        let server = async |ctx: Context| serve(&ctx, PATH, TcpLimits::default()).await;
        let sim = Sim::new(seed).cores(2).beside(server);
        let report = sim.run(async |ctx: Context| {
            let unix = connected(&ctx).await?;
            for round in 0..20 {
                asks(&ctx, PATH, &format!("{round}")).await?;
            }
            let long = "x".repeat(300_000);
            asks(&ctx, PATH, &long).await?;
            let denied = ctx.request::<String>(along(PATH, "secret"), "Hello!".to_owned());
            let error = denied.await.expect_err("it is not exposed");
            assert!(
                matches!(error.kind(), ErrorKind::Refused { address } if address.as_str() == Some("secret")),
                "{error}"
            );
            unix.disconnect(Address::new(UDS, PATH)).await?;
            // It is connected again by what is sent.
            asks(&ctx, PATH, "again").await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_route_leads_over_tcp_and_on_over_a_unix_socket() {
    let server = async |ctx: Context| serve(&ctx, PATH, TcpLimits::default()).await;
    let middle = async |ctx: Context| {
        UnixTransport::create(&ctx).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().relay_to_address(Address::new(UDS, PATH));
        tcp.listen(MIDDLE, options).await?;
        Ok(())
    };
    let sim = Sim::new(5).cores(2).beside(server).beside(middle);
    let report = sim.run(async |ctx: Context| {
        common::connected(&ctx, MIDDLE).await?;
        ctx.sleep(Duration::from_millis(10)).await;
        let way = Route::new()
            .append_t(TCP, MIDDLE)
            .append_t(UDS, PATH)
            .append("echoer");
        common::asks(&ctx, way, "far").await?;
        let elsewhere = Route::new()
            .append_t(TCP, MIDDLE)
            .append_t(UDS, "/run/other.sock")
            .append("echoer");
        let denied = ctx.request::<String>(elsewhere, "far".to_owned()).await;
        let error = denied.expect_err("no relay leads there");
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }), "{error}");
        Ok(())
    });
    report.output.expect("it is answered");
}

#[test]
fn connections_of_a_unix_socket_come_to_all_cores_in_turn() {
    let server = async |ctx: Context| serve(&ctx, PATH, TcpLimits::default()).await;
    let sim = Sim::new(3).cores(3).beside(server);
    let report = sim.run(async |ctx: Context| {
        ctx.sleep(Duration::from_millis(10)).await;
        let mut streams = Vec::new();
        for _ in 0..6 {
            let mut stream = UnixStream::connect(&ctx, PATH).await?;
            stream.write_all(&[VERSION]).await?;
            streams.push(stream);
        }
        ctx.sleep(Duration::from_millis(10)).await;
        Ok(())
    });
    report.output.expect("all are accepted");
    let cores = report.neighbours[0].1.cores.iter();
    let opened: Vec<u64> = cores.map(|core| core.transport.opened).collect();
    assert_eq!(opened, [2, 2, 2]);
}

/// Has a peer send these bytes, some at a time, beside another that asks and is answered. Returns why connections
/// ended, and what the peer was sent.
fn beside(bytes: Vec<u8>, piece: usize) -> (Vec<String>, Vec<u8>) {
    let ends = Ends::default();
    let server = async |ctx: Context| serve(&ctx, PATH, TcpLimits::default()).await;
    let report = tracing::subscriber::with_default(ends.clone(), || {
        let sim = Sim::new(3).cores(2).beside(server);
        sim.run(async move |ctx: Context| {
            let _unix = connected(&ctx).await?;
            let mut stream = UnixStream::connect(&ctx, PATH).await?;
            for (count, part) in bytes.chunks(piece).enumerate() {
                // The node may close while this is written.
                if stream.write_all(part).await.is_err() {
                    break;
                }
                asks(&ctx, PATH, &format!("beside it {count}")).await?;
            }
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.set_read_timeout(Some(Duration::from_secs(60)));
            let (mut answer, mut part) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut part).await {
                answer.extend_from_slice(&part[..count]);
            }
            asks(&ctx, PATH, "still").await?;
            Ok(answer)
        })
    });
    let answer = report.output.expect("the other is answered all the while");
    let server = &report.neighbours[0].1;
    assert_eq!(server.total(|core| core.panics), 0);
    (ends.take(), answer)
}

#[test]
fn g10_a_hostile_peer_behind_a_unix_socket_loses_its_connection_alone() {
    let whole = [vec![VERSION], frame(b"\x02hi")].concat();
    let cases = [
        (
            "the peer speaks version 71",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        (
            "the frame is over its limit of 16777216 bytes: 4294967295",
            vec![1, 0xff, 0xff, 0xff, 0xff],
        ),
        ("the frame has 0 bytes", vec![1, 0, 0, 0, 0]),
        ("the peer has closed it within a frame", whole[..9].to_vec()),
    ];
    for (reason, bytes) in cases {
        let (ends, _) = beside(bytes, 100);
        let is_named = ends.iter().any(|end| end.starts_with(reason));
        assert!(is_named, "{reason}: {ends:?}");
    }
    let (_, answer) = beside(whole, 1);
    assert!(
        answer.windows(3).any(|part| part == b"\x02hi"),
        "what comes byte by byte is answered all the same: {answer:?}"
    );
}

/// A path that no other test has, and whose file is removed.
struct Spot(PathBuf);

impl Spot {
    fn new(name: &str) -> Self {
        let file = format!("ringpost-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn name(&self) -> String {
        self.0.to_str().expect("it is text").to_owned()
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs on a real node of two cores.
fn on_a_node<F>(main: F)
where
    F: AsyncFnOnce(&Context) -> Result<()> + Send + 'static,
{
    let body = async move |ctx: Context| {
        let outcome = main(&ctx).await;
        ctx.stop().await?;
        outcome
    };
    Node::builder().cores(2).run(body).expect("on a real node");
}

#[test]
fn a_node_serves_at_a_path_and_leaves_nothing_there() {
    let spot = Spot::new("serves");
    let (path, name) = (spot.0.clone(), spot.name());
    on_a_node(async move |ctx: &Context| {
        ctx.start_worker("echoer", Echoer).await?;
        let unix = UnixTransport::create(ctx).await?;
        let options = UnixListenerOptions::new().expose("echoer");
        let listener = unix.listen(&path, options.clone()).await?;
        asks(ctx, &name, "Hello!").await?;
        asks(ctx, &name, &"x".repeat(1_000_000)).await?;
        let taken = unix.listen(&path, options.clone()).await;
        let error = taken.expect_err("somebody answers there");
        assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
        assert!(path.exists(), "it is left alone");
        listener.stop(ctx).await?;
        assert!(!path.exists());
        // The connection that there was stays.
        asks(ctx, &name, "still").await?;
        unix.listen(&path, options).await?;
        Ok(())
    });
    assert!(!spot.0.exists(), "the end of the node removes it too");
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_other_files_are_not() {
    let spot = Spot::new("stale");
    drop(StdListener::bind(&spot.0).expect("a socket"));
    assert!(spot.0.exists(), "the file stays without its socket");
    let (path, name) = (spot.0.clone(), spot.name());
    on_a_node(async move |ctx: &Context| {
        ctx.start_worker("echoer", Echoer).await?;
        let unix = UnixTransport::create(ctx).await?;
        let gone = unix.connect(&path, UnixConnectionOptions::new()).await;
        let error = gone.expect_err("nobody listens");
        assert!(
            matches!(error.kind(), ErrorKind::Disconnected { .. }),
            "{error}"
        );
        let options = UnixListenerOptions::new().expose("echoer");
        let listener = unix.listen(&path, options.clone()).await?;
        asks(ctx, &name, "Hello!").await?;
        listener.stop(ctx).await?;
        fs::write(&path, b"not a socket").expect("it is written");
        let refused = unix.listen(&path, options).await;
        refused.expect_err("a file is in the way");
        assert_eq!(fs::read(&path).expect("it is there"), b"not a socket");
        Ok(())
    });
}

/// Runs on a node and waits for what comes of it.
fn run_at<T: Send + 'static>(
    node: &Node,
    work: impl AsyncFnOnce(Context) -> Result<T> + Send + 'static,
) -> T {
    let done = pollster::block_on(node.handle().run_on(0, work));
    done.and_then(|outcome| outcome).expect("it is done")
}

/// A node that serves at the path.
fn server_at(path: &Path) -> Node {
    let node = Node::builder().cores(1).start().expect("it starts");
    let path = path.to_owned();
    run_at(&node, async move |ctx: Context| {
        serve(&ctx, &path, TcpLimits::default()).await
    });
    node
}

#[test]
fn a_connection_comes_back_when_its_listener_does() {
    let spot = Spot::new("back");
    let first = server_at(&spot.0);
    let client = Node::builder().cores(1).start().expect("it starts");
    let (path, name) = (spot.0.clone(), spot.name());
    run_at(&client, async move |ctx: Context| {
        let unix = UnixTransport::create(&ctx).await?;
        let options = UnixConnectionOptions::new().reconnect(Backoff::default());
        unix.connect(&path, options).await?;
        asks(&ctx, &name, "one").await
    });
    first.stop().expect("it stops");
    let second = server_at(&spot.0);
    let name = spot.name();
    run_at(&client, async move |ctx: Context| {
        // The first may meet the connection as it breaks.
        for _ in 0..200 {
            if asks(&ctx, &name, "two").await.is_ok() {
                return Ok(());
            }
            ctx.sleep(Duration::from_millis(10)).await;
        }
        Err(Error::other("it never came back"))
    });
    client.stop().expect("it stops");
    second.stop().expect("it stops");
}
