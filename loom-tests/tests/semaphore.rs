//! Models of the semaphore.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ringpost_loom_tests::{block_on, three_threads, two_threads};
use ringpost_mailbox::semaphore::{Closed, Semaphore};
use ringpost_mailbox::sync::{Arc, cell::UnsafeCell};

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
    two_threads("semaphore: release against acquire", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        let giver = threads.spawn(move || given.release(1));
        threads.begin();
        assert_eq!(block_on(permits.acquire()), Ok(()));
        giver.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
}

#[test]
fn a_dropped_future_passes_its_permit_on() {
    two_threads("semaphore: release against cancel", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let given = Arc::clone(&permits);
        let giver = threads.spawn(move || given.release(1));
        threads.begin();
        let taken = wait_and_give_up(&permits);
        giver.join().unwrap();
        assert_eq!(permits.available(), u64::from(!taken));
    });
}

#[test]
fn who_waits_behind_one_that_gives_up_is_served() {
    three_threads("semaphore: cancel before another waiter", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let (given, awaited) = (Arc::clone(&permits), Arc::clone(&permits));
        let giver = threads.spawn(move || given.release(1));
        let waiter = threads.spawn(move || {
            assert_eq!(block_on(awaited.acquire()), Ok(()));
            awaited.release(1);
        });
        threads.begin();
        if wait_and_give_up(&permits) {
            permits.release(1);
        }
        giver.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(permits.available(), 1);
    });
}

#[test]
fn a_close_wakes_who_waits() {
    two_threads("semaphore: close against acquire", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&permits);
        let closer = threads.spawn(move || closed.close());
        threads.begin();
        assert_eq!(block_on(permits.acquire()), Err(Closed));
        closer.join().unwrap();
        assert_eq!(block_on(permits.acquire()), Err(Closed));
    });
}

#[test]
fn no_permit_is_lost_when_all_happens_at_once() {
    three_threads("semaphore: close, release and cancel", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let (given, closed) = (Arc::clone(&permits), Arc::clone(&permits));
        let giver = threads.spawn(move || given.release(1));
        let closer = threads.spawn(move || closed.close());
        threads.begin();
        let taken = wait_and_give_up(&permits);
        giver.join().unwrap();
        closer.join().unwrap();
        assert!(permits.is_closed() && !permits.try_acquire());
        assert_eq!(permits.available(), u64::from(!taken));
    });
}

#[test]
fn a_holder_sees_what_the_last_one_did() {
    two_threads("semaphore: permits carry what was done", |threads| {
        let guarded = Guarded::new(1);
        let turn = |guarded: &Guarded| {
            assert_eq!(block_on(guarded.permits.acquire()), Ok(()));
            guarded.work();
            guarded.permits.release(1);
        };
        let shared = Arc::clone(&guarded);
        let other = threads.spawn(move || turn(&shared));
        threads.begin();
        turn(&guarded);
        other.join().unwrap();
        guarded.work();
    });
}

/// The releaser finds someone waiting who has given up when it has the lock.
#[test]
fn a_permit_left_over_carries_what_was_done() {
    two_threads("semaphore: a permit left over", |threads| {
        let guarded = Guarded::new(0);
        let shared = Arc::clone(&guarded);
        let holder = threads.spawn(move || {
            shared.work();
            shared.permits.release(1);
        });
        threads.begin();
        if wait_and_give_up(&guarded.permits) || guarded.permits.try_acquire() {
            guarded.work();
        }
        holder.join().unwrap();
    });
}

#[test]
fn a_close_finds_a_waiter_that_gives_up() {
    two_threads("semaphore: close against cancel", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&permits);
        let closer = threads.spawn(move || closed.close());
        threads.begin();
        assert!(!wait_and_give_up(&permits));
        closer.join().unwrap();
        assert!(!wait_and_give_up(&permits));
        permits.release(1);
        assert_eq!(permits.available(), 1);
    });
}

#[test]
fn a_permit_released_at_the_close_is_granted_or_left() {
    two_threads("semaphore: close against release", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let mut waiting = pin!(permits.acquire());
        let mut look = || {
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(look(), Poll::Pending);
        let closed = Arc::clone(&permits);
        let closer = threads.spawn(move || closed.close());
        threads.begin();
        permits.release(1);
        let outcome = look();
        closer.join().unwrap();
        let left = match outcome {
            Poll::Ready(Ok(())) => 0,
            Poll::Ready(Err(Closed)) => 1,
            Poll::Pending => panic!("neither granted nor refused"),
        };
        assert_eq!(permits.available(), left);
    });
}

#[test]
fn two_who_wait_are_both_served() {
    three_threads("semaphore: release against two waiters", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let waiters = [(); 2].map(|()| {
            let awaited = Arc::clone(&permits);
            threads.spawn(move || assert_eq!(block_on(awaited.acquire()), Ok(())))
        });
        threads.begin();
        permits.release(2);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(permits.available(), 0);
    });
}

#[test]
fn a_close_wakes_both_who_wait() {
    three_threads("semaphore: close against two waiters", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let waiters = [(); 2].map(|()| {
            let awaited = Arc::clone(&permits);
            threads.spawn(move || u64::from(block_on(awaited.acquire()).is_ok()))
        });
        threads.begin();
        permits.release(1);
        permits.close();
        let served: u64 = waiters.into_iter().map(|w| w.join().unwrap()).sum();
        assert_eq!(served + permits.available(), 1);
    });
}

#[test]
fn who_waits_behind_one_that_gives_up_hears_of_the_close() {
    three_threads("semaphore: close against cancel and a waiter", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let (closed, awaited) = (Arc::clone(&permits), Arc::clone(&permits));
        let closer = threads.spawn(move || closed.close());
        let waiter = threads.spawn(move || assert_eq!(block_on(awaited.acquire()), Err(Closed)));
        threads.begin();
        assert!(!wait_and_give_up(&permits));
        closer.join().unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn two_that_give_up_leave_the_permit() {
    three_threads("semaphore: release against two cancels", |threads| {
        let permits = Arc::new(Semaphore::new(0));
        let given_up = [(); 2].map(|()| {
            let awaited = Arc::clone(&permits);
            threads.spawn(move || u64::from(wait_and_give_up(&awaited)))
        });
        threads.begin();
        permits.release(1);
        let taken: u64 = given_up.into_iter().map(|w| w.join().unwrap()).sum();
        assert_eq!(taken + permits.available(), 1);
    });
}
