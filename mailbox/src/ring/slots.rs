//! The slots of a ring: memory for values that come and go by position.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::sync::cell::UnsafeCell;

/// Slots start and end on a boundary of this many bytes, so that they share no line with anything
/// else, nor a pair of lines that the processor fetches together.
const LINE_BYTES: usize = 128;

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// An array of slots whose number is a power of two.
///
/// It does not know which slots hold a value; dropping it frees the memory and no value.
pub(super) struct Slots<T> {
    first: NonNull<Slot<T>>,
    mask: u32,
}

// SAFETY: the array only gives access through `put` and `take`, whose callers promise that one
// thread at a time uses a slot; what then crosses threads is a `T`, which is `Send`.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as above; a shared reference gives nothing but `put` and `take`.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// `capacity` slots without values. The caller has checked that it is a power of two.
    pub(super) fn new(capacity: u32) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is at least one line, never zero.
        let memory = unsafe { alloc(layout) };
        let Some(first) = NonNull::new(memory.cast::<Slot<T>>()) else {
            handle_alloc_error(layout);
        };
        for index in 0..capacity as usize {
            // SAFETY: the layout has room for `capacity` slots, aligned for them.
            unsafe {
                first
                    .add(index)
                    .write(UnsafeCell::new(MaybeUninit::uninit()))
            };
        }
        Self {
            first,
            mask: capacity - 1,
        }
    }

    #[inline]
    pub(super) fn capacity(&self) -> u32 {
        self.mask + 1
    }

    /// Moves `value` into the slot of `position`.
    ///
    /// # Safety
    ///
    /// The slot holds no value, and no other thread uses it until this call's effects are
    /// published.
    #[inline(always)]
    pub(super) unsafe fn put(&self, position: u32, value: T) {
        self.slot(position).with_mut(|slot| {
            // SAFETY: the caller says that nobody else uses the slot.
            unsafe { (*slot).write(value) };
        });
    }

    /// Moves the value out of the slot of `position`.
    ///
    /// # Safety
    ///
    /// The slot holds a value that this thread may see, which nobody takes again.
    #[inline(always)]
    pub(super) unsafe fn take(&self, position: u32) -> T {
        self.slot(position).with(|slot| {
            // SAFETY: the caller says that the value is there and is taken once.
            unsafe { (*slot).assume_init_read() }
        })
    }

    #[inline(always)]
    fn slot(&self, position: u32) -> &Slot<T> {
        let index = (position & self.mask) as usize;
        // SAFETY: the mask keeps the index below the capacity, and the array lives as long as
        // `self`.
        unsafe { self.first.add(index).as_ref() }
    }

    fn layout(capacity: u32) -> Layout {
        let array = Layout::array::<Slot<T>>(capacity as usize).expect("a ring fits in memory");
        let bytes = array.size().max(1).next_multiple_of(LINE_BYTES);
        Layout::from_size_align(bytes, array.align().max(LINE_BYTES))
            .expect("a ring fits in memory")
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        let capacity = self.capacity();
        for index in 0..capacity as usize {
            // SAFETY: each slot was written in `new`, and is dropped here only. (The model
            // checker's cells own memory.)
            unsafe { self.first.add(index).drop_in_place() };
        }
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.first.as_ptr().cast(), Self::layout(capacity)) };
    }
}
