//! What happens to a message for which its receiver has no room.

/// What happens to a message that finds its receiver's mailbox full; chosen by the receiver, with
/// [`Worker::overflow`](crate::Worker::overflow).
///
/// The mailbox is full when `mailbox_credits` messages wait in it, or for a sender on another core whose
/// messages wait or are refused, when that core's window is used up ([`Limits`](crate::Limits)). Whatever is
/// chosen, nothing is lost in silence, and what is not a message that somebody sent (the start and the stop of
/// a worker, replies that are awaited, answers that come back by here) is never made to wait, refused or
/// dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender waits, first come first served; counted in `CoreStats::senders_blocked`.
    #[default]
    Wait,
    /// The send fails with [`ErrorKind::Full`](crate::ErrorKind::Full) and gives the message back; counted
    /// in `CoreStats::refused`. A thread outside the node has been told `Ok` by then: its message is reported
    /// undelivered, with [`Reason::Overflow`](crate::Reason::Overflow).
    Refuse,
    /// The new message is dropped: the send succeeds, and the message is reported undelivered, with
    /// [`Reason::Overflow`](crate::Reason::Overflow). A requester gets
    /// [`ErrorKind::Full`](crate::ErrorKind::Full).
    DropNewest,
    /// The message that has waited longest is dropped in favour of the new one, and reported likewise.
    DropOldest,
}

impl Overflow {
    /// Whether messages are accepted that there is no room for.
    pub(crate) fn drops(self) -> bool {
        matches!(self, Overflow::DropNewest | Overflow::DropOldest)
    }
}
