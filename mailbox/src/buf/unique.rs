//! The unique buffer that is read.

use std::ops::RangeBounds;

use super::bytes::read_as_bytes;
use super::view::View;
use super::{BufMut, SharedBuf};

/// Bytes that are owned alone and read.
///
/// 16 bytes, moved to other threads and into message cells without touching the data. There is no `Clone`:
/// whoever needs many readers calls [`share`](Buf::share).
///
/// ```
/// use ringpost_mailbox::buf::Buf;
///
/// let mut line = Buf::from(&b"GET /index"[..]);
/// line.advance(4);
/// assert_eq!(line, "/index");
/// assert_eq!(line.slice(1..4), "ind");
/// ```
pub struct Buf {
    pub(super) view: View,
}

#[cfg(not(any(debug_assertions, loom)))]
const _: () = assert!(size_of::<Buf>() == 16 && size_of::<Option<Buf>>() == 16);

impl Buf {
    /// The part of this buffer that `range` names; the rest is out of reach from then on, but its memory goes
    /// home only with the part.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the buffer, or before it begins.
    #[inline]
    #[track_caller]
    #[must_use = "the buffer is consumed, and the slice is what is left of it"]
    pub fn slice(mut self, range: impl RangeBounds<usize>) -> Buf {
        self.view.narrow(range);
        self
    }

    /// Leaves out the first `count` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    #[track_caller]
    pub fn advance(&mut self, count: usize) {
        self.view.advance(count);
    }

    /// Leaves out all but the first `len` bytes; does nothing if there are no more.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.view.truncate(len);
    }

    /// The same bytes, to be written.
    #[inline]
    pub fn into_mut(self) -> BufMut {
        BufMut { view: self.view }
    }

    /// The same bytes, to be read by many.
    #[inline]
    pub fn share(self) -> SharedBuf {
        SharedBuf::from_view(self.view)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }
}

read_as_bytes!(Buf);

/// Copies the bytes into a buffer of the current pool.
impl From<&[u8]> for Buf {
    fn from(bytes: &[u8]) -> Buf {
        BufMut::from(bytes).freeze()
    }
}

/// Copies the bytes into a buffer of the current pool: the memory of a vector is not aligned as a buffer's.
impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Buf {
        Buf::from(&bytes[..])
    }
}

impl From<BufMut> for Buf {
    fn from(buf: BufMut) -> Buf {
        buf.freeze()
    }
}

/// An empty buffer.
impl Default for Buf {
    fn default() -> Buf {
        BufMut::default().freeze()
    }
}
