//! The ring with payloads that count and panic, at its limits, and between real threads.

#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;
use std::mem::size_of;

use proptest::prelude::*;
use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
use ringpost_mailbox::ring::{CAPACITY_MAX, CellProducer, Full, cell_ring_at, ring, ring_at};
use ringpost_mailbox::sync::thread;
use support::{Tally, panics};

#[derive(Clone, Copy, Debug)]
enum Op {
    Push,
    Publish,
    /// Whether the first value of a batch is published as it is pushed.
    ShowFirst(bool),
    Pop,
    Drain(u32),
    /// A drain whose sink panics at the value with this index.
    DrainPanic(u32),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Push),
        2 => Just(Op::Publish),
        1 => any::<bool>().prop_map(Op::ShowFirst),
        1 => Just(Op::Pop),
        2 => (1..8_u32).prop_map(Op::Drain),
        1 => (0..6_u32).prop_map(Op::DrainPanic),
    ];
    proptest::collection::vec(op, 0..64)
}

proptest! {
    /// Values come out once, in order, whatever panics in between; and all of them are dropped
    /// once.
    #[test]
    fn values_survive_panicking_sinks(
        ops in ops(),
        capacity in (0..5_u32).prop_map(|bits| 1 << bits),
        origin in prop_oneof![Just(0), Just(u32::MAX - 5), any::<u32>()],
    ) {
        let tally = Tally::default();
        let (producer, mut consumer) = ring_at(capacity, origin);
        let (mut pushed, mut published) = (VecDeque::new(), VecDeque::new());
        let mut shows_first = false;
        for op in ops {
            let mut taken = Vec::new();
            match op {
                Op::Push => {
                    let payload = tally.payload();
                    let id = payload.id;
                    match producer.push(payload) {
                        Ok(()) if shows_first && pushed.is_empty() => published.push_back(id),
                        Ok(()) => pushed.push_back(id),
                        Err(Full(payload)) => prop_assert_eq!(payload.id, id),
                    }
                }
                Op::Publish => {
                    producer.publish();
                    published.append(&mut pushed);
                }
                Op::ShowFirst(shows) => {
                    shows_first = shows;
                    producer.show_first(shows);
                }
                Op::Pop => taken.extend(consumer.pop().map(|payload| payload.id)),
                Op::Drain(max) => {
                    consumer.drain(max, |payload| taken.push(payload.id));
                }
                Op::DrainPanic(at) => {
                    let expected = published.len() > at as usize;
                    let panicked = panics(|| {
                        consumer.drain(u32::MAX, |payload| {
                            taken.push(payload.id);
                            assert!(taken.len() <= at as usize, "the sink panics, as wanted");
                        });
                    });
                    prop_assert_eq!(panicked, expected);
                }
            }
            prop_assert!(published.drain(..taken.len()).eq(taken));
            prop_assert_eq!(tally.alive(), pushed.len() + published.len());
            prop_assert_eq!(producer.unpublished() as usize, pushed.len());
            prop_assert_eq!(consumer.is_empty(), published.is_empty());
            let text = format!("{producer:?} {consumer:?}");
            prop_assert!(text.contains("capacity"));
        }
        drop((producer, consumer));
        prop_assert_eq!(tally.alive(), 0);
    }

    /// A destructor that panics while the leftovers are dropped costs none of the others.
    #[test]
    fn leftovers_survive_a_panicking_destructor(count in 1..16_u64, at in 1..16_u64) {
        let tally = Tally::default();
        let (producer, consumer) = ring(16);
        (0..count).for_each(|_| producer.push(tally.payload()).unwrap());
        tally.panic_at_drop(at);
        prop_assert!(!panics(|| drop(producer)));
        prop_assert_eq!(panics(|| drop(consumer)), at <= count);
        prop_assert_eq!(tally.alive(), 0);
    }
}

#[test]
fn the_slots_go_back_before_the_drain_returns_also_when_the_sink_panics() {
    let (producer, mut consumer) = ring(4);
    (0..4).for_each(|n| producer.push(n).unwrap());
    producer.publish();
    let panicked = panics(|| {
        consumer.drain(4, |n| assert_ne!(n, 2, "the sink panics, as wanted"));
    });
    assert!(panicked);
    assert_eq!(producer.room(), 3);
    assert_eq!(consumer.pop(), Some(3));
}

#[test]
fn publishing_nothing_says_so() {
    let (producer, mut consumer) = ring::<u8>(2);
    assert_eq!(producer.publish(), 0);
    producer.push(1).unwrap();
    assert_eq!((producer.publish(), producer.publish()), (1, 0));
    assert_eq!(consumer.drain(0, drop), 0);
    assert_eq!(consumer.drain(9, drop), 1);
}

#[test]
fn capacities_that_are_no_power_of_two_or_too_large_are_refused() {
    for capacity in [0, 3, 12, CAPACITY_MAX + 1, CAPACITY_MAX * 2] {
        assert!(panics(|| drop(ring::<u8>(capacity))), "{capacity}");
    }
    let (producer, mut consumer) = ring::<u8>(CAPACITY_MAX);
    assert_eq!(
        (producer.room(), consumer.capacity()),
        (CAPACITY_MAX, CAPACITY_MAX)
    );
    (0..CAPACITY_MAX).for_each(|n| producer.push(n as u8).unwrap());
    assert!(producer.push(0).is_err());
    producer.publish();
    assert_eq!(consumer.drain(u32::MAX, drop), CAPACITY_MAX);
}

#[test]
fn values_of_no_size_and_of_odd_alignment_pass() {
    #[derive(Debug, PartialEq)]
    #[repr(align(256))]
    struct Wide(u8);

    let (producer, mut consumer) = ring(2);
    producer.push(()).unwrap();
    producer.publish();
    assert_eq!(consumer.pop(), Some(()));

    assert_eq!(size_of::<Wide>(), 256);
    let (producer, mut consumer) = ring(2);
    producer.push(Wide(7)).unwrap();
    producer.publish();
    assert_eq!(consumer.pop(), Some(Wide(7)));
}

#[test]
fn each_end_says_when_the_other_is_gone() {
    let (producer, consumer) = ring(2);
    producer.push(5).unwrap();
    assert!(!producer.is_closed() && !consumer.is_closed());
    drop(consumer);
    assert!(producer.is_closed());

    let (producer, mut consumer) = ring(2);
    producer.push(5).unwrap();
    drop(producer);
    assert!(consumer.is_closed());
    assert_eq!(consumer.pop(), Some(5));
}

#[test]
fn errors_and_ends_can_be_printed() {
    let (producer, consumer) = ring(1);
    producer.push(1).unwrap();
    let full = producer.push(2).unwrap_err();
    assert_eq!(format!("{full:?}"), "Full(..)");
    assert!(full.to_string().contains("full"));
    assert_eq!(
        format!("{producer:?} {consumer:?}"),
        "Producer { capacity: 1, unpublished: 1, closed: false } \
         Consumer { capacity: 1, closed: false }"
    );
}

#[test]
fn a_million_values_cross_threads_in_order() {
    const COUNT: u64 = 1_000_000;
    let (producer, mut consumer) = ring_at::<u64>(64, u32::MAX - 1000);
    let sender = thread::spawn(move || {
        for n in 0..COUNT {
            let mut value = n;
            while let Err(Full(back)) = producer.push(value) {
                value = back;
                producer.publish();
                thread::yield_now();
            }
            if producer.unpublished() == 16 {
                producer.publish();
            }
        }
    });
    let mut expected = 0;
    loop {
        let closed = consumer.is_closed();
        let taken = consumer.drain(u32::MAX, |value| {
            assert_eq!(value, expected);
            expected += 1;
        });
        match taken {
            0 if closed => break,
            0 => thread::yield_now(),
            _ => {}
        }
    }
    sender.join().unwrap();
    assert_eq!(expected, COUNT);
}

struct Everything;

impl Catalog for Everything {
    type Meta = ();
}

impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

#[test]
fn cells_of_any_type_come_out_as_they_went_in_lap_after_lap() {
    let tally = Tally::default();
    let (producer, mut consumer) = cell_ring_at::<Everything>(4, u32::MAX - 17);
    let fill = |producer: &CellProducer<Everything>, lap: u64| {
        producer.push(MessageCell::new(lap)).unwrap();
        producer.push(MessageCell::new([lap; 9])).unwrap();
        producer.push(MessageCell::new(tally.payload())).unwrap();
    };
    for lap in 0..20 {
        fill(&producer, lap);
        assert!(consumer.is_empty());
        assert_eq!(producer.publish(), 3);
        assert_eq!(consumer.pop().unwrap().take::<u64>().unwrap(), lap);
        let large = consumer.pop().unwrap().take::<[u64; 9]>().unwrap();
        assert_eq!(large, [lap; 9]);
        assert!(consumer.pop().unwrap().take::<support::Payload>().is_ok());
        assert!(consumer.is_empty() && tally.alive() == 0);
    }
    fill(&producer, 20);
    drop((producer, consumer));
    assert_eq!((tally.alive(), tally.dropped()), (0, 21));
}

#[test]
fn cells_come_out_in_parts_and_are_whole_again() {
    let tally = Tally::default();
    let (producer, mut consumer) = cell_ring_at::<Everything>(4, 2);
    for lap in 0..5_u64 {
        producer.push(MessageCell::new((lap, 1_u8, !lap))).unwrap();
        producer.push(MessageCell::new(tally.payload())).unwrap();
        producer.publish();
        let mut come = Vec::new();
        let taken = consumer.drain_lying(4, |parts| {
            assert_eq!(parts.is::<(u64, u8, u64)>(), come.is_empty());
            come.push(parts.whole());
        });
        assert_eq!((taken, come.len(), tally.alive()), (2, 2, 1));
        assert!(come.pop().unwrap().take::<support::Payload>().is_ok());
        let first = come.pop().unwrap().take::<(u64, u8, u64)>().unwrap();
        assert_eq!(first, (lap, 1, !lap));
    }
    assert_eq!((tally.alive(), tally.dropped()), (0, 5));
}
