//! The end of an inbox that any thread may hold.

use std::fmt;

use super::{CLOSED, InboxError, ONE_POSITION, Shared};
use crate::sync::Arc;
use crate::sync::atomic::{Acquire, Relaxed, Release};

/// The end of an inbox that values go in at; any thread may hold one.
pub struct InboxSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> InboxSender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }
}

impl<T: Send> InboxSender<T> {
    /// Puts `value` at the end of the queue. To wake a core that sleeps is not its business: see
    /// [`wake`](crate::wake).
    ///
    /// An accepted value is taken or dropped by the receiver, once.
    ///
    /// # Errors
    ///
    /// [`Full`](InboxError::Full) or [`Closed`](InboxError::Closed), with the value.
    pub fn push(&self, value: T) -> Result<(), InboxError<T>> {
        let slot = match self.claim() {
            Ok(position) => self.shared.slot(position),
            Err(refused) => return Err(refused(value)),
        };
        slot.value.with_mut(|place| {
            // SAFETY: this thread has claimed the position, and the receiver has left the slot
            // (rules 1 and 2).
            unsafe { (*place).write(value) };
        });
        // Release: pairs with the Acquire load in `InboxReceiver::pop`, which then sees the value.
        slot.ready.store(true, Release);
        Ok(())
    }

    /// Whether the receiver has closed the inbox.
    pub fn is_closed(&self) -> bool {
        // Relaxed: nothing is read on the strength of the answer.
        self.shared.tail.load(Relaxed) & CLOSED != 0
    }

    /// A position that is this thread's alone, or how to refuse.
    fn claim(&self) -> Result<u64, fn(T) -> InboxError<T>> {
        let capacity = self.shared.slots.len() as u64;
        // Relaxed: the exchange below decides whether it was still true.
        let mut tail = self.shared.tail.load(Relaxed);
        loop {
            if tail & CLOSED != 0 {
                return Err(InboxError::Closed);
            }
            let position = tail / ONE_POSITION;
            // Acquire: pairs with the Release store in `InboxReceiver::pop`, so that the slot is
            // free to be written.
            let head = self.shared.head.load(Acquire);
            // A head beyond our tail shows that the tail is stale; the exchange will fail and bring
            // a new one.
            if position.saturating_sub(head) >= capacity {
                return Err(InboxError::Full);
            }
            // Relaxed: it only hands out the position; the value is published by `ready`.
            let claim =
                self.shared
                    .tail
                    .compare_exchange(tail, tail + ONE_POSITION, Relaxed, Relaxed);
            match claim {
                Ok(_) => return Ok(position),
                Err(found) => tail = found,
            }
        }
    }
}

impl<T> Clone for InboxSender<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for InboxSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a look from outside.
        let is_closed = self.shared.tail.load(Relaxed) & CLOSED != 0;
        f.debug_struct("InboxSender")
            .field("capacity", &self.shared.slots.len())
            .field("closed", &is_closed)
            .finish()
    }
}
