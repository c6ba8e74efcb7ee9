//! The bytes of a cell that hold its value, or a pointer to it.
//!
//! Where a value lies is a constant of its type (its `Place`), so each function here compiles to the
//! code of one place. Public, but not part of the documented interface, so that the bench that settles
//! the size of a cell can try other sizes.

use std::marker::PhantomData;
use std::mem::{self, MaybeUninit, needs_drop};
use std::ptr::{self, NonNull};

use super::INLINE_BYTES;
use crate::pool::{BLOCK_ALIGN, Block, Class};

/// Where the values of a type lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the payload itself.
    Inline,
    /// In a block of a pool, of this class.
    Pooled(Class),
    /// In a box of the global allocator.
    Boxed,
}

/// Room for a value of up to `BYTES` bytes aligned to 8 at most, or for a pointer to a larger one.
///
/// Bytes that may be uninitialised keep whatever is written to them, pointers with their provenance
/// included. The payload does not know what it holds, so dropping it does nothing.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Payload<const BYTES: usize>(MaybeUninit<[u8; BYTES]>);

/// The words of a payload of a cell, each with whatever is in it.
pub type Words = [MaybeUninit<*mut ()>; INLINE_BYTES / size_of::<*mut ()>()];

impl Payload<INLINE_BYTES> {
    /// Its words, each read by itself, also where it is in memory: see
    /// [`Payload::holding`]. They are the value: whoever takes them forgets the payload.
    #[inline(always)]
    pub(super) fn words(&self) -> Words {
        let first = ptr::from_ref(self).cast::<MaybeUninit<*mut ()>>();
        // SAFETY: so many words are in a payload, which is aligned for them, and any bytes will do.
        // (Volatile, as reads of words that lie beside each other would be made one again.)
        std::array::from_fn(|at| unsafe { first.add(at).read_volatile() })
    }

    /// As [`words`](Self::words), of a payload that was made just now and has not been in memory: reads that are not
    /// volatile leave it in registers.
    #[inline(always)]
    pub(super) fn into_words(self) -> Words {
        // SAFETY: so many words are in a payload, and any bytes will do.
        unsafe { mem::transmute(self.0) }
    }

    /// A payload with these words.
    #[inline(always)]
    pub(super) fn of_words(words: Words) -> Self {
        let mut payload = Payload(MaybeUninit::uninit());
        // SAFETY: the payload is as large as its words, aligned for them, and ours.
        unsafe { payload.0.as_mut_ptr().cast::<Words>().write(words) };
        payload
    }
}

impl<const BYTES: usize> Payload<BYTES> {
    /// Where a `T` lies.
    pub(super) const fn place<T>() -> Place {
        if size_of::<T>() <= BYTES && align_of::<T>() <= align_of::<Self>() {
            Place::Inline
        } else if let Some(class) = Class::with_room(size_of::<T>())
            && align_of::<T>() <= BLOCK_ALIGN
        {
            Place::Pooled(class)
        } else {
            Place::Boxed
        }
    }

    /// Whether [`drop_value`](Payload::drop_value) has anything to do for a `T`.
    pub const fn needs_drop<T>() -> bool {
        needs_drop::<T>() || !matches!(Self::place::<T>(), Place::Inline)
    }

    /// Moves `value` to its place.
    #[inline]
    pub fn new<T>(value: T) -> Self {
        const { assert!(BYTES >= size_of::<NonNull<u8>>() && BYTES.is_multiple_of(8)) };
        match const { Self::place::<T>() } {
            Place::Inline => Self::holding(value),
            Place::Pooled(class) => Self::holding(in_block(class, value)),
            Place::Boxed => Self::holding(NonNull::from(Box::leak(Box::new(value)))),
        }
    }

    /// Moves the value out and frees its block, if it has one.
    ///
    /// # Safety
    ///
    /// The payload was made by [`Payload::new`] from a `T`, neither taken nor dropped since, and is not
    /// used again.
    #[inline]
    pub unsafe fn take<T>(&mut self) -> T {
        // SAFETY: the caller promises that the value is there, and that nobody uses the payload again, so
        // the value is read once and its block freed once.
        unsafe {
            let value = self.as_mut_ptr::<T>().read();
            self.free::<T>();
            value
        }
    }

    /// Moves the value to a place, by whole words if it lies in the payload, and frees its block, if it has one.
    ///
    /// # Safety
    ///
    /// As for [`Payload::take`]. The place is valid for writes of as many whole words as a `T` takes, and aligned for
    /// them and for a `T`.
    #[inline]
    pub(super) unsafe fn move_words<T>(&mut self, to: *mut T) {
        match const { Self::place::<T>() } {
            Place::Inline => {
                let words = const { size_of::<T>().div_ceil(size_of::<u64>()) };
                let from = self.0.as_ptr().cast::<MaybeUninit<u64>>();
                // SAFETY: what is in the payload takes no more words than that has, and some of the bytes may be
                // anything. The caller promises that nobody uses it again, and that the place is good for its words.
                unsafe {
                    to.cast::<MaybeUninit<u64>>()
                        .copy_from_nonoverlapping(from, words)
                };
            }
            // SAFETY: the caller promises what is asked for.
            Place::Pooled(_) | Place::Boxed => unsafe { to.write(self.take::<T>()) },
        }
    }

    /// Drops the value in its place and frees its block, if it has one; the block also if the value's
    /// destructor panics.
    ///
    /// # Safety
    ///
    /// As for [`Payload::take`].
    pub unsafe fn drop_value<T>(&mut self) {
        /// Frees the block of a `T` on every way out.
        struct FreeAfter<'a, T, const BYTES: usize>(&'a mut Payload<BYTES>, PhantomData<T>);

        impl<T, const BYTES: usize> Drop for FreeAfter<'_, T, BYTES> {
            fn drop(&mut self) {
                // SAFETY: made below, for a payload whose value has been dropped when this runs.
                unsafe { self.0.free::<T>() }
            }
        }

        let after = FreeAfter::<T, BYTES>(self, PhantomData);
        // SAFETY: the caller promises that the value is there, and that nobody uses the payload again.
        unsafe { ptr::drop_in_place(after.0.as_mut_ptr::<T>()) }
    }

    /// Where the value is.
    ///
    /// # Safety
    ///
    /// The payload was made by [`Payload::new`] from a `T`, neither taken nor dropped since.
    #[inline]
    pub unsafe fn as_ptr<T>(&self) -> *const T {
        // SAFETY: the caller's promise is the one that `locate` asks for; nothing is written through the
        // result, which is made const again.
        unsafe { Self::locate::<T>(self.0.as_ptr().cast_mut().cast()).cast_const() }
    }

    /// Where the value is, to change it.
    ///
    /// # Safety
    ///
    /// As for [`Payload::as_ptr`].
    #[inline]
    pub unsafe fn as_mut_ptr<T>(&mut self) -> *mut T {
        // SAFETY: the caller's promise is the one that `locate` asks for.
        unsafe { Self::locate::<T>(self.0.as_mut_ptr().cast()) }
    }

    /// Where the value of the payload with these bytes is.
    ///
    /// # Safety
    ///
    /// `bytes` are the bytes of a payload as [`Payload::as_ptr`] asks for.
    #[inline]
    unsafe fn locate<T>(bytes: *mut u8) -> *mut T {
        match const { Self::place::<T>() } {
            Place::Inline => bytes.cast::<T>(),
            // SAFETY: `new` put the pointer there for a `T` of these places.
            Place::Pooled(_) | Place::Boxed => unsafe {
                bytes.cast::<NonNull<T>>().read().as_ptr()
            },
        }
    }

    /// Frees the block of a `T`, if it has one, without looking at the value in it.
    ///
    /// # Safety
    ///
    /// The payload was made by [`Payload::new`] from a `T` that has been moved out or dropped, and this
    /// has not been called before.
    #[inline]
    unsafe fn free<T>(&mut self) {
        match const { Self::place::<T>() } {
            Place::Inline => {}
            Place::Pooled(_) => {
                // SAFETY: the caller promises that the payload was made from a `T`, and `new` put the
                // pointer to a block's data there for a `T` of this place; this is its only handle.
                drop(unsafe {
                    Block::from_data(NonNull::new_unchecked(self.as_mut_ptr::<T>()).cast())
                });
            }
            Place::Boxed => {
                // SAFETY: the caller promises that the payload was made from a `T`, and `new` put the
                // pointer of a box there for a `T` of this place. An uninitialised value has the same
                // layout, and no destructor that would run a second time.
                drop(unsafe { Box::from_raw(self.as_mut_ptr::<T>().cast::<MaybeUninit<T>>()) });
            }
        }
    }

    /// A payload whose first bytes are `value`, which must fit.
    ///
    /// Not a constant assertion: the arms of a `match` that a type does not take are compiled for it
    /// all the same.
    #[inline]
    fn holding<V>(value: V) -> Self {
        assert!(size_of::<V>() <= BYTES && align_of::<V>() <= align_of::<Self>());
        let mut payload = Payload(MaybeUninit::uninit());
        let place = payload.0.as_mut_ptr();
        if size_of::<V>() < size_of::<usize>() && align_of::<V>() <= align_of::<usize>() {
            // A whole word is written at once, as whole words will be read: a wider read than what was written
            // last waits until that has left the store buffer.
            let mut word = MaybeUninit::<usize>::zeroed();
            // SAFETY: the word has room for a `V` and is aligned for it; the payload has room for the word, is
            // aligned for it, and is ours.
            unsafe {
                word.as_mut_ptr().cast::<V>().write(value);
                place.cast::<MaybeUninit<usize>>().write(word);
            }
            return payload;
        }
        if const { !size_of::<V>().is_multiple_of(size_of::<u64>()) } {
            let last = const { size_of::<V>() / size_of::<u64>() };
            // SAFETY: the value fits, and so does the whole of its last word, which is stored as such then.
            unsafe { place.cast::<u64>().add(last).write(0) };
        }
        // SAFETY: the payload is large enough and aligned for a `V`, as asserted above, and is ours.
        unsafe { place.cast::<V>().write(value) };
        payload
    }
}

/// A block of the current pool that holds `value`, which has room there and is aligned to no more than it.
#[inline]
pub(super) fn in_block<T>(class: Class, value: T) -> NonNull<T> {
    let mut block = Block::of_class(class);
    block.mark_written();
    // SAFETY: the block is large enough and aligned for a `T`, as `place` saw to, and is ours. The value may
    // have uninitialised bytes, so nothing is said of the block's data any more.
    unsafe {
        block.set_initialized(false);
        let data = block.into_data().cast::<T>();
        data.write(value);
        data
    }
}
