//! ringpost and Ockam's own node over TCP: each asks workers of the other, by the wire format of both.
//!
//! Both nodes are in this process and talk over sockets of the machine. A test is a main function of the Ockam
//! node, and drives the ringpost node through its handle.

use std::future::Future;
use std::time::Duration;

use ockam_core::{Decodable, Encodable, Encoded, deserialize, route, serialize};
use ockam_node::{Context, MessageSendReceiveOptions, NodeBuilder, workers::Echoer};
use ockam_transport_tcp::{TcpConnectionOptions, TcpListenerOptions, TcpTransport};
use ringpost::{Any, ErrorKind, Node, NodeHandle, Reason, Route, Routed, TCP, Worker};
use serde::{Deserialize, Serialize};

/// Sizes of texts: none, a few bytes, more than the lengths of the old format could say, and more than sockets hold.
const SIZES: [usize; 4] = [0, 12, 70_000, 3_000_000];
/// Messages in a row.
const MANY: usize = 2000;
/// Messages that the Ockam node has under way.
const WINDOW: usize = 4;

/// The error of either side.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs a main function of an Ockam node, which is given the handle of a ringpost node.
fn with_both<F, T>(main: F)
where
    F: FnOnce(Context, NodeHandle) -> T,
    T: Future<Output = Result<Context, Failed>> + Send + 'static,
{
    let node = Node::builder().cores(2).start().expect("the node starts");
    let (ctx, mut executor) = NodeBuilder::new().no_logging().build();
    let body = main(ctx, node.handle());
    let outcome = executor.execute(async move {
        let outcome = body.await;
        let stopped = match &outcome {
            Ok(ctx) => ctx.shutdown_node().await,
            // A test that fails ends its process, and so the node.
            Err(error) => panic!("{error}"),
        };
        stopped.map_err(Failed::from)
    });
    outcome
        .expect("Ockam's node ends well")
        .expect("the test passes");
    node.stop().expect("the node stops");
}

/// Replies with what it gets, whatever that is.
struct Mirror;

impl Worker for Mirror {
    type Message = Any;
    type Context = ringpost::Context;

    async fn handle_message(
        &mut self,
        ctx: &mut ringpost::Context,
        msg: Routed<Any>,
    ) -> ringpost::Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// A message with some of everything, as either side declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ringpost::Message)]
struct Reading {
    sensor: String,
    number: u32,
    values: Vec<f64>,
    note: Option<String>,
    is_final: bool,
}

impl ockam_core::Message for Reading {}

impl Encodable for Reading {
    fn encode(self) -> ockam_core::Result<Encoded> {
        serialize(self)
    }
}

impl Decodable for Reading {
    fn decode(bytes: &[u8]) -> ockam_core::Result<Self> {
        deserialize(bytes)
    }
}

fn reading(number: u32) -> Reading {
    Reading {
        sensor: "north".to_owned(),
        number,
        values: vec![1.5, -2.25],
        note: (number % 2 == 1).then(|| "odd".to_owned()),
        is_final: true,
    }
}

/// Adds one to the numbers it gets, as a worker of ringpost.
struct Counts;

impl Worker for Counts {
    type Message = Reading;
    type Context = ringpost::Context;

    async fn handle_message(
        &mut self,
        ctx: &mut ringpost::Context,
        msg: Routed<Reading>,
    ) -> ringpost::Result<()> {
        let number = msg.number + 1;
        ctx.send_message(msg.reply(), reading(number)).await
    }
}

/// The same as a worker of Ockam.
struct OckamCounts;

#[ockam_core::worker]
impl ockam_core::Worker for OckamCounts {
    type Message = Reading;
    type Context = Context;

    async fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: ockam_core::Routed<Reading>,
    ) -> ockam_core::Result<()> {
        let back = msg.return_route().clone();
        let number = msg.into_body()?.number + 1;
        ctx.send(back, reading(number)).await
    }
}

/// Has the Ockam node serve `echoer` and `counts`. Where it listens.
async fn serve_ockam(ctx: &Context) -> Result<String, Failed> {
    let options = TcpListenerOptions::new();
    for name in ["echoer", "counts"] {
        let id = options.spawner_flow_control_id();
        ctx.flow_controls().add_consumer(&name.into(), &id);
    }
    ctx.start_worker("echoer", Echoer)?;
    ctx.start_worker("counts", OckamCounts)?;
    let tcp = TcpTransport::get_or_create(ctx)?;
    let listener = tcp.listen("127.0.0.1:0", options).await?;
    Ok(listener.socket_string())
}

/// Has the ringpost node serve `echoer` and `counts`, keep `secret` to itself, and relay to the given node. Where
/// it listens.
async fn serve_ringpost(handle: &NodeHandle, relay: Option<String>) -> Result<String, Failed> {
    let begin = async move |ctx: ringpost::Context| -> ringpost::Result<String> {
        for name in ["echoer", "secret"] {
            ctx.start_worker(name, Mirror).await?;
        }
        ctx.start_worker("counts", Counts).await?;
        let tcp = ringpost::TcpTransport::create(&ctx).await?;
        let mut options = ringpost::TcpListenerOptions::new()
            .expose("echoer")
            .expose("counts");
        if let Some(peer) = relay {
            options = options.relay_to(peer);
        }
        Ok(tcp.listen("127.0.0.1:0", options).await?.address())
    };
    Ok(handle.run_on(0, begin).await??)
}

/// A way over TCP, as ringpost writes it.
fn over(nodes: &[&str], worker: &str) -> Route {
    let hop = |way: Route, node: &&str| way.append_t(TCP, *node);
    nodes.iter().fold(Route::new(), hop).append(worker)
}

#[test]
fn a_ringpost_node_asks_workers_of_an_ockam_node() {
    with_both(|ctx, handle| async move {
        let peer = serve_ockam(&ctx).await?;
        let asks = async move |mut ctx: ringpost::Context| -> ringpost::Result<()> {
            let _tcp = ringpost::TcpTransport::create(&ctx).await?;
            for size in SIZES {
                let text = "x".repeat(size);
                let reply: String = ctx.request(over(&[&peer], "echoer"), text.clone()).await?;
                assert!(reply == text, "{size} bytes");
            }
            let reply: Reading = ctx.request(over(&[&peer], "counts"), reading(7)).await?;
            assert_eq!(reply, reading(8));
            for number in 0..MANY {
                ctx.send_message(over(&[&peer], "echoer"), number.to_string())
                    .await?;
            }
            for number in 0..MANY {
                let reply = ctx.receive::<String>().await?;
                assert_eq!(*reply, number.to_string());
            }
            let opened = ctx.handle().stats().total(|core| core.transport.opened);
            assert_eq!(opened, 1, "all messages share a connection");
            Ok(())
        };
        handle.run_on(1, asks).await??;
        Ok(ctx)
    });
}

#[test]
fn an_ockam_node_asks_workers_of_a_ringpost_node() {
    with_both(|mut ctx, handle| async move {
        let peer = serve_ringpost(&handle, None).await?;
        let tcp = TcpTransport::get_or_create(&ctx)?;
        let connection = tcp.connect(peer, TcpConnectionOptions::new()).await?;
        let to = connection.sender_address().clone();
        for size in SIZES {
            let text = "x".repeat(size);
            let way = route![to.clone(), "echoer"];
            let reply: String = ctx.send_and_receive(way, text.clone()).await?;
            assert!(reply == text, "{size} bytes");
        }
        let way = route![to.clone(), "counts"];
        let reply: Reading = ctx.send_and_receive(way, reading(7)).await?;
        assert_eq!(reply, reading(8));
        // What comes from a connection reaches nobody there but whom this is said of, or a request's own context.
        ctx.flow_controls()
            .add_consumer(ctx.primary_address(), connection.flow_control_id());
        // Ockam's mailboxes hold 8; who sends more than it receives stands still.
        for round in 0..MANY / WINDOW {
            let numbers = round * WINDOW..(round + 1) * WINDOW;
            for number in numbers.clone() {
                let way = route![to.clone(), "echoer"];
                ctx.send(way, number.to_string()).await?;
            }
            for number in numbers {
                let reply = ctx.receive::<String>().await?.into_body()?;
                assert_eq!(reply, number.to_string());
            }
        }
        Ok(ctx)
    });
}

#[test]
fn an_ockam_node_reaches_what_is_exposed_and_nothing_else() {
    with_both(|ctx, handle| async move {
        let peer = serve_ringpost(&handle, None).await?;
        let tcp = TcpTransport::get_or_create(&ctx)?;
        let connection = tcp.connect(peer, TcpConnectionOptions::new()).await?;
        let to = connection.sender_address().clone();
        for name in ["secret", "nobody"] {
            let options = MessageSendReceiveOptions::new().with_timeout(Duration::from_millis(300));
            let way = route![to.clone(), name];
            let asked = ctx
                .send_and_receive_extended::<String, String>(way, "hi".to_owned(), options)
                .await;
            assert!(asked.is_err(), "{name} is not exposed");
        }
        assert_eq!(handle.stats().undelivered(Reason::Refused), 2);
        let reply: String = ctx
            .send_and_receive(route![to, "echoer"], "still".to_owned())
            .await?;
        assert_eq!(reply, "still");
        Ok(ctx)
    });
}

#[test]
fn both_reach_the_other_through_a_node_between_them() {
    with_both(|ctx, handle| async move {
        let far = serve_ockam(&ctx).await?;
        let middle = serve_ringpost(&handle, Some(far.clone())).await?;
        let first = Node::builder().cores(1).start()?;
        let (by_way, there) = (middle.clone(), far.clone());
        let asks = async move |ctx: ringpost::Context| -> ringpost::Result<()> {
            let _tcp = ringpost::TcpTransport::create(&ctx).await?;
            let way = over(&[&by_way, &there], "echoer");
            let reply: String = ctx.request(way, "far".to_owned()).await?;
            assert_eq!(reply, "far");
            Ok(())
        };
        first.handle().run_on(0, asks).await??;
        // From Ockam's node to itself, by way of the other.
        let tcp = TcpTransport::get_or_create(&ctx)?;
        let connection = tcp.connect(middle, TcpConnectionOptions::new()).await?;
        let hop = ockam_core::Address::new_with_string(ockam_transport_tcp::TCP, &far);
        let way = route![connection.sender_address().clone(), hop, "echoer"];
        let reply: String = ctx
            .send_and_receive(way, "there and back".to_owned())
            .await?;
        assert_eq!(reply, "there and back");
        first.handle().stop().await?;
        Ok(ctx)
    });
}

#[test]
fn requests_of_a_ringpost_node_end_when_the_ockam_node_does() {
    with_both(|ctx, handle| async move {
        let peer = serve_ockam(&ctx).await?;
        let asks = async move |ctx: ringpost::Context| -> ringpost::Result<()> {
            let tcp = ringpost::TcpTransport::create(&ctx).await?;
            tcp.connect(&peer, ringpost::TcpConnectionOptions::new())
                .await?;
            // Ockam's node drops what is for nobody, and says nothing.
            let asked = ctx.request::<String>(over(&[&peer], "nobody"), "?".to_owned());
            let error = asked.without_deadline().await.expect_err("nobody answers");
            let is_over = matches!(error.kind(), ErrorKind::Disconnected { .. });
            assert!(is_over, "{error}");
            Ok(())
        };
        let asking = handle.run_on(0, asks);
        let ending = async {
            ctx.sleep(Duration::from_millis(100)).await;
            ctx.shutdown_node().await
        };
        let (asked, ended) = futures::join!(asking, ending);
        asked??;
        ended?;
        Ok(ctx)
    });
}
