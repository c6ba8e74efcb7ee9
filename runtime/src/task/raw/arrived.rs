//! Messages from another core that are handled where they have arrived: in the ring.

use std::marker::PhantomData;
use std::ptr::NonNull;

use ringpost_mailbox::ring::{Alike, CellBurst, Found};
use ringpost_router::{Message, Messages};

use super::block::{Ahead, Header, MailboxRc};
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
    /// The core whose message came alone, so that it may wait for an answer.
    pub(crate) answers: Option<u16>,
}

/// As [`Arrived`], so many at the most, of a worker that has begun with the first of them.
pub(super) struct Begun<'a, 'r> {
    /// As long as the next says what the last said it is for the worker whose handler ran last.
    cells: Alike<'a, 'r, Messages>,
    from: Ahead<'a>,
    to: Ahead<'a>,
    /// The first for which neither is counted.
    end: u32,
}

/// As [`Begun`], as far as they simply hold an `M`, which the worker takes.
pub(super) struct ArrivedOf<'b, M> {
    begun: &'b Begun<'b, 'b>,
    of: PhantomData<fn() -> M>,
}

impl<M> Clone for ArrivedOf<'_, M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for ArrivedOf<'_, M> {}

impl<'a, 'r> Arrived<'a, 'r> {
    /// As they are once the receiver has begun, if it can be handed the next message at once, as that simply holds what it takes.
    ///
    /// # Panics
    /// If it has no worker, or its last call has not ended: the caller's state machine is broken.
    ///
    /// # Safety
    /// `most` is at least one. What comes back is dropped, and not forgotten.
    #[inline]
    pub(super) unsafe fn begin(self, core: &Core, most: u32) -> Option<Begun<'a, 'r>> {
        let Self {
            slots, from, to, ..
        } = self;
        let header = to.header();
        let mailbox = header.mailbox();
        if mailbox.state.get() != State::Idle {
            return None;
        }
        let word = (header.table.takes)(slots)?;
        header.assert_idle();
        mailbox.state.set(State::Busy);
        core.shared.shown.show(to);
        Some(Begun {
            from: from.borrowed().count_ahead(most),
            to: to.borrowed().count_ahead(most),
            end: slots.taken().wrapping_add(most),
            // SAFETY: it is the word of the next, seen just now; the caller upholds the rest.
            cells: unsafe { slots.alike_as(word, most) },
        })
    }
}

impl<'b> Begun<'b, 'b> {
    /// Those that simply hold an `M`.
    ///
    /// # Safety
    /// That is what the worker takes.
    #[inline(always)]
    pub(super) unsafe fn of<M: Message>(&'b self) -> ArrivedOf<'b, M> {
        let of = PhantomData;
        ArrivedOf { begun: self, of }
    }
}

impl Begun<'_, '_> {
    /// Whom they are for.
    #[inline]
    pub(super) fn receiver(&self) -> NonNull<Header> {
        self.to.as_raw()
    }
}

impl Drop for Begun<'_, '_> {
    /// What was counted for messages that were not taken is so no longer.
    #[inline]
    fn drop(&mut self) {
        let left = self.end.wrapping_sub(self.cells.taken());
        // SAFETY: so many of those that were counted are in no message.
        unsafe {
            self.from.give_back(left);
            self.to.give_back(left);
        }
    }
}

impl<M: Message> ArrivedOf<'_, M> {
    /// Where the next lies, if there is one and it is for this worker, whose handler ran last.
    #[inline(always)]
    pub(super) fn next_for(self, to: NonNull<Header>) -> Option<Found> {
        self.begun.cells.find().or_else(|| self.look_for(to))
    }

    #[cold]
    #[inline(never)]
    fn look_for(self, to: NonNull<Header>) -> Option<Found> {
        match to == self.begun.receiver() {
            true => self.begun.cells.find_new::<M>(),
            false => None,
        }
    }

    /// Whom they are for.
    #[inline(always)]
    pub(super) fn receiver(self) -> NonNull<Header> {
        self.begun.receiver()
    }

    /// Another worker's handler is about to run.
    #[inline]
    pub(super) fn pass_by(self) {
        self.begun.cells.forget();
    }

    /// Takes the next message.
    ///
    /// # Safety
    /// It is the one that was found last, and has not been taken.
    #[inline(always)]
    pub(super) unsafe fn take(self, found: Found) -> Taken<M> {
        let Begun {
            cells, from, to, ..
        } = self.begun;
        // SAFETY: the caller upholds what was found. It holds an `M`, as that is all that is looked for. Both pointers are counted for
        // as many as are asked for, beyond which none is found.
        unsafe { Taken::new(from.sender(), cells.take::<M>(found), to.pointer()) }
    }
}
