//! A range of the bytes of a block that its owner holds alone.

use std::ops::{Bound, RangeBounds};
use std::slice;

use crate::pool::Block;

/// Bytes `start..start + len` of a block. They are initialised, and lie within the block's room.
pub(super) struct View {
    pub(super) block: Block,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl View {
    /// No bytes of a block.
    #[inline]
    pub(super) fn empty(block: Block) -> Self {
        View {
            block,
            start: 0,
            len: 0,
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.block.mark_read();
        // SAFETY: the bytes are initialised and within the block (the invariant of `View`), which lives as
        // long as the borrow; whoever could write to them needs a unique one.
        unsafe {
            let first = self.block.data().add(self.start as usize);
            slice::from_raw_parts(first.as_ptr(), self.len as usize)
        }
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.block.mark_written();
        // SAFETY: as in `bytes`, and the view is borrowed uniquely, and holds its block alone.
        unsafe {
            let first = self.block.data().add(self.start as usize);
            slice::from_raw_parts_mut(first.as_ptr(), self.len as usize)
        }
    }

    /// Where the view ends in the block.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        self.start + self.len
    }

    /// Narrows the view to a range of itself.
    #[inline]
    #[track_caller]
    pub(super) fn narrow(&mut self, range: impl RangeBounds<usize>) {
        (self.start, self.len) = narrowed(self.start, self.len, range);
    }

    /// Drops the first `count` bytes from the view.
    #[inline]
    #[track_caller]
    pub(super) fn advance(&mut self, count: usize) {
        self.narrow(count..);
    }

    /// Drops all but the first `len` bytes from the view; nothing if it has no more.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len as usize {
            self.len = len as u32;
        }
    }
}

/// The start and length of a range of the `len` bytes that begin at `start`.
#[inline]
#[track_caller]
pub(super) fn narrowed(start: u32, len: u32, range: impl RangeBounds<usize>) -> (u32, u32) {
    let from = match range.start_bound() {
        Bound::Included(&from) => from,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&to) => to,
        Bound::Unbounded => len as usize,
    };
    if from > to || to > len as usize {
        out_of_range(from, to, len);
    }
    (start + from as u32, (to - from) as u32)
}

#[cold]
#[track_caller]
fn out_of_range(from: usize, to: usize, len: u32) -> ! {
    panic!("range {from}..{to} of a buffer of {len} bytes")
}
