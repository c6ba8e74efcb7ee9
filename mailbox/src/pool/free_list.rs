//! Free blocks of one class, linked through their headers.

use std::cell::Cell;
use std::ptr;

use super::block::{self, Header, Link};

/// Free blocks of one class, the last one freed first. The list holds them.
#[derive(Debug)]
pub(super) struct FreeList {
    pub(super) first: Cell<*mut Header>,
    pub(super) len: Cell<u32>,
    /// How many there may be, as far as who adds one asks.
    pub(super) len_max: u32,
}

impl FreeList {
    pub(super) fn new(len_max: u32) -> Self {
        FreeList {
            first: Cell::new(ptr::null_mut()),
            len: Cell::new(0),
            len_max,
        }
    }

    /// Takes a block, if there is any; the caller holds it.
    #[inline]
    pub(super) fn pop(&self) -> Option<Link> {
        let link = Link::new(self.first.get())?;
        // SAFETY: the list holds its blocks, so this thread does.
        self.first.set(unsafe { block::header(link).next() });
        self.len.set(self.len.get() - 1);
        Some(link)
    }

    /// Adds a block.
    ///
    /// # Safety
    ///
    /// The caller holds the block, which is free, and gives it up.
    #[inline]
    pub(super) unsafe fn push(&self, link: Link) {
        // SAFETY: the caller holds the block.
        unsafe { block::header(link).set_next(self.first.get()) };
        self.first.set(link.as_ptr());
        self.len.set(self.len.get() + 1);
    }
}
