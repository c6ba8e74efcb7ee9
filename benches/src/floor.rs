//! The least that messages take, on one core and between two: what is common to all that could be called a runtime of
//! workers; and in [`contract`] what the contract of ours adds. Nothing is left out by the optimizer that a program with
//! more than one kind of worker would need: receivers are called through a table.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

pub mod contract;

use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

use ringpost_mailbox::ring::ring;

use crate::bounce::CpuPair;

/// Slots that are published together, as ringpost does.
const BATCH: u32 = 32;
/// Messages that wait, at the most: as many as one of ours has room for.
const ROOM: u32 = 1024;
/// Messages between two looks at who else has something to do.
const TURN: u32 = 256;

/// A receiver of plain calls.
trait Plain {
    fn take(&mut self, number: u64);
}

struct Sum(u64);

impl Plain for Sum {
    fn take(&mut self, number: u64) {
        self.0 = self.0.wrapping_add(number);
    }
}

/// `n` messages of three words through a queue to a receiver that is found by its number, called through a table, and has a
/// bound.
#[must_use]
pub fn queue_and_call(n: u64) -> Duration {
    let mut receivers: Vec<Box<dyn Plain>> = black_box(vec![Box::new(Sum(0))]);
    let mut room = black_box(vec![ROOM]);
    let mut queue: VecDeque<(u32, [u64; 3])> = VecDeque::with_capacity(ROOM as usize);
    let to = black_box(0u32);
    let (mut sent, mut handled) = (0u64, 0u64);
    let start = Instant::now();
    while handled < n {
        while sent < n && room[to as usize] > 0 {
            room[to as usize] -= 1;
            queue.push_back((to, [sent, 0, 0]));
            sent += 1;
        }
        for _ in 0..TURN {
            let Some((to, [number, ..])) = queue.pop_front() else {
                break;
            };
            room[to as usize] += 1;
            receivers[to as usize].take(number);
            handled += 1;
        }
    }
    let took = start.elapsed();
    black_box(receivers);
    took
}

/// `n` messages of three words from one core to another, through a bare ring that is published every 16, each handed by the
/// core that reads it to a receiver that is called through a table.
#[must_use]
pub fn ring_and_call(cpus: CpuPair, n: u64) -> Duration {
    let (producer, mut consumer) = ring::<[u64; 3]>(ROOM);
    let produce = move || {
        for number in 0..n {
            let mut slot = [0, number, 0];
            while let Err(full) = producer.push(slot) {
                slot = full.0;
                producer.publish();
                spin_loop();
            }
            if producer.unpublished() >= BATCH {
                producer.publish();
            }
        }
        producer.publish();
        Duration::ZERO
    };
    let consume = move || {
        let mut receivers: Vec<Box<dyn Plain>> = black_box(vec![Box::new(Sum(0))]);
        let mut handled = 0u64;
        let start = Instant::now();
        while handled < n {
            let call = |[to, number, _]: [u64; 3]| receivers[to as usize].take(number);
            handled += u64::from(consumer.drain(TURN, call));
        }
        let took = start.elapsed();
        black_box(receivers);
        took
    };
    cpus.run(consume, produce)
}
