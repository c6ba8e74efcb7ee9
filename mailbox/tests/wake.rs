//! The parker: every outcome of a park, and ten thousand sleeps between real threads.

#![cfg(not(loom))]

mod support;

use std::cell::Cell;

use ringpost_mailbox::ring::ring;
use ringpost_mailbox::sync::thread;
use ringpost_mailbox::wake::{Parked, Parker, publish_fence};
use support::panics;

#[test]
fn work_that_is_there_keeps_the_core_awake() {
    let (mut parker, word) = Parker::new();
    assert_eq!(
        parker.park(|| true, || unreachable!("there is work")),
        Parked::FoundWork
    );
    assert!(!word.notify());
}

#[test]
fn a_notify_ends_the_sleep_and_only_one_sender_rings() {
    let (mut parker, word) = Parker::new();
    let outcome = parker.park(
        || false,
        || {
            assert!(format!("{word:?}").contains("PARKED"));
            publish_fence();
            assert!(word.notify());
            assert!(format!("{word:?}").contains("NOTIFIED"));
            assert!(!word.notify());
        },
    );
    assert_eq!(outcome, Parked::Notified);
    assert!(format!("{word:?}").contains("AWAKE"));
    assert!(!word.notify());
}

#[test]
fn a_sleep_that_ends_by_itself_finds_nothing_or_a_lost_wake() {
    let (mut parker, word) = Parker::new();
    assert_eq!(parker.park(|| false, || ()), Parked::TimedOut);

    let work = Cell::new(false);
    let outcome = parker.park(|| work.get(), || work.set(true));
    assert_eq!(outcome, Parked::FoundAfterTimeout);
    assert!(!word.notify());
    assert!(format!("{parker:?}").contains("AWAKE"));
}

#[test]
fn a_notify_that_comes_while_the_receiver_looks_again_is_no_lost_wake() {
    let (mut parker, word) = Parker::new();
    let looks = Cell::new(0);
    let has_work = || {
        looks.set(looks.get() + 1);
        // The second look is the one after the time-out.
        looks.get() == 2 && word.notify()
    };
    assert_eq!(parker.park(has_work, || ()), Parked::Notified);
}

#[test]
fn a_panic_in_the_block_leaves_a_parker_that_works() {
    let (mut parker, word) = Parker::new();
    assert!(panics(|| {
        parker.park(|| false, || panic!("the block panics, as wanted"));
    }));
    assert!(word.notify(), "one needless ring is the price");
    assert_eq!(parker.park(|| true, || ()), Parked::FoundWork);
    assert!(!word.notify());
}

/// Two cores hand one value back and forth and sleep in between; a lost wake would hang the test.
#[test]
fn no_wake_is_lost_in_ten_thousand_rounds() {
    const ROUNDS: u32 = 10_000;
    let (to_b, mut at_b) = ring::<u32>(1);
    let (to_a, mut at_a) = ring::<u32>(1);
    let (mut parker_a, word_a) = Parker::new();
    let (mut parker_b, word_b) = Parker::new();
    let thread_a = thread::current();
    let b = thread::spawn(move || {
        let mut lost = 0;
        for _ in 0..ROUNDS {
            let n = loop {
                match at_b.pop() {
                    Some(n) => break n,
                    None => lost += sleep(&mut parker_b, || !at_b.is_empty()),
                }
            };
            to_a.push(n + 1).unwrap();
            to_a.publish();
            publish_fence();
            if word_a.notify() {
                thread_a.unpark();
            }
        }
        lost
    });
    let mut lost = 0;
    for n in 0..ROUNDS {
        to_b.push(n).unwrap();
        to_b.publish();
        publish_fence();
        if word_b.notify() {
            b.thread().unpark();
        }
        while at_a.is_empty() {
            lost += sleep(&mut parker_a, || !at_a.is_empty());
        }
        assert_eq!(at_a.pop(), Some(n + 1));
    }
    assert_eq!(lost + b.join().unwrap(), 0);
}

fn sleep(parker: &mut Parker, has_work: impl FnMut() -> bool) -> u32 {
    u32::from(parker.park(has_work, thread::park) == Parked::FoundAfterTimeout)
}
