//! How a value lies in a slot: as a word whose lowest bit the ring uses, and what else there is of it.

use crate::cell::payload::Words;
use crate::cell::{Apart, Catalog, MessageCell};

/// A way to take a `T` apart, and to put it together again.
///
/// # Safety
///
/// The lowest bit of each word that comes of `split` is 0. Neither function runs code of a user's: room was seen before a value is
/// split, which such code could fill.
pub unsafe trait Form<T> {
    /// What there is beside the word.
    type Rest;

    /// Takes the value apart.
    fn split(value: T) -> (*mut (), Self::Rest);

    /// Puts it together.
    ///
    /// # Safety
    ///
    /// Both came of one `split`, and are put together once.
    unsafe fn join(word: *mut (), rest: Self::Rest) -> T;
}

/// Any value, as it is, beside a word of its own.
#[derive(Debug)]
pub struct Whole;

// SAFETY: null has no bit.
unsafe impl<T> Form<T> for Whole {
    type Rest = T;

    #[inline(always)]
    fn split(value: T) -> (*mut (), T) {
        (std::ptr::null_mut(), value)
    }

    #[inline(always)]
    unsafe fn join(_: *mut (), rest: T) -> T {
        rest
    }
}

/// A message cell, whose first word has a bit to spare: a slot is no larger than a cell.
#[derive(Debug)]
pub struct Parts;

// SAFETY: the word is a pointer to what has words in it, as `Apart::into_raw` asserts.
unsafe impl<C: Catalog> Form<MessageCell<C>> for Parts {
    type Rest = Words;

    #[inline(always)]
    fn split(value: MessageCell<C>) -> (*mut (), Words) {
        Apart::of(value).into_raw()
    }

    #[inline(always)]
    unsafe fn join(word: *mut (), rest: Words) -> MessageCell<C> {
        // SAFETY: the caller says that both are the parts of one cell, and are used once.
        unsafe { Apart::from_raw(word, rest) }.whole()
    }
}
