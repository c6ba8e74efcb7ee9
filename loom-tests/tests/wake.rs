//! Models of the wake word and the parker. A lost wake is a deadlock here.
#![cfg(loom)]

use ringpost_loom_tests::explore;
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

fn send(mut producer: Producer<u32>, word: &WakeWord, sleeper: &Thread) {
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
    explore("park: one sender", None, |first| {
        let (mut producer, consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let sender = thread::spawn(move || {
            producer.push(1).unwrap();
            producer.publish();
            wake(&word, &sleeper);
            send(producer, &word, &sleeper);
        });
        first.wait();
        receive(&mut parker, &mut [consumer], 2);
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_wake_their_receiver() {
    explore("park: two senders", Some(3), |first| {
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let (mut senders, mut rings) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (producer, consumer) = ring(2);
            let (word, sleeper) = (Arc::clone(&word), sleeper.clone());
            rings.push(consumer);
            senders.push(thread::spawn(move || send(producer, &word, &sleeper)));
        }
        first.wait();
        receive(&mut parker, &mut rings, 2);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn one_sender_rings_for_a_sleep() {
    explore("park: one ring a sleep", Some(3), |first| {
        let (mut parker, word) = Parker::new();
        let rung = Arc::new(AtomicU32::new(0));
        let senders = [(); 2].map(|()| {
            let (word, rung) = (Arc::clone(&word), Arc::clone(&rung));
            thread::spawn(move || {
                publish_fence();
                if word.notify() {
                    // Relaxed: read when the threads have ended.
                    rung.fetch_add(1, Relaxed);
                }
            })
        });
        first.wait();
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
    explore("park: shutdown flag", None, |first| {
        let flag = Arc::new(AtomicBool::new(false));
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let raised = Arc::clone(&flag);
        let sender = thread::spawn(move || {
            // Relaxed: the fence of `wake` follows.
            raised.store(true, Relaxed);
            wake(&word, &sleeper);
        });
        first.wait();
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
    explore("park: time-out", None, |first| {
        let (mut producer, mut consumer) = ring(2);
        let (mut parker, word) = Parker::new();
        let watched = Arc::clone(&word);
        let sender = thread::spawn(move || {
            producer.push(1).unwrap();
            producer.publish();
            publish_fence();
            word.notify()
        });
        first.wait();
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
    explore("park: notified without being rung", None, |first| {
        let work = Arc::new(UnsafeCell::new(0));
        let (mut parker, word) = Parker::new();
        let written = Arc::clone(&work);
        let sender = thread::spawn(move || {
            // SAFETY: the receiver reads only what it was notified of.
            written.with_mut(|place| unsafe { *place = 1 });
            publish_fence();
            word.notify()
        });
        first.wait();
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
    explore("park: awake after every sleep", None, |_| {
        let (mut parker, word) = Parker::new();
        assert_eq!(parker.park(|| false, || ()), Parked::TimedOut);
        assert!(!word.notify());
        assert_eq!(parker.park(|| true, || unreachable!()), Parked::FoundWork);
        assert!(!word.notify());
    });
}

#[test]
fn a_word_outlives_its_parker() {
    explore("park: parker dropped", None, |first| {
        let (mut parker, word) = Parker::new();
        let sender = thread::spawn(move || {
            publish_fence();
            u32::from(word.notify()) + u32::from(word.notify())
        });
        first.wait();
        parker.park(|| false, || ());
        drop(parker);
        assert!(
            sender.join().unwrap() <= 1,
            "nobody rings twice for one sleep"
        );
    });
}
