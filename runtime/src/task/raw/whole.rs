//! Halves of a head, moved as a whole.
//!
//! A handler moves its message by halves of 16 bytes when it begins. A processor that loads 16 bytes of which it has just stored
//! 8 and 8 waits until both are in its cache, which is as long as all else that a message takes. What is read here is one
//! value of 16 bytes from then on, and so stored as one, whatever ways of the program join in between.

use std::mem::{MaybeUninit, transmute_copy};

#[cfg(target_arch = "x86_64")]
type Whole = std::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Whole = [usize; 2];

/// Reads a value of two words.
///
/// # Safety
/// As for [`ptr::read`](std::ptr::read).
#[inline(always)]
pub(super) unsafe fn read<T>(from: *const T) -> T {
    const { assert!(size_of::<T>() == size_of::<Whole>()) };
    // SAFETY: the caller says that a `T` is there, which is of that size, and that may be read. Any bytes will do for what it
    // is read as.
    let whole = unsafe { from.cast::<MaybeUninit<Whole>>().read_unaligned() };
    // SAFETY: these are the bytes of that `T`.
    unsafe { transmute_copy(&whole) }
}
