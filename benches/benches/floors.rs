//! What the hardware and the kernel allow: the bounds that the other suites are measured against.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]
#![allow(clippy::disallowed_methods, reason = "a benchmark of the bare machine")]

use std::hint::spin_loop;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mio::{Events, Poll, Token, Waker};
use ringpost_mailbox::ring::ring;
use ringpost_mailbox::sync::CachePadded;
use ringpost_mailbox::sync::atomic::AtomicU64;
use ringpost_mailbox::sync::atomic::Ordering::{Acquire, Release};

/// One cache line, there and back, `n` times.
fn line_bounce(n: u64) -> Duration {
    let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
    let there = Arc::clone(&line);
    let partner = thread::spawn(move || {
        for round in 0..n {
            while there.load(Acquire) != 2 * round + 1 {
                spin_loop();
            }
            there.store(2 * round + 2, Release);
        }
    });
    let start = Instant::now();
    for round in 0..n {
        line.store(2 * round + 1, Release);
        while line.load(Acquire) != 2 * round + 2 {
            spin_loop();
        }
    }
    let took = start.elapsed();
    partner.join().expect("the partner ends");
    took
}

/// `n` slots of `WORDS` words through a ring, published every `batch`.
fn stream<const WORDS: usize>(n: u64, batch: u32) -> Duration {
    let (mut producer, mut consumer) = ring::<[u64; WORDS]>(1024);
    let sender = thread::spawn(move || {
        for number in 0..n {
            let mut slot = [number; WORDS];
            while let Err(full) = producer.push(slot) {
                slot = full.0;
                producer.publish();
                spin_loop();
            }
            if producer.unpublished() >= batch {
                producer.publish();
            }
        }
        producer.publish();
    });
    let start = Instant::now();
    let mut seen = 0u64;
    let mut sum = 0u64;
    while seen < n {
        seen += u64::from(consumer.drain(256, |slot| sum = sum.wrapping_add(slot[0])));
    }
    let took = start.elapsed();
    assert_eq!(sum, (0..n).fold(0u64, u64::wrapping_add));
    sender.join().expect("the sender ends");
    took
}

/// A message through one ring and back through another, `n` times.
fn ring_round_trip(n: u64) -> Duration {
    let (mut there_in, mut there_out) = ring::<[u64; 4]>(1024);
    let (mut back_in, mut back_out) = ring::<[u64; 4]>(1024);
    let partner = thread::spawn(move || {
        for _ in 0..n {
            let slot = loop {
                if let Some(slot) = there_out.pop() {
                    break slot;
                }
                spin_loop();
            };
            assert!(back_in.push(slot).is_ok());
            back_in.publish();
        }
    });
    let start = Instant::now();
    for number in 0..n {
        assert!(there_in.push([number; 4]).is_ok());
        there_in.publish();
        while back_out.pop().is_none() {
            spin_loop();
        }
    }
    let took = start.elapsed();
    partner.join().expect("the partner ends");
    took
}

/// A sleeping thread woken through its poll, and back, `n` times.
fn wake_round_trip(n: u64) -> Duration {
    const BELL: Token = Token(0);
    let mut here = Poll::new().expect("a poll");
    let mut there = Poll::new().expect("a poll");
    let ring_here = Waker::new(here.registry(), BELL).expect("a waker");
    let ring_there = Waker::new(there.registry(), BELL).expect("a waker");
    let partner = thread::spawn(move || {
        let mut events = Events::with_capacity(4);
        for _ in 0..n {
            there.poll(&mut events, None).expect("polling works");
            ring_here.wake().expect("waking works");
        }
        // A waker that is dropped takes its last wake with it, so it lives until the other side has it.
        ring_here
    });
    let mut events = Events::with_capacity(4);
    let start = Instant::now();
    for _ in 0..n {
        ring_there.wake().expect("waking works");
        here.poll(&mut events, None).expect("polling works");
    }
    let took = start.elapsed();
    drop(partner.join().expect("the partner ends"));
    took
}

fn floors(c: &mut Criterion) {
    let mut group = c.benchmark_group("floors");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500));
    group
        .measurement_time(Duration::from_secs(2))
        .throughput(Throughput::Elements(1));
    group.bench_function("line bounced there and back", |b| {
        b.iter_custom(line_bounce)
    });
    group.bench_function("ring round trip", |b| b.iter_custom(ring_round_trip));
    for batch in [1, 16, 256] {
        group.bench_function(format!("ring of 8 B, batch {batch}"), |b| {
            b.iter_custom(|n| stream::<1>(n, batch));
        });
        group.bench_function(format!("ring of 32 B, batch {batch}"), |b| {
            b.iter_custom(|n| stream::<4>(n, batch));
        });
        group.bench_function(format!("ring of 64 B, batch {batch}"), |b| {
            b.iter_custom(|n| stream::<8>(n, batch));
        });
    }
    group.bench_function("two wakes of sleeping threads", |b| {
        b.iter_custom(wake_round_trip)
    });
    group.finish();
}

criterion_group!(benches, floors);
criterion_main!(benches);
