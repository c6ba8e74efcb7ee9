//! Models of the ring.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ringpost_loom_tests::two_threads;
use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
use ringpost_mailbox::ring::{CAPACITY_MAX, CellConsumer, Consumer, cell_ring_at, ring, ring_at};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::thread::JoinHandle;

/// Takes what is there, and asserts that it goes on from `next`.
fn drain_in_order(consumer: &mut Consumer<Arc<u32>>, next: &mut u32) {
    consumer.drain(8, |value| {
        assert_eq!(*value, *next);
        *next += 1;
    });
}

/// Takes what comes beside the sender, so many times, and the rest when that has said how many it has sent: all arrive.
fn all_arrive(sender: JoinHandle<u32>, times: u32, mut take: impl FnMut(&mut u32)) {
    let mut next = 0;
    (0..times).for_each(|_| take(&mut next));
    let sent = sender.join().unwrap();
    take(&mut next);
    assert_eq!(next, sent);
}

/// As [`drain_in_order`], but gives up after the first value, by a panic of its sink.
fn cancel_drain(consumer: &mut Consumer<Arc<u32>>, next: &mut u32) {
    struct Cancelled;
    let drain = AssertUnwindSafe(|| {
        consumer.drain(8, |value| {
            assert_eq!(*value, *next);
            *next += 1;
            resume_unwind(Box::new(Cancelled));
        })
    });
    if let Err(panic) = catch_unwind(drain)
        && !panic.is::<Cancelled>()
    {
        resume_unwind(panic);
    }
}

/// Everything travels in cells.
struct Everything;

impl Catalog for Everything {
    type Meta = ();
}

impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

/// As [`drain_in_order`], of cells that are alike.
fn take_alike(consumer: &mut CellConsumer<Everything>, next: &mut u32) {
    consumer.burst(|burst| {
        burst.alike(CAPACITY_MAX, |cells| {
            while let Some(cell) = cells.pop::<Arc<u32>>() {
                assert_eq!(*cell.take::<Arc<u32>>().unwrap(), *next);
                *next += 1;
            }
        });
    });
}

#[test]
fn what_is_shown_as_it_is_pushed_arrives_in_order() {
    two_threads("ring: shown first", |threads| {
        let (producer, mut consumer) = ring_at(2, u32::MAX);
        let sender = threads.spawn(move || {
            producer.show_first(true);
            producer.push(Arc::new(0)).unwrap();
            assert_eq!(producer.unpublished(), 0);
            producer.show_first(false);
            let mut sent = 1;
            for _ in 0..2 {
                sent += u32::from(producer.push(Arc::new(sent)).is_ok());
            }
            producer.publish();
            sent
        });
        threads.begin();
        all_arrive(sender, 3, |next| drain_in_order(&mut consumer, next));
    });
}

#[test]
fn two_batches_arrive_in_order() {
    two_threads("ring: two batches", |threads| {
        let (producer, mut consumer) = ring_at(2, u32::MAX);
        let sender = threads.spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.push(Arc::new(1)).unwrap();
            assert_eq!(producer.publish(), 2);
            let mut sent = 2;
            for _ in 0..3 {
                sent += u32::from(producer.push(Arc::new(sent)).is_ok());
            }
            producer.publish();
            sent
        });
        threads.begin();
        all_arrive(sender, 3, |next| drain_in_order(&mut consumer, next));
    });
}

#[test]
fn cells_that_are_alike_arrive_in_order_and_none_of_a_lap_before() {
    two_threads("ring: cells that are alike", |threads| {
        let (producer, mut consumer) = cell_ring_at::<Everything>(2, u32::MAX);
        let sender = threads.spawn(move || {
            let mut sent = 0;
            for _ in 0..4 {
                let cell = MessageCell::new(Arc::new(sent));
                sent += u32::from(producer.push(cell).is_ok());
                if sent != 1 {
                    producer.publish();
                }
            }
            producer.publish();
            sent
        });
        threads.begin();
        all_arrive(sender, 2, |next| take_alike(&mut consumer, next));
    });
}

#[test]
fn a_slot_is_used_again_only_after_it_was_taken() {
    two_threads("ring: slots used again", |threads| {
        let (producer, mut consumer) = ring(1);
        producer.push(Arc::new(0)).unwrap();
        producer.publish();
        let sender = threads.spawn(move || {
            let mut sent = 1;
            for _ in 0..2 {
                if producer.push(Arc::new(sent)).is_ok() {
                    sent += 1;
                    producer.publish();
                }
            }
            sent
        });
        threads.begin();
        all_arrive(sender, 2, |next| drain_in_order(&mut consumer, next));
    });
}

#[test]
fn leftovers_are_dropped_once_whoever_goes_last() {
    two_threads("ring: leftovers", |threads| {
        let (producer, mut consumer) = ring(2);
        let sender = threads.spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            producer.push(Arc::new(1)).unwrap();
        });
        threads.begin();
        let taken = consumer.pop();
        assert!(taken.is_none_or(|value| *value == 0));
        drop(consumer);
        sender.join().unwrap();
    });
}

#[test]
fn a_closed_ring_shows_everything_pushed() {
    two_threads("ring: closed by its producer", |threads| {
        let (producer, mut consumer) = ring(2);
        let sender = threads.spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            producer.push(Arc::new(1)).unwrap();
        });
        threads.begin();
        let closed = consumer.is_closed();
        let mut next = 0;
        drain_in_order(&mut consumer, &mut next);
        assert!(!closed || next == 2);
        sender.join().unwrap();
        assert!(consumer.is_closed());
        drain_in_order(&mut consumer, &mut next);
        assert_eq!(next, 2);
    });
}

#[test]
fn a_ring_whose_consumer_goes_says_so_and_keeps_nothing() {
    two_threads("ring: closed by its consumer", |threads| {
        let (producer, consumer) = ring(1);
        let receiver = threads.spawn(move || {
            let mut consumer = consumer;
            drop(consumer.pop());
        });
        threads.begin();
        for n in 0..2 {
            let _ = producer.push(Arc::new(n));
            producer.publish();
        }
        receiver.join().unwrap();
        assert!(producer.is_closed());
    });
}

#[test]
fn a_cancelled_drain_gives_its_slot_back_and_keeps_the_rest() {
    two_threads("ring: cancelled drain against pushes", |threads| {
        let (producer, mut consumer) = ring(2);
        let sender = threads.spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.push(Arc::new(1)).unwrap();
            producer.publish();
            // Refused while nobody has taken the first one; the value comes back then.
            let sent = 2 + u32::from(producer.push(Arc::new(2)).is_ok());
            producer.publish();
            sent
        });
        threads.begin();
        let mut next = 0;
        cancel_drain(&mut consumer, &mut next);
        cancel_drain(&mut consumer, &mut next);
        let sent = sender.join().unwrap();
        drain_in_order(&mut consumer, &mut next);
        assert_eq!(next, sent);
    });
}

#[test]
fn a_cancelled_drain_of_a_closed_ring_loses_nothing() {
    two_threads("ring: cancelled drain against close", |threads| {
        let (producer, mut consumer) = ring(2);
        let sender = threads.spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            producer.push(Arc::new(1)).unwrap();
        });
        threads.begin();
        let closed = consumer.is_closed();
        let mut next = 0;
        cancel_drain(&mut consumer, &mut next);
        assert!(!closed || next == 1);
        cancel_drain(&mut consumer, &mut next);
        assert!(!closed || next == 2);
        sender.join().unwrap();
        drain_in_order(&mut consumer, &mut next);
        assert_eq!(next, 2);
    });
}

#[test]
fn leftovers_of_a_cancelled_drain_are_dropped_once() {
    two_threads("ring: cancelled drain, drop and close", |threads| {
        let (producer, mut consumer) = ring(2);
        let values = [0, 1].map(Arc::new);
        let sent = values.clone();
        let sender = threads.spawn(move || {
            for value in sent {
                producer.push(value).unwrap();
                producer.publish();
            }
        });
        threads.begin();
        let mut next = 0;
        cancel_drain(&mut consumer, &mut next);
        drop(consumer);
        sender.join().unwrap();
        for value in values {
            assert_eq!(Arc::strong_count(&value), 1);
        }
    });
}
