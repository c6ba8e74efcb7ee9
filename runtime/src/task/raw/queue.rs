//! The messages of a core that wait for their turn.

use ringpost_mailbox::queue::LocalQueue;
use ringpost_router::Message;

use super::block::MailboxRc;
use crate::envelope::{Envelope, Head, Origin};

/// Messages to be handled on a core, in the order in which they came.
///
/// Whom the next one is for, and what it holds, is seen where it lies; then it is moved once: to where its
/// handler runs.
pub(crate) struct Queue(LocalQueue<Entry>);

/// A message with its receiver: one cache line.
#[repr(C)]
struct Entry {
    envelope: Envelope,
    to: MailboxRc,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry takes one cache line");

impl Queue {
    pub(crate) fn new() -> Self {
        Self(LocalQueue::new())
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn push(&self, to: MailboxRc, envelope: Envelope) {
        self.0.push(Entry { envelope, to });
    }

    /// Puts a message before all others.
    #[inline]
    pub(crate) fn push_front(&self, to: MailboxRc, envelope: Envelope) {
        self.0.push_front(Entry { envelope, to });
    }

    /// Whom the next message is for.
    #[inline]
    pub(crate) fn next_receiver(&self) -> Option<MailboxRc> {
        // SAFETY: cloning the pointer counts, and touches no queue.
        unsafe { self.0.front() }.map(|next| next.to.clone())
    }

    /// The next message, without its receiver.
    #[inline]
    pub(crate) fn take_envelope(&self) -> Option<Envelope> {
        self.0.pop().map(|next| next.envelope)
    }

    /// Where the next message came from, and whether it simply holds an `M`.
    #[inline]
    pub(super) fn look<M: Message>(&self) -> Option<(Origin, bool)> {
        // SAFETY: looking touches no queue, and what is returned are copies.
        let next = unsafe { self.0.front() }?;
        Some((next.envelope.origin, next.envelope.body.holds::<M>()))
    }

    /// Whether the next message is for `to` and simply holds an `M`.
    #[inline]
    pub(super) fn continues<M: Message>(&self, to: &MailboxRc) -> bool {
        // SAFETY: as in `look`.
        let next = unsafe { self.0.front() };
        next.is_some_and(|next| MailboxRc::ptr_eq(&next.to, to) && next.envelope.body.holds::<M>())
    }

    /// Takes the next message.
    ///
    /// # Safety
    /// There is one, and it simply holds an `M`, as [`look`](Self::look) or
    /// [`continues`](Self::continues) has said since the last one was taken or put.
    #[inline]
    pub(super) unsafe fn take_unchecked<M: Message>(&self) -> (M, Head) {
        // SAFETY: the caller upholds that there is a message.
        let Entry { envelope, to } = unsafe { self.0.pop_unchecked() };
        // SAFETY: the caller upholds what it holds.
        let message = unsafe { envelope.body.take_unchecked::<M>() };
        let head = Head::new(envelope.sender, to.into_towards());
        (message, head)
    }
}
