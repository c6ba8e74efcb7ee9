//! Models of the semaphore.
#![cfg(loom)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use ringpost_loom_tests::explore;
use ringpost_mailbox::semaphore::{Closed, Semaphore};
use ringpost_mailbox::sync::{Arc, cell::UnsafeCell, thread};

/// Goes to wait, looks once, and gives up; says whether it got a permit.
fn wait_and_give_up(permits: &Semaphore) -> bool {
    let mut waiting = pin!(permits.acquire());
    let polled = waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    polled == Poll::Ready(Ok(()))
}

/// A semaphore, and a number for the holder of its only permit.
struct Guarded {
    permits: Semaphore,
    number: UnsafeCell<u32>,
}

impl Guarded {
    fn new(permits: u32) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(permits),
            number: UnsafeCell::new(0),
        })
    }

    /// What a holder does: loom reports a race if the last one's work is not seen.
    fn work(&self) {
        // SAFETY: the caller holds the only permit.
        self.number.with_mut(|number| unsafe { *number += 1 });
    }
}

#[test]
fn a_release_wakes_who_waits() {
    explore("semaphore: release against acquire", None, |first| {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        let giver = thread::spawn(move || given.release(1));
        first.wait();
        assert_eq!(block_on(permits.acquire()), Ok(()));
        giver.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
}

#[test]
fn a_dropped_future_passes_its_permit_on() {
    explore("semaphore: release against cancel", None, |first| {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        let giver = thread::spawn(move || given.release(1));
        first.wait();
        let taken = wait_and_give_up(&permits);
        giver.join().unwrap();
        assert_eq!(permits.available(), u64::from(!taken));
    });
}

#[test]
fn who_waits_behind_one_that_gives_up_is_served() {
    explore(
        "semaphore: cancel before another waiter",
        Some(3),
        |first| {
            let permits = Arc::new(Semaphore::new(0));
            let (given, awaited) = (Arc::clone(&permits), Arc::clone(&permits));
            let giver = thread::spawn(move || given.release(1));
            let waiter = thread::spawn(move || {
                assert_eq!(block_on(awaited.acquire()), Ok(()));
                awaited.release(1);
            });
            first.wait();
            if wait_and_give_up(&permits) {
                permits.release(1);
            }
            giver.join().unwrap();
            waiter.join().unwrap();
            assert_eq!(permits.available(), 1);
        },
    );
}

#[test]
fn a_close_wakes_who_waits() {
    explore("semaphore: close against acquire", None, |first| {
        let permits = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&permits);
        let closer = thread::spawn(move || closed.close());
        first.wait();
        assert_eq!(block_on(permits.acquire()), Err(Closed));
        closer.join().unwrap();
        assert_eq!(block_on(permits.acquire()), Err(Closed));
    });
}

#[test]
fn no_permit_is_lost_when_all_happens_at_once() {
    explore("semaphore: close, release and cancel", Some(3), |first| {
        let permits = Arc::new(Semaphore::new(0));
        let (given, closed) = (Arc::clone(&permits), Arc::clone(&permits));
        let giver = thread::spawn(move || given.release(1));
        let closer = thread::spawn(move || closed.close());
        first.wait();
        let taken = wait_and_give_up(&permits);
        giver.join().unwrap();
        closer.join().unwrap();
        assert!(permits.is_closed() && !permits.try_acquire());
        assert_eq!(permits.available(), u64::from(!taken));
    });
}

#[test]
fn a_holder_sees_what_the_last_one_did() {
    explore("semaphore: permits carry what was done", None, |first| {
        let guarded = Guarded::new(1);
        let turn = |guarded: &Guarded| {
            assert_eq!(block_on(guarded.permits.acquire()), Ok(()));
            guarded.work();
            guarded.permits.release(1);
        };
        let shared = Arc::clone(&guarded);
        let other = thread::spawn(move || turn(&shared));
        first.wait();
        turn(&guarded);
        other.join().unwrap();
        guarded.work();
    });
}

/// The releaser finds someone waiting who has given up when it has the lock.
#[test]
fn a_permit_left_over_carries_what_was_done() {
    explore("semaphore: a permit left over", None, |first| {
        let guarded = Guarded::new(0);
        let shared = Arc::clone(&guarded);
        let holder = thread::spawn(move || {
            shared.work();
            shared.permits.release(1);
        });
        first.wait();
        if wait_and_give_up(&guarded.permits) || guarded.permits.try_acquire() {
            guarded.work();
        }
        holder.join().unwrap();
    });
}
