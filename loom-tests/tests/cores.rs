//! Models of several parts together, as a node uses them.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::inbox::{InboxReceiver, inbox};
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::thread::{self, Thread};
use ringpost_mailbox::sync::{Arc, Mutex, mpsc};
use ringpost_mailbox::wake::{Parked, Parker, WakeWord, publish_fence};
use ringpost_mailbox::wake_list::{WakeList, WakeNode};

/// The end of a flush: the fence, and a ring of the sleeper if it is asked for.
fn wake(word: &WakeWord, sleeper: &Thread) {
    publish_fence();
    if word.notify() {
        sleeper.unpark();
    }
}

fn send(producer: &Producer<Arc<u32>>, value: u32, word: &WakeWord, sleeper: &Thread) {
    producer.push(Arc::new(value)).unwrap();
    producer.publish();
    wake(word, sleeper);
}

/// A core has a ring to another one, and has asked for a second; that one makes it between two scans
/// of the rings it knows, and scans both from then on. (How the sender sleeps until then is the
/// business of other models.)
#[test]
fn a_ring_that_is_asked_for_joins_the_scan() {
    two_threads("cores: ring asked for against scan", |threads| {
        let (asking, mut asked) = inbox::<()>(1);
        asking.push(()).unwrap();
        let (handed, late) = mpsc::channel::<Producer<Arc<u32>>>();
        let (mut parker, word) = Parker::new();
        let (producer, consumer) = ring(1);
        let sleeper = thread::current();
        let sender = threads.spawn(move || {
            send(&producer, 0, &word, &sleeper);
            let producer = late.recv().unwrap();
            send(&producer, 1, &word, &sleeper);
        });
        threads.begin();
        let (mut rings, mut seen) = (vec![consumer], 0);
        while seen != 0b11 {
            let before = (rings.len(), seen);
            for ring in &mut rings {
                ring.drain(8, |value: Arc<u32>| seen |= 1 << *value);
            }
            if asked.pop().is_some() {
                let (producer, consumer) = ring(1);
                rings.push(consumer);
                handed.send(producer).unwrap();
            }
            if before == (rings.len(), seen) {
                let has_work =
                    || !asked.is_empty() || rings.iter_mut().any(|ring| !ring.is_empty());
                let outcome = parker.park(has_work, thread::park);
                assert_ne!(outcome, Parked::FoundAfterTimeout);
            }
        }
        sender.join().unwrap();
    });
}

/// Takes what the rings hold and the rings that arrive, until `wanted` values are there; sleeps when
/// nothing is.
fn scan(arrivals: &mut InboxReceiver<Consumer<Arc<u32>>>, parker: &mut Parker, wanted: u32) {
    let (mut rings, mut taken) = (Vec::new(), 0);
    while taken < wanted {
        for ring in &mut rings {
            taken += Consumer::drain(ring, 8, drop);
        }
        let known = rings.len();
        rings.extend(arrivals.pop());
        if taken < wanted && rings.len() == known {
            let has_work = || !arrivals.is_empty() || rings.iter_mut().any(|ring| !ring.is_empty());
            let outcome = parker.park(has_work, thread::park);
            assert_ne!(outcome, Parked::FoundAfterTimeout);
        }
    }
}

/// A sender makes a ring when it has something to send, and its end goes to the receiver's inbox.
#[test]
fn a_ring_made_late_wakes_its_receiver() {
    two_threads("cores: lazy ring against scan", |threads| {
        let (ends, mut arrivals) = inbox(1);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let sender = threads.spawn(move || {
            let (producer, consumer) = ring(2);
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            ends.push(consumer).unwrap();
            wake(&word, &sleeper);
            send(&producer, 1, &word, &sleeper);
        });
        threads.begin();
        scan(&mut arrivals, &mut parker, 2);
        sender.join().unwrap();
    });
}

/// Two senders make a ring each at the same time.
#[test]
fn rings_made_late_by_two_senders_wake_their_receiver() {
    three_threads("cores: lazy rings of two senders", |threads| {
        let (ends, mut arrivals) = inbox(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let senders = [(); 2].map(|()| {
            let (ends, word) = (ends.clone(), Arc::clone(&word));
            let sleeper = sleeper.clone();
            threads.spawn(move || {
                let (producer, consumer) = ring(1);
                ends.push(consumer).unwrap();
                send(&producer, 0, &word, &sleeper);
            })
        });
        threads.begin();
        scan(&mut arrivals, &mut parker, 2);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// Two threads outside push; the one that claims first may be the last to finish.
#[test]
fn an_inbox_wakes_its_receiver() {
    three_threads("cores: park against inbox", |threads| {
        let (outside, mut receiver) = inbox(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let senders = [(); 2].map(|()| {
            let (outside, word) = (outside.clone(), Arc::clone(&word));
            let sleeper = sleeper.clone();
            threads.spawn(move || {
                outside.push(Arc::new(1)).unwrap();
                wake(&word, &sleeper);
            })
        });
        threads.begin();
        let mut taken = 0;
        while taken < 2 {
            match receiver.pop() {
                Some(_) => taken += 1,
                None => {
                    let outcome = parker.park(|| !receiver.is_empty(), thread::park);
                    assert_ne!(outcome, Parked::FoundAfterTimeout);
                }
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// A waker is called while the core that runs its task goes to sleep, having just run it.
#[test]
fn a_task_woken_from_outside_wakes_its_core() {
    two_threads("cores: park against wake list", |threads| {
        let mut list = WakeList::new();
        let (handle, node) = (list.handle(), WakeNode::new(7));
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let finished = Arc::new(Mutex::new(false));
        let done = Arc::clone(&finished);
        handle.push(&node);
        let waker = threads.spawn(move || {
            *done.lock() = true;
            // Absorbed or not: if it was, whoever put the node there notifies.
            if handle.push(&node) {
                wake(&word, &sleeper);
            }
        });
        threads.begin();
        let mut seen = false;
        while !seen {
            if list.drain(|_| seen = *finished.lock()) == 0 {
                let outcome = parker.park(|| !list.is_empty(), thread::park);
                assert_ne!(outcome, Parked::FoundAfterTimeout);
            }
        }
        waker.join().unwrap();
    });
}

/// A place in the table of a core: the worker there, and how often the place was emptied.
struct Place {
    generation: u32,
    worker: Option<&'static str>,
}

/// A message to a place, as the sender knew it.
#[derive(Debug)]
struct Message {
    generation: u32,
    to: &'static str,
}

/// A worker is removed and its place is used again, while messages to the old one are under way and
/// the sender learns of the new one. Each message reaches the worker it was meant for, or is
/// reported.
#[test]
fn a_message_to_a_removed_worker_does_not_reach_the_next() {
    two_threads("cores: generations", |threads| {
        let (producer, mut consumer) = ring::<Arc<Message>>(2);
        let (news, mut heard) = ring::<u32>(1);
        let sender = threads.spawn(move || {
            for _ in 0..2 {
                let message = match heard.pop() {
                    Some(generation) => Message {
                        generation,
                        to: "new",
                    },
                    None => Message {
                        generation: 0,
                        to: "old",
                    },
                };
                producer.push(Arc::new(message)).unwrap();
                producer.publish();
            }
        });
        threads.begin();
        let mut place = Place {
            generation: 0,
            worker: Some("old"),
        };
        let (mut handled, mut undelivered) = (0, 0);
        let mut deliver = |place: &Place, message: Arc<Message>| match place.worker {
            Some(worker) if place.generation == message.generation => {
                assert_eq!(worker, message.to);
                handled += 1;
            }
            _ => undelivered += 1,
        };
        consumer.drain(8, |message| deliver(&place, message));
        place.worker = None;
        place.generation += 1;
        consumer.drain(8, |message| deliver(&place, message));
        place.worker = Some("new");
        news.push(place.generation).unwrap();
        news.publish();
        consumer.drain(8, |message| deliver(&place, message));
        sender.join().unwrap();
        consumer.drain(8, |message| deliver(&place, message));
        assert_eq!(handled + undelivered, 2);
    });
}
