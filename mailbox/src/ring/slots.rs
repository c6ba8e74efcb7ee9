//! The slots of a ring: memory for values that come and go by position, each with a word that says whether
//! its value is there.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::form::Form;
use crate::sync::atomic::{Acquire, AtomicPtr, Relaxed, Release};
use crate::sync::cell::UnsafeCell;

/// Slots start and end on a boundary of this many bytes, so that they share no line with anything
/// else, nor a pair of lines that the processor fetches together.
const LINE_BYTES: usize = 128;

/// The bit of a slot's word that says whether the value is there.
const FLAG: usize = 1;

/// Where what else there is of a value than its word lies, or may.
pub(crate) type Place<Rest> = UnsafeCell<MaybeUninit<Rest>>;

/// Moves it out of there.
///
/// # Safety
///
/// It is there, as the value's word has said, nobody else uses the place, and nobody takes it again.
#[inline(always)]
pub(crate) unsafe fn take_rest<Rest>(place: &Place<Rest>) -> Rest {
    // SAFETY: the caller upholds it.
    place.with(|rest| unsafe { (*rest).assume_init_read() })
}

/// A word of the value, with the flag in its lowest bit, and what else there is of the value.
pub(super) struct Slot<Rest> {
    word: AtomicPtr<()>,
    rest: Place<Rest>,
}

impl<Rest> Slot<Rest> {
    /// The word, whether of this lap or the one before.
    #[inline(always)]
    pub(super) fn word(&self) -> *mut () {
        // Acquire: pairs with the Release store in `show`, so that all that was put by then is seen.
        self.word.load(Acquire)
    }

    /// Where what else there is of the value lies.
    #[inline(always)]
    pub(super) fn rest(&self) -> &Place<Rest> {
        &self.rest
    }

    /// Shows the word, and with it all that was put before.
    #[inline(always)]
    pub(super) fn show(&self, word: *mut ()) {
        // Release: pairs with the Acquire load in `Slot::word`, after which what was put is seen.
        self.word.store(word, Release);
    }

    /// Shows the word of a value that was put behind one whose word is held: nobody comes to it before.
    #[inline(always)]
    pub(super) fn show_behind(&self, word: *mut ()) {
        // Relaxed: whoever reads it has seen the word that is held, which a Release store shows later.
        self.word.store(word, Relaxed);
    }
}

/// Where so many slots lie one after the other, a power of two.
pub(super) struct Row<Rest> {
    first: NonNull<Slot<Rest>>,
    mask: u32,
}

impl<Rest> Clone for Row<Rest> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<Rest> Copy for Row<Rest> {}

impl<Rest> Row<Rest> {
    /// The slot of `position`; it is there as long as the slots are.
    #[inline(always)]
    pub(super) fn at(self, position: u32) -> NonNull<Slot<Rest>> {
        let index = (position & self.mask) as usize;
        // SAFETY: the mask keeps the index below the number of slots, which are one allocation.
        unsafe { self.first.add(index) }
    }

    /// The value of `position`, if it has been shown: its word, and where what else there is of it lies.
    ///
    /// # Safety
    ///
    /// The slots live as long as what comes back is used.
    #[inline(always)]
    pub(super) unsafe fn lying<'a>(self, position: u32) -> Option<(*mut (), &'a Place<Rest>)> {
        // SAFETY: the caller upholds it.
        let slot = unsafe { self.at(position).as_ref() };
        let word = slot.word();
        let is_shown = word.addr() & FLAG == self.flag(position);
        is_shown.then(|| (word.map_addr(|bits| bits & !FLAG), slot.rest()))
    }

    /// Moves what else there is of the value with this word into the slot of `position`, and gives that slot and the word,
    /// with the flag, to be shown.
    ///
    /// # Safety
    ///
    /// The slots live as long as what comes back is used. That of `position` holds no value, and no other thread uses it
    /// before the word is shown.
    #[inline(always)]
    pub(super) unsafe fn put<'a>(
        self,
        position: u32,
        word: *mut (),
        rest: Rest,
    ) -> (&'a Slot<Rest>, *mut ()) {
        let word = word.map_addr(|bits| bits | self.flag(position));
        // SAFETY: the caller upholds that it is there.
        let slot = unsafe { self.at(position).as_ref() };
        slot.rest.with_mut(|place| {
            // SAFETY: the caller says that nobody else uses the slot.
            unsafe { (*place).write(rest) };
        });
        (slot, word)
    }

    /// What the flag is in the slot of `position` if its value is there: the other than a lap before.
    #[inline(always)]
    fn flag(self, position: u32) -> usize {
        usize::from(position & self.capacity() == 0) * FLAG
    }

    /// Asks for the line of the slot of `position`, to write to it: a hint, where the processor has one that is not a write.
    #[inline(always)]
    pub(super) fn fetch_to_write(self, position: u32) {
        #[cfg(all(target_arch = "x86_64", not(any(miri, loom, shuttle))))]
        // (The intrinsic is a fetch to read, where the compiler may not assume that the processor has this one.)
        // SAFETY: it changes nothing that can be seen, and a processor that does not know it passes it by.
        unsafe {
            let slot = self.at(position).as_ptr();
            std::arch::asm!("prefetchw [{0}]", in(reg) slot, options(nostack, preserves_flags, readonly));
        }
        #[cfg(not(all(target_arch = "x86_64", not(any(miri, loom, shuttle)))))]
        let _ = position;
    }

    /// How many slots lie before this one, which is one of these, or their end.
    #[inline(always)]
    pub(super) fn index_of(self, slot: NonNull<Slot<Rest>>) -> u32 {
        let bytes = slot.addr().get() - self.first.addr().get();
        (bytes / size_of::<Slot<Rest>>()) as u32
    }

    /// Where so many slots from the one with this index end, or the last does, if that is sooner; and how many are behind that.
    #[inline(always)]
    pub(super) fn reach(self, index: u32, most: u32) -> (NonNull<Slot<Rest>>, u32) {
        let reached = most.min(self.capacity() - index);
        // SAFETY: so many slots are one allocation.
        let end = unsafe { self.first.add((index + reached) as usize) };
        (end, most - reached)
    }

    /// The end of the last.
    #[inline(always)]
    pub(super) fn end(self) -> NonNull<Slot<Rest>> {
        // SAFETY: so many slots are one allocation.
        unsafe { self.first.add(self.capacity() as usize) }
    }

    #[inline(always)]
    pub(super) fn capacity(self) -> u32 {
        self.mask + 1
    }
}

/// An array of slots whose number is a power of two.
///
/// Dropping it frees the memory and no value.
pub(super) struct Slots<T, F: Form<T>> {
    row: Row<F::Rest>,
    values: PhantomData<T>,
}

// SAFETY: beside the words, which are atomic, the array only gives access through its row's `put` and `lying`, and the addresses of
// its slots, whose users promise that one thread at a time uses a slot; what then crosses threads is a `T`, which is `Send`.
unsafe impl<T: Send, F: Form<T>> Send for Slots<T, F> {}
// SAFETY: as above; a shared reference gives nothing but the words and the row.
unsafe impl<T: Send, F: Form<T>> Sync for Slots<T, F> {}

impl<T, F: Form<T>> Slots<T, F> {
    /// `capacity` slots without values, to be used from position `origin` on. The caller has checked that the
    /// capacity is a power of two.
    pub(super) fn new(capacity: u32, origin: u32) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is at least one line, never zero.
        let memory = unsafe { alloc(layout) };
        let Some(first) = NonNull::new(memory.cast::<Slot<F::Rest>>()) else {
            handle_alloc_error(layout);
        };
        let row = Row {
            first,
            mask: capacity - 1,
        };
        for position in (0..capacity).map(|offset| origin.wrapping_add(offset)) {
            let absent = row.flag(position) ^ FLAG;
            // SAFETY: the layout has room for `capacity` slots, aligned for them; so many positions that
            // follow each other are all of them.
            unsafe {
                row.at(position).write(Slot {
                    word: AtomicPtr::new(ptr::without_provenance_mut(absent)),
                    rest: UnsafeCell::new(MaybeUninit::uninit()),
                });
            }
        }
        let values = PhantomData;
        Self { row, values }
    }

    #[inline]
    pub(super) fn capacity(&self) -> u32 {
        self.row.capacity()
    }

    /// Where the slots lie.
    #[inline(always)]
    pub(super) fn row(&self) -> Row<F::Rest> {
        self.row
    }

    /// Shows the word that was held, and with it all that was put after it.
    #[inline(always)]
    pub(super) fn show(&self, position: u32, word: *mut ()) {
        self.slot(position).show(word);
    }

    /// The value of `position`, if it has been shown: its word, and where what else there is of it lies.
    #[inline(always)]
    pub(super) fn lying(&self, position: u32) -> Option<(*mut (), &Place<F::Rest>)> {
        // SAFETY: the slots live as long as `self`.
        unsafe { self.row.lying(position) }
    }

    #[inline(always)]
    fn slot(&self, position: u32) -> &Slot<F::Rest> {
        // SAFETY: each slot was written in `new`, and the array lives as long as `self`.
        unsafe { self.row.at(position).as_ref() }
    }

    fn layout(capacity: u32) -> Layout {
        let array =
            Layout::array::<Slot<F::Rest>>(capacity as usize).expect("a ring fits in memory");
        let bytes = array.size().max(1).next_multiple_of(LINE_BYTES);
        Layout::from_size_align(bytes, array.align().max(LINE_BYTES))
            .expect("a ring fits in memory")
    }
}

impl<T, F: Form<T>> Drop for Slots<T, F> {
    fn drop(&mut self) {
        let capacity = self.capacity();
        for position in 0..capacity {
            // SAFETY: each slot was written in `new`, and is dropped here only. (The model
            // checker's cells own memory.)
            unsafe { self.row.at(position).drop_in_place() };
        }
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.row.first.as_ptr().cast(), Self::layout(capacity)) };
    }
}
