//! What the suites of messages do alike: where they run, and how a row is measured and named.

mod settings;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use ringpost::{Context, Result};
use ringpost_benches::bounce::CpuPair;
use ringpost_benches::{Arena, Arenas, Machine, Measured};

pub(crate) use settings::criterion;

/// Starts the nodes, and says on what.
#[allow(
    clippy::print_stdout,
    reason = "a figure without its machine is worth nothing"
)]
pub(crate) fn start() -> Arenas {
    let machine = Machine::read();
    let arenas = Arenas::start(&machine);
    println!("machine: {machine}");
    println!("{arenas}");
    println!("a time is that of one operation; elem/s are messages/s\n");
    arenas
}

/// Runs a workload for one row: its time is that of one operation, its throughput that of the
/// `messages` of one operation.
pub(crate) fn row<W>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    arena: &Arena,
    name: &str,
    messages: u64,
    work: W,
) where
    W: AsyncFn(Context, u64) -> Result<Measured> + Clone + Send + 'static,
{
    group.throughput(Throughput::Elements(messages));
    let cpus = (arena.cores() > 1).then(|| CpuPair::of(arena));
    let before = cpus.map(CpuPair::bounce_now);
    let mut is_run = false;
    group.bench_function(name, |bencher| {
        is_run = true;
        bencher.iter_custom(|n| {
            let work = work.clone();
            let measured = arena.run(async move |ctx| work(ctx, n).await);
            measured.scaled_to(n)
        });
    });
    if is_run && let (Some(cpus), Some(before)) = (cpus, before) {
        say_bounce(before, cpus.bounce_now());
    }
}

/// How far apart the first two cores were meanwhile.
#[allow(
    clippy::print_stdout,
    reason = "a figure of two cores is worth little without"
)]
fn say_bounce(before: f64, after: f64) {
    println!("                        bounce: {before:.0} ns before, {after:.0} ns after\n");
}
