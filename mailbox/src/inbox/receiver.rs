//! The end of an inbox that its core holds.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::{CLOSED, ONE_POSITION, Shared};
use crate::sync::atomic::{Acquire, Relaxed, Release};
use crate::sync::{Arc, thread};

/// The end of an inbox that values come out of. Dropping it closes the inbox and drops what was not
/// taken.
pub struct InboxReceiver<T> {
    shared: Arc<Shared<T>>,
    head: u64,
    /// How many positions were claimed in all, once closed.
    claimed: Option<u64>,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> InboxReceiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared,
            head: 0,
            claimed: None,
            not_sync: PhantomData,
        }
    }

    /// The next value, or `None` if none is there. Once closed, `None` means that every accepted
    /// value was taken; a sender that is in the middle of a push is waited for then.
    pub fn pop(&mut self) -> Option<T> {
        while self.is_empty() {
            if self.claimed.is_none_or(|claimed| self.head == claimed) {
                return None;
            }
            thread::yield_now();
        }
        let slot = self.shared.slot(self.head);
        let value = slot.value.with(|place| {
            // SAFETY: `ready` was read with Acquire, so the value is there, and it is taken once,
            // since the flag is lowered and `head` moves on (rule 4).
            unsafe { (*place).assume_init_read() }
        });
        // Relaxed: the Release store of `head` below comes after it for whoever claims the slot
        // again.
        slot.ready.store(false, Relaxed);
        self.head += 1;
        // Release: pairs with the Acquire load in `InboxSender::claim`.
        self.shared.head.store(self.head, Release);
        Some(value)
    }

    /// Whether [`pop`](Self::pop) would find nothing there, without waiting.
    pub fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release store in `InboxSender::push`; `pop` reads the value on
        // the strength of it.
        !self.shared.slot(self.head).ready.load(Acquire)
    }

    /// Refuses all later pushes. What was accepted before can still be taken. Closing twice changes
    /// nothing.
    pub fn close(&mut self) {
        if self.claimed.is_none() {
            // Relaxed: it decides which claims came before, by the word's own order; their values
            // are published by `ready`.
            let tail = self.shared.tail.fetch_or(CLOSED, Relaxed);
            self.claimed = Some(tail / ONE_POSITION);
        }
    }
}

impl<T> Drop for InboxReceiver<T> {
    fn drop(&mut self) {
        self.close();
        let mut rest = Rest(self);
        rest.drop_all();
    }
}

/// Drops what was not taken, all of it, also if a destructor panics.
struct Rest<'a, T>(&'a mut InboxReceiver<T>);

impl<T> Rest<'_, T> {
    fn drop_all(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl<T> Drop for Rest<'_, T> {
    /// Goes on after a destructor has panicked; a second panic aborts, as in a `Vec`.
    fn drop(&mut self) {
        self.drop_all();
    }
}

impl<T> fmt::Debug for InboxReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxReceiver")
            .field("capacity", &self.shared.slots.len())
            .field("closed", &self.claimed.is_some())
            .finish()
    }
}
