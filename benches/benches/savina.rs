//! The Savina suite: its micro benchmarks, and the concurrent ones that are about messages.
//!
//! The numbers of workers are Savina's. Those of messages are chosen by the harness and larger: Savina's
//! are done in milliseconds.

mod common;

use common::{criterion, row, start};
use criterion::Criterion;
use criterion::measurement::WallTime;
use ringpost_benches::{Arena, workloads};

fn main() {
    let arenas = start();
    let mut criterion = criterion();
    pairs(&mut criterion, "savina, same core", &arenas.one);
    pairs(&mut criterion, "savina, cross core", &arenas.pair);
    crowds(&mut criterion, "savina, same core", &arenas.one);
    crowds(&mut criterion, "savina, all cores", &arenas.all);
    criterion.final_summary();
}

/// Two workers, or one and its driver.
fn pairs(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    row(group, arena, "counting", 1, workloads::counting);
    row(
        group,
        arena,
        "ping-pong, a round trip",
        2,
        workloads::ping_pong,
    );
    row(
        group,
        arena,
        "ping-pong by name, a round trip",
        2,
        workloads::ping_pong_by_name,
    );
}

/// Many workers.
fn crowds(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    row(
        group,
        arena,
        "thread ring of 100, a hop",
        1,
        async |ctx, n| workloads::thread_ring(ctx, n, 100).await,
    );
    row(
        group,
        arena,
        "fork-join throughput to 60",
        1,
        async |ctx, n| workloads::fork_join_throughput(ctx, n, 60).await,
    );
    row(
        group,
        arena,
        "fork-join create, a worker",
        2,
        workloads::fork_join_create,
    );
    row(
        group,
        arena,
        "chameneos, a meeting of 100",
        4,
        async |ctx, n| workloads::chameneos(ctx, n, 100).await,
    );
    row(group, arena, "big, 120 workers", 1, async |ctx, n| {
        workloads::big(ctx, n, 120).await
    });
    row(
        group,
        arena,
        "dictionary, an operation of 20 clients",
        2,
        async |ctx, n| workloads::dictionary(ctx, n, 20).await,
    );
    row(
        group,
        arena,
        "bank, a transaction of 1000 accounts",
        4,
        async |ctx, n| workloads::bank(ctx, n, 1000).await,
    );
}
