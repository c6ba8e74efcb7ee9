//! How much one step of a worker or a future sends to other cores before others have their turn.
//!
//! A handler that sends on and on to many workers comes to the end of its credits only with those of all of them: with
//! a window for each of fifteen other cores that is thousands of messages. So long its core takes nothing in,
//! handles nothing and gives no credits back, and those who wait for these stand still: where all cores send to
//! all, one sends at a time. So a step that has published a burst of slots while others wait, or as many as a turn
//! handles messages, waits for the next turn, in line with those who wait for room. There it holds up nobody's
//! messages but its own, whose order stays. What follows each other to one core does not count, as the room of that
//! ring is the end of it.

use std::cell::Cell;

use crate::core::Core;
use crate::limits::Limits;

/// What the present step has published.
pub(crate) struct Published {
    slots: Cell<u32>,
    /// The core for which the last were.
    to: Cell<u16>,
    /// How many messages had been handled here when it did so, by which the steps of handlers differ.
    handled: Cell<u64>,
    burst: u32,
    most: u32,
}

impl Published {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: Cell::new(0),
            to: Cell::new(0),
            handled: Cell::new(0),
            burst: limits.worker_burst.min(limits.turn_messages),
            most: limits.turn_messages,
        }
    }

    /// The step of a task begins. Those of handlers are told by the number of messages that are handled.
    #[inline]
    pub(crate) fn begin(&self) {
        self.slots.set(0);
    }

    fn add(&self, handled: u64, to: u16, slots: u32) {
        let is_other = self.to.replace(to) != to;
        let before = match self.handled.replace(handled) == handled {
            true => self.slots.get(),
            false => 0,
        };
        let more = if is_other { slots } else { 0 };
        self.slots.set(before.saturating_add(more));
    }

    /// Whether that is enough, where others wait or not.
    fn is_enough(&self, handled: u64, others_wait: bool) -> bool {
        let enough = if others_wait { self.burst } else { self.most };
        self.slots.get() >= enough && self.handled.get() == handled
    }
}

impl Core {
    /// The present step has published so much for this core, in the midst of it.
    pub(crate) fn note_published(&self, to: u16, slots: u32) {
        let handled = self.tally().handled.value();
        self.published.add(handled, to, slots);
    }

    /// Whether the present step has sent so much to other cores that others are to have their turn.
    #[inline]
    pub(crate) fn has_sent_enough(&self) -> bool {
        // What most steps send is less than any of that.
        self.published.slots.get() >= self.published.burst && self.is_to_pause()
    }

    #[inline(never)]
    fn is_to_pause(&self) -> bool {
        let handled = self.tally().handled.value();
        self.published.is_enough(handled, !self.queue.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Published;
    use crate::limits::Limits;

    #[test]
    fn what_is_enough_is_so_for_one_step() {
        let published = Published::new(&Limits::default());
        (1..4).for_each(|to| published.add(7, to, 16));
        assert!(!published.is_enough(7, true));
        published.add(7, 4, 16);
        assert!(published.is_enough(7, true));
        assert!(!published.is_enough(8, true), "the next message");
        assert!(!published.is_enough(7, false), "nobody waits");
        (0..100).for_each(|_| published.add(7, 4, 16));
        assert!(!published.is_enough(7, false), "all for one core");
        (5..17).for_each(|to| published.add(7, to, 16));
        assert!(published.is_enough(7, false));
        published.begin();
        assert!(!published.is_enough(7, true), "the next task");
        published.add(8, 1, 64);
        assert!(published.is_enough(8, true) && !published.is_enough(8, false));
    }
}
