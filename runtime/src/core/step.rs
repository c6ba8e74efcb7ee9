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
    burst: u32,
    most: u32,
}

impl Published {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: Cell::new(0),
            to: Cell::new(0),
            burst: limits.worker_burst.min(limits.turn_messages),
            most: limits.turn_messages,
        }
    }

    /// A step begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.slots.set(0);
    }

    /// What the step has published that goes on when another within it is over.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.get()
    }

    /// A step goes on that has published so much.
    pub(crate) fn go_on(&self, slots: u32) {
        self.slots.set(slots);
    }

    fn add(&self, to: u16, slots: u32) {
        if self.to.replace(to) != to {
            self.slots.set(self.slots.get().saturating_add(slots));
        }
    }

    /// Whether that is enough, where others wait or not.
    fn is_enough(&self, others_wait: bool) -> bool {
        let enough = if others_wait { self.burst } else { self.most };
        self.slots.get() >= enough
    }
}

impl Core {
    /// The present step has published so much for this core, in the midst of it.
    pub(crate) fn note_published(&self, to: u16, slots: u32) {
        self.published.add(to, slots);
    }

    /// Whether the present step has sent so much to other cores that others are to have their turn.
    #[inline]
    pub(crate) fn has_sent_enough(&self) -> bool {
        self.published.is_enough(!self.queue.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Published;
    use crate::limits::Limits;

    #[test]
    fn what_is_enough_is_so_for_one_step() {
        let published = Published::new(&Limits::default());
        (1..4).for_each(|to| published.add(to, 16));
        assert!(!published.is_enough(true));
        published.add(4, 16);
        assert!(published.is_enough(true));
        assert!(!published.is_enough(false), "nobody waits");
        (0..100).for_each(|_| published.add(4, 16));
        assert!(!published.is_enough(false), "all for one core");
        (5..17).for_each(|to| published.add(to, 16));
        assert!(published.is_enough(false));
        let outer = published.slots();
        published.begin();
        assert!(!published.is_enough(true), "the next step");
        published.go_on(outer);
        assert!(published.is_enough(false), "that goes on");
    }
}
