//! What each message changes of its receiver: room and what is queued, in one word that is stored once.

use std::cell::Cell;

use crate::mailbox::Mailbox;

/// The room in the lower half, what is queued in the upper one.
pub(super) struct Counts(Cell<u64>);

const QUEUED_ONE: u64 = 1 << u32::BITS;

impl Counts {
    pub(super) fn new(room: u32) -> Self {
        Self(Cell::new(room.into()))
    }
}

impl Mailbox {
    /// Credits left for senders of this core. 0 sends a sender to the slow path.
    #[inline]
    pub(crate) fn room(&self) -> u32 {
        self.counts.0.get() as u32
    }

    #[inline]
    pub(crate) fn set_room(&self, room: u32) {
        let queued = self.counts.0.get() & !u64::from(u32::MAX);
        self.counts.0.set(queued | u64::from(room));
    }

    /// Takes one of the credits. Whether there was any.
    #[inline(always)]
    pub(crate) fn take_room(&self) -> bool {
        let counts = self.counts.0.get();
        let is_left = counts as u32 != 0;
        if is_left {
            self.counts.0.set(counts - 1);
        }
        is_left
    }

    /// Messages accepted for this mailbox and not yet taken by it.
    #[inline]
    pub(crate) fn queued(&self) -> u32 {
        (self.counts.0.get() >> u32::BITS) as u32
    }

    /// So many more are accepted.
    #[inline(always)]
    pub(crate) fn add_queued(&self, messages: u32) {
        let more = QUEUED_ONE * u64::from(messages);
        self.counts.0.set(self.counts.0.get() + more);
    }

    /// One is taken.
    #[inline]
    pub(crate) fn take_queued(&self) {
        self.counts.0.set(self.counts.0.get() - QUEUED_ONE);
    }

    /// One is taken whose credit nobody waits for.
    #[inline(always)]
    pub(crate) fn take_queued_with_room(&self) {
        self.counts.0.set(self.counts.0.get() - (QUEUED_ONE - 1));
    }
}

#[cfg(test)]
mod tests {
    use ringpost_router::{Address, NodeCore};

    use crate::mailbox::{Mailbox, State};

    #[test]
    fn room_and_queued_are_apart() {
        let mailbox = Mailbox::new(Address::local("it"), NodeCore::new(0, 0), State::Idle, 2);
        let counts = || (mailbox.room(), mailbox.queued());
        assert!(mailbox.take_room());
        mailbox.add_queued(1);
        assert!(mailbox.take_room() && !mailbox.take_room());
        mailbox.add_queued(3);
        assert_eq!(counts(), (0, 4));
        mailbox.take_queued();
        mailbox.take_queued_with_room();
        assert_eq!(counts(), (1, 2));
        mailbox.set_room(u32::MAX);
        assert_eq!(counts(), (u32::MAX, 2));
        mailbox.set_room(0);
        assert_eq!(counts(), (0, 2));
    }
}
