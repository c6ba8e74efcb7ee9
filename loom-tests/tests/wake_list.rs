//! Models of the wake list.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::{AtomicU32, Relaxed};
use ringpost_mailbox::wake_list::{WakeList, WakeNode};

#[test]
fn a_wake_during_a_drain_is_drained_later() {
    two_threads("wake list: wake against drain", |threads| {
        let mut list = WakeList::new();
        let (handle, node) = (list.handle(), WakeNode::new(7));
        let wakes = Arc::new(AtomicU32::new(0));
        assert!(handle.push(&node));
        let made = Arc::clone(&wakes);
        let waker = threads.spawn(move || {
            let mut pushed = 0;
            for n in 1..=2 {
                // Relaxed: the push orders it, also if the wake is absorbed.
                made.store(n, Relaxed);
                pushed += usize::from(handle.push(&node));
            }
            pushed
        });
        threads.begin();
        let mut seen = 0;
        // Relaxed: as above.
        let mut drained = list.drain(|_| seen = wakes.load(Relaxed));
        drained += list.drain(|_| seen = wakes.load(Relaxed));
        let pushed = waker.join().unwrap();
        drained += list.drain(|_| seen = wakes.load(Relaxed));
        assert_eq!(seen, 2, "the task runs after its last wake");
        assert_eq!(drained, 1 + pushed);
    });
}

#[test]
fn two_wakers_of_one_task_lose_nothing() {
    three_threads("wake list: two wakers, one task", |threads| {
        let mut list = WakeList::new();
        let node = WakeNode::new(7);
        let wakes = Arc::new(AtomicU32::new(0));
        let wakers = [(); 2].map(|()| {
            let (handle, node) = (list.handle(), Arc::clone(&node));
            let wakes = Arc::clone(&wakes);
            threads.spawn(move || {
                // Relaxed: the push orders it, also if the wake is absorbed.
                wakes.fetch_add(1, Relaxed);
                handle.push(&node)
            })
        });
        threads.begin();
        let mut seen = 0;
        // Relaxed: as above.
        let mut drained = list.drain(|_| seen = wakes.load(Relaxed));
        let mut pushed = 0;
        for waker in wakers {
            pushed += usize::from(waker.join().unwrap());
        }
        drained += list.drain(|_| seen = wakes.load(Relaxed));
        assert_eq!((seen, drained), (2, pushed));
    });
}

#[test]
fn two_wakers_of_two_tasks_lose_nothing() {
    three_threads("wake list: two wakers, two tasks", |threads| {
        let mut list = WakeList::new();
        let wakers = [1, 2].map(|key| {
            let handle = list.handle();
            threads.spawn(move || assert!(handle.push(&WakeNode::new(key))))
        });
        threads.begin();
        let mut sum = 0;
        list.drain(|key| sum += key);
        for waker in wakers {
            waker.join().unwrap();
        }
        list.drain(|key| sum += key);
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_push_to_a_dropped_list_leaks_nothing() {
    two_threads("wake list: push against drop", |threads| {
        let list = WakeList::new();
        let handle = list.handle();
        let waker = threads.spawn(move || {
            handle.push(&WakeNode::new(1));
            handle.push(&WakeNode::new(2));
        });
        threads.begin();
        drop(list);
        waker.join().unwrap();
    });
}
