//! What connections whose peers send much, or take nothing, hold of memory, held to what their limits say (G10).

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{Context, Result, Route, Routed, TcpListenerOptions, TcpTransport, Worker, route};
use ringpost_router::wire::{Frame, VERSION};

use counting::{begin_count, counted_since};

const SERVER: &str = "10.0.0.1:4000";
const PEERS: u64 = 12;
const PAYLOAD_BYTES: usize = 16 << 10;
/// Messages that each peer tries to send: 24 MiB.
const FLOOD: usize = 1536;

/// Sends everything back, or takes an hour for the first message.
struct Answers(bool);

impl Worker for Answers {
    type Message = Vec<u8>;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Vec<u8>>) -> Result<()> {
        if !self.0 {
            ctx.sleep(Duration::from_secs(3600)).await;
        }
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// A message of the usual length.
fn message(to: &str, back: Route) -> Vec<u8> {
    let mut payload = vec![0x80, 0x80, 0x01];
    payload.resize(3 + PAYLOAD_BYTES, b'x');
    let mut bytes = Vec::new();
    let frame = Frame::new(route![to], back, &payload);
    let encoded = frame.encode(&Default::default(), &mut bytes);
    encoded.expect("it is within the limits");
    bytes
}

/// Limits of which each allows little.
fn tight() -> TcpLimits {
    let mut limits = TcpLimits::default();
    limits.frame.frame_bytes_max = 64 << 10;
    limits.queued_bytes_max = 64 << 10;
    limits.queued_frames_max = 8;
    limits.waiting_bytes_max = 64 << 10;
    limits.unhandled_bytes_max = 64 << 10;
    limits.return_route_bytes_max = 64 << 10;
    limits.peer_credits = 8;
    limits.watches_max = 8;
    limits
}

async fn serve(ctx: Context, limits: TcpLimits) -> Result<()> {
    for peer in 0..PEERS {
        let name = format!("stuck-{peer}");
        ctx.start_worker(name, Answers(false)).await?;
    }
    ctx.start_worker("echoer", Answers(true)).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new()
        .expose_prefix("stuck-")
        .expose("echoer");
    tcp.listen(SERVER, options.limits(limits)).await?;
    Ok(())
}

/// Says this over and over, and reads nothing.
async fn flood(ctx: Context, first: Vec<u8>, then: Vec<u8>) -> Result<()> {
    let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
    stream.set_write_timeout(Some(Duration::from_secs(5)));
    stream.write_all(&[VERSION]).await?;
    stream.write_all(&first).await?;
    for _ in 0..FLOOD {
        // The server takes no more of it.
        if stream.write_all(&then).await.is_err() {
            break;
        }
    }
    ctx.sleep(Duration::from_secs(20)).await;
    Ok(())
}

/// What a peer with this number says first, and then over and over.
type Says = fn(u64) -> (Vec<u8>, Vec<u8>);

/// What so many peers of this kind make a node hold at the most, with the network's own.
fn held(limits: TcpLimits, says: Says) -> u64 {
    let sim = Sim::new(3).drain(Duration::ZERO).on_undelivered(|_| {});
    let report =
        sim.beside(async move |ctx| serve(ctx, limits).await)
            .run(async move |ctx: Context| {
                ctx.sleep(Duration::from_millis(10)).await;
                let before = begin_count();
                for peer in 0..PEERS {
                    let ((first, then), own) = (says(peer), ctx.detached()?);
                    ctx.spawn(async move {
                        let _ = flood(own, first, then).await;
                    });
                }
                ctx.sleep(Duration::from_secs(15)).await;
                Ok(counted_since(before))
            });
    report.output.expect("the node goes on")
}

/// G10: each way to make a connection hold something ends where the limits say; each is tried with limits that allow more of
/// that than of all else.
#[test]
fn g10_connections_together_stay_within_their_budget() {
    let mut unhandled = tight();
    unhandled.unhandled_bytes_max = 4 << 20;
    let mut queued = tight();
    queued.queued_bytes_max = 2 << 20;
    queued.queued_frames_max = 128;
    let mut begun = tight();
    begun.frame.frame_bytes_max = 4 << 20;
    let stuck = |peer| (Vec::new(), message(&format!("stuck-{peer}"), route!["me"]));
    let asked = |_| (Vec::new(), message("echoer", route!["me"]));
    let long = |_| {
        let mut most = (4u32 << 20).to_be_bytes().to_vec();
        most.resize((4 << 20) - 100, 0);
        (most, Vec::new())
    };
    let all: [(_, _, Says); 3] = [
        ("unhandled", unhandled, stuck),
        ("queued", queued, asked),
        ("begun", begun, long),
    ];
    for (what, limits, says) in all {
        let budget = limits.budget(PEERS, PAYLOAD_BYTES as u64);
        let held = held(limits, says);
        assert!(held <= budget.bytes(), "{what}: {held} bytes of\n{budget}");
        // Each has at least a megabyte: the flood has arrived.
        assert!(held >= PEERS << 20, "{what}: {held} bytes of\n{budget}");
    }
}
