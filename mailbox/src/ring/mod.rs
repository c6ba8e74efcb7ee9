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
//! let (producer, mut consumer) = ring::<u64>(4);
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
//!            line of the consumer        slots, on lines of their own
//!          +------------------------+   +---------+---------+---------+---------+
//!  Shared  | head   closed          |   | f0 rest | f1 rest | f2 rest | f3 rest |
//!          +------------------------+   +---------+---------+---------+---------+
//!  Producer   own tail, published tail, held word, end           (private to its thread)
//!  Consumer   own head                                           (private to its thread)
//! ```
//!
//! Positions are `u32` that run freely and wrap; position `p` lives in slot `p mod capacity`, which
//! stays true at the wrap because the capacity is a power of two. The word of a slot has a flag `f`,
//! which says that the value of `p` is there by being 1 in one lap of the slots and 0 in the next;
//! what it says of one lap is never true of the lap before or behind, and no capacity is so large
//! that the number of laps before the wrap is odd. There is no shared tail: a consumer looks at the slot that
//! comes next, and finds what it looked for on the line on which it saw that it has come. (With a
//! shared tail each value that travels alone takes two lines; ARCHITECTURE.md has the figures.)
//!
//! Call `head` the shared counter, `H` the consumer's own head, `P` the position up to which the
//! producer has published and `T` its own tail. At all times, in wrapping arithmetic:
//! `head ≤ H ≤ P ≤ T ≤ head + capacity`.
//!
//! Rules:
//!
//! 1. Only the producer stores words of slots, only the consumer stores `head`; each has one handle,
//!    which is neither `Clone` nor `Sync`. So each has one writer, and needs no read-modify-write.
//! 2. The producer writes slot `T` only before `T` is its `end`, which is a lap beyond the head that it
//!    read last: with Acquire, from a Release store that the consumer made after it had moved the
//!    values below out. So nobody reads that slot any more.
//! 3. Of what was not published yet, the word of the first value, at `P`, is *held* by the producer:
//!    in the slot is still that of the lap before. The others are there already, by relaxed stores.
//!    Publishing stores the one that is held (Release), after the writes to all slots.
//!    Where the first [is shown](Producer::show_first) as it is pushed, it is never held: its word is stored (Release) right
//!    after what else there is of it, and it has been published with that.
//! 4. The consumer looks at slots in order: at `H` until its flag is that of this lap, and then only
//!    at the one behind. So it comes to a value only after it has seen, with Acquire, the flag of the
//!    one that was held for it; by rule 3 it then sees the value, and its flag, and all others that
//!    were published with it. It reads each once, as `H` only grows. A word that is the same as that of the
//!    slot before, in one lap, has the same flag; across the end of a lap that says nothing.
//! 5. The consumer stores `head` (Release) once a burst, after the last read, and by a guard, so
//!    also if the sink panics: a value handed to the sink is the sink's, a value not handed over is
//!    still in the ring.
//! 6. An `end` that is stale errs to the safe side alone: it says "full" too often, never too
//!    seldom, and the head is read again before that answer is given.
//! 7. The producer stores `is_ended` (Release) after its last flag. A consumer that reads it
//!    (Acquire) therefore reads the last flag from then on: one more drain without limit takes
//!    everything ever pushed.
//! 8. The memory is shared by reference count. Whoever lets go last holds it alone and drops the
//!    values from `head` on as far as they are there, each once; all were published, because the
//!    producer does that before it lets go.
//!
//! Races, and why each is safe: a push against a drain of another slot touches different memory
//! (rules 2, 4); a push or a `publish` against a look at the same slot is one atomic store against
//! one atomic load; a drop of one end against any operation of the other touches only that end's
//! flag and the reference count.

mod burst;
mod consumer;
mod form;
mod producer;
pub(crate) mod slots;

pub use burst::{Alike, Burst, CellBurst, Found, Word};
pub use consumer::Consumer;
pub use form::{Form, Parts, Whole};
pub use producer::Producer;

use std::fmt;

use crate::cell::{Catalog, MessageCell};
use crate::sync::atomic::{AtomicBool, AtomicU32, Relaxed};
use crate::sync::{Arc, CachePadded};
use slots::{Slots, take_rest};

/// The end of a ring of message cells that they go in at.
pub type CellProducer<C> = Producer<MessageCell<C>, Parts>;

/// The end of a ring of message cells that they come out of.
pub type CellConsumer<C> = Consumer<MessageCell<C>, Parts>;

/// The largest capacity of a ring.
pub const CAPACITY_MAX: u32 = 1 << 16;

/// A ring of `capacity` slots, as its two ends.
///
/// Its memory is touched by the calling thread first; to have the pages near the core that reads them,
/// call this on the consumer's core.
///
/// # Panics
///
/// If `capacity` is not a power of two from 1 to [`CAPACITY_MAX`].
///
/// # Examples
///
/// ```
/// let (producer, mut consumer) = ringpost_mailbox::ring::ring(1);
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
    ring_in::<T, Whole>(capacity, origin)
}

/// As [`ring_at`], for message cells, which need no more room in it than they have bytes.
///
/// # Panics
///
/// As [`ring`].
///
/// # Examples
///
/// ```
/// use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
///
/// struct Everything;
/// impl Catalog for Everything {
///     type Meta = ();
/// }
/// impl<T> Entry<T> for Everything {
///     const META: &'static () = &();
/// }
///
/// let (producer, mut consumer) = ringpost_mailbox::ring::cell_ring_at::<Everything>(4, 0);
/// producer.push(MessageCell::new(7u64)).unwrap();
/// producer.publish();
/// assert_eq!(consumer.pop().unwrap().take::<u64>().unwrap(), 7);
/// ```
pub fn cell_ring_at<C: Catalog>(capacity: u32, origin: u32) -> (CellProducer<C>, CellConsumer<C>) {
    ring_in::<MessageCell<C>, Parts>(capacity, origin)
}

fn ring_in<T: Send, F: Form<T>>(capacity: u32, origin: u32) -> (Producer<T, F>, Consumer<T, F>) {
    assert!(
        capacity.is_power_of_two() && capacity <= CAPACITY_MAX,
        "the capacity of a ring is a power of two from 1 to {CAPACITY_MAX}, not {capacity}"
    );
    let shared = Arc::new(Shared {
        is_ended: CachePadded::new(AtomicBool::new(false)),
        head: CachePadded::new(Head {
            position: AtomicU32::new(origin),
            closed: AtomicBool::new(false),
        }),
        slots: Slots::new(capacity, origin),
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

/// What the consumer writes and the producer reads.
struct Head {
    /// The position up to which everything was taken, exclusive.
    position: AtomicU32,
    /// Whether the consumer is gone.
    closed: AtomicBool,
}

/// The part that both ends hold.
struct Shared<T, F: Form<T>> {
    /// Whether the producer is gone.
    is_ended: CachePadded<AtomicBool>,
    head: CachePadded<Head>,
    slots: Slots<T, F>,
}

impl<T, F: Form<T>> Drop for Shared<T, F> {
    fn drop(&mut self) {
        // Relaxed: the reference count has ordered everything both ends did before this.
        let head = self.head.position.load(Relaxed);
        let mut leftovers = Leftovers {
            slots: &self.slots,
            head,
        };
        leftovers.drop_all();
    }
}

/// Drops what was never taken, all of it, also if a destructor panics.
struct Leftovers<'a, T, F: Form<T>> {
    slots: &'a Slots<T, F>,
    head: u32,
}

impl<T, F: Form<T>> Leftovers<'_, T, F> {
    fn drop_all(&mut self) {
        let slots = self.slots;
        while let Some((word, rest)) = slots.lying(self.head) {
            self.head = self.head.wrapping_add(1);
            // SAFETY: the value is there, and nobody took it (rule 8); both ends are gone, and `head` has moved
            // on, so that each is taken once. These are the two into which it was split.
            drop(unsafe { F::join(word, take_rest(rest)) });
        }
    }
}

impl<T, F: Form<T>> Drop for Leftovers<'_, T, F> {
    /// Goes on with the rest after a destructor has panicked; a second panic aborts, as in a `Vec`.
    fn drop(&mut self) {
        self.drop_all();
    }
}
