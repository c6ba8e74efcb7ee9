//! The end of a ring that writes.

use std::cell::Cell;
use std::fmt;
use std::hint::cold_path;
use std::ptr;

use super::form::{Form, Parts, Whole};
use super::slots::Row;
use super::{Full, Shared};
use crate::canary::{Canary, is_planted};
use crate::cell::{Apart, Catalog, MessageCell};
use crate::sync::Arc;
use crate::sync::atomic::{Acquire, Relaxed, Release};

/// The end of a ring that values go in at.
///
/// There is one for each ring: it may move to another thread, but cannot be copied or shared.
/// Dropping it publishes what was pushed and then tells the consumer that nothing more will come.
pub struct Producer<T, F: Form<T> = Whole> {
    shared: Arc<Shared<T, F>>,
    /// The slots of the ring, close at hand.
    row: Row<F::Rest>,
    /// Where the next value goes.
    tail: Cell<u32>,
    /// The tail as the consumer may know it.
    published: Cell<u32>,
    /// The word of the first value that was not published.
    held: Cell<*mut ()>,
    /// Whether the first value of a batch is published as it is pushed.
    shows_first: Cell<bool>,
    /// The position whose slot was last made ready.
    ready: Cell<u32>,
    /// Where the ring is full: a lap beyond the consumer's head as last read. The true one is never behind that.
    end: Cell<u32>,
}

// SAFETY: the word that is held is a part of a `T`, which is `Send`; the rest is shared with the consumer as
// `Slots` allows.
unsafe impl<T: Send, F: Form<T>> Send for Producer<T, F> {}

impl<T, F: Form<T>> Producer<T, F> {
    pub(super) fn new(shared: Arc<Shared<T, F>>, origin: u32) -> Self {
        Self {
            end: Cell::new(origin.wrapping_add(shared.slots.capacity())),
            row: shared.slots.row(),
            shared,
            tail: Cell::new(origin),
            published: Cell::new(origin),
            held: Cell::new(ptr::null_mut()),
            shows_first: Cell::new(false),
            ready: Cell::new(origin),
        }
    }

    /// Writes `value` into the next slot, **without** letting the consumer see it yet: that is
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// [`Full`] with the value if every slot is taken. The ring is not closed by the consumer's end
    /// being dropped: pushes then go on until it is full, and the values are dropped with the ring;
    /// see [`is_closed`](Self::is_closed).
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Full<T>> {
        self.push_split(value, F::split)
    }

    #[inline(always)]
    fn push_split(
        &self,
        value: T,
        split: impl FnOnce(T) -> (*mut (), F::Rest),
    ) -> Result<(), Full<T>> {
        if self.is_full() {
            return Err(Full(value));
        }
        let (word, rest) = split(value);
        // SAFETY: it was seen above that there is room.
        unsafe { self.write(word, rest) };
        Ok(())
    }

    /// Writes a value, in its parts, into the next slot.
    ///
    /// # Safety
    ///
    /// The ring is not full.
    #[inline(always)]
    unsafe fn write(&self, word: *mut (), rest: F::Rest) {
        let tail = self.tail.get();
        // SAFETY: the caller says that there is room, so the consumer has left this slot (rule 2), and only this handle
        // writes. The ring is held, so its slots are there.
        let (slot, word) = unsafe { self.row.put(tail, word, rest) };
        self.tail.set(tail.wrapping_add(1));
        if tail != self.published.get() {
            slot.show_behind(word);
            return;
        }
        // In a batch that comes once; so what comes often goes straight on.
        cold_path();
        match self.shows_first.get() {
            false => self.held.set(word),
            true => {
                slot.show(word);
                self.published.set(tail.wrapping_add(1));
            }
        }
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.room_cached() == 0 && self.room_reloaded() == 0
    }

    /// Lets the consumer see everything pushed so far, and says how many values that were new to
    /// it.
    ///
    /// Without such values it does nothing, not even a store. To wake a consumer that sleeps is not
    /// its business: see [`wake`](crate::wake).
    #[inline]
    pub fn publish(&self) -> u32 {
        let fresh = self.unpublished();
        if fresh != 0 {
            let first = self.published.replace(self.tail.get());
            self.shared.slots.show(first, self.held.get());
        }
        fresh
    }

    /// Whether from now on a value before which nothing is left to be published is so as it is pushed: nothing comes
    /// between the write of the value and that.
    #[inline]
    pub fn show_first(&self, shows: bool) {
        self.shows_first.set(shows);
    }

    /// How many values have been pushed and not published.
    #[inline]
    pub fn unpublished(&self) -> u32 {
        match is_planted(Canary::WrapOffByOne) {
            true => self.tail.get().saturating_sub(self.published.get()),
            false => self.tail.get().wrapping_sub(self.published.get()),
        }
    }

    /// How many values can be pushed for certain. Looks at the consumer's counter only if the
    /// answer would be 0 otherwise, so it may say less than there is, but says 0 only if the ring
    /// was full a moment ago.
    #[inline]
    pub fn room(&self) -> u32 {
        match self.room_cached() {
            0 => self.room_reloaded(),
            room => room,
        }
    }

    /// Whether `n` values can be pushed. Looks at the consumer's counter only if what is known of
    /// it says no.
    #[inline]
    pub fn has_room(&self, n: u32) -> bool {
        self.room_cached() >= n || self.room_reloaded() >= n
    }

    /// Whether the ring is full for all that is known: the consumer's counter is not looked at.
    #[inline(always)]
    pub fn seems_full(&self) -> bool {
        self.room_cached() == 0
    }

    /// Whether the consumer is gone, so that nothing pushed will ever be taken.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Relaxed: nothing is read on the strength of the answer.
        self.shared.head.closed.load(Relaxed)
    }

    /// The number of slots.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.shared.slots.capacity()
    }

    /// Says that a value will be pushed soon, if one was since this was last said. Its slot is in this core's cache by then, if it
    /// takes so long to get it; a consumer that looks for a value has it until it looks again. Changes nothing but that.
    #[inline]
    pub fn make_ready(&self) {
        let tail = self.tail.get();
        if self.ready.replace(tail) != tail {
            self.row.fetch_to_write(tail);
        }
    }

    #[inline]
    fn room_cached(&self) -> u32 {
        self.end.get().wrapping_sub(self.tail.get())
    }

    #[inline]
    fn room_reloaded(&self) -> u32 {
        // Acquire: pairs with the consumer's Release store of the head, after which it reads no
        // slot below it.
        let head = self.shared.head.position.load(Acquire);
        self.end.set(head.wrapping_add(self.capacity()));
        self.room_cached()
    }
}

impl<C: Catalog> Producer<MessageCell<C>, Parts> {
    /// As [`push`](Self::push), in line, for a cell that was made where this is called: it need not be in memory on its
    /// way.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    #[inline(always)]
    pub fn push_new(&self, cell: MessageCell<C>) -> Result<(), Full<MessageCell<C>>> {
        self.push_split(cell, |cell| Apart::of_new(cell).into_raw())
    }

    /// As [`push`](Self::push), for a cell that is taken out of where it lies, word by word, and stays there if every slot is
    /// taken. Whether it was pushed.
    #[inline(always)]
    pub fn push_out_of(&self, place: &mut Option<MessageCell<C>>) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(parts) = Apart::out_of(place) else {
            return false;
        };
        let (word, rest) = parts.into_raw();
        // SAFETY: it was seen above that there is room.
        unsafe { self.write(word, rest) };
        true
    }
}

impl<T, F: Form<T>> Drop for Producer<T, F> {
    fn drop(&mut self) {
        self.publish();
        // Release: pairs with the Acquire load in `Consumer::is_closed`, after which what was
        // published last is seen.
        self.shared.is_ended.store(true, Release);
    }
}

impl<T, F: Form<T>> fmt::Debug for Producer<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.capacity())
            .field("unpublished", &self.unpublished())
            .field("closed", &self.is_closed())
            .finish()
    }
}
