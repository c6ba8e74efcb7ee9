//! Many connections with much to say: what is read of them is handled before much more is read, and each has its turn.

use std::sync::Arc;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Network, Report, Sim};
use ringpost::{
    Any, Context, Error, Limits, NodeHandle, Result, Routed, TcpListenerOptions, TcpTransport,
    Worker, route,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::VERSION;

use crate::common::{SERVER, append};

/// What the connections send.
#[derive(Clone, Copy)]
struct Requests {
    payload_bytes: usize,
    /// Requests of a connection that are sent before the first is answered.
    under_way: usize,
}

const LARGE: Requests = Requests {
    payload_bytes: 16 * 1024,
    under_way: 64,
};

const SMALL: Requests = Requests {
    payload_bytes: 50,
    under_way: 1000,
};

/// What the echo worker has seen when it handled a message: its sender, and how many bytes had been read of those that
/// were not handled yet.
type Seen = Arc<Mutex<Vec<(String, u64)>>>;

/// Echoes, and notes what it sees.
struct Watching {
    node: NodeHandle,
    requests: Requests,
    seen: Seen,
}

impl Worker for Watching {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let stats = self.node.stats();
        let read = stats.total(|core| core.transport.bytes_read);
        let sender = msg.return_route().last().map(ToString::to_string);
        {
            let mut seen = self.seen.lock();
            let handled = (seen.len() * self.requests.payload_bytes) as u64;
            seen.push((sender.unwrap_or_default(), read.saturating_sub(handled)));
        }
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

async fn serve(ctx: Context, requests: Requests, seen: Seen) -> Result<()> {
    let node = ctx.handle();
    let watching = Watching {
        node,
        requests,
        seen,
    };
    ctx.start_worker("echoer", watching).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer");
    tcp.listen(SERVER, options).await?;
    Ok(())
}

fn request(from: &str, payload_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let payload = vec![7; payload_bytes];
    append(route!["echoer"], route![from], &payload, &mut bytes);
    bytes
}

/// Sends some requests, with so many of them under way, and reads until all are answered.
async fn ask(mut stream: TcpStream, from: String, count: usize, requests: Requests) -> Result<()> {
    stream.write_all(&[VERSION]).await?;
    let request = request(&from, requests.payload_bytes);
    let mut piece = vec![0; 1 << 16];
    let (mut sent, mut arrived) = (0, 0);
    // The answers are as long; a version and a greeting come before them.
    while arrived < count * request.len() {
        if sent < count && sent < arrived / request.len() + requests.under_way {
            stream.write_all(&request).await?;
            sent += 1;
            continue;
        }
        match stream.read(&mut piece).await? {
            0 => return Err(Error::other("cut off")),
            count => arrived += count,
        }
    }
    Ok(())
}

/// What the worker sees while each of these asks so many times, when the core has slept until all that they send at once
/// had come.
fn seen(seed: u64, requests: Requests, askers: Vec<(String, usize)>) -> Vec<(String, u64)> {
    let seen: Seen = Arc::default();
    let there = Arc::clone(&seen);
    let network = Network::default().buffer(2 * requests.under_way * (requests.payload_bytes + 50));
    let sim = Sim::new(seed).network(network).node("server", 1);
    let sim = sim.main("server", async move |ctx: Context| {
        serve(ctx, requests, Arc::clone(&there)).await
    });
    let cluster = sim.cluster();
    let report: Report<()> = sim.run(async move |ctx: Context| {
        ctx.sleep(Duration::from_millis(1)).await;
        let mut streams = Vec::new();
        for _ in &askers {
            streams.push(TcpStream::connect(&ctx, SERVER.parse()?).await?);
        }
        ctx.sleep(Duration::from_millis(1)).await;
        cluster.pause("server", Duration::from_millis(50));
        let mut asked = Vec::new();
        for (stream, (from, count)) in streams.into_iter().zip(askers) {
            let (tell, told) = futures_channel::oneshot::channel();
            ctx.spawn(async move {
                // Whoever waits for it has ended otherwise.
                let _ = tell.send(ask(stream, from, count, requests).await);
            });
            asked.push(told);
        }
        for told in asked {
            told.await.map_err(Error::other)??;
        }
        Ok(())
    });
    report.output.expect("all are answered");
    std::mem::take(&mut *seen.lock())
}

#[test]
fn what_is_read_is_handled_before_much_more_is_read() {
    for seed in 0..10 {
        let askers = (0..64).map(|number| (format!("a{number}"), 8)).collect();
        let seen = seen(seed, LARGE, askers);
        assert_eq!(seen.len(), 64 * 8);
        let most = seen.iter().map(|(_, in_hand)| *in_hand).max();
        // 512 KiB, what one task reads more, and beginnings of frames; all together sent 8 MiB.
        assert!(most < Some(1 << 20), "seed {seed}: {most:?} bytes");
    }
}

/// How many messages of a connection with many were handled before all of those with one.
fn handled_before(seen: &[(String, u64)], is_greedy: impl Fn(&str) -> bool) -> usize {
    let last = seen.iter().rposition(|(from, _)| !is_greedy(from));
    let seen = &seen[..last.unwrap_or_default()];
    seen.iter().filter(|(from, _)| is_greedy(from)).count()
}

#[test]
fn g7_a_connection_with_always_more_to_read_and_to_write_leaves_the_others_their_turns() {
    const ALL: usize = 200;
    for seed in 0..10 {
        let many = (0..4).map(|number| (format!("many{number}"), ALL));
        let askers = many.chain((0..16).map(|number| (format!("one{number}"), 1)));
        let seen = seen(seed, LARGE, askers.collect());
        assert_eq!(seen.len(), 4 * ALL + 16);
        let before = handled_before(&seen, |from| from.contains("many"));
        assert!(before < ALL, "seed {seed}: {before} of {}", 4 * ALL);
    }
}

/// Whatever has come of a connection, and however much a read brings, others wait for two bursts of it at the most.
#[test]
fn g7_a_connection_with_much_to_say_delays_others_by_two_bursts_at_most() {
    const ALL: usize = 1000;
    let burst = Limits::default().worker_burst as usize;
    for seed in 0..10 {
        let many = (0..4).map(|number| (format!("many{number}"), ALL));
        let askers = many.chain((0..16).map(|number| (format!("one{number}"), 1)));
        let seen = seen(seed, SMALL, askers.collect());
        assert_eq!(seen.len(), 4 * ALL + 16);
        let before = handled_before(&seen, |from| from.contains("many"));
        assert!(
            before <= 4 * 2 * burst,
            "seed {seed}: {before} of {}",
            4 * ALL
        );
    }
}
