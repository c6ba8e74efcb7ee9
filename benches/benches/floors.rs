//! What the hardware and the kernel allow: the bounds that the other suites are measured against.
//!
//! Each floor is measured between two threads that are pinned to the CPUs of a node of two cores.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

#[path = "common/settings.rs"]
mod settings;

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use ringpost_benches::bounce::{CpuPair, line_bounce};
use ringpost_benches::{Arenas, Machine, floor, wakes};
use ringpost_mailbox::ring::{Consumer, Producer, ring};

/// As many as a ring of a node of two cores has.
const SLOTS: u32 = 1024;

fn main() {
    let cpus = cpus();
    let mut criterion = settings::criterion();
    messages(&mut criterion, cpus);
    shared_memory(&mut criterion, cpus);
    streams(&mut criterion, cpus);
    sleeping_threads(&mut criterion, cpus);
    criterion.final_summary();
}

/// Where a node puts its first two cores, if it pins them.
#[allow(
    clippy::print_stdout,
    reason = "a figure without its machine is worth nothing"
)]
fn cpus() -> CpuPair {
    let machine = Machine::read();
    let arenas = Arenas::start(&machine);
    println!("machine: {machine}");
    println!("{arenas}");
    println!("a time is that of one operation; elem/s are slots or wakes per second\n");
    CpuPair::of(&arenas.pair)
}

/// What lies in a slot beside its first word.
type Rest<const WORDS: usize> = [u64; WORDS];

/// A slot through one ring and back through another, `n` times.
fn ring_round_trip(cpus: CpuPair, n: u64) -> Duration {
    let (there_in, mut there_out) = ring::<Rest<3>>(SLOTS);
    let (back_in, mut back_out) = ring::<Rest<3>>(SLOTS);
    let answer = move || {
        for _ in 0..n {
            let slot = next(&mut there_out);
            send(&back_in, slot, 1);
        }
        Duration::ZERO
    };
    let ask = move || {
        let start = Instant::now();
        for number in 0..n {
            send(&there_in, [number; 3], 1);
            next(&mut back_out);
        }
        start.elapsed()
    };
    cpus.run(ask, answer)
}

fn next<const WORDS: usize>(ring: &mut Consumer<Rest<WORDS>>) -> Rest<WORDS> {
    loop {
        if let Some(slot) = ring.pop() {
            return slot;
        }
        spin_loop();
    }
}

/// Writes a slot when there is room, and publishes when `batch` are written.
fn send<const WORDS: usize>(ring: &Producer<Rest<WORDS>>, mut slot: Rest<WORDS>, batch: u32) {
    while let Err(full) = ring.push(slot) {
        slot = full.0;
        ring.publish();
        spin_loop();
    }
    if ring.unpublished() >= batch {
        ring.publish();
    }
}

/// `n` slots of one word and `WORDS` more through a ring, published every `batch`.
fn stream<const WORDS: usize>(cpus: CpuPair, n: u64, batch: u32) -> Duration {
    let (producer, mut consumer) = ring::<Rest<WORDS>>(SLOTS);
    let produce = move || {
        for number in 0..n {
            send(&producer, [number; WORDS], batch);
        }
        producer.publish();
        Duration::ZERO
    };
    let consume = move || {
        let (mut seen, mut sum) = (0u64, 0u64);
        let start = Instant::now();
        while seen < n {
            seen += u64::from(consumer.drain(256, |slot| sum = sum.wrapping_add(slot[0])));
        }
        let took = start.elapsed();
        assert_eq!(sum, (0..n).fold(0u64, u64::wrapping_add));
        took
    };
    cpus.run(consume, produce)
}

fn messages(criterion: &mut Criterion<WallTime>, cpus: CpuPair) {
    let mut group = criterion.benchmark_group("floors, a message");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one core, a bounded queue and a call", |bencher| {
        bencher.iter_custom(floor::queue_and_call);
    });
    group.bench_function("one core, with what the contract adds", |bencher| {
        bencher.iter_custom(floor::contract::on_one_core);
    });
    group.bench_function("two cores, a ring and a call", |bencher| {
        bencher.iter_custom(|n| floor::ring_and_call(cpus, n));
    });
    group.bench_function("two cores, with what the contract adds", |bencher| {
        bencher.iter_custom(|n| floor::contract::between_two_cores(cpus, n));
    });
}

fn shared_memory(criterion: &mut Criterion<WallTime>, cpus: CpuPair) {
    let mut group = criterion.benchmark_group("floors");
    group.throughput(Throughput::Elements(2));
    group.bench_function("line bounced there and back", |bencher| {
        bencher.iter_custom(|n| line_bounce(cpus, n));
    });
    group.bench_function("ring round trip", |bencher| {
        bencher.iter_custom(|n| ring_round_trip(cpus, n));
    });
}

fn streams(criterion: &mut Criterion<WallTime>, cpus: CpuPair) {
    let group = &mut criterion.benchmark_group("floors, ring");
    group.throughput(Throughput::Elements(1));
    for batch in [1, 16, 32, 256] {
        stream_of::<1>(group, cpus, batch);
        stream_of::<3>(group, cpus, batch);
        stream_of::<7>(group, cpus, batch);
    }
}

fn stream_of<const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    cpus: CpuPair,
    batch: u32,
) {
    let name = format!("slots of {} B, batch {batch}", 8 + 8 * WORDS);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|n| stream::<WORDS>(cpus, n, batch));
    });
}

fn sleeping_threads(criterion: &mut Criterion<WallTime>, cpus: CpuPair) {
    let mut group = criterion.benchmark_group("floors, sleeping threads");
    group.sample_size(10).throughput(Throughput::Elements(2));
    group.bench_function("two eventfd wakes", |bencher| {
        bencher.iter_custom(|n| wakes::in_turn(cpus, n));
    });
    group.bench_function("two eventfd wakes, each after a pause", |bencher| {
        bencher.iter_custom(|n| wakes::after_pauses(cpus, n));
    });
}
