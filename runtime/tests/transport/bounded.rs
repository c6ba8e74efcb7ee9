//! What one peer has waiting here is bounded, whatever it sends.

use std::sync::Arc;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Network, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{
    Any, Context, Error, Limits, Result, Route, Routed, TcpListenerOptions, TcpTransport, Worker,
    route,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::VERSION;

use crate::common::{SERVER, append, connected, greeting, until_closed};
use crate::hostile::Ends;

/// Named like the place of a reply.
const LIKE_A_REPLY: &str = "aaaaaaaaaaaaaaaaaaaaaE";

/// Takes so long for each message, and notes what the node had read then that it had not handled.
struct Slow {
    each: Duration,
    noted: Noted,
}

/// How many messages were handled, and the most bytes that were read and not handled before.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<(usize, usize)>>);

/// Bytes of each frame in the tests that look at it.
const FRAME_BYTES: usize = 8200;

impl Worker for Slow {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<Any>) -> Result<()> {
        ctx.sleep(self.each).await;
        let stats = ctx.handle().stats();
        let read = stats.total(|core| core.transport.bytes_read) as usize;
        let mut noted = self.noted.0.lock();
        noted.1 = noted.1.max(read.saturating_sub(noted.0 * FRAME_BYTES));
        noted.0 += 1;
        Ok(())
    }
}

/// Serves a slow worker of a usual name, and one of the name of a reply.
async fn serve(ctx: Context, each: Duration, limits: TcpLimits, noted: Noted) -> Result<()> {
    let mut options = TcpListenerOptions::new().limits(limits);
    for name in ["slow", LIKE_A_REPLY] {
        let noted = noted.clone();
        ctx.start_worker(name, Slow { each, noted }).await?;
        options = options.expose(name);
    }
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(SERVER, options).await?;
    Ok(())
}

/// Credits that a peer gives.
const CREDITS: u32 = 512;

/// Room for four messages at each worker.
fn little_room() -> Limits {
    let mut limits = Limits::default();
    (limits.mailbox_credits, limits.link_credits) = (4, 4);
    limits
}

#[test]
fn what_is_named_like_a_reply_and_is_none_is_bounded_too() {
    for cores in [1, 2] {
        let ends = Ends::default();
        let hour = Duration::from_secs(3600);
        let report = tracing::subscriber::with_default(ends.clone(), || {
            Sim::new(5)
                .cores(cores)
                .limits(little_room())
                .drain(Duration::ZERO)
                .beside(async move |ctx: Context| {
                    serve(ctx, hour, TcpLimits::default(), Noted::default()).await
                })
                .run(async |ctx: Context| {
                    let _tcp = connected(&ctx, SERVER).await?;
                    let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
                    let mut bytes = greeting(CREDITS);
                    for _ in 0..2000 {
                        append(route![LIKE_A_REPLY], Route::new(), b"", &mut bytes);
                    }
                    let _ = stream.write_all(&bytes).await;
                    until_closed(&mut stream).await;
                    Ok(())
                })
        });
        report.output.expect("it is cut off");
        assert!(report.elapsed < hour, "{:?}", report.elapsed);
        let ends = ends.take();
        assert!(
            ends.iter().any(|end| end.contains("(peer_credits)")),
            "{ends:?}"
        );
    }
}

/// A frame of [`FRAME_BYTES`] for the slow worker, nearly all of it payload or return route.
fn long(hops: usize) -> Vec<u8> {
    let back = (0..hops).fold(Route::new(), |back, _| back.append("x".repeat(1000)));
    let frame = |payload: usize| {
        let mut bytes = Vec::new();
        append(route!["slow"], back.clone(), &vec![0; payload], &mut bytes);
        bytes
    };
    let without = frame(300).len() - 300;
    let bytes = frame(FRAME_BYTES - without);
    assert_eq!(bytes.len(), FRAME_BYTES);
    bytes
}

#[test]
fn g10_what_is_not_handled_is_bounded_in_bytes() {
    const FRAMES: usize = 100;
    for (cores, hops, greets) in [(1, 0, false), (2, 0, true), (2, 7, false), (2, 7, true)] {
        let noted = Noted::default();
        let (there, here) = (noted.clone(), noted.clone());
        let mut limits = TcpLimits::default();
        limits.unhandled_bytes_max = 64 * 1024;
        let second = Duration::from_secs(1);
        let report = Sim::new(7)
            .cores(cores)
            .beside(async move |ctx: Context| serve(ctx, second, limits, there).await)
            .run(async move |ctx: Context| {
                let _tcp = connected(&ctx, SERVER).await?;
                let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
                let first = if greets {
                    greeting(CREDITS)
                } else {
                    vec![VERSION]
                };
                stream.write_all(&first).await?;
                for _ in 0..FRAMES {
                    stream.write_all(&long(hops)).await?;
                }
                while here.0.lock().0 < FRAMES {
                    ctx.sleep(second).await;
                }
                Ok(())
            });
        let case = format!("{cores} {hops} {greets}");
        report
            .output
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        let (handled, most) = *noted.0.lock();
        assert_eq!(handled, FRAMES, "{case}");
        // One read beyond it.
        assert!(most < (64 + 64 + 9) * 1024, "{case}: {most}");
    }
}

/// Takes an hour for each message.
struct Stuck;

impl Worker for Stuck {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<String>) -> Result<()> {
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    }
}

/// Sends each message back.
struct Echo;

impl Worker for Echo {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send_message(msg.return_route(), msg.clone()).await
    }
}

/// How many frames are taken, within a second, of a peer that says this first, sends so many messages to a worker and
/// reads nothing.
fn frames_taken(
    sim: Sim,
    first: &[u8],
    (to, count): (&'static str, usize),
    of_tcp: &TcpLimits,
) -> u64 {
    let (taken, of_tcp) = (Arc::new(Mutex::new(0)), of_tcp.clone());
    let seen = Arc::clone(&taken);
    let server = async move |ctx: Context| -> Result<()> {
        ctx.start_worker("stuck", Stuck).await?;
        ctx.start_worker("echo", Echo).await?;
        let options = TcpListenerOptions::new().expose("stuck").expose("echo");
        let tcp = TcpTransport::create(&ctx).await?;
        tcp.listen(SERVER, options.limits(of_tcp.clone())).await?;
        ctx.sleep(Duration::from_secs(1)).await;
        let stats = ctx.handle().stats();
        *seen.lock() = stats.total(|core| core.transport.frames_read);
        Ok(())
    };
    let mut bytes = first.to_vec();
    for _ in 0..count {
        append(route![to], route!["me"], b"\x05hello", &mut bytes);
    }
    let report = sim.beside(server).run(async move |ctx: Context| {
        ctx.sleep(Duration::from_millis(5)).await;
        let server = SERVER.parse().map_err(Error::other)?;
        let stream = TcpStream::connect(&ctx, server).await?;
        ctx.spawn(async move {
            let mut stream = stream;
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        });
        ctx.sleep(Duration::from_secs(2)).await;
        Ok(())
    });
    report.output.unwrap();
    *taken.lock()
}

/// G10: what waits is looked at after each frame that found no room, also in a burst of frames that are alike; and so is
/// what a peer sends that greets as nodes of this make do, and does not keep to its credits.
#[test]
fn g10_a_burst_of_frames_that_are_alike_stops_at_the_limit() {
    const ROOM: u32 = 4;
    const WAITING: u32 = 8;
    let mut limits = Limits::default();
    (limits.mailbox_credits, limits.worker_burst) = (ROOM, 1000);
    let mut of_tcp = TcpLimits::default();
    (of_tcp.waiting_frames_max, of_tcp.peer_credits) = (WAITING as usize, WAITING);
    for seed in 0..10 {
        let taken = |first: &[u8]| {
            let sim = Sim::new(seed).limits(limits);
            frames_taken(sim, first, ("stuck", 300), &of_tcp)
        };
        let read = taken(&[VERSION]);
        // One is in hand, and one is that which found the limit.
        let most = u64::from(ROOM + WAITING + 2);
        assert!(0 < read && read <= most, "{read} frames were taken");
        let read = taken(&greeting(CREDITS));
        // As many again may have been sent before it had heard what it may, and the first is the greeting.
        let most = u64::from(ROOM + 2 * WAITING + 3);
        assert!(0 < read && read <= most, "{read} frames were taken");
    }
}

/// G10: a peer that sends and does not read is not read once half of what may wait for it does; one that greets as nodes of
/// this make do is, up to twice what it may have under way, as it is given no credits for more.
#[test]
fn g10_who_does_not_read_is_not_read_once_half_of_what_may_wait_does() {
    const QUEUED: usize = 2000;
    const BUFFER: usize = 2000;
    const PEER: u32 = 100;
    let mut of_tcp = TcpLimits::default();
    (of_tcp.queued_frames_max, of_tcp.peer_credits) = (QUEUED, PEER);
    for seed in 0..5 {
        let taken = |first: &[u8]| {
            let network = Network::new().buffer(BUFFER);
            let sim = Sim::new(seed).network(network).on_undelivered(|_| {});
            frames_taken(sim, first, ("echo", 10_000), &of_tcp)
        };
        // What is on its way is out of the queue, and a burst comes before it is looked at again.
        let [half, more] = [QUEUED / 2, QUEUED / 2 + 2 * BUFFER / 20 + 2 * 64];
        let read = taken(&[VERSION]) as usize;
        assert!(half < read && read <= more, "{read} frames were taken");
        let read = taken(&greeting(1_000_000)) as usize;
        let more = more + 2 * PEER as usize;
        assert!(half < read && read <= more, "{read} frames were taken");
    }
}
