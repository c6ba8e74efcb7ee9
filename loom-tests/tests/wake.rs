//! Models of the wake word and the parker. A lost wake is a deadlock here.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ringpost_loom_tests::{one_thread, three_threads, two_threads};
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::atomic::{AtomicBool, AtomicU32, Relaxed};
use ringpost_mailbox::sync::thread::{self, Thread};
use ringpost_mailbox::sync::{Arc, cell::UnsafeCell};
use ringpost_mailbox::wake::{Parked, Parker, WakeWord, publish_fence};

/// The end of a flush: the fence, and a ring of the sleeper if it is asked for.
fn wake(word: &WakeWord, sleeper: &Thread) {
    publish_fence();
    if word.notify() {
        sleeper.unpark();
    }
}

fn send(producer: Producer<u32>, word: &WakeWord, sleeper: &Thread) {
    producer.push(1).unwrap();
    producer.publish();
    wake(word, sleeper);
}

/// Takes values until it has `wanted`, and sleeps when there are none.
fn receive(parker: &mut Parker, rings: &mut [Consumer<u32>], wanted: u32) {
    let mut count = 0;
    loop {
        for ring in &mut *rings {
            count += ring.drain(8, |_| ());
        }
        if count == wanted {
            return;
        }
        let outcome = parker.park(
            || rings.iter_mut().any(|ring| !ring.is_empty()),
            thread::park,
        );
        assert_ne!(outcome, Parked::FoundAfterTimeout);
    }
}

#[test]
fn a_sender_wakes_its_receiver() {
    two_threads("park: one sender", |threads| {
        let (producer, consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let sender = threads.spawn(move || {
            producer.push(1).unwrap();
            producer.publish();
            wake(&word, &sleeper);
            send(producer, &word, &sleeper);
        });
        threads.begin();
        receive(&mut parker, &mut [consumer], 2);
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_wake_their_receiver() {
    three_threads("park: two senders", |threads| {
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let (mut senders, mut rings) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (producer, consumer) = ring(2);
            let (word, sleeper) = (Arc::clone(&word), sleeper.clone());
            rings.push(consumer);
            senders.push(threads.spawn(move || send(producer, &word, &sleeper)));
        }
        threads.begin();
        receive(&mut parker, &mut rings, 2);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn one_sender_rings_for_a_sleep() {
    three_threads("park: one ring a sleep", |threads| {
        let (mut parker, word) = Parker::new();
        let rung = Arc::new(AtomicU32::new(0));
        let senders = [(); 2].map(|()| {
            let (word, rung) = (Arc::clone(&word), Arc::clone(&rung));
            threads.spawn(move || {
                publish_fence();
                if word.notify() {
                    // Relaxed: read when the threads have ended.
                    rung.fetch_add(1, Relaxed);
                }
            })
        });
        threads.begin();
        let outcome = parker.park(|| false, || ());
        for sender in senders {
            sender.join().unwrap();
        }
        // Relaxed: as above.
        let rung = rung.load(Relaxed);
        assert_eq!(rung, u32::from(outcome == Parked::Notified));
    });
}

#[test]
fn a_flag_wakes_its_receiver() {
    two_threads("park: shutdown flag", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let raised = Arc::clone(&flag);
        let sender = threads.spawn(move || {
            // Relaxed: the fence of `wake` follows.
            raised.store(true, Relaxed);
            wake(&word, &sleeper);
        });
        threads.begin();
        // Relaxed: the flag stands for itself.
        while !flag.load(Relaxed) {
            parker.park(|| flag.load(Relaxed), thread::park);
        }
        sender.join().unwrap();
    });
}

/// The receiver's time is over at once, while the sender is anywhere in its flush.
#[test]
fn a_sleep_that_times_out_counts_no_lost_wake() {
    two_threads("park: time-out", |threads| {
        let (producer, mut consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let watched = Arc::clone(&word);
        let sender = threads.spawn(move || {
            producer.push(1).unwrap();
            producer.publish();
            publish_fence();
            word.notify()
        });
        threads.begin();
        let outcome = parker.park(|| !consumer.is_empty(), || ());
        assert!(!watched.notify(), "the core is awake");
        let taken = consumer.pop();
        let rung = sender.join().unwrap();
        match outcome {
            Parked::FoundAfterTimeout => panic!("a wake was lost"),
            Parked::TimedOut => assert!(!rung),
            Parked::FoundWork => assert_eq!(taken, Some(1)),
            Parked::Notified => assert_eq!((taken, rung), (Some(1), true)),
        }
    });
}

#[test]
fn what_was_written_before_a_notify_is_seen_after_it() {
    two_threads("park: notified without being rung", |threads| {
        let work = Arc::new(UnsafeCell::new(0));
        let (mut parker, word) = Parker::new();
        let written = Arc::clone(&work);
        let sender = threads.spawn(move || {
            // SAFETY: the receiver reads only what it was notified of.
            written.with_mut(|place| unsafe { *place = 1 });
            publish_fence();
            word.notify()
        });
        threads.begin();
        if parker.park(|| false, || ()) == Parked::Notified {
            // SAFETY: the writer notifies after its last write.
            work.with(|place| assert_eq!(unsafe { *place }, 1));
        }
        sender.join().unwrap();
        assert_eq!(parker.park(|| true, || unreachable!()), Parked::FoundWork);
    });
}

#[test]
fn an_awake_core_is_not_rung() {
    one_thread("park: awake after every sleep", || {
        let (mut parker, word) = Parker::new();
        assert_eq!(parker.park(|| false, || ()), Parked::TimedOut);
        assert!(!word.notify());
        assert_eq!(parker.park(|| true, || unreachable!()), Parked::FoundWork);
        assert!(!word.notify());
    });
}

#[test]
fn a_word_outlives_its_parker() {
    two_threads("park: parker dropped", |threads| {
        let (mut parker, word) = Parker::new();
        let sender = threads.spawn(move || {
            publish_fence();
            u32::from(word.notify()) + u32::from(word.notify())
        });
        threads.begin();
        parker.park(|| false, || ());
        drop(parker);
        assert!(
            sender.join().unwrap() <= 1,
            "nobody rings twice for one sleep"
        );
    });
}

/// Asserts that no wake of a sleep was lost, and none rung for nothing but while work was found.
fn assert_rung(outcome: Parked, rung: u32) {
    match outcome {
        Parked::FoundAfterTimeout => panic!("a wake was lost"),
        Parked::TimedOut => assert_eq!(rung, 0),
        Parked::FoundWork => assert!(rung <= 1),
        Parked::Notified => assert_eq!(rung, 1),
    }
}

/// Goes to sleep, which ends in a panic unless there is work; says whether there was.
fn cancel_park(parker: &mut Parker, has_work: impl FnMut() -> bool) -> bool {
    let sleep = AssertUnwindSafe(|| parker.park(has_work, || resume_unwind(Box::new(()))));
    match catch_unwind(sleep) {
        Ok(outcome) => {
            assert_eq!(outcome, Parked::FoundWork);
            true
        }
        Err(_) => false,
    }
}

/// The word may stay PARKED, and then the sender rings once for nothing. The receiver is not the main
/// thread here, as loom takes such a ring for the end of a join.
#[test]
fn a_sleep_that_panics_loses_no_wake() {
    two_threads("park: panic against a sender", |threads| {
        let (producer, consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let receiver = threads.spawn(move || {
            cancel_park(&mut parker, || !consumer.is_empty());
            receive(&mut parker, &mut [consumer], 1);
        });
        let sleeper = receiver.thread().clone();
        threads.begin();
        send(producer, &word, &sleeper);
        receiver.join().unwrap();
    });
}

#[test]
fn a_sleep_that_panics_misses_no_close() {
    two_threads("park: panic against the shutdown flag", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut parker, word) = Parker::new();
        let raised = Arc::clone(&flag);
        let receiver = threads.spawn(move || {
            // Relaxed, all: the flag stands for itself.
            cancel_park(&mut parker, || flag.load(Relaxed));
            while !flag.load(Relaxed) {
                let outcome = parker.park(|| flag.load(Relaxed), thread::park);
                assert_ne!(outcome, Parked::FoundAfterTimeout);
            }
        });
        let sleeper = receiver.thread().clone();
        threads.begin();
        // Relaxed: the fence of `wake` follows.
        raised.store(true, Relaxed);
        wake(&word, &sleeper);
        receiver.join().unwrap();
    });
}

#[test]
fn a_close_during_a_sleep_that_times_out_is_no_lost_wake() {
    two_threads("park: time-out against the shutdown flag", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut parker, word) = Parker::new();
        let raised = Arc::clone(&flag);
        let closer = threads.spawn(move || {
            // Relaxed: the fence follows.
            raised.store(true, Relaxed);
            publish_fence();
            word.notify()
        });
        threads.begin();
        // Relaxed, both: the flag stands for itself.
        let outcome = parker.park(|| flag.load(Relaxed), || ());
        let closed = flag.load(Relaxed);
        let rung = closer.join().unwrap();
        assert!(closed || outcome == Parked::TimedOut);
        assert_rung(outcome, u32::from(rung));
    });
}

#[test]
fn a_close_outlives_the_parker() {
    two_threads("park: parker dropped against the flag", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut parker, word) = Parker::new();
        let raised = Arc::clone(&flag);
        let closer = threads.spawn(move || {
            // Relaxed: the fence follows.
            raised.store(true, Relaxed);
            publish_fence();
            word.notify()
        });
        threads.begin();
        // Relaxed, here and below: the flag stands for itself.
        let outcome = parker.park(|| flag.load(Relaxed), || ());
        drop(parker);
        let closed = flag.load(Relaxed);
        let rung = closer.join().unwrap();
        assert!(closed || outcome == Parked::TimedOut);
        assert_rung(outcome, u32::from(rung));
        assert!(flag.load(Relaxed));
    });
}

/// What one end may do to the other at its worst: a value and the close arrive while the receiver's
/// time runs out and it goes.
#[test]
fn a_sender_a_close_a_time_out_and_a_drop_lose_nothing() {
    three_threads("park: send, close, time-out and drop", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (producer, mut consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let (raised, sent_word) = (Arc::clone(&flag), Arc::clone(&word));
        let sender = threads.spawn(move || {
            producer.push(1).unwrap();
            producer.publish();
            publish_fence();
            u32::from(sent_word.notify())
        });
        let closer = threads.spawn(move || {
            // Relaxed: the fence follows.
            raised.store(true, Relaxed);
            publish_fence();
            u32::from(word.notify())
        });
        threads.begin();
        // Relaxed, here and below: the flag stands for itself.
        let has_work = || !consumer.is_empty() || flag.load(Relaxed);
        let outcome = parker.park(has_work, || ());
        drop(parker);
        let found = !consumer.is_empty() || flag.load(Relaxed);
        let rung = sender.join().unwrap() + closer.join().unwrap();
        assert!(found || outcome == Parked::TimedOut);
        assert_rung(outcome, rung);
        assert_eq!((consumer.pop(), flag.load(Relaxed)), (Some(1), true));
    });
}

#[test]
fn a_sender_and_a_close_both_wake_their_receiver() {
    three_threads("park: sender and shutdown flag", |threads| {
        let flag = Arc::new(AtomicBool::new(false));
        let (producer, mut consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let (raised, closing, waking) = (Arc::clone(&flag), Arc::clone(&word), sleeper.clone());
        let sender = threads.spawn(move || send(producer, &word, &sleeper));
        let closer = threads.spawn(move || {
            // Relaxed: the fence of `wake` follows.
            raised.store(true, Relaxed);
            wake(&closing, &waking);
        });
        threads.begin();
        let (mut taken, mut closed) = (0, false);
        while taken < 1 || !closed {
            taken += consumer.drain(8, |_| ());
            // Relaxed, both: the flag stands for itself.
            closed = flag.load(Relaxed);
            if taken < 1 || !closed {
                let has_work = || !consumer.is_empty() || flag.load(Relaxed) != closed;
                let outcome = parker.park(has_work, thread::park);
                assert_ne!(outcome, Parked::FoundAfterTimeout);
            }
        }
        sender.join().unwrap();
        closer.join().unwrap();
    });
}
