//! A value of a known type in a block of a pool.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use super::payload::in_block;
use crate::pool::{BLOCK_ALIGN, Block, Class};

/// A value in a block of the current pool: a `Box` whose memory goes home to its core.
///
/// One word, and so is `Option<Boxed<T>>`. For what accompanies some messages and is too large to be moved
/// with them. The value may be at most as large as a pool's largest block; that is checked when compiling.
///
/// ```
/// use ringpost_mailbox::cell::Boxed;
///
/// let mut name = Boxed::new(String::from("echo"));
/// name.push_str("er");
/// assert_eq!(name.len(), 6);
/// assert_eq!(name.take(), "echoer");
/// ```
#[repr(transparent)]
pub struct Boxed<T> {
    /// The data of a block that this handle holds, with a value in it.
    value: NonNull<T>,
    /// Owns the value: sent and shared as it may be, for a block may go anywhere.
    owns: PhantomData<T>,
}

// SAFETY: the handle is the only one of its block, and a block may be touched from any thread by who holds
// it; what else is sent is the value.
unsafe impl<T: Send> Send for Boxed<T> {}
// SAFETY: a shared handle gives out shared references to the value, and nothing else.
unsafe impl<T: Sync> Sync for Boxed<T> {}

impl<T> Boxed<T> {
    const CLASS: Class = match Class::with_room(size_of::<T>()) {
        Some(class) if align_of::<T>() <= BLOCK_ALIGN => class,
        _ => panic!("the value is larger than any block, or has to be aligned to more"),
    };

    /// Moves `value` into a block.
    #[inline]
    pub fn new(value: T) -> Self {
        Self {
            value: in_block(const { Self::CLASS }, value),
            owns: PhantomData,
        }
    }

    /// Moves the value out; the block goes home.
    #[inline]
    pub fn take(self) -> T {
        let boxed = ManuallyDrop::new(self);
        // SAFETY: `new` put the value there, and the handle is forgotten: nobody reads it a second time.
        let value = unsafe { boxed.value.read() };
        // SAFETY: the handle came from `new`, is forgotten, and its value was moved out.
        unsafe { free(boxed.value) };
        value
    }
}

/// Sends the block home.
///
/// # Safety
///
/// `value` is of a handle that is not used again, and was moved out or dropped.
#[inline]
unsafe fn free<T>(value: NonNull<T>) {
    // SAFETY: `Boxed::new` has the pointer from the data of a block; the caller sees to it that this is
    // the only handle made of it.
    drop(unsafe { Block::from_data(value.cast()) });
}

impl<T> Drop for Boxed<T> {
    #[inline]
    fn drop(&mut self) {
        /// Frees the block also if the value's destructor panics.
        struct FreeAfter<T>(NonNull<T>);

        impl<T> Drop for FreeAfter<T> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: made below, where the handle goes and its value has been dropped.
                unsafe { free(self.0) }
            }
        }

        let after = FreeAfter(self.value);
        // SAFETY: the handle owns the value, and goes.
        unsafe { ptr::drop_in_place(after.0.as_ptr()) }
    }
}

impl<T> Deref for Boxed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is there as long as the handle, which is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Boxed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is there as long as the handle, which is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Boxed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;
    use crate::pool::{Pool, PoolLimits};

    #[test]
    fn the_value_comes_out_or_is_dropped_and_the_block_goes_home() {
        let pool = Pool::new(0, PoolLimits::default());
        let _entered = pool.enter();
        let counted = Rc::new(());
        let kept = Boxed::new((Rc::clone(&counted), [7u64; 20]));
        let dropped = Boxed::new((Rc::clone(&counted), [8u64; 20]));
        assert_eq!((Rc::strong_count(&counted), pool.outstanding()), (3, 2));
        drop(dropped);
        assert_eq!((Rc::strong_count(&counted), pool.outstanding()), (2, 1));
        let (value, numbers) = kept.take();
        assert_eq!((numbers, pool.outstanding()), ([7; 20], 0));
        drop(value);
        assert_eq!(Rc::strong_count(&counted), 1);
    }

    #[test]
    fn a_destructor_that_panics_does_not_keep_the_block() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let pool = Pool::new(0, PoolLimits::default());
        let _entered = pool.enter();
        let bomb = Boxed::new(Bomb);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(bomb))).is_err());
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_handle_is_one_word_whether_it_is_there_or_not() {
        assert_eq!(size_of::<Option<Boxed<[u8; 100]>>>(), size_of::<usize>());
    }
}
