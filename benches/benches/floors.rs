//! What the hardware and the kernel allow: the bounds that the other suites are measured against.
//!
//! Each floor is measured between two threads that are pinned to the CPUs of a node of two cores.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

#[path = "common/settings.rs"]
mod settings;

use std::hint::spin_loop;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use mio::{Events, Poll, Token, Waker};
use ringpost_benches::bounce::{CpuPair, line_bounce};
use ringpost_benches::{Arenas, Machine};
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::atomic::AtomicU64;
use ringpost_mailbox::sync::atomic::Ordering::{Acquire, Release};

/// As many as a ring of a node of two cores has.
const SLOTS: u32 = 1024;

/// Long enough for a thread to fall asleep in the kernel.
const PAUSE: Duration = Duration::from_millis(1);

fn main() {
    let cpus = cpus();
    let mut criterion = settings::criterion();
    shared_memory(&mut criterion, cpus);
    streams(&mut criterion, cpus);
    wakes(&mut criterion, cpus);
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

type Slot<const WORDS: usize> = [u64; WORDS];

/// A slot through one ring and back through another, `n` times.
fn ring_round_trip(cpus: CpuPair, n: u64) -> Duration {
    let (mut there_in, mut there_out) = ring::<Slot<4>>(SLOTS);
    let (mut back_in, mut back_out) = ring::<Slot<4>>(SLOTS);
    let answer = move || {
        for _ in 0..n {
            let slot = next(&mut there_out);
            send(&mut back_in, slot, 1);
        }
        Duration::ZERO
    };
    let ask = move || {
        let start = Instant::now();
        for number in 0..n {
            send(&mut there_in, [number; 4], 1);
            next(&mut back_out);
        }
        start.elapsed()
    };
    cpus.run(ask, answer)
}

fn next<const WORDS: usize>(ring: &mut Consumer<Slot<WORDS>>) -> Slot<WORDS> {
    loop {
        if let Some(slot) = ring.pop() {
            return slot;
        }
        spin_loop();
    }
}

/// Writes a slot when there is room, and publishes when `batch` are written.
fn send<const WORDS: usize>(ring: &mut Producer<Slot<WORDS>>, mut slot: Slot<WORDS>, batch: u32) {
    while let Err(full) = ring.push(slot) {
        slot = full.0;
        ring.publish();
        spin_loop();
    }
    if ring.unpublished() >= batch {
        ring.publish();
    }
}

/// `n` slots of `WORDS` words through a ring, published every `batch`.
fn stream<const WORDS: usize>(cpus: CpuPair, n: u64, batch: u32) -> Duration {
    let (mut producer, mut consumer) = ring::<Slot<WORDS>>(SLOTS);
    let produce = move || {
        for number in 0..n {
            send(&mut producer, [number; WORDS], batch);
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

/// A thread that sleeps in its epoll until it is woken by an eventfd (elsewhere by what mio has in its place).
struct Sleeper {
    poll: Poll,
    events: Events,
}

impl Sleeper {
    /// A sleeper, and what wakes it. The waker must outlive the last wake's arrival: what a dropped
    /// one has not delivered is lost.
    fn new() -> (Self, Arc<Waker>) {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("a waker");
        let events = Events::with_capacity(4);
        (Self { poll, events }, Arc::new(waker))
    }

    fn sleep(&mut self) {
        let Self { poll, events } = self;
        poll.poll(events, None).expect("polling works");
    }
}

/// Two sleeping threads that wake each other in turn, `n` times there and back.
fn wakes_in_turn(cpus: CpuPair, n: u64) -> Duration {
    let (mut here, wake_here) = Sleeper::new();
    let (mut there, wake_there) = Sleeper::new();
    let keep = (Arc::clone(&wake_here), Arc::clone(&wake_there));
    let answer = move || {
        for _ in 0..n {
            there.sleep();
            wake_here.wake().expect("waking works");
        }
        Duration::ZERO
    };
    let ask = move || {
        let start = Instant::now();
        for _ in 0..n {
            wake_there.wake().expect("waking works");
            here.sleep();
        }
        start.elapsed()
    };
    let took = cpus.run(ask, answer);
    drop(keep);
    took
}

/// As [`wakes_in_turn`] with a pause before each wake, in which the CPU of the sleeper falls asleep too.
/// Only the time from each wake to its arrival counts.
fn wakes_after_pauses(cpus: CpuPair, n: u64) -> Duration {
    let start = Instant::now();
    let (mut here, wake_here) = Sleeper::new();
    let (mut there, wake_there) = Sleeper::new();
    let keep = (Arc::clone(&wake_here), Arc::clone(&wake_there));
    let sent = Arc::new(AtomicU64::new(0));
    let also_sent = Arc::clone(&sent);
    let now = move || start.elapsed().as_nanos() as u64;
    // Each stamp is read by the thread that its wake wakes, before that thread writes the next.
    let answer = move || {
        let mut took = 0;
        for _ in 0..n {
            there.sleep();
            took += now() - also_sent.load(Acquire);
            thread::sleep(PAUSE);
            also_sent.store(now(), Release);
            wake_here.wake().expect("waking works");
        }
        Duration::from_nanos(took)
    };
    let ask = move || {
        let mut took = 0;
        for _ in 0..n {
            thread::sleep(PAUSE);
            sent.store(now(), Release);
            wake_there.wake().expect("waking works");
            here.sleep();
            took += now() - sent.load(Acquire);
        }
        Duration::from_nanos(took)
    };
    let took = cpus.run(ask, answer);
    drop(keep);
    took
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
    for batch in [1, 16, 256] {
        stream_of::<1>(group, cpus, batch);
        stream_of::<2>(group, cpus, batch);
        stream_of::<4>(group, cpus, batch);
        stream_of::<8>(group, cpus, batch);
    }
}

fn stream_of<const WORDS: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    cpus: CpuPair,
    batch: u32,
) {
    let name = format!("slots of {} B, batch {batch}", 8 * WORDS);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|n| stream::<WORDS>(cpus, n, batch));
    });
}

fn wakes(criterion: &mut Criterion<WallTime>, cpus: CpuPair) {
    let mut group = criterion.benchmark_group("floors, sleeping threads");
    group.sample_size(10).throughput(Throughput::Elements(2));
    group.bench_function("two eventfd wakes", |bencher| {
        bencher.iter_custom(|n| wakes_in_turn(cpus, n));
    });
    group.bench_function("two eventfd wakes, each after a pause", |bencher| {
        bencher.iter_custom(|n| wakes_after_pauses(cpus, n));
    });
}
