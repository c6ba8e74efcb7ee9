//! The buffer that is read by many.
//!
//! # Who may touch what, and when
//!
//! 1. The handles of a shared block hold it together. They read its data and its immutable fields; the only
//!    thing they write is the count `shares` in its header.
//! 2. `shares` is the number of handles, set to one by the unique buffer that becomes the first. A handle
//!    is made from another one, so the count cannot rise from zero.
//! 3. The handle that brings the count to zero holds the block alone again, and sends it home.
//!
//! The one race is that of the last handles going at the same time: exactly one of them sees the count fall
//! from one. It must not send the block home (where it is written) while another one's reads may still be
//! going on; so each handle releases its reads when it goes, and the last one acquires them.

use std::mem::ManuallyDrop;
use std::ops::RangeBounds;
use std::process;
use std::slice;

use super::Buf;
use super::bytes::read_as_bytes;
use super::view::{self, View};
use crate::pool::Block;
use crate::sync::atomic::{Acquire, Relaxed, Release};

/// As many handles as a block may have. Far below the largest count, so that threads that pass it at the same
/// time are all stopped before it wraps around.
const SHARES_MAX: u32 = u32::MAX / 2;

/// Bytes that are read by many owners on any threads.
///
/// Made by [`Buf::share`]. A clone or a slice is one more handle of the same bytes, at the price of an atomic
/// count; the last handle sends the block home.
///
/// ```
/// use ringpost_mailbox::buf::Buf;
///
/// let all = Buf::from(&b"one two"[..]).share();
/// let (one, two) = (all.slice(..3), all.slice(4..));
/// drop(all);
/// assert_eq!((&*one, &*two), (&b"one"[..], &b"two"[..]));
/// ```
pub struct SharedBuf {
    block: ManuallyDrop<Block>,
    start: u32,
    len: u32,
}

impl SharedBuf {
    /// The first handle of a block that was unique.
    #[inline]
    pub(super) fn from_view(view: View) -> SharedBuf {
        // Relaxed: nobody else has a handle yet, and whoever gets one gets it from this one.
        view.block.header().shares.store(1, Relaxed);
        SharedBuf {
            block: ManuallyDrop::new(view.block),
            start: view.start,
            len: view.len,
        }
    }

    /// One more handle, of the part of these bytes that `range` names.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the buffer, or before it begins.
    #[inline]
    #[track_caller]
    #[must_use = "the buffer itself stays as it is"]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> SharedBuf {
        let (start, len) = view::narrowed(self.start, self.len, range);
        SharedBuf {
            block: ManuallyDrop::new(self.one_more()),
            start,
            len,
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.block.mark_read();
        // SAFETY: the range was one of a view, whose bytes are initialised and within the block; the block
        // is not written while it has handles (rule 1).
        unsafe {
            let first = self.block.data().add(self.start as usize);
            slice::from_raw_parts(first.as_ptr(), self.len as usize)
        }
    }

    /// Counts one more handle of the block.
    #[inline]
    fn one_more(&self) -> Block {
        // Relaxed: this handle keeps the count above zero, and the new one is sent to other threads by means
        // that order what they do.
        let shares = self.block.header().shares.fetch_add(1, Relaxed);
        if shares >= SHARES_MAX {
            // Only leaked handles get here. A count that wrapped around would free the block under them.
            process::abort();
        }
        // SAFETY: the new handle is counted.
        unsafe { self.block.same() }
    }
}

// SAFETY: handles on several threads read the data and count atomically (rule 1); the block itself may be
// sent home from any thread.
unsafe impl Send for SharedBuf {}
// SAFETY: as for `Send`; whatever `&SharedBuf` can do, it could do with a clone.
unsafe impl Sync for SharedBuf {}

impl Clone for SharedBuf {
    #[inline]
    fn clone(&self) -> SharedBuf {
        SharedBuf {
            block: ManuallyDrop::new(self.one_more()),
            start: self.start,
            len: self.len,
        }
    }
}

impl Drop for SharedBuf {
    #[inline]
    fn drop(&mut self) {
        let shares = &self.block.header().shares;
        // Release pairs with the acquire below: the reads through this handle are over.
        if shares.fetch_sub(1, Release) != 1 {
            return;
        }
        // Acquire pairs with the release above in the other handles. A load, not a fence, since some tools
        // do not know fences; the count stays zero, so it reads the last of those releases, or this one,
        // which carries them on.
        shares.load(Acquire);
        // SAFETY: no other handle is left (rule 3), and this one does not use the block again.
        unsafe { ManuallyDrop::drop(&mut self.block) }
    }
}

read_as_bytes!(SharedBuf);

impl From<Buf> for SharedBuf {
    fn from(buf: Buf) -> SharedBuf {
        buf.share()
    }
}
