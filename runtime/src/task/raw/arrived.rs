//! Messages from another core that are handled where they have arrived: in the ring.

use std::ptr::NonNull;

use ringpost_mailbox::ring::{Alike, CellBurst, Found, Word};
use ringpost_router::{Message, Messages};

use super::block::{Header, MailboxRc, MailboxRef};
use super::queue::Taken;
use crate::core::Core;
use crate::mailbox::State;

/// Slots of a ring from another core, which are taken one after the other.
pub(crate) type Slots<'r> = CellBurst<'r, Messages>;

/// What lies in a ring behind one head: messages to one worker, which want no answer.
///
/// Each is moved once: to where its handler runs.
pub(crate) struct Arrived<'a, 'r> {
    pub(crate) slots: &'a mut Slots<'r>,
    pub(crate) from: &'a MailboxRc,
    pub(crate) to: &'a MailboxRc,
}

/// As [`Arrived`], of a worker that has begun with the first of them.
pub(super) struct Begun<'a, 'r> {
    arrived: Arrived<'a, 'r>,
    /// That of the first, which simply holds what the worker takes.
    word: Word,
}

/// As [`Arrived`], as far as they simply hold an `M`, which the worker takes.
pub(super) struct ArrivedOf<'b, 'r, M> {
    cells: Alike<'b, 'r, Messages, M>,
    from: MailboxRef<'b>,
    to: MailboxRef<'b>,
}

impl<'a, 'r> Arrived<'a, 'r> {
    /// As they are once the receiver has begun, if it can be handed the next message at once, as that simply holds what it takes.
    ///
    /// # Panics
    /// If it has no worker, or its last call has not ended: the caller's state machine is broken.
    #[inline]
    pub(super) fn begin(self, core: &Core) -> Option<Begun<'a, 'r>> {
        let header = self.to.header();
        let mailbox = header.mailbox();
        if mailbox.state.get() != State::Idle {
            return None;
        }
        let word = (header.table.takes)(self.slots)?;
        header.assert_idle();
        mailbox.state.set(State::Busy);
        core.shared.shown.show(self.to);
        let arrived = self;
        Some(Begun { arrived, word })
    }
}

impl<'r> Begun<'_, 'r> {
    /// Whom they are for.
    #[inline]
    pub(super) fn receiver(&self) -> NonNull<Header> {
        self.arrived.to.as_raw()
    }

    /// Those that simply hold an `M`.
    ///
    /// # Safety
    /// That is what the worker takes, and none was taken yet.
    #[inline(always)]
    pub(super) unsafe fn of<M: Message>(&mut self) -> ArrivedOf<'_, 'r, M> {
        let Arrived { slots, from, to } = &mut self.arrived;
        ArrivedOf {
            // SAFETY: the caller upholds that it is the word of the next, seen to hold what the worker takes.
            cells: unsafe { slots.alike_as(self.word) },
            from: from.borrowed(),
            to: to.borrowed(),
        }
    }
}

impl<M: Message> ArrivedOf<'_, '_, M> {
    /// Where the next lies, if there is one and it is for this worker.
    #[inline(always)]
    pub(super) fn next_for(&self, to: NonNull<Header>) -> Option<Found> {
        match to == self.to.as_raw() {
            true => self.cells.find(),
            false => None,
        }
    }

    /// Takes the next message.
    ///
    /// # Safety
    /// It is the one that was found last, and has not been taken.
    #[inline(always)]
    pub(super) unsafe fn take(&self, found: Found) -> Taken<M> {
        // SAFETY: the caller upholds what was found.
        let body = unsafe { self.cells.take(found) };
        // SAFETY: it was found as one of type `M`.
        unsafe { Taken::new(self.from.sender(), body, self.to.counted()) }
    }
}
