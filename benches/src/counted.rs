//! Workloads whose cost is counted instead of timed: on a simulated node, which runs on one thread and
//! does the same in every run.

use std::pin::Pin;

use ringpost::sim::Sim;
use ringpost::{Context, Result};

use crate::Measured;
use crate::arena::check;
use crate::workloads;

/// A workload that can be run on a simulated node.
pub type Work = fn(Context, u64) -> Pin<Box<dyn Future<Output = Result<Measured>>>>;

/// What is counted: a name, the numbers of cores it is counted on, and what it does.
const COUNTED: &[(&str, &[u16], Work)] = &[
    ("one-way", &[1, 2], |ctx, n| {
        Box::pin(workloads::counting(ctx, n))
    }),
    ("one-way-by-name", &[1, 2], |ctx, n| {
        Box::pin(workloads::counting_by_name(ctx, n))
    }),
    ("flood", &[1, 2], |ctx, n| {
        Box::pin(workloads::flood(ctx, n))
    }),
    ("round-trip", &[1, 2], |ctx, n| {
        Box::pin(workloads::ping_pong(ctx, n))
    }),
    ("round-trip-by-name", &[1, 2], |ctx, n| {
        Box::pin(workloads::ping_pong_by_name(ctx, n))
    }),
    ("request", &[1, 2], |ctx, n| {
        Box::pin(workloads::requests(ctx, n, 1))
    }),
    ("requests-100", &[1, 2], |ctx, n| {
        Box::pin(workloads::requests(ctx, n, 100))
    }),
    ("requests-1000", &[2], |ctx, n| {
        Box::pin(workloads::requests(ctx, n, 1000))
    }),
    ("thread-ring", &[1], |ctx, n| {
        Box::pin(workloads::thread_ring(ctx, n, 100))
    }),
    ("fan-in", &[1, 2], |ctx, n| {
        Box::pin(workloads::fan_in(ctx, n, 64))
    }),
    ("fan-out", &[1], |ctx, n| {
        Box::pin(workloads::fan_out(ctx, n, 64))
    }),
    ("big", &[1, 2], |ctx, n| {
        Box::pin(workloads::big(ctx, n, 120))
    }),
    ("big-1200", &[2], |ctx, n| {
        Box::pin(workloads::big(ctx, n, 1200))
    }),
    ("moved-24", &[1, 2], |ctx, n| {
        Box::pin(workloads::moved::<3>(ctx, n))
    }),
    ("moved-64", &[1, 2], |ctx, n| {
        Box::pin(workloads::moved::<8>(ctx, n))
    }),
    ("buffer-1024", &[1, 2], |ctx, n| {
        Box::pin(workloads::buffers(ctx, n, 1024))
    }),
    ("plain-data-1024", &[1, 2], |ctx, n| {
        Box::pin(workloads::plain_data(ctx, n, 1024))
    }),
    ("life", &[1, 2], |ctx, n| {
        Box::pin(workloads::start_message_stop(ctx, n))
    }),
    ("fork", &[1], |ctx, n| {
        Box::pin(workloads::fork_join_create(ctx, n))
    }),
    ("routed-echo", &[1], |ctx, n| {
        Box::pin(workloads::routed_echo(ctx, n))
    }),
    ("timer", &[1], |ctx, n| {
        Box::pin(workloads::armed_and_cancelled(ctx, n, 0))
    }),
];

/// The names of all, each with a number of cores.
pub fn all() -> impl Iterator<Item = (&'static str, u16)> {
    COUNTED
        .iter()
        .flat_map(|(name, cores, _)| cores.iter().map(|cores| (*name, *cores)))
}

/// The workload of this name.
#[must_use]
pub fn find(name: &str) -> Option<Work> {
    let known = COUNTED.iter().find(|(known, _, _)| *known == name);
    known.map(|(_, _, work)| *work)
}

/// Runs `visit` on a simulated node, on core 0.
///
/// # Panics
/// If it fails or the node has lost something in its course.
pub fn simulate<T, F>(cores: u16, visit: F) -> T
where
    T: Send + 'static,
    F: AsyncFnOnce(Context) -> Result<T> + Send + 'static,
{
    let run = Sim::new(7)
        .cores(cores)
        .run(async move |ctx: Context| ctx.handle().run_on(0, visit).await?);
    let output = run.output.expect("the workload succeeds");
    check(&run.stats);
    output
}
