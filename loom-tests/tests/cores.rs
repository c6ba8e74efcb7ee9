//! Models of several parts together, as a node uses them.
#![cfg(loom)]

use ringpost_loom_tests::explore;
use ringpost_mailbox::inbox::inbox;
use ringpost_mailbox::ring::{Consumer, ring};
use ringpost_mailbox::sync::thread::{self, Thread};
use ringpost_mailbox::sync::{Arc, Mutex};
use ringpost_mailbox::wake::{Parked, Parker, WakeWord, publish_fence};
use ringpost_mailbox::wake_list::{WakeList, WakeNode};

/// The end of a flush: the fence, and a ring of the sleeper if it is asked for.
fn wake(word: &WakeWord, sleeper: &Thread) {
    publish_fence();
    if word.notify() {
        sleeper.unpark();
    }
}

/// A ring is made by the sender when it has something to send, and its end goes to the receiver's
/// inbox. The receiver scans the rings it knows, and the inbox, before it sleeps.
#[test]
fn a_ring_made_late_wakes_its_receiver() {
    explore("cores: lazy ring against scan", None, |first| {
        let (ends, mut arrivals) = inbox::<Consumer<Arc<u32>>>(1);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let sender = thread::spawn(move || {
            let (mut producer, consumer) = ring(2);
            producer.push(Arc::new(0)).unwrap();
            producer.publish();
            ends.push(consumer).unwrap();
            wake(&word, &sleeper);
            producer.push(Arc::new(1)).unwrap();
            producer.publish();
            wake(&word, &sleeper);
        });
        first.wait();
        let (mut rings, mut next) = (Vec::new(), 0);
        while next < 2 {
            rings.extend(arrivals.pop());
            for ring in &mut rings {
                ring.drain(8, |value: Arc<u32>| {
                    assert_eq!(*value, next);
                    next += 1;
                });
            }
            if next < 2 {
                let has_work =
                    || !arrivals.is_empty() || rings.iter_mut().any(|ring| !ring.is_empty());
                let outcome = parker.park(has_work, thread::park);
                assert_ne!(outcome, Parked::FoundAfterTimeout);
            }
        }
        sender.join().unwrap();
    });
}

/// Two threads outside push; the one that claims first may be the last to finish.
#[test]
fn an_inbox_wakes_its_receiver() {
    explore("cores: park against inbox", Some(3), |first| {
        let (outside, mut receiver) = inbox(2);
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let senders = [(); 2].map(|()| {
            let (outside, word) = (outside.clone(), Arc::clone(&word));
            let sleeper = sleeper.clone();
            thread::spawn(move || {
                outside.push(Arc::new(1)).unwrap();
                wake(&word, &sleeper);
            })
        });
        first.wait();
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
    explore("cores: park against wake list", None, |first| {
        let mut list = WakeList::new();
        let (handle, node) = (list.handle(), WakeNode::new(7));
        let (mut parker, word) = Parker::new();
        let sleeper = thread::current();
        let finished = Arc::new(Mutex::new(false));
        let done = Arc::clone(&finished);
        handle.push(&node);
        let waker = thread::spawn(move || {
            *done.lock() = true;
            // Absorbed or not: if it was, whoever put the node there notifies.
            if handle.push(&node) {
                wake(&word, &sleeper);
            }
        });
        first.wait();
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
    explore("cores: generations", None, |first| {
        let (mut producer, mut consumer) = ring::<Arc<Message>>(2);
        let (mut news, mut heard) = ring::<u32>(1);
        let sender = thread::spawn(move || {
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
        first.wait();
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
