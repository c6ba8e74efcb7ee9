//! A bounded ring from one core to one other: values move through it in order, in batches, without
//! a lock.
//!
//! [`ring`] makes the two ends. The [`Producer`] writes values into slots with
//! [`push`](Producer::push) and makes all of them visible at once with
//! [`publish`](Producer::publish); the [`Consumer`] moves a burst out with
//! [`drain`](Consumer::drain) and gives all of its slots back at once. So the cost of talking to
//! another core, a cache line that travels, is paid once a batch and not once a value.
//!
//! ```
//! use ringpost_mailbox::ring::ring;
//!
//! let (mut producer, mut consumer) = ring::<u64>(4);
//! producer.push(1).unwrap();
//! producer.push(2).unwrap();
//! assert!(consumer.is_empty()); // written, not published
//! assert_eq!(producer.publish(), 2);
//!
//! let mut seen = Vec::new();
//! consumer.drain(32, |value| seen.push(value));
//! assert_eq!(seen, [1, 2]);
//! ```
//!
//! # Proof page
//!
//! ```text
//!            line of the producer         line of the consumer        slots, on lines of their own
//!          +------------------------+   +------------------------+   +----+----+----+----+
//!  Shared  | tail   closed          |   | head   closed          |   | s0 | s1 | s2 | s3 |
//!          +------------------------+   +------------------------+   +----+----+----+----+
//!  Producer   own tail, published tail, cached head        (private to its thread)
//!  Consumer   own head, cached tail                        (private to its thread)
//! ```
//!
//! Positions are `u32` that run freely and wrap; position `p` lives in slot `p mod capacity`, which
//! stays true at the wrap because the capacity is a power of two. Call `tail` and `head` the shared
//! counters, `T` the producer's own tail and `H` the consumer's own head. At all times, in wrapping
//! arithmetic: `head ≤ H ≤ tail ≤ T ≤ head + capacity`.
//!
//! Rules:
//!
//! 1. Only the producer stores `tail`, only the consumer stores `head`; each has one handle, which
//!    is neither `Clone` nor `Sync` and takes `&mut self`. So each counter has one writer, and
//!    needs no read-modify-write.
//! 2. The producer writes slot `T` only while `T - cached head < capacity`. The cached head was
//!    read with Acquire from a Release store that the consumer made after it had moved the values
//!    below out, so nobody reads that slot any more.
//! 3. The producer stores `tail` (Release) after the writes to all slots below it.
//! 4. The consumer reads slot `H` only while `H` is below its cached tail, which it read with
//!    Acquire; by rule 3 the value is there. It reads each slot once, as `H` only grows.
//! 5. The consumer stores `head` (Release) once a burst, after the last read, and by a guard, so
//!    also if the sink panics: a value handed to the sink is the sink's, a value not handed over is
//!    still in the ring.
//! 6. A caches' staleness only ever errs to the safe side: an old head says "full" and an old tail
//!    says "empty" too often, never too seldom; both are read again before either answer is given.
//! 7. The producer stores `closed` (Release) after its last `tail`. A consumer that reads it
//!    (Acquire) therefore reads the last `tail` from then on: one more drain without limit takes
//!    everything ever pushed.
//! 8. The memory is shared by reference count. Whoever lets go last holds it alone and drops the
//!    values from `head` to `tail`, each once; both counters are final then, because each end
//!    publishes before it lets go.
//!
//! Races, and why each is safe: a push against a drain of another slot touches different memory
//! (rules 2, 4); a `publish` against a reload of the tail is one atomic store against one atomic
//! load; a drop of one end against any operation of the other touches only that end's flag and the
//! reference count.

mod consumer;
mod producer;
mod slots;

pub use consumer::Consumer;
pub use producer::Producer;

use std::fmt;

use crate::sync::atomic::{AtomicBool, AtomicU32, Relaxed};
use crate::sync::{Arc, CachePadded};
use slots::Slots;

/// The largest capacity of a ring.
pub const CAPACITY_MAX: u32 = 1 << 16;

/// A ring of `capacity` slots, as its two ends.
///
/// Its memory is reserved, and not yet touched, by the calling thread; to have the pages near the
/// core that reads them, call this on the consumer's core.
///
/// # Panics
///
/// If `capacity` is not a power of two from 1 to [`CAPACITY_MAX`].
///
/// # Examples
///
/// ```
/// let (mut producer, mut consumer) = ringpost_mailbox::ring::ring(1);
/// producer.push("first").unwrap();
/// assert_eq!(producer.push("second").unwrap_err().0, "second");
/// producer.publish();
/// assert_eq!(consumer.pop(), Some("first"));
/// ```
pub fn ring<T: Send>(capacity: u32) -> (Producer<T>, Consumer<T>) {
    ring_at(capacity, 0)
}

/// A ring whose positions start at `origin`, for tests that want to cross the end of the counters.
///
/// # Panics
///
/// As [`ring`].
pub fn ring_at<T: Send>(capacity: u32, origin: u32) -> (Producer<T>, Consumer<T>) {
    assert!(
        capacity.is_power_of_two() && capacity <= CAPACITY_MAX,
        "the capacity of a ring is a power of two from 1 to {CAPACITY_MAX}, not {capacity}"
    );
    let shared = Arc::new(Shared {
        tail: CachePadded::new(Side::new(origin)),
        head: CachePadded::new(Side::new(origin)),
        slots: Slots::new(capacity),
    });
    (
        Producer::new(Arc::clone(&shared), origin),
        Consumer::new(shared, origin),
    )
}

/// A push was refused because every slot is taken; holds the value.
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full; drain its consumer, or wait until it has been drained")
    }
}

impl<T> std::error::Error for Full<T> {}

/// What one end writes and the other reads.
struct Side {
    /// The position up to which this end is done, exclusive.
    position: AtomicU32,
    /// Whether this end is gone.
    closed: AtomicBool,
}

impl Side {
    fn new(origin: u32) -> Self {
        Self {
            position: AtomicU32::new(origin),
            closed: AtomicBool::new(false),
        }
    }
}

/// The part that both ends hold.
struct Shared<T> {
    tail: CachePadded<Side>,
    head: CachePadded<Side>,
    slots: Slots<T>,
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed: the reference count has ordered everything both ends did before this.
        let (head, tail) = (
            self.head.position.load(Relaxed),
            self.tail.position.load(Relaxed),
        );
        let mut leftovers = Leftovers {
            slots: &self.slots,
            head,
            tail,
        };
        leftovers.drop_all();
    }
}

/// Drops what was never taken, all of it, also if a destructor panics.
struct Leftovers<'a, T> {
    slots: &'a Slots<T>,
    head: u32,
    tail: u32,
}

impl<T> Leftovers<'_, T> {
    fn drop_all(&mut self) {
        while self.head != self.tail {
            let position = self.head;
            self.head = position.wrapping_add(1);
            // SAFETY: positions from `head` to `tail` hold values that nobody took (rules 3 and 4),
            // both ends are gone, and `head` has moved on, so that each is taken once.
            drop(unsafe { self.slots.take(position) });
        }
    }
}

impl<T> Drop for Leftovers<'_, T> {
    /// Goes on with the rest after a destructor has panicked; a second panic aborts, as in a `Vec`.
    fn drop(&mut self) {
        self.drop_all();
    }
}
