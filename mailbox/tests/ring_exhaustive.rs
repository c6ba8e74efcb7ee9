//! Every sequence of operations up to a length, on every small ring, against a plain queue.

#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;

use ringpost_mailbox::ring::{Consumer, Producer, ring_at};
use support::{Tally, each_sequence};

const LENGTH: usize = 8;
const CAPACITIES: [u32; 3] = [1, 2, 4];
/// Origins from which eight operations cross the end of the counters, its middle, and neither.
const ORIGINS: [u32; 5] = [0, u32::MAX, u32::MAX - 1, u32::MAX - 3, i32::MAX as u32];

/// What the ring should do: what is pushed and not published, and what is published and not taken.
#[derive(Default)]
struct Oracle {
    capacity: usize,
    pushed: VecDeque<u64>,
    published: VecDeque<u64>,
    next: u64,
}

impl Oracle {
    fn len(&self) -> usize {
        self.pushed.len() + self.published.len()
    }
}

fn step(op: u8, oracle: &mut Oracle, producer: &Producer<u64>, consumer: &mut Consumer<u64>) {
    match op {
        0 => {
            let refused = producer.push(oracle.next).map_err(|full| full.0);
            if oracle.len() == oracle.capacity {
                assert_eq!(refused, Err(oracle.next));
            } else {
                assert_eq!(refused, Ok(()));
                oracle.pushed.push_back(oracle.next);
            }
            oracle.next += 1;
        }
        1 => {
            assert_eq!(producer.publish() as usize, oracle.pushed.len());
            oracle.published.append(&mut oracle.pushed);
        }
        2 => assert_eq!(consumer.pop(), oracle.published.pop_front()),
        max => {
            let max = if max == 3 { 2 } else { u32::MAX };
            let expected = oracle.published.len().min(max as usize);
            let mut seen = Vec::new();
            assert_eq!(
                consumer.drain(max, |value| seen.push(value)) as usize,
                expected
            );
            assert!(oracle.published.drain(..expected).eq(seen));
        }
    }
}

fn compare(oracle: &Oracle, producer: &Producer<u64>, consumer: &mut Consumer<u64>) {
    assert_eq!(producer.unpublished() as usize, oracle.pushed.len());
    assert_eq!(consumer.is_empty(), oracle.published.is_empty());
    let room = (oracle.capacity - oracle.len()) as u32;
    assert!(producer.room() <= room);
    assert_eq!(producer.room() == 0, room == 0);
    assert!(producer.has_room(room));
    assert!(!producer.has_room(room + 1));
}

#[test]
fn every_sequence_of_operations_does_what_a_queue_does() {
    for capacity in CAPACITIES {
        for origin in ORIGINS {
            each_sequence(5, LENGTH, |ops| {
                let (producer, mut consumer) = ring_at(capacity, origin);
                let mut oracle = Oracle {
                    capacity: capacity as usize,
                    ..Oracle::default()
                };
                for &op in ops {
                    step(op, &mut oracle, &producer, &mut consumer);
                }
                compare(&oracle, &producer, &mut consumer);
            });
        }
    }
}

/// Looking at the ring reloads its caches, so here it is looked at after each operation.
#[test]
fn looking_at_the_ring_in_between_changes_nothing() {
    for capacity in CAPACITIES {
        for origin in ORIGINS {
            each_sequence(5, LENGTH - 2, |ops| {
                let (producer, mut consumer) = ring_at(capacity, origin);
                let mut oracle = Oracle {
                    capacity: capacity as usize,
                    ..Oracle::default()
                };
                for &op in ops {
                    step(op, &mut oracle, &producer, &mut consumer);
                    compare(&oracle, &producer, &mut consumer);
                }
            });
        }
    }
}

#[test]
fn what_is_left_is_dropped_once_whichever_end_goes_first() {
    for capacity in CAPACITIES {
        for origin in ORIGINS {
            each_sequence(4, LENGTH - 2, |ops| {
                for producer_first in [true, false] {
                    leave_after(ops, capacity, origin, producer_first);
                }
            });
        }
    }
}

fn leave_after(ops: &[u8], capacity: u32, origin: u32, producer_first: bool) {
    let tally = Tally::default();
    let (producer, mut consumer) = ring_at(capacity, origin);
    for op in ops {
        match op {
            0 => drop(producer.push(tally.payload())),
            1 => drop(producer.publish()),
            2 => drop(consumer.pop()),
            _ => drop(consumer.drain(2, drop)),
        }
    }
    if producer_first {
        let left = tally.alive();
        drop(producer);
        assert!(consumer.is_closed());
        // The drop of the producer publishes, so all that is left can be taken.
        assert_eq!(consumer.drain(u32::MAX, drop) as usize, left);
        drop(consumer);
    } else {
        drop(consumer);
        assert!(producer.is_closed());
        drop(producer);
    }
    assert_eq!(tally.alive(), 0);
}
