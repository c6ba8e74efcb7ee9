//! Answers that leave at once.
//!
//! What a turn sends is published when its handlers have run, many messages together. Where two cores take turns there is
//! one message, and one of them waits while the handler of the other comes to its end. So where what came last had come alone,
//! the first that is sent on account of the next is published as soon as it is written; what follows it is for the flush.
//!
//! The other core looks at the slot all the while, and so has its line. It takes as long to get that back, to write to it, as
//! the message takes to come: so it is asked for before the handler runs, if the last that came alone was answered too.

use crate::core::Core;
use crate::core::pair::Pair;

impl Core {
    /// The next message to another core leaves as soon as it is written: what came last had come alone, so that core may wait for it. To
    /// be ended by [`publish_batches`](Self::publish_batches).
    #[inline]
    pub(crate) fn publish_first(&self) {
        self.publish_at.set(1);
    }

    /// From here on messages leave when there is a batch, or with the flush.
    #[inline]
    pub(crate) fn publish_batches(&self) {
        self.publish_at.set(self.limits.flush_mixed());
    }

    /// A message of this core is being taken: an answer will be written soon, if one was the last time.
    #[inline]
    pub(crate) fn make_ready_for(&self, core: u16) {
        if let Some(way) = self.ways.to(core) {
            way.make_ready();
        }
    }

    /// A message of this core was handled that had come alone, and the answer is under way. So there is time now to look up what the
    /// answer to the next one needs: it is lent to a stream of one message. That stream outlives the flush, of a pair that has nothing
    /// for it: whoever else looks at the pair settles it.
    #[inline]
    pub(super) fn lend_to_next(&self, core: u16) {
        if let Some(pair) = self.pairs.borrow_mut().streaming(core) {
            pair.offer_next();
        }
    }

    /// The first message was published, as it was sent, and there is nothing left for a flush but the fence, after which it is asked
    /// whether the other core sleeps: the fence waits until the slot is written, and most of the time that core looks for the message.
    /// If it seems to sleep it is woken at once; if it was about to, when the handler has returned or suspended.
    #[inline]
    pub(super) fn note_first(&self, pair: &mut Pair) {
        self.note_batch(pair, 1);
        // Where batches are of one slot there may be several of these before the flush.
        match self.untold.replace(Some(pair.to)) {
            Some(other) if other != pair.to => self.wake_sleeping(other),
            _ => {}
        }
        if self.node.cores[usize::from(pair.to)].seems_parked() {
            self.tell_of_first();
        }
    }

    /// Wakes the core for which a first message was published, if it has fallen asleep.
    #[inline]
    pub(super) fn tell_of_first(&self) {
        if let Some(core) = self.untold.take() {
            self.wake_sleeping(core);
        }
    }
}
