//! Order and once-only delivery over connections (G1, G2): of workers of all cores and of threads outside, through waits
//! for room and credits, and over connections that are lost and opened again.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::transport::{Backoff, TcpLimits};
use ringpost::{
    Address, Context, Error, Limits, Result, Routed, TCP, TcpConnectionOptions, TcpListenerOptions,
    TcpTransport, Worker,
};
use ringpost_mailbox::sync::Mutex;

use crate::common::{SERVER, connected, to};

/// Who has sent it, and the number that it is of that sender's.
type Log = Arc<Mutex<Vec<(u64, u64)>>>;

/// Writes down what it gets, taking its time now and then.
struct Recorder(Log);

impl Worker for Recorder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        if msg.1.is_multiple_of(9) {
            ctx.sleep(Duration::from_micros(70)).await;
        }
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// Ends the connection that its messages come from, as if the process were killed.
struct Killer;

impl Worker for Killer {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let way = msg.return_route();
        ctx.stop_worker_now(way.next().map_err(Error::other)?).await
    }
}

/// Little room, so that messages wait in each place where they can.
fn narrow() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 5;
    limits.link_credits = 5;
    limits.urgent_credits = 3;
    limits.outside_credits = 4;
    limits.ring_slots = 16;
    limits
}

async fn serve(ctx: Context, log: Log, peer_credits: u32) -> Result<()> {
    ctx.start_worker("recorder", Recorder(log)).await?;
    ctx.start_worker("killer", Killer).await?;
    let mut limits = TcpLimits::default();
    limits.peer_credits = peer_credits;
    let options = TcpListenerOptions::new()
        .expose("recorder")
        .expose("killer");
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(SERVER, options.limits(limits)).await?;
    Ok(())
}

/// Sends so many numbers, and says when it has.
struct Sender {
    number: u64,
    count: u64,
}

/// Those that are sent urgently are another sender's.
const URGENT: u64 = 100;

impl Worker for Sender {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let way = to(SERVER, "recorder");
        for count in 0..self.count {
            ctx.send_message(&way, (self.number, count)).await?;
            if count.is_multiple_of(4) {
                let urgent = (URGENT + self.number, count);
                ctx.send_urgent(&way, urgent).await?;
            }
            if count.is_multiple_of(32) {
                ctx.sleep(Duration::from_micros(100 * self.number)).await;
            }
        }
        ctx.send_message(msg.reply(), true).await
    }
}

/// As a thread outside would.
async fn send_from_outside(ctx: &Context, number: u64, count: u64) -> Result<()> {
    let (handle, way) = (ctx.handle(), to(SERVER, "recorder"));
    for count in 0..count {
        handle.send_message(&way, (number, count)).await?;
        if count.is_multiple_of(4) {
            handle.send_urgent(&way, (URGENT + number, count)).await?;
        }
        if count.is_multiple_of(32) {
            ctx.sleep(Duration::from_micros(50)).await;
        }
    }
    Ok(())
}

const SENDERS: u64 = 5;

/// Everybody sends, and has sent when this is done. Meanwhile the connection is lost so many times.
async fn send_all(ctx: &mut Context, count: u64, losses: u64) -> Result<()> {
    for number in 1..SENDERS {
        let name = format!("sender-{number}");
        let core = number as usize % ctx.cores();
        ctx.start_worker_on(core, &*name, Sender { number, count })
            .await?;
        ctx.send_message(name, ()).await?;
    }
    let killer = ctx.detached()?;
    ctx.spawn(async move {
        for _ in 0..losses {
            killer.sleep(Duration::from_millis(1)).await;
            // It may be what is lost.
            let _ = killer.send_message(to(SERVER, "killer"), ()).await;
        }
    });
    send_from_outside(ctx, 0, count).await?;
    for _ in 1..SENDERS {
        ctx.receive::<bool>().await?;
    }
    ctx.sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Runs everybody's sends; what was recorded.
fn recorded(seed: u64, count: u64, losses: u64) -> (Vec<(u64, u64)>, Report<()>) {
    let log = Log::default();
    let notes = Arc::clone(&log);
    let peer_credits = [0, 3, 64][seed as usize % 3];
    let sim = Sim::new(seed).cores(2).limits(narrow());
    let report = sim
        .beside(async move |ctx: Context| serve(ctx, notes, peer_credits).await)
        .run(async move |mut ctx: Context| {
            let tcp = connected(&ctx, SERVER).await?;
            if losses > 0 {
                tcp.disconnect(Address::new(TCP, SERVER)).await?;
                let backoff = Backoff {
                    first: Duration::from_micros(500),
                    ..Backoff::default()
                };
                let options = TcpConnectionOptions::new().reconnect(backoff);
                tcp.connect(SERVER, options).await?;
            }
            send_all(&mut ctx, count, losses).await
        });
    let seen = log.lock().clone();
    (seen, report)
}

/// The numbers of each sender, which are in order, none twice.
fn lanes(seed: u64, seen: &[(u64, u64)]) -> Vec<Vec<u64>> {
    let senders = (0..SENDERS).chain(URGENT..URGENT + SENDERS);
    let lane = |sender| {
        let of_one = seen.iter().filter(|(from, _)| *from == sender);
        let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
        let wrong = of_one.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(wrong, None, "seed {seed}, sender {sender}");
        of_one
    };
    senders.map(lane).collect()
}

/// G1: over a connection, from each core and from outside, urgent and not, wherever they wait.
#[test]
fn g1_messages_of_one_sender_to_another_node_stay_in_order() {
    let count = 300;
    for seed in 0..9 {
        let (seen, report) = recorded(seed, count, 0);
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for (at, lane) in lanes(seed, &seen).iter().enumerate() {
            let all = if at < SENDERS as usize {
                count
            } else {
                count / 4
            };
            assert_eq!(lane.len() as u64, all, "seed {seed}: {at}");
        }
    }
}

/// G1, G2: what is lost with a connection is lost; what comes over the next one is neither early nor there already.
#[test]
fn g1_and_g2_hold_over_connections_that_are_opened_again() {
    let count = 600;
    let (mut came, mut opened) = (0, 0);
    for seed in 0..6 {
        let (seen, report) = recorded(seed, count, 8);
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        came += lanes(seed, &seen).iter().map(Vec::len).sum::<usize>();
        opened += report.stats.total(|core| core.transport.opened) - 2;
    }
    assert!(opened > 15, "it was opened again {opened} times");
    let all = 6 * SENDERS as usize * (count + count / 4) as usize;
    assert!(came > all / 2, "{came} of {all}");
}
