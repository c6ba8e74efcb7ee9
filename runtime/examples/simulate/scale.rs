//! How the cost of a cluster grows with its nodes, cores and workers.
//!
//! Each node starts its share of the workers, sends each of them a message, and asks workers of two other nodes a
//! few questions over TCP. Time and memory are what the process took for it all, as the system says: the
//! simulator's own included.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Network, Sim};
use ringpost::{
    Context, Error, Limits, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};
use ringpost_mailbox::sync::Mutex;

use crate::ledger::Question;
use crate::workers::Echo;

/// Nodes, cores of each, and workers in all.
const SIZES: [(u16, u16, u64); 8] = [
    (1, 1, 1_000),
    (10, 1, 1_000),
    (100, 1, 1_000),
    (100, 4, 1_000),
    (100, 16, 1_000),
    (100, 16, 100_000),
    (1_000, 16, 100_000),
    (1_000, 16, 1_000_000),
];
const QUESTIONS: u64 = 10;

/// Counts what it is sent.
struct Idle(u64);

impl Worker for Idle {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0 += *msg;
        Ok(())
    }
}

/// Runs each size, and prints what it took. Whether all went well.
pub(crate) fn run() -> bool {
    say!(" nodes  cores  all cores    workers     events  messages  seconds  resident MiB");
    SIZES.iter().all(|size| run_size(*size))
}

fn run_size((nodes, cores, workers): (u16, u16, u64)) -> bool {
    let before = cpu_seconds();
    let mut limits = Limits::default();
    // Most of the memory of an idle core are the places in its inbox.
    limits.inbox_slots = 16;
    let near = Duration::from_micros(50);
    let mut sim = Sim::new(1)
        .limits(limits)
        .network(Network::new().latency(near, near));
    let done = Arc::new(Mutex::new(0));
    for node in 0..nodes {
        let done = Arc::clone(&done);
        let share = workers / u64::from(nodes);
        let main = async move |ctx: Context| {
            play(&ctx, node, nodes, share).await?;
            *done.lock() += 1;
            Ok(())
        };
        let name = format!("node {node}");
        sim = sim.node(&*name, cores).main(&name, main);
    }
    let resident = Arc::new(Mutex::new(0));
    let peak = Arc::clone(&resident);
    let report = sim.run(async move |ctx: Context| {
        for _ in 0..10_000 {
            if *done.lock() == nodes {
                *peak.lock() = resident_mib();
                return Ok(());
            }
            ctx.sleep(Duration::from_millis(10)).await;
        }
        Err(Error::other("some nodes did not come to their end"))
    });
    let failed = report.neighbours.iter().find_map(|(output, _)| {
        let error = output.as_ref()?.as_ref().err()?;
        Some(error.to_string())
    });
    let failed = failed.or(report.output.err().map(|error| error.to_string()));
    let handled = |(_, stats): &(_, ringpost::NodeStats)| stats.total(|core| core.handled);
    let messages: u64 = report.neighbours.iter().map(handled).sum();
    say!(
        "{nodes:>6} {cores:>6} {:>10} {workers:>10} {:>10} {messages:>9} {:>8.2} {:>13}",
        u32::from(nodes) * u32::from(cores),
        report.events,
        cpu_seconds() - before,
        *resident.lock()
    );
    if let Some(failed) = &failed {
        say!("FAILED: {failed}");
    }
    failed.is_none()
}

async fn play(ctx: &Context, node: u16, nodes: u16, workers: u64) -> Result<()> {
    let tcp = TcpTransport::create(ctx).await?;
    ctx.start_worker("echo", Echo).await?;
    tcp.listen(listens_at(node), TcpListenerOptions::new().expose("echo"))
        .await?;
    for number in 0..workers {
        ctx.start_worker(format!("idle-{number}"), Idle(0)).await?;
    }
    for number in 0..workers {
        ctx.send_message(format!("idle-{number}"), 1u64).await?;
    }
    // By then all listen.
    ctx.sleep(Duration::from_secs(1)).await;
    let other = |step: u32| ((u32::from(node) + step) % u32::from(nodes)) as u16;
    for peer in [other(1), other(u32::from(nodes) / 2 + 1)] {
        if peer == node {
            continue;
        }
        let route = Route::new().append_t(TCP, listens_at(peer)).append("echo");
        for number in 0..QUESTIONS {
            let answer: Question = ctx.request(route.clone(), Question(number)).await?;
            if answer != Question(number) {
                return Err(Error::other(format!("{number} was answered by {answer:?}")));
            }
        }
    }
    Ok(())
}

fn listens_at(node: u16) -> String {
    let [high, low] = node.to_be_bytes();
    format!("10.1.{high}.{low}:4000")
}

/// The processor time that this process has taken, where the system says so.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(") ").next().unwrap_or_default();
    let fields = ticks.split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux counts a hundred to the second.
    ticks as f64 / 100.0
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
