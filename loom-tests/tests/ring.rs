//! Models of the ring.
#![cfg(loom)]

use ringpost_loom_tests::explore;
use ringpost_mailbox::ring::{Consumer, ring, ring_at};
use ringpost_mailbox::sync::{Arc, thread};

/// Takes what is there, and asserts that it goes on from `next`.
fn drain_in_order(consumer: &mut Consumer<Arc<u32>>, next: &mut u32) {
    consumer.drain(8, |value| {
        assert_eq!(*value, *next);
        *next += 1;
    });
}

#[test]
fn two_batches_arrive_in_order() {
    explore("ring: two batches", None, |first| {
        let (mut producer, mut consumer) = ring_at(2, u32::MAX);
        let sender = thread::spawn(move || {
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
        first.wait();
        let mut next = 0;
        for _ in 0..3 {
            drain_in_order(&mut consumer, &mut next);
        }
        let sent = sender.join().unwrap();
        drain_in_order(&mut consumer, &mut next);
        assert_eq!(next, sent);
    });
}

#[test]
fn a_slot_is_used_again_only_after_it_was_taken() {
    explore("ring: slots used again", None, |first| {
        let (mut producer, mut consumer) = ring(1);
        producer.push(Arc::new(0)).unwrap();
        producer.publish();
        let sender = thread::spawn(move || {
            let mut sent = 1;
            for _ in 0..2 {
                if producer.push(Arc::new(sent)).is_ok() {
                    sent += 1;
                    producer.publish();
                }
            }
            sent
        });
        first.wait();
        let mut next = 0;
        drain_in_order(&mut consumer, &mut next);
        drain_in_order(&mut consumer, &mut next);
        let sent = sender.join().unwrap();
        drain_in_order(&mut consumer, &mut next);
        assert_eq!(next, sent);
    });
}

#[test]
fn leftovers_are_dropped_once_whoever_goes_last() {
    explore("ring: leftovers", None, |first| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            producer.push(Arc::new(1)).unwrap();
        });
        first.wait();
        let taken = consumer.pop();
        assert!(taken.is_none_or(|value| *value == 0));
        drop(consumer);
        sender.join().unwrap();
    });
}

#[test]
fn a_closed_ring_shows_everything_pushed() {
    explore("ring: closed by its producer", None, |first| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || {
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            producer.push(Arc::new(1)).unwrap();
        });
        first.wait();
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
    explore("ring: closed by its consumer", None, |first| {
        let (mut producer, consumer) = ring(1);
        let receiver = thread::spawn(move || {
            let mut consumer = consumer;
            drop(consumer.pop());
        });
        first.wait();
        for n in 0..2 {
            let _ = producer.push(Arc::new(n));
            producer.publish();
        }
        receiver.join().unwrap();
        assert!(producer.is_closed());
    });
}
