//! A bounded queue from any number of threads to one core: how threads outside the node reach it.
//!
//! ```
//! use ringpost_mailbox::inbox::{InboxError, inbox};
//!
//! let (sender, mut receiver) = inbox(2);
//! sender.push("a").unwrap();
//! sender.clone().push("b").unwrap();
//! assert!(matches!(sender.push("c"), Err(InboxError::Full("c"))));
//!
//! assert_eq!(receiver.pop(), Some("a"));
//! receiver.close();
//! assert!(matches!(sender.push("d"), Err(InboxError::Closed("d"))));
//! assert_eq!(receiver.pop(), Some("b")); // accepted before, so not lost
//! assert_eq!(receiver.pop(), None);
//! ```
//!
//! # Proof page
//!
//! Positions count from 0 in 63 bits, so they never wrap; position `p` lives in slot `p mod
//! capacity`. The word `tail` holds twice the next position to claim, plus 1 once the inbox is
//! closed. Each slot has a flag `ready`.
//!
//! 1. A sender claims position `t` by exchanging `tail` from `2t` to `2t + 2`. So a position has
//!    one claimant, and none is claimed after the inbox is closed: the close sets the low bit of
//!    the same word, and says how many were claimed.
//! 2. A sender claims `t` only while `t - head < capacity`. It read `head` with Acquire from a
//!    Release store that the receiver made after it moved the value of position `t - capacity` out
//!    and lowered its flag; so the slot is free, and stays so for the claimant.
//! 3. The claimant writes the slot, then raises `ready` (Release). No code of the user's runs
//!    between the claim and this.
//! 4. The receiver looks only at the slot of `head`. It reads `ready` (Acquire), moves the value
//!    out, lowers `ready`, and stores `head + 1` (Release), in this order. It is the only one to
//!    store `head`, having one handle that is not `Clone` nor `Sync`.
//! 5. A value counts as there once `ready` is raised, for [`pop`](InboxReceiver::pop) as for
//!    [`is_empty`](InboxReceiver::is_empty). So a sender that was interrupted between claim and
//!    flag hides the values behind its own for that time; each of those senders notifies after its
//!    flag, so the last of them to finish wakes the receiver to a queue that it can take.
//! 6. After the close the number of claims is final, and `pop` waits (by yielding) for a claimant
//!    that has not raised its flag yet; by rule 3 that takes it a few instructions. So every
//!    accepted value is taken.
//! 7. The memory is shared by reference count. The receiver's drop closes and takes everything, so
//!    nothing is left by then.
//!
//! Races: push against push is decided at `tail`; push against pop meet at one slot only through
//! `ready` and `head`; push against close is decided at `tail`, one way or the other.

mod receiver;
mod sender;

pub use receiver::InboxReceiver;
pub use sender::InboxSender;

use std::fmt;
use std::mem::MaybeUninit;

use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::cell::UnsafeCell;
use crate::sync::{Arc, CachePadded};

/// The largest capacity of an inbox.
pub const CAPACITY_MAX: u32 = 1 << 20;

const CLOSED: u64 = 1;
const ONE_POSITION: u64 = 2;

/// An inbox of `capacity` slots, as its two ends.
///
/// # Panics
///
/// If `capacity` is not a power of two from 1 to [`CAPACITY_MAX`].
pub fn inbox<T: Send>(capacity: u32) -> (InboxSender<T>, InboxReceiver<T>) {
    assert!(
        capacity.is_power_of_two() && capacity <= CAPACITY_MAX,
        "the capacity of an inbox is a power of two from 1 to {CAPACITY_MAX}, not {capacity}"
    );
    let shared = Arc::new(Shared {
        tail: CachePadded::new(AtomicU64::new(0)),
        head: CachePadded::new(AtomicU64::new(0)),
        slots: (0..capacity).map(|_| Slot::new()).collect(),
    });
    (
        InboxSender::new(Arc::clone(&shared)),
        InboxReceiver::new(shared),
    )
}

/// A push was refused; holds the value.
pub enum InboxError<T> {
    /// Every slot is taken; there may be room in a moment.
    Full(T),
    /// The receiver has closed the inbox for good.
    Closed(T),
}

impl<T> InboxError<T> {
    /// The value that was not accepted.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Debug for InboxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for InboxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the inbox is full; wait until its core has taken something",
            Self::Closed(_) => "the inbox is closed; its core has stopped taking messages",
        })
    }
}

impl<T> std::error::Error for InboxError<T> {}

struct Slot<T> {
    ready: AtomicBool,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    fn new() -> Self {
        Self {
            ready: AtomicBool::new(false),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

struct Shared<T> {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    slots: Box<[Slot<T>]>,
}

// SAFETY: all but the slots' values is atomic; a value is written by its claimant and read by the
// receiver, ordered by `ready` and `head` (rules 2 to 4), and what crosses threads by that is a
// `T`, which is `Send`.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline]
    fn slot(&self, position: u64) -> &Slot<T> {
        // The number of slots is a power of two.
        &self.slots[position as usize & (self.slots.len() - 1)]
    }
}
