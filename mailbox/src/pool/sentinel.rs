//! Checks of debug builds: that no block is returned twice, and that nobody writes to a free one.
//!
//! A block counts how often it changed hands: odd while it is in use, even while it is free. Its handle
//! carries a [`Stamp`] of the count, and must show it when it gives the block back. A block that is given
//! back is filled with [`POISON`], which must still be there when it is taken again. In a release build
//! both types are empty and all of this is gone.

#[cfg(debug_assertions)]
use crate::sync::cell::UnsafeCell;

/// The byte that free blocks are filled with in debug builds.
#[cfg(debug_assertions)]
const POISON: u8 = 0xDD;

/// A block's side of the checks, in its header.
pub(super) struct Sentinel {
    /// Touched by the one who holds the block, like `next`.
    #[cfg(debug_assertions)]
    generation: UnsafeCell<u32>,
}

/// A handle's side of the checks.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    #[cfg(debug_assertions)]
    generation: u32,
}

#[cfg(debug_assertions)]
impl Sentinel {
    pub(super) fn new() -> Self {
        Sentinel {
            generation: UnsafeCell::new(0),
        }
    }

    /// The stamp for whoever holds the block in use now.
    ///
    /// # Safety
    ///
    /// The caller holds the block, or shares it with others who only read.
    pub(super) unsafe fn stamp(&self) -> Stamp {
        // SAFETY: the caller promises that nobody writes.
        let generation = self.generation.with(|generation| unsafe { *generation });
        assert!(generation % 2 == 1, "a block is used after it was returned");
        Stamp { generation }
    }

    /// Marks the block as used.
    ///
    /// # Safety
    ///
    /// The caller holds the block, which is free, and `bytes` is all of its room for data, initialised if
    /// the block was ever returned.
    pub(super) unsafe fn mark_used(&self, bytes: *mut [u8]) {
        // SAFETY: the caller promises to hold the block.
        let generation = self.generation.with_mut(|generation| unsafe {
            *generation = (*generation).wrapping_add(1);
            *generation
        });
        assert!(generation % 2 == 1, "a block in use lies on a free list");
        if generation > 1 {
            // SAFETY: the caller promises that the bytes are there and initialised.
            assert_poisoned(unsafe { &*bytes });
        }
    }

    /// Marks the block as free; `stamp` is its handle's.
    ///
    /// # Safety
    ///
    /// The caller holds the block, and `bytes` is all of its room for data.
    pub(super) unsafe fn mark_free(&self, stamp: Stamp, bytes: *mut [u8]) {
        // SAFETY: the caller promises to hold the block.
        let generation = self.generation.with_mut(|generation| unsafe {
            *generation = (*generation).wrapping_add(1);
            (*generation).wrapping_sub(1)
        });
        assert_eq!(generation, stamp.generation, "a block is returned twice");
        // SAFETY: the caller promises that the bytes are there, and nobody reads them any more.
        unsafe { bytes.cast::<u8>().write_bytes(POISON, bytes.len()) };
    }
}

/// Compares in pieces, which an unoptimised build does fast too.
#[cfg(debug_assertions)]
fn assert_poisoned(bytes: &[u8]) {
    const PIECE: [u8; 64] = [POISON; 64];
    let intact = bytes
        .chunks(PIECE.len())
        .all(|piece| piece == &PIECE[..piece.len()]);
    assert!(intact, "a block was written to after it was returned");
}

#[cfg(not(debug_assertions))]
impl Sentinel {
    #[inline]
    pub(super) fn new() -> Self {
        Sentinel {}
    }

    /// # Safety
    ///
    /// As in debug builds, so that callers are the same.
    /// # Safety
    /// Nothing is touched here; the contract is that of the debug build.
    #[inline]
    pub(super) unsafe fn stamp(&self) -> Stamp {
        Stamp {}
    }

    /// # Safety
    ///
    /// As in debug builds, so that callers are the same.
    /// # Safety
    /// Nothing is touched here; the contract is that of the debug build.
    #[inline]
    pub(super) unsafe fn mark_used(&self, _bytes: *mut [u8]) {}

    /// # Safety
    ///
    /// As in debug builds, so that callers are the same.
    /// # Safety
    /// Nothing is touched here; the contract is that of the debug build.
    #[inline]
    pub(super) unsafe fn mark_free(&self, _stamp: Stamp, _bytes: *mut [u8]) {}
}
