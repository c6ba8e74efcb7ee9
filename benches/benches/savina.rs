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

/// Many workers: as many as the Savina suite has, and ten times as many.
fn crowds(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    for members in [100, 1000] {
        let name = format!("thread ring of {members}, a hop");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::thread_ring(ctx, n, members).await
        });
    }
    for receivers in [60, 600] {
        let name = format!("fork-join throughput to {receivers}");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::fork_join_throughput(ctx, n, receivers).await
        });
    }
    row(
        group,
        arena,
        "fork-join create, a worker",
        2,
        workloads::fork_join_create,
    );
    for creatures in [100, 1000] {
        let name = format!("chameneos, a meeting of {creatures}");
        row(group, arena, &name, 4, async move |ctx, n| {
            workloads::chameneos(ctx, n, creatures).await
        });
    }
    for players in [120, 1200] {
        let name = format!("big, {players} workers");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::big(ctx, n, players).await
        });
    }
    for clients in [20, 200] {
        let name = format!("dictionary, an operation of {clients} clients");
        row(group, arena, &name, 2, async move |ctx, n| {
            workloads::dictionary(ctx, n, clients).await
        });
    }
    for accounts in [1000, 10_000] {
        let name = format!("bank, a transaction of {accounts} accounts");
        row(group, arena, &name, 4, async move |ctx, n| {
            workloads::bank(ctx, n, accounts).await
        });
    }
}
