//! The model of the hint map: with full scans before sleeping, a missed mark loses nothing.
#![cfg(loom)]

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::hint::HintMap;
use ringpost_mailbox::ring::ring;
use ringpost_mailbox::sync::{Arc, thread};
use ringpost_mailbox::wake::{Parked, Parker, publish_fence};

#[test]
fn what_a_hint_misses_the_full_scan_finds() {
    two_threads("hint: map and full scan", |threads| {
        let hints = Arc::new(HintMap::new(2));
        let (mut producer, mut consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let (marked, sleeper) = (Arc::clone(&hints), thread::current());
        let sender = threads.spawn(move || {
            for n in 0..2 {
                producer.push(n).unwrap();
                producer.publish();
                publish_fence();
                marked.mark(1);
                if word.notify() {
                    sleeper.unpark();
                }
            }
        });
        threads.begin();
        let mut taken = 0;
        while taken < 2 {
            let mut by_hint = false;
            hints.take(|ring| by_hint |= ring == 1);
            if by_hint {
                taken += consumer.drain(8, |_| ());
                continue;
            }
            let outcome = parker.park(|| !consumer.is_empty(), thread::park);
            assert_ne!(outcome, Parked::FoundAfterTimeout);
            taken += consumer.drain(8, |_| ());
        }
        sender.join().unwrap();
    });
}

#[test]
fn a_mark_is_found_once() {
    three_threads("hint: marks of two senders", |threads| {
        let hints = Arc::new(HintMap::new(2));
        let senders = [0, 1].map(|ring| {
            let marked = Arc::clone(&hints);
            threads.spawn(move || marked.mark(ring))
        });
        threads.begin();
        let mut found = hints.take(|_| ());
        for sender in senders {
            sender.join().unwrap();
        }
        found += hints.take(|_| ());
        assert_eq!((found, hints.take(|_| ())), (2, 0));
    });
}
