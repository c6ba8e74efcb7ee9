//! The half of a pool that all threads share: where its blocks come home without the owner's help.
//!
//! A [`Home`] is kept alive by its pool and by every block of it, wherever that is, so a block can always
//! ask where it belongs. The [`ReturnStack`] is where threads leave blocks that they cannot hand to the
//! owner through a ring: threads outside the node, and rings that went down with blocks in them.
//!
//! # The return stack
//!
//! One word: the last block pushed, each block linked to the one pushed before it; null when empty,
//! [`CLOSED`] once the pool is gone. Any thread pushes; the owner takes everything at once, or closes.
//!
//! 1. A pusher holds what it pushes until its compare-exchange succeeds, and nothing of it afterwards: the
//!    owner may then free the blocks, and the home with them. So a pusher reaches the word by a raw pointer
//!    and touches nothing after its success.
//! 2. A pusher never follows the link that it finds, it only writes it down. If other blocks come and go
//!    between its load and its exchange, the exchange fails, or succeeds with a link that is right again.
//! 3. The owner alone removes, all at once, so a removed block is in nobody else's hands.
//! 4. `CLOSED` is the last value of the word: the owner takes what was pushed before in the same step, and
//!    a pusher that finds it keeps its blocks and frees them itself. Nothing is pushed and forgotten.
//!
//! What the pusher wrote to its blocks is seen by the owner: the exchange releases, the swap acquires; and
//! an exchange that comes on top of another one carries on its release, being a read-modify-write.

use std::ptr;

use super::PoolStats;
use super::block::{self, Header, Link};
use crate::sync::atomic::{Acquire, AtomicPtr, Relaxed, Release};
use crate::sync::{CachePadded, Counter};

/// The shared half of a pool.
#[derive(Debug)]
pub(crate) struct Home {
    pub(super) core: u16,
    pub(super) group: u32,
    /// Written by the owner alone.
    pub(super) counters: CachePadded<Counters>,
    pub(super) returns: CachePadded<ReturnStack>,
}

/// What the owner counts; see [`PoolStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) oversize: Counter,
    pub(super) foreign_frees: Counter,
    pub(super) accepted: Counter,
    pub(super) returned: Counter,
    pub(super) released: Counter,
    pub(super) refused: Counter,
}

impl Counters {
    pub(super) fn stats(&self) -> PoolStats {
        PoolStats {
            hits: self.hits.value(),
            misses: self.misses.value(),
            oversize: self.oversize.value(),
            foreign_frees: self.foreign_frees.value(),
            accepted: self.accepted.value(),
            returned: self.returned.value(),
            released: self.released.value(),
            refused: self.refused.value(),
        }
    }
}

/// Blocks left for the owner by other threads; see the [module](self).
#[derive(Debug)]
pub(super) struct ReturnStack {
    head: AtomicPtr<Header>,
}

/// The word of a stack whose owner is gone. No block lies at this address, and nobody follows it.
const CLOSED: *mut Header = ptr::without_provenance_mut(align_of::<Header>());

/// The owner is gone; the pusher keeps its blocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl ReturnStack {
    pub(super) fn new() -> Self {
        ReturnStack {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Leaves the blocks from `first` to `last` for the owner. If it is gone, the caller keeps them, with
    /// nothing linked behind `last`.
    ///
    /// # Safety
    ///
    /// The caller holds the blocks, which are free and linked from `first` to `last`, and gives them up if
    /// this succeeds. `stack` is alive as long as it holds them.
    pub(super) unsafe fn push(stack: *const Self, first: Link, last: Link) -> Result<(), Closed> {
        // SAFETY: the caller holds the blocks, so the stack is alive and their links are the caller's to
        // write, up to the exchange that succeeds; nothing is touched after that (rule 1).
        unsafe {
            // Relaxed: the pointer is written down and never followed (rule 2).
            let mut newest = (*stack).head.load(Relaxed);
            while newest != CLOSED {
                block::header(last).set_next(newest);
                // Release pairs with the acquire of `take` and `close`: the owner sees the links, and that
                // the block is done with. Relaxed on failure, as for the load.
                let pushed =
                    (*stack)
                        .head
                        .compare_exchange(newest, first.as_ptr(), Release, Relaxed);
                match pushed {
                    Ok(_) => return Ok(()),
                    Err(other) => newest = other,
                }
            }
            block::header(last).set_next(ptr::null_mut());
        }
        Err(Closed)
    }

    /// Removes everything; the owner's alone, before it closes. The caller holds the blocks from the one
    /// returned on, linked up to null.
    #[inline]
    pub(super) fn take(&self) -> *mut Header {
        // Relaxed: only saves the exchange, which is what the blocks are seen by. A block pushed just now
        // may be missed, and is found the next time.
        if self.head.load(Relaxed).is_null() {
            return ptr::null_mut();
        }
        // Acquire pairs with the release in `push`: the links of the blocks are seen.
        self.head.swap(ptr::null_mut(), Acquire)
    }

    /// Removes everything, and makes every later push fail; the owner's alone, and once. Returns as `take`.
    pub(super) fn close(&self) -> *mut Header {
        // Acquire pairs with the release in `push`, as in `take`. Pushers learn nothing from the closing
        // but that they keep their blocks, so it releases nothing.
        self.head.swap(CLOSED, Acquire)
    }
}
