//! Messages as datagrams: what arrives, what does not, and what strangers can do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringpost::net::UdpSocket;
use ringpost::sim::{Fault, Faults, Sim};
use ringpost::transport::UdpLimits;
use ringpost::{
    Address, Context, ErrorKind, Node, NodeHandle, Result, Route, Routed, UDP,
    UdpConnectionOptions, UdpListenerOptions, UdpTransport, Worker, route,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::{DATAGRAM_HEAD_BYTES, Datagram, Frame, LENGTH_BYTES, Limits};

use crate::common::{self, Echoer, SERVER, append};

fn along(peer: &str, name: &str) -> Route {
    Route::new().append_t(UDP, peer).append(name)
}

async fn serve(ctx: &Context, address: &str, limits: UdpLimits) -> Result<String> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("secret", Echoer).await?;
    let udp = UdpTransport::create(ctx).await?;
    let options = UdpListenerOptions::new().expose("echoer").limits(limits);
    Ok(udp.listen(address, options).await?.address())
}

async fn server(ctx: Context) -> Result<()> {
    serve(&ctx, SERVER, UdpLimits::default()).await?;
    Ok(())
}

async fn asks(ctx: &Context, peer: &str, text: &str) -> Result<()> {
    common::asks(ctx, along(peer, "echoer"), text).await
}

/// What one node asks another, on whatever network.
async fn asks_all(ctx: &Context, peer: &str) -> Result<()> {
    for round in 0..20 {
        asks(ctx, peer, &format!("{round}")).await?;
    }
    let denied = ctx.request::<String>(along(peer, "secret"), "Hello!".to_owned());
    let error = denied.await.expect_err("it is not exposed");
    assert!(matches!(error.kind(), ErrorKind::Refused { .. }), "{error}");
    asks(ctx, peer, &"x".repeat(1_100)).await?;
    let too_long = ctx.request::<String>(along(peer, "echoer"), "x".repeat(1_300));
    let error = too_long.await.expect_err("it is longer than a datagram");
    assert!(matches!(error.kind(), ErrorKind::Codec(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("over its limit of 1213 bytes"), "{text}");
    Ok(())
}

#[test]
fn who_is_asked_by_datagram_answers_and_closed_is_closed() {
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(server);
        let report = sim.run(async |ctx: Context| {
            let udp = UdpTransport::create(&ctx).await?;
            ctx.sleep(Duration::from_millis(10)).await;
            asks_all(&ctx, SERVER).await?;
            udp.disconnect(Address::new(UDP, SERVER)).await?;
            asks_all(&ctx, SERVER).await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn datagrams_of_the_system_carry_messages_too() {
    let body = async |ctx: Context| {
        let address = serve(&ctx, "127.0.0.1:0", UdpLimits::default()).await?;
        let udp = UdpTransport::create(&ctx).await?;
        let named = udp.connect(&address, UdpConnectionOptions::new()).await?;
        assert_eq!(named.as_str(), Some(address.as_str()));
        asks_all(&ctx, &address).await?;
        ctx.stop().await
    };
    let node = Node::builder().cores(2).pin(false);
    node.run(body).expect("they are answered");
}

/// Counts how often each number came.
struct Counting(Arc<Mutex<BTreeMap<u32, u32>>>);

impl Worker for Counting {
    type Message = u32;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u32>) -> Result<()> {
        *self.0.lock().entry(*msg).or_default() += 1;
        Ok(())
    }
}

#[test]
fn g2_a_datagram_that_comes_twice_is_a_message_once() {
    let (mut lost, mut late) = (0, 0);
    for seed in 0..20 {
        let came: Arc<Mutex<BTreeMap<u32, u32>>> = Arc::default();
        let counted = Arc::clone(&came);
        let server = async move |ctx: Context| {
            ctx.start_worker("counting", Counting(counted)).await?;
            let udp = UdpTransport::create(&ctx).await?;
            let options = UdpListenerOptions::new().expose("counting");
            udp.listen(SERVER, options).await?;
            Ok(())
        };
        let faults = Faults::none()
            .with(Fault::DatagramLost, 0.1)
            .with(Fault::DatagramTwice, 0.5)
            .with(Fault::DatagramLate, 0.3);
        let sim = Sim::new(seed).cores(2).faults(faults).beside(server);
        let report = sim.run(async |ctx: Context| {
            UdpTransport::create(&ctx).await?;
            ctx.sleep(Duration::from_millis(10)).await;
            for number in 0..500u32 {
                ctx.send_message(along(SERVER, "counting"), number).await?;
                ctx.sleep(Duration::from_micros(100)).await;
            }
            ctx.sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        report.output.expect("all is sent");
        let came = came.lock();
        let twice: Vec<_> = came.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?}");
        lost += 500 - came.len();
        let server = &report.neighbours[0].1;
        late += server.total(|core| core.transport.datagrams_dropped);
    }
    assert!((200..2000).contains(&lost), "as many as were lost: {lost}");
    assert!(late > 1000, "the others came twice: {late}");
}

fn datagram(number: u64, body: &[u8]) -> Vec<u8> {
    [&Datagram::head(9, number), body].concat()
}

fn body_for(name: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(route![name], route!["me"], payload, &mut bytes);
    bytes.split_off(LENGTH_BYTES)
}

/// Runs a stranger with a plain socket beside a server with these limits.
fn beside<F>(limits: UdpLimits, stranger: F) -> ringpost::NodeStats
where
    F: AsyncFnOnce(&Context, NodeHandle, SocketAddr) -> Result<()> + Send + 'static,
{
    let there: Arc<Mutex<Option<NodeHandle>>> = Arc::default();
    let handle = Arc::clone(&there);
    let server = async move |ctx: Context| {
        *handle.lock() = Some(ctx.handle());
        serve(&ctx, SERVER, limits).await?;
        Ok(())
    };
    let sim = Sim::new(2).cores(2).beside(server);
    let report = sim.run(async move |ctx: Context| {
        UdpTransport::create(&ctx).await?;
        ctx.sleep(Duration::from_millis(10)).await;
        asks(&ctx, SERVER, "before").await?;
        let server = there.lock().clone().expect("it runs");
        stranger(&ctx, server, SERVER.parse()?).await?;
        asks(&ctx, SERVER, "still").await
    });
    report.output.expect("others are answered");
    report.neighbours[0].1.clone()
}

#[test]
fn g10_what_is_no_datagram_of_ours_is_dropped_and_makes_nobody_a_peer() {
    let stats = beside(UdpLimits::default(), async |ctx, server, to| {
        let socket = UdpSocket::bind(ctx, "10.9.9.9:999".parse()?)?;
        let opened = || server.stats().total(|core| core.transport.opened);
        let before = opened();
        let spoiled = [
            b"".to_vec(),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            Datagram::head(1, 1).to_vec(),
            datagram(1, &[0x83]),
            datagram(1, &[0xff; 400]),
            // A sign of life, and a route that is no route.
            datagram(2, &[0x83, 0x80, 0x80, 0x40]),
            datagram(3, &[0x83, 0x98, 65, 0x82, 0]),
            datagram(4, &vec![0x83; 60_000]),
        ];
        for bytes in &spoiled {
            socket.send_to(bytes, to).await?;
        }
        ctx.sleep(Duration::from_millis(10)).await;
        assert_eq!(opened(), before);
        // A peer that is one may send them too, and stays one.
        let whole = datagram(7, &body_for("echoer", b"\x02hi"));
        socket.send_to(&whole, to).await?;
        for bytes in &spoiled {
            socket.send_to(bytes, to).await?;
        }
        socket.send_to(&whole, to).await?;
        let mut reply = vec![0; 2000];
        let (count, from) = socket.recv_from(&mut reply).await?;
        assert_eq!(from, to);
        let body = &reply[DATAGRAM_HEAD_BYTES..count];
        let frame = Frame::decode(body, &Limits::default()).expect("a frame");
        assert_eq!(frame.payload, b"\x02hi");
        assert_eq!(frame.onward, route!["me"]);
        assert_eq!(opened(), before + 1);
        Ok(())
    });
    assert_eq!(stats.total(|core| core.panics), 0);
    let dropped = stats.total(|core| core.transport.datagrams_dropped);
    assert_eq!(
        dropped, 17,
        "each spoiled one twice, and one that came again"
    );
}

#[test]
fn g10_senders_that_are_made_up_take_no_more_than_the_limits() {
    let mut limits = UdpLimits::default();
    limits.peers_max = 8;
    limits.idle = Duration::from_secs(30);
    let stats = beside(limits, async |ctx, server, to| {
        let standing = || {
            let stats = server.stats();
            stats.total(|core| core.transport.opened) - stats.total(|core| core.transport.closed)
        };
        let mut heard = 0;
        for port in 1..=200 {
            let socket = UdpSocket::bind(ctx, SocketAddr::from(([10, 9, 9, 9], port)))?;
            let bytes = datagram(1, &body_for("echoer", b"\x02hi"));
            socket.send_to(&bytes, to).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            heard = standing().max(heard);
        }
        assert_eq!(heard, 8, "of whom one was there before");
        // The one that was there before is heard; others are when those made up are forgotten.
        asks(ctx, SERVER, "meanwhile").await?;
        ctx.sleep(Duration::from_secs(31)).await;
        assert_eq!(standing(), 0);
        Ok(())
    });
    assert!(stats.total(|core| core.transport.datagrams_dropped) >= 190);
}

/// Takes its time.
struct Slow;

impl Worker for Slow {
    type Message = u32;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u32>) -> Result<()> {
        ctx.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

#[test]
fn g4_what_a_slow_worker_has_no_room_for_is_dropped_and_counted() {
    let server = async |ctx: Context| {
        ctx.start_worker("slow", Slow).await?;
        ctx.start_worker("echoer", Echoer).await?;
        let udp = UdpTransport::create(&ctx).await?;
        let options = UdpListenerOptions::new().expose("slow").expose("echoer");
        udp.listen(SERVER, options).await?;
        Ok(())
    };
    let mut room = ringpost::Limits::default();
    room.mailbox_credits = 16;
    let sim = Sim::new(6).limits(room).beside(server);
    let report = sim.run(async |ctx: Context| {
        UdpTransport::create(&ctx).await?;
        ctx.sleep(Duration::from_millis(10)).await;
        for number in 0..1000u32 {
            ctx.send_message(along(SERVER, "slow"), number).await?;
        }
        ctx.sleep(Duration::from_millis(10)).await;
        let asked = ctx.request(along(SERVER, "echoer"), "meanwhile".to_owned());
        let reply: String = asked.within(Duration::from_millis(100)).await?;
        assert_eq!(reply, "meanwhile", "others have room");
        Ok(())
    });
    report.output.expect("nobody waits");
    let server = &report.neighbours[0].1;
    let dropped = server.total(|core| core.transport.datagrams_dropped);
    assert!((600..1000).contains(&dropped), "{dropped}");
}

#[test]
fn the_end_of_a_listener_frees_its_address() {
    let report = Sim::new(8).cores(2).run(async |ctx: Context| {
        let udp = UdpTransport::create(&ctx).await?;
        let options = UdpListenerOptions::new().expose("echoer");
        ctx.start_worker("echoer", Echoer).await?;
        let listener = udp.listen(SERVER, options.clone()).await?;
        let asked = || ctx.request::<String>(along(SERVER, "echoer"), "one".to_owned());
        asked().await?;
        udp.listen(SERVER, options.clone())
            .await
            .expect_err("it is taken");
        listener.stop(&ctx).await?;
        let unheard = asked().within(Duration::from_secs(1)).await;
        let error = unheard.expect_err("nobody listens");
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
        udp.listen(SERVER, options).await?;
        asked().await?;
        Ok(())
    });
    report.output.expect("it is heard again");
}
