//! Answers that leave at once.
//!
//! What a turn sends is published when its handlers have run, many messages together. Where two cores take turns there is
//! one message, and one of them waits while the handler of the other comes to its end. So where what came last had come alone,
//! the first that is sent on account of the next is published as soon as it is written; what follows it is for the flush.
//!
//! The other core looks at the slot all the while, and so has its line. It takes as long to get that back, to write to it, as
//! the message takes to come: so it is asked for when the message is seen, if the last that came alone was answered too.

use crate::core::Core;

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
    pub(super) fn make_ready_for(&self, core: u16) {
        if let Some(pair) = self.pairs.borrow_mut().streaming(core) {
            pair.data.make_ready();
        }
    }
}
