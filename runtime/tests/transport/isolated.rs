//! Peers that take nothing of what they asked for, beside others that ask the same worker.

use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{
    Address, Context, Error, Limits, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker, route,
};
use ringpost_router::Message;
use ringpost_router::wire::{Note, VERSION};

use crate::common::{Echoer, SERVER, append, connected, frame, greeting, to};

const STALL: Duration = Duration::from_secs(20);
/// How long the others ask, and how long an answer may take them.
const TIME: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_millis(50);
const OFTEN: Duration = Duration::from_millis(100);

/// Little room, so that it is soon used up.
fn narrow() -> Limits {
    let mut room = Limits::default();
    room.mailbox_credits = 64;
    room.link_credits = 64;
    room
}

/// What a peer does.
#[derive(Clone)]
struct Peer {
    /// What it says first, and then so often.
    first: Vec<u8>,
    asks: Vec<u8>,
    times: usize,
    /// What it says every other second after that.
    then: Vec<u8>,
    reads: bool,
}

impl Peer {
    /// Asks with so many bytes, and reads what comes.
    fn new(first: Vec<u8>, bytes: usize) -> Self {
        let mut text = Vec::new();
        let encoded = "x".repeat(bytes).encode(&mut text);
        encoded.expect("it is text");
        Self {
            first,
            asks: frame(&text),
            times: 600,
            then: Vec::new(),
            reads: true,
        }
    }

    async fn play(self, ctx: Context) -> Result<()> {
        let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
        stream.set_read_timeout(Some(Duration::from_secs(2)));
        stream.set_write_timeout(Some(Duration::from_millis(20)));
        stream.write_all(&self.first).await?;
        let mut piece = vec![0; 1 << 16];
        for _ in 0..self.times {
            // The server does not take all of it, some time.
            if stream.write_all(&self.asks).await.is_err() {
                break;
            }
        }
        loop {
            match self.reads {
                true => {
                    if stream.read(&mut piece).await.is_ok_and(|count| count == 0) {
                        return Ok(());
                    }
                }
                false => ctx.sleep(Duration::from_secs(2)).await,
            }
            if !self.then.is_empty() && stream.write_all(&self.then).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Sends so many numbers back for each message, which are told apart from those before.
struct Streamer {
    each: u64,
    next: u64,
}

impl Worker for Streamer {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let back = msg.return_route();
        for _ in 0..self.each {
            ctx.send_message(back.clone(), self.next).await?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Serves `echoer` and `streamer`.
async fn serve(ctx: Context, limits: TcpLimits, each: u64) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("streamer", Streamer { each, next: 0 })
        .await?;
    let options = TcpListenerOptions::new()
        .expose("echoer")
        .expose("streamer");
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(SERVER, options.limits(limits)).await?;
    Ok(())
}

/// Has such peers ask beside another node, of which each answer comes soon, all the time.
fn beside(peer: &Peer, cores: u16) -> Report<()> {
    let sim = Sim::new(u64::from(cores)).cores(cores).limits(narrow());
    let peer = peer.clone();
    let report = sim
        .beside(async |ctx| {
            let mut limits = TcpLimits::default();
            limits.stall = STALL;
            limits.queued_frames_max = 512;
            serve(ctx, limits, 10_000).await
        })
        .run(async move |ctx: Context| {
            let _tcp = connected(&ctx, SERVER).await?;
            for _ in 0..4 {
                let (peer, own) = (peer.clone(), ctx.detached()?);
                ctx.spawn(async move {
                    let _ = peer.play(own).await;
                });
            }
            for _ in 0..TIME.as_millis() / OFTEN.as_millis() {
                let asked = ctx.request::<String>(to(SERVER, "echoer"), "still".to_owned());
                assert_eq!(asked.within(SOON).await?, "still");
                ctx.sleep(OFTEN).await;
            }
            Ok(())
        });
    if let Err(error) = &report.output {
        panic!("{cores} cores: {error}");
    }
    report
}

fn credits(frames: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let note = Note::Credit { frames }.encode();
    append(Route::new(), Route::new(), &note, &mut bytes);
    bytes
}

#[test]
fn g10_peers_that_give_no_credit_hold_up_nobody() {
    for cores in [1, 2] {
        let mut peer = Peer::new(greeting(8), 10);
        // Far more than it may.
        peer.times = 4000;
        let report = beside(&peer, cores);
        let server = &report.neighbours[0].1;
        let faulted = server.total(|core| core.transport.faulted);
        assert_eq!(faulted, 4, "they are cut off at last");
    }
}

#[test]
fn g10_peers_that_give_a_credit_now_and_then_hold_up_nobody() {
    for cores in [1, 2] {
        let mut peer = Peer::new(greeting(8), 10);
        peer.then = credits(1);
        // No more than is read without a credit.
        peer.times = 400;
        let report = beside(&peer, cores);
        let server = &report.neighbours[0].1;
        let faulted = server.total(|core| core.transport.faulted);
        assert_eq!(faulted, 0, "they go on, however slowly");
    }
}

#[test]
fn g10_peers_that_do_not_read_hold_up_nobody() {
    // One of another make, which has no credits, and one with more credits than it will ever need.
    for first in [vec![VERSION], greeting(1 << 20), greeting(0)] {
        for (cores, bytes) in [(1, 1000), (2, 16_000)] {
            let mut peer = Peer::new(first.clone(), bytes);
            peer.reads = false;
            beside(&peer, cores);
        }
    }
}

#[test]
fn g10_a_worker_that_streams_to_such_a_peer_waits_alone() {
    let mut peer = Peer::new(greeting(8), 10);
    append(route!["streamer"], route!["me"], b"\x02go", &mut peer.first);
    beside(&peer, 1);
}

#[test]
fn g1_what_comes_back_stays_in_order_whatever_passes() {
    for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        let mut limits = TcpLimits::default();
        limits.peer_credits = 4;
        let serve = async |ctx: Context| serve(ctx, TcpLimits::default(), 50).await;
        let sim = Sim::new(seed).cores(cores).limits(narrow()).beside(serve);
        let report = sim.run(async move |ctx: Context| {
            let tcp = connected(&ctx, SERVER).await?;
            tcp.disconnect(Address::new(TCP, SERVER)).await?;
            let options = TcpConnectionOptions::new().limits(limits);
            tcp.connect(SERVER, options).await?;
            let mut own = ctx.detached()?;
            for number in 0..2000u64 {
                // Its messages come one by one, in the midst of what comes back for those before.
                if number % 50 == 0 || number % 50 == 7 && number < 1000 {
                    own.send_message(to(SERVER, "streamer"), "go".to_owned())
                        .await?;
                }
                let come = own.receive::<u64>().await?;
                assert_eq!(*come, number);
                if number % 5 == 0 {
                    ctx.sleep(Duration::from_millis(1)).await;
                }
            }
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// Sends texts as fast as there is room, and takes the answers, which come in order.
async fn flood(ctx: &mut Context, way: Route, count: u32) -> Result<()> {
    let (mut sent, mut come) = (0, 0);
    while come < count {
        let next = |number: u32| ctx.try_send_message(way.clone(), number.to_string());
        while sent < count && next(sent).is_ok() {
            sent += 1;
        }
        while let Ok(answer) = ctx
            .receive_timeout::<String>(Duration::from_millis(1))
            .await
        {
            assert_eq!(*answer, come.to_string());
            come += 1;
        }
    }
    Ok(())
}

/// Floods the node that asks it to, and says when all is answered.
struct Mirror(u32);

impl Worker for Mirror {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let peer = msg.return_route().step().map_err(Error::other)?;
        let way = Route::from(peer).append("echoer");
        flood(&mut ctx.detached()?, way, self.0).await?;
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

#[test]
fn g5_two_nodes_that_flood_each_other_get_all_their_answers() {
    const COUNT: u32 = 5000;
    for (seed, cores) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
        let mut limits = TcpLimits::default();
        limits.peer_credits = 16;
        let of_server = limits.clone();
        let serve = async move |ctx: Context| {
            ctx.start_worker("mirror", Mirror(COUNT)).await?;
            ctx.start_worker("echoer", Echoer).await?;
            let options = TcpListenerOptions::new().expose("mirror").expose("echoer");
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, options.limits(of_server)).await?;
            Ok(())
        };
        let sim = Sim::new(seed).cores(cores).limits(narrow()).beside(serve);
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("echoer", Echoer).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            let options = || TcpConnectionOptions::new().expose("echoer");
            while tcp
                .connect(SERVER, options().limits(limits.clone()))
                .await
                .is_err()
            {
                ctx.sleep(Duration::from_millis(1)).await;
            }
            let mut own = ctx.detached()?;
            let (tell, told) = futures_channel::oneshot::channel();
            ctx.spawn(async move {
                let _ = tell.send(flood(&mut own, to(SERVER, "echoer"), COUNT).await);
            });
            let asked = ctx.request::<String>(to(SERVER, "mirror"), "go".to_owned());
            asked.without_deadline().await?;
            told.await.map_err(Error::other)??;
            let closed = ctx.handle().stats().total(|core| core.transport.closed);
            assert_eq!(closed, 0);
            Ok(())
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let long = Duration::from_secs(20);
        assert!(report.elapsed < long, "{:?}", report.elapsed);
    }
}
