//! Permits that can be waited for: what keeps threads outside the node within their bounds.
//!
//! Taking and giving a permit is one exchange of a word while nobody waits. Those who wait are
//! served first come, first served, and giving up (dropping the future) passes a permit on that was
//! already handed over. This is off the fast path of the node: its own workers use credits that
//! belong to one core.
//!
//! ```
//! use ringpost_mailbox::semaphore::Semaphore;
//!
//! let permits = Semaphore::new(1);
//! assert!(permits.try_acquire());
//! assert!(!permits.try_acquire());
//! permits.release(1);
//! assert!(permits.try_acquire());
//! ```
//!
//! # Proof page
//!
//! One word holds the free permits and two flags, CLOSED and WAITING; a lock guards the queue of
//! waiters, in which each has a ticket and is either *waiting* (with its waker) or *granted*.
//!
//! 1. WAITING is set and cleared only under the lock; it is set while the queue has waiting tickets
//!    (and may outlast the last one that gave up, until the next release). It is set by an exchange
//!    that expects no free permit, so while it is set there are none: `release` sees to it.
//! 2. `release` adds to the word only by an exchange that expects WAITING clear. Otherwise it takes
//!    the lock, grants permits to the oldest tickets, and adds to the word what is left over, which
//!    is only the case when no ticket waits any more. So whoever goes to wait is either ordered
//!    before a release at the word (and is granted by it) or after it (and sees the permit): no
//!    wake is lost.
//! 3. A grant moves the ticket under the lock. Its future, polled or dropped, takes the lock and
//!    finds out; dropped, it releases the permit again. So every permit is in the word, in a grant,
//!    or with a holder, and never in two of these.
//! 4. What a releaser did before is seen by the one that gets its permit: by Release and Acquire on
//!    the word (additions continue each other's release sequence), or by the lock.
//! 5. `close` sets its flag under the lock, with the queue emptied; no ticket is made after. Grants
//!    made before stay good.
//! 6. No code of the user's (cloning, waking or dropping a waker) runs under the lock.

mod acquiring;

pub use acquiring::Acquiring;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;
use std::task::{Poll, Waker};
use std::vec;

use crate::sync::Mutex;
use crate::sync::atomic::{Acquire, AtomicU64, Relaxed, Release};

const CLOSED: u64 = 1;
const WAITING: u64 = 2;
const ONE_PERMIT: u64 = 4;

/// A number of permits, some free, some held.
pub struct Semaphore {
    word: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next_ticket: u64,
    /// By ticket, so the oldest comes first.
    waiting: BTreeMap<u64, Waker>,
    granted: BTreeSet<u64>,
}

/// The semaphore was closed; no permit will come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed; its owner has stopped")
    }
}

impl std::error::Error for Closed {}

impl Semaphore {
    /// A semaphore with `permits` of them free.
    pub fn new(permits: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(permits) * ONE_PERMIT),
            queue: Mutex::new(Queue::default()),
        }
    }

    /// Takes a permit if one is free and the semaphore is open. Never overtakes those who wait,
    /// since nothing is free while they do.
    pub fn try_acquire(&self) -> bool {
        // Relaxed: the exchange decides whether it was still true.
        let mut word = self.word.load(Relaxed);
        while word >= ONE_PERMIT && word & CLOSED == 0 {
            // Acquire: pairs with the Release additions in `release` and `grant`, so the last
            // holder's work is seen.
            let taken = self
                .word
                .compare_exchange(word, word - ONE_PERMIT, Acquire, Relaxed);
            match taken {
                Ok(_) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// Waits for a permit, after all who wait already. The permit is then the caller's, to be given
    /// back by [`release`](Self::release).
    ///
    /// Dropping the future gives up its place; a permit that was on its way goes to the next who
    /// waits. Resolves to [`Closed`] once the semaphore is.
    pub fn acquire(&self) -> Acquiring<'_> {
        Acquiring::new(self)
    }

    /// Gives `n` permits back (or new ones out): first to those who wait, the oldest first.
    pub fn release(&self, n: u32) {
        // Relaxed: the exchange decides whether it was still true.
        let mut word = self.word.load(Relaxed);
        while word & WAITING == 0 {
            let more = word + u64::from(n) * ONE_PERMIT;
            // Release: pairs with the Acquire exchanges that take a permit.
            match self.word.compare_exchange(word, more, Release, Relaxed) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
        self.grant(n);
    }

    /// Refuses permits from now on, to those who wait and to those who come. Permits held, or
    /// granted and not looked at yet, stay good.
    pub fn close(&self) {
        let woken = {
            let mut queue = self.queue.lock();
            // Relaxed: the lock orders it for all who would wait, and nothing else hangs on it.
            self.word.fetch_or(CLOSED, Relaxed);
            mem::take(&mut queue.waiting)
        };
        WakeAll(woken.into_values().collect::<Vec<_>>().into_iter()).wake();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        // Relaxed: nothing is read on the strength of the answer.
        self.word.load(Relaxed) & CLOSED != 0
    }

    /// How many permits are free, as of a moment ago.
    pub fn available(&self) -> u64 {
        // Relaxed: nothing is read on the strength of the answer.
        self.word.load(Relaxed) / ONE_PERMIT
    }

    /// Hands `n` permits to the oldest waiters, and what is left over to the word.
    fn grant(&self, n: u32) {
        let mut woken = Vec::new();
        let mut queue = self.queue.lock();
        for _ in 0..n {
            let Some((ticket, waker)) = queue.waiting.pop_first() else {
                break;
            };
            queue.granted.insert(ticket);
            woken.push(waker);
        }
        if queue.waiting.is_empty() {
            let left_over = u64::from(n) - woken.len() as u64;
            // Relaxed: the flag changes only under the lock.
            let flag = self.word.load(Relaxed) & WAITING;
            // Release: pairs with the Acquire exchanges that take a permit. Wraps to take the flag
            // off.
            let change = (left_over * ONE_PERMIT).wrapping_sub(flag);
            // Release: pairs with the Acquire exchanges that take a permit.
            self.word.fetch_add(change, Release);
        }
        drop(queue);
        WakeAll(woken.into_iter()).wake();
    }

    /// Takes a permit, or enters the queue under `ticket`.
    fn enter(&self, ticket: &mut Option<u64>, waker: Waker) -> Poll<Result<(), Closed>> {
        let mut queue = self.queue.lock();
        match self.take_or_wait() {
            Poll::Ready(outcome) => {
                drop(queue); // before the waker
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                let number = queue.next_ticket;
                queue.next_ticket += 1;
                queue.waiting.insert(number, waker);
                *ticket = Some(number);
                Poll::Pending
            }
        }
    }

    /// Takes a permit at the word, or sets WAITING there. The caller holds the lock.
    fn take_or_wait(&self) -> Poll<Result<(), Closed>> {
        // Relaxed: the exchange decides whether it was still true; the flags are stable under the
        // lock.
        let mut word = self.word.load(Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Poll::Ready(Err(Closed));
            }
            let is_free = word >= ONE_PERMIT;
            let next = if is_free {
                word - ONE_PERMIT
            } else {
                word | WAITING
            };
            // Acquire: pairs with the Release additions in `release` and `grant`, so the last
            // holder's work is seen.
            match self.word.compare_exchange(word, next, Acquire, Relaxed) {
                Ok(_) if is_free => return Poll::Ready(Ok(())),
                Ok(_) => return Poll::Pending,
                Err(found) => word = found,
            }
        }
    }

    /// What has become of `number`; leaves the new waker with it if it still waits.
    fn look(&self, number: u64, waker: Waker) -> Poll<Result<(), Closed>> {
        let mut queue = self.queue.lock();
        let (outcome, spare) = if queue.granted.remove(&number) {
            (Poll::Ready(Ok(())), waker)
        } else if let Some(place) = queue.waiting.get_mut(&number) {
            (Poll::Pending, mem::replace(place, waker))
        } else {
            (Poll::Ready(Err(Closed)), waker)
        };
        drop(queue);
        drop(spare);
        outcome
    }

    /// Gives the place of `number` up, or the permit that it was granted.
    fn leave(&self, number: u64) {
        let mut queue = self.queue.lock();
        let is_granted = queue.granted.remove(&number);
        let waker = queue.waiting.remove(&number);
        drop(queue);
        drop(waker);
        if is_granted {
            self.release(1);
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Wakers to be called outside the lock, all of them, also if one panics.
struct WakeAll(vec::IntoIter<Waker>);

impl WakeAll {
    fn wake(mut self) {
        self.wake_rest();
    }

    fn wake_rest(&mut self) {
        self.0.by_ref().for_each(Waker::wake);
    }
}

impl Drop for WakeAll {
    fn drop(&mut self) {
        self.wake_rest();
    }
}
