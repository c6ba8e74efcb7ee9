//! The patterns of which programs are made: floods, fans, requests, short lives, timers, sleeping cores.

mod common;

use common::{criterion, row, start};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use ringpost_benches::{Arena, Arenas, workloads};

fn main() {
    let arenas = start();
    let mut criterion = criterion();
    one_way(&mut criterion, "patterns, same core", &arenas.one);
    one_way(&mut criterion, "patterns, cross core", &arenas.pair);
    from_outside(&mut criterion, &arenas.pair);
    requests(&mut criterion, "requests, same core", &arenas.one);
    requests(&mut criterion, "requests, cross core", &arenas.pair);
    lives(&mut criterion, &arenas);
    timers(&mut criterion, &arenas.one);
    wakes(&mut criterion, &arenas.pair);
    criterion.final_summary();
}

fn one_way(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    row(
        group,
        arena,
        "one way by name",
        1,
        workloads::counting_by_name,
    );
    row(group, arena, "flood", 1, workloads::flood);
    for producers in [4, 64] {
        let name = format!("fan-in of {producers}");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::fan_in(ctx, n, producers).await
        });
    }
    row(group, arena, "fan-out to 64", 1, async |ctx, n| {
        workloads::fan_out(ctx, n, 64).await
    });
    row(group, arena, "all to all", 1, workloads::all_to_all);
    row(
        group,
        arena,
        "hot shard, 80 % to one of 64",
        1,
        workloads::hot_shard,
    );
}

fn from_outside(criterion: &mut Criterion<WallTime>, arena: &Arena) {
    let mut group = criterion.benchmark_group("patterns, from a thread outside");
    group.throughput(Throughput::Elements(1));
    group.bench_function("flood", |bencher| {
        bencher.iter_custom(|n| {
            workloads::flood_from_outside(arena.handle(), n)
                .expect("the node runs")
                .scaled_to(n)
        });
    });
}

fn requests(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    for outstanding in [1, 10, 100, 1000] {
        let name = format!("{outstanding} outstanding, a request");
        row(group, arena, &name, 2, async move |ctx, n| {
            workloads::requests(ctx, n, outstanding).await
        });
    }
}

fn lives(criterion: &mut Criterion<WallTime>, arenas: &Arenas) {
    let group = &mut criterion.benchmark_group("lives");
    for (name, arena) in [
        ("start, message, stop, same core", &arenas.one),
        ("start, message, stop, cross core", &arenas.pair),
    ] {
        row(group, arena, name, 1, workloads::start_message_stop);
    }
}

fn timers(criterion: &mut Criterion<WallTime>, arena: &Arena) {
    let group = &mut criterion.benchmark_group("timers");
    for armed in [0, 100_000] {
        let name = format!("armed and cancelled beside {armed}");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::armed_and_cancelled(ctx, n, armed).await
        });
    }
}

/// Most of the time passes in pauses, so there are few samples.
fn wakes(criterion: &mut Criterion<WallTime>, arena: &Arena) {
    let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group("sleeping cores");
    group.sample_size(10);
    row(
        &mut group,
        arena,
        "ping-pong, a round trip",
        2,
        workloads::parked_ping_pong,
    );
    row(&mut group, arena, "request", 2, workloads::parked_request);
}
