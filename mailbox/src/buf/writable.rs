//! The unique buffer that is written.

use std::ops::DerefMut;
use std::ptr;

use super::Buf;
use super::bytes::read_as_bytes;
use super::view::View;
use crate::pool::{BLOCK_BYTES_MAX, Block};

/// Bytes that are owned alone and written.
///
/// Made by [`Pool::buf`](crate::pool::Pool::buf) or [`BufMut::with_capacity`]. Grows like a vector: when its
/// room is used up, what it holds is copied to a larger block.
///
/// ```
/// use ringpost_mailbox::buf::BufMut;
///
/// let mut buf = BufMut::with_capacity(3);
/// buf.extend_from_slice(b"abc");
/// buf[0] = b'A';
/// assert_eq!(buf.freeze(), "Abc");
/// ```
pub struct BufMut {
    pub(super) view: View,
}

impl BufMut {
    /// An empty buffer of the current pool with room for at least `capacity` bytes; of the global allocator
    /// if no pool is current, or if that is more than the largest class has. The process ends if there is no memory, as
    /// with a `Vec`; see [`try_with_capacity`](Self::try_with_capacity).
    ///
    /// # Panics
    ///
    /// If `capacity` is more than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub fn with_capacity(capacity: usize) -> BufMut {
        BufMut::from_block(Block::with_room(capacity))
    }

    /// As [`with_capacity`](Self::with_capacity), for who can do without: `None` if the system has no memory, or whoever made
    /// the pool refuses it more (see [`Pool::ask_before_growth`](crate::pool::Pool::ask_before_growth)).
    ///
    /// # Panics
    ///
    /// If `capacity` is more than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub fn try_with_capacity(capacity: usize) -> Option<BufMut> {
        Block::try_with_room(capacity).map(BufMut::from_block)
    }

    /// The bytes in a buffer of their own, or `None` as for [`try_with_capacity`](Self::try_with_capacity).
    #[inline]
    pub fn try_copy(bytes: &[u8]) -> Option<BufMut> {
        let mut buf = BufMut::try_with_capacity(bytes.len())?;
        buf.extend_from_slice(bytes);
        Some(buf)
    }

    #[inline]
    pub(crate) fn from_block(block: Block) -> BufMut {
        BufMut {
            view: View::empty(block),
        }
    }

    /// How many bytes the buffer can hold without moving to another block.
    #[inline]
    pub fn capacity(&self) -> usize {
        (self.view.block.capacity() - self.view.start) as usize
    }

    /// Appends bytes.
    ///
    /// # Panics
    ///
    /// If the buffer would be longer than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if bytes.len() > self.capacity() - self.len() {
            self.grow(bytes.len());
        }
        self.view.block.mark_written();
        // SAFETY: there is room for the bytes behind the view, which nobody else can reach; they cannot
        // overlap, as the buffer is borrowed uniquely. What is written is initialised, and now in the view.
        unsafe {
            let end = self.view.block.data().add(self.view.end() as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len());
        }
        self.view.len += bytes.len() as u32;
    }

    /// Makes the buffer `len` bytes long: cuts it off, or fills it up with `value`.
    ///
    /// # Panics
    ///
    /// If `len` is more than [`BLOCK_BYTES_MAX`].
    pub fn resize(&mut self, len: usize, value: u8) {
        let Some(more) = len.checked_sub(self.len()) else {
            return self.truncate(len);
        };
        if more > self.capacity() - self.len() {
            self.grow(more);
        }
        self.view.block.mark_written();
        // SAFETY: there is room for so many bytes behind the view. What is written is initialised, and now
        // in the view.
        unsafe {
            let end = self.view.block.data().add(self.view.end() as usize);
            end.write_bytes(value, more);
        }
        self.view.len = len as u32;
    }

    /// The room behind the bytes, to be written and then [committed](BufMut::commit). It holds whatever was
    /// there before: bytes of earlier messages, or zeros.
    ///
    /// The first call for a fresh block fills it with zeros; once that is done the room costs nothing, also
    /// for the buffers that use the block later.
    ///
    /// ```
    /// use std::io::Read;
    /// use ringpost_mailbox::buf::BufMut;
    ///
    /// let mut socket = &b"some bytes"[..];
    /// let mut buf = BufMut::with_capacity(2048);
    /// let count = socket.read(buf.spare()).expect("a slice can be read");
    /// buf.commit(count);
    /// assert_eq!(buf, "some bytes");
    /// ```
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        if !self.view.block.is_initialized() {
            self.initialize();
        }
        self.view.block.mark_written();
        let len = (self.view.block.capacity() - self.view.end()) as usize;
        // SAFETY: all the bytes of the block are initialised; those behind the view are nobody else's, and
        // the buffer is borrowed uniquely.
        unsafe {
            let end = self.view.block.data().add(self.view.end() as usize);
            std::slice::from_raw_parts_mut(end.as_ptr(), len)
        }
    }

    /// Appends the first `count` bytes of the [spare room](BufMut::spare), as they are.
    ///
    /// # Panics
    ///
    /// If there is less room.
    #[inline]
    #[track_caller]
    pub fn commit(&mut self, count: usize) {
        let room = self.spare().len();
        assert!(
            count <= room,
            "{count} bytes committed of {room} spare ones"
        );
        self.view.len += count as u32;
    }

    /// Leaves out the first `count` bytes. Once all are left out, the room before them can be used again.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[inline]
    #[track_caller]
    pub fn advance(&mut self, count: usize) {
        self.view.advance(count);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Leaves out all but the first `len` bytes; does nothing if there are no more.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.view.truncate(len);
    }

    /// Leaves out all bytes. The room before them, if the buffer was a slice, can be used again.
    #[inline]
    pub fn clear(&mut self) {
        (self.view.start, self.view.len) = (0, 0);
    }

    /// The same bytes, to be read only.
    #[inline]
    pub fn freeze(self) -> Buf {
        Buf { view: self.view }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }

    /// Moves to a block with room for `more` bytes behind those that are there, and at least twice the room
    /// of before.
    #[cold]
    fn grow(&mut self, more: usize) {
        let needed = self.len().saturating_add(more);
        let doubled = self.capacity().saturating_mul(2).min(BLOCK_BYTES_MAX);
        let mut grown = BufMut::with_capacity(needed.max(doubled));
        grown.extend_from_slice(self);
        *self = grown;
    }

    /// Fills with zeros all of the block but the view, whose bytes are initialised already.
    #[cold]
    fn initialize(&mut self) {
        self.view.block.mark_written();
        let (start, end) = (self.view.start as usize, self.view.end() as usize);
        // SAFETY: the view lies within the block, so what is before and behind it does too, and nobody else
        // can reach that. All of the block is initialised then, and what a buffer writes is initialised.
        unsafe {
            let data = self.view.block.data();
            data.write_bytes(0, start);
            data.add(end)
                .write_bytes(0, self.view.block.capacity() as usize - end);
            self.view.block.set_initialized(true);
        }
    }
}

read_as_bytes!(BufMut);

impl DerefMut for BufMut {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.view.bytes_mut()
    }
}

/// Copies the bytes into a buffer of the current pool.
impl From<&[u8]> for BufMut {
    fn from(bytes: &[u8]) -> BufMut {
        let mut buf = BufMut::with_capacity(bytes.len());
        buf.extend_from_slice(bytes);
        buf
    }
}

/// An empty buffer with some room.
impl Default for BufMut {
    fn default() -> BufMut {
        BufMut::with_capacity(0)
    }
}
