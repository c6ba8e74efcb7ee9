//! The messages of a core that wait for their turn.

use ringpost_mailbox::queue::LocalQueue;

use crate::envelope::Envelope;
use crate::task::raw::MailboxRc;

/// Messages to be handled on a core, in the order in which they came.
///
/// Receivers lie apart from the rest of their messages. So it is known whom the next message is for
/// before it is touched, and then it is moved once: from here to where its handler runs.
pub(crate) struct Queue {
    receivers: LocalQueue<MailboxRc>,
    envelopes: LocalQueue<Envelope>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            receivers: LocalQueue::new(),
            envelopes: LocalQueue::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    #[inline]
    pub(crate) fn push(&self, to: MailboxRc, envelope: Envelope) {
        self.receivers.push(to);
        self.envelopes.push(envelope);
    }

    /// Whom the next message is for. The message itself is to be taken, with
    /// [`take_envelope`](Self::take_envelope), before the next receiver is.
    #[inline]
    pub(crate) fn next_receiver(&self) -> Option<MailboxRc> {
        self.receivers.pop()
    }

    /// The message whose receiver was taken, or the one that was put before it.
    #[inline]
    pub(crate) fn take_envelope(&self) -> Option<Envelope> {
        self.envelopes.pop()
    }

    /// The envelopes themselves, the next one first.
    #[inline]
    pub(crate) fn envelopes(&self) -> &LocalQueue<Envelope> {
        &self.envelopes
    }

    /// Puts a message where [`take_envelope`](Self::take_envelope) will find it next.
    #[inline]
    pub(crate) fn put_envelope(&self, envelope: Envelope) {
        self.envelopes.push_front(envelope);
    }
}
