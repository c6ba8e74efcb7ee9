//! A bitmap of the rings that are worth a look, for nodes whose cores have too many rings to scan
//! each time.
//!
//! A core scans all of its inbound rings while they are few. From some 64 rings on, most of a scan
//! reads tails that have not moved; then each core keeps a [`HintMap`] in which senders set their
//! bit, and a pass looks at the marked rings only.
//!
//! ```
//! use ringpost_mailbox::hint::HintMap;
//!
//! let hints = HintMap::new(128);
//! hints.mark(3);
//! hints.mark(100);
//! let mut look_at = Vec::new();
//! hints.take(|ring| look_at.push(ring));
//! assert_eq!(look_at, [3, 100]);
//! assert_eq!(hints.take(|_| ()), 0);
//! ```
//!
//! # Proof page
//!
//! **The map is a hint, and nothing rests on it.** All its accesses are relaxed. A sender marks
//! after its publish fence, and only if it reads its bit as clear, so that a busy ring's bit is not
//! written over and over; it may read a bit as set that the receiver has just cleared, and then its
//! ring is not marked though it holds something.
//!
//! So the receiver (1) scans *all* its rings every few passes, and (2) always in the look for work
//! of [`Parker::park`](crate::wake::Parker::park), whose own proof covers the sleep. A lost mark
//! costs a few passes, never a message. A mark without a message costs one look. There is no third
//! case: a mark carries no other meaning.

use crate::sync::CachePadded;
use crate::sync::atomic::{AtomicU64, Relaxed};

const BITS: u32 = u64::BITS;

/// A bit for each ring, set by its sender and cleared by the receiver.
#[derive(Debug)]
pub struct HintMap {
    words: Box<[CachePadded<AtomicU64>]>,
}

impl HintMap {
    /// A map for rings `0..rings`, all clear. Each 64 of them share a line.
    pub fn new(rings: u32) -> Self {
        let words = rings.div_ceil(BITS);
        Self {
            words: (0..words)
                .map(|_| CachePadded::new(AtomicU64::new(0)))
                .collect(),
        }
    }

    /// Marks a ring as worth a look. To be called after the ring was published and the flush's
    /// fence.
    ///
    /// # Panics
    ///
    /// If `ring` is not below the number given to [`new`](Self::new), rounded up to a multiple of
    /// 64.
    #[inline]
    pub fn mark(&self, ring: u32) {
        let (word, bit) = (&self.words[(ring / BITS) as usize], 1 << (ring % BITS));
        // Relaxed, both: a hint carries no data and may be missed; see the proof page.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Clears the map and calls `look` with each ring that was marked, in ascending order; says how
    /// many there were.
    #[inline]
    pub fn take(&self, mut look: impl FnMut(u32)) -> u32 {
        let mut count = 0;
        for (index, word) in (0..).zip(&self.words) {
            // Relaxed, both: as in `mark`. The load spares the line when nothing is marked.
            let mut marked = if word.load(Relaxed) == 0 {
                0
            } else {
                word.swap(0, Relaxed)
            };
            while marked != 0 {
                look(index * BITS + marked.trailing_zeros());
                marked &= marked - 1;
                count += 1;
            }
        }
        count
    }
}
