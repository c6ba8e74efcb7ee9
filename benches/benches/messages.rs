//! The rows of the performance budget that need no network, one benchmark each.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringpost_benches::{Arena, workloads};

fn group(c: &mut Criterion) {
    let one = Arena::new(1);
    let two = Arena::new(2);
    let mut group = c.benchmark_group("messages");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500));
    group
        .measurement_time(Duration::from_secs(2))
        .throughput(Throughput::Elements(1));
    macro_rules! bench {
        ($name:literal, $arena:expr, $n:ident => $work:expr) => {
            group.bench_function($name, |b| {
                b.iter_custom(|$n| $arena.run(async move |ctx| $work(ctx).await));
            });
        };
    }
    bench!("same core/one way", one, n => async |ctx| workloads::one_way(ctx, n, false).await);
    bench!("same core/round trip", one, n => async |ctx| workloads::ping_pong(ctx, n, false, false).await);
    bench!("same core/round trip by name", one, n => async |ctx| workloads::ping_pong(ctx, n, false, true).await);
    bench!("same core/request", one, n => async |ctx| workloads::requests(ctx, n, false).await);
    bench!("same core/thread ring of 100", one, n => async |ctx| workloads::thread_ring(ctx, n, 100).await);
    bench!("same core/start, message, stop", one, n => async |ctx| workloads::start_stop(ctx, n).await);
    bench!("cross core/one way", two, n => async |ctx| workloads::one_way(ctx, n, true).await);
    bench!("cross core/fan-in of 64", two, n => async |ctx| workloads::fan_in(ctx, n, 64).await);
    bench!("cross core/request", two, n => async |ctx| workloads::requests(ctx, n, true).await);
    bench!("cross core/request, parked", two, n => async |ctx| workloads::parked_round_trip(ctx, n).await);
    group.finish();
}

criterion_group!(benches, group);
criterion_main!(benches);
