//! Messages from another core that are handled where they have arrived: in the ring.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use ringpost_mailbox::ring::{Burst, Parts};
use ringpost_router::{Body, Message};

use super::block::{Header, MailboxRc};
use super::queue::by_words;
use crate::core::Core;
use crate::envelope::{Envelope, Head, Origin, Sender};
use crate::mailbox::State;
use crate::routed::Routed;

/// Slots of a ring from another core, which are taken one after the other.
pub(crate) type Slots<'r> = Burst<'r, Body, Parts>;

/// What lies in a ring behind one head: messages to one worker, which want no answer.
///
/// Each is moved once: to where its handler runs.
pub(crate) struct Arrived<'a, 'r> {
    pub(crate) slots: &'a Slots<'r>,
    pub(crate) from: &'a MailboxRc,
    pub(crate) to: &'a MailboxRc,
}

impl Arrived<'_, '_> {
    /// Whether the receiver can be handed the next message at once, as it simply holds what that takes; then it has begun.
    ///
    /// # Panics
    /// If it has no worker, or its last call has not ended: the caller's state machine is broken.
    #[inline]
    pub(super) fn begin(&self, core: &Core) -> bool {
        let header = self.to.header();
        let mailbox = header.mailbox();
        if mailbox.state.get() != State::Idle || !(header.table.takes)(self.slots) {
            return false;
        }
        header.assert_idle();
        mailbox.state.set(State::Busy);
        core.shared.shown.show(self.to);
        true
    }

    /// Whether there is one more, which simply holds an `M`, and it is for this worker.
    #[inline(always)]
    pub(super) fn has_for<M: Message>(&self, to: NonNull<Header>) -> bool {
        to == self.receiver() && self.slots.next_holds::<M>()
    }

    /// Whom they are for.
    #[inline]
    pub(super) fn receiver(&self) -> NonNull<Header> {
        self.to.as_raw()
    }

    /// Takes the next message.
    ///
    /// # Safety
    /// There is one, and it simply holds an `M`.
    #[inline(always)]
    pub(super) unsafe fn take_unchecked<M: Message>(&self) -> Routed<M> {
        let mut sender = MaybeUninit::<Sender>::uninit();
        // SAFETY: the place is written to as a whole. The caller upholds that there is a message.
        let (sender, lying) = unsafe {
            self.from.write_sender(sender.as_mut_ptr());
            (sender.assume_init(), self.slots.take().unwrap_unchecked())
        };
        let (body, to) = (lying.whole(), self.to.clone());
        if const { !size_of::<M>().is_multiple_of(size_of::<u64>()) } {
            let origin = Origin::FREE;
            let envelope = Envelope {
                sender,
                origin,
                body,
            };
            // SAFETY: the caller upholds what it holds.
            return unsafe { by_words(envelope, to) };
        }
        // SAFETY: as above.
        let message = unsafe { body.take_unchecked::<M>() };
        Routed::new(message, Head::new(sender, to.into_towards()))
    }
}
