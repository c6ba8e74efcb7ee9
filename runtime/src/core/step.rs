//! How much one step of a worker or a future sends before others have their turn.
//!
//! To other cores: a handler that sends on and on to many workers comes to the end of its credits only with those of all of them: with
//! a window for each of fifteen other cores that is thousands of messages. So long its core takes nothing in,
//! handles nothing and gives no credits back, and those who wait for these stand still: where all cores send to
//! all, one sends at a time. So a step that has published a burst of slots while others wait, or as many as a turn
//! handles messages, waits for the next turn, in line with those who wait for room. There it holds up nobody's
//! messages but its own, whose order stays. What follows each other to one core does not count, as the room of that
//! ring is the end of it.
//!
//! To its own core: room for a thousand messages at each of hundreds of workers is memory that is in no cache when the
//! messages are handled, and longer than is looked at to see who would wait too long ([`ahead`](super::ahead)), so that each
//! was put aside. So a step that has put as many messages in the queue as a turn handles, and awaits another, pauses before
//! it until those that are there have had their turn. It is asked where the queue is looked at
//! ([`LocalQueue`](ringpost_mailbox::queue::LocalQueue)), every 128 messages, and where a message does not take the shortest
//! way: the second of two looks of one step knows how much that has put there since the first, and what a step has noted is
//! forgotten where the next one begins. So what messages pay is a look at whether their sender is *held*: that is who has
//! come so far, and whoever waits in the line here. Of several sends that one worker awaits at a time to one other, none
//! passes one that is in this line; a send that only tries is refused instead. Nobody else's messages wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_router::Route;

use crate::core::Core;
use crate::core::deliver::{Grant, Outgoing};
use crate::limits::Limits;
use crate::mailbox::{Mailbox, State, Waiter, Waiting};
use crate::task::raw::MailboxRc;

/// What the present step has published to other cores, and put in the queue of its own.
pub(crate) struct Published {
    step: Cell<Step>,
    /// The core for which the last slots were.
    to: Cell<u16>,
    burst: u32,
    most: u32,
    /// The end of the queue at the first look of the step; wraps.
    looked_at: Cell<u32>,
}

/// What is forgotten where a step begins.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Step {
    slots: u32,
    here: Here,
}

/// What is known of a step that goes on when another within it is over, with the end of the queue at its first look.
type Outer = (Step, u32);

/// What the step is known to have put in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u32)]
enum Here {
    /// Nothing is known.
    #[default]
    Unseen,
    /// So much as there was at the first look, and what has come since.
    Seen,
    /// As much as a turn handles.
    Enough,
}

/// Those who wait until what was in the queue has been taken, first come first served.
#[derive(Default)]
pub(crate) struct Pausing(RefCell<VecDeque<Pause>>);

struct Pause {
    /// The receiver of the message that is not sent yet.
    to: MailboxRc,
    waiter: Rc<Waiter>,
    /// The end of the queue when it began.
    since: usize,
}

impl Published {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            step: Cell::default(),
            to: Cell::new(0),
            burst: limits.worker_burst.min(limits.turn_messages),
            most: limits.turn_messages,
            looked_at: Cell::new(0),
        }
    }

    /// A step begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.step.set(Step::default());
    }

    /// The step that goes on when another within it is over.
    pub(crate) fn step(&self) -> Outer {
        (self.step.get(), self.looked_at.get())
    }

    /// A step goes on of which this is known.
    pub(crate) fn go_on(&self, (step, looked_at): Outer) {
        self.step.set(step);
        self.looked_at.set(looked_at);
    }

    fn add(&self, to: u16, slots: u32) {
        if self.to.replace(to) != to {
            let step = self.step.get();
            let slots = step.slots.saturating_add(slots);
            self.step.set(Step { slots, ..step });
        }
    }

    /// The step has the queue looked at, whose end this is. Whether it has put enough there.
    fn look(&self, end: u32) -> bool {
        let step = self.step.get();
        let here = match step.here {
            Here::Unseen => {
                self.looked_at.set(end);
                Here::Seen
            }
            Here::Seen if end.wrapping_sub(self.looked_at.get()) >= self.most => Here::Enough,
            here => here,
        };
        self.step.set(Step { here, ..step });
        here == Here::Enough
    }

    fn is_enough_here(&self) -> bool {
        self.step.get().here == Here::Enough
    }

    /// Whether that is enough, where others wait or not.
    fn is_enough(&self, others_wait: bool) -> bool {
        let enough = if others_wait { self.burst } else { self.most };
        self.step.get().slots >= enough
    }
}

impl Pausing {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Forgets those at the end of the line who have given up.
    pub(crate) fn trim(&self) {
        let mut line = self.0.borrow_mut();
        while line.pop_back_if(|last| !last.waits()).is_some() {}
    }

    /// Whether a sender is in the line at all, and for this receiver.
    fn has(&self, from: &MailboxRc, to: &MailboxRc) -> (bool, bool) {
        let line = self.0.borrow();
        let mut its = line.iter().filter(|pause| pause.is_of(from)).peekable();
        let is_there = its.peek().is_some();
        (is_there, its.any(|pause| MailboxRc::ptr_eq(&pause.to, to)))
    }
}

impl Pause {
    fn waits(&self) -> bool {
        self.waiter.state.get() == Waiting::Queued
    }

    fn is_of(&self, from: &MailboxRc) -> bool {
        let sender = self.waiter.sender.as_ref();
        self.waits() && sender.is_some_and(|(who, _)| MailboxRc::ptr_eq(who, from))
    }
}

impl Core {
    /// The common case, where it is sent: a route of one hop, to a worker of this core that is found at
    /// once and has room; a credit of it is taken. Not for a sender that may have to wait for its next turn.
    #[inline(always)]
    pub(crate) fn receiver_here(&self, from: &Mailbox, route: &Route) -> Option<MailboxRc> {
        if from.is_held.get() {
            return None;
        }
        self.receiver_at(route.only_short()?)
    }

    /// As [`receiver_here`](Self::receiver_here), for a sender that only tries: it is in nobody's way but that of what it has in line.
    #[inline(always)]
    pub(crate) fn receiver_for_try(&self, from: &Mailbox, route: &Route) -> Option<MailboxRc> {
        if from.is_held.get() && !self.pausing.is_empty() {
            return None;
        }
        self.receiver_at(route.only_short()?)
    }

    /// A sender puts a message in the queue, awaited or not, and both are looked at: were it asked of those alone that it awaits, one
    /// that does now this and now that might never be.
    pub(crate) fn look_at_step(&self, from: &Mailbox) {
        let is_worker = from.state.get() != State::Stub;
        if self.published.look(self.queue.end() as u32) && is_worker {
            from.is_held.set(true);
        }
    }

    /// Whether a message that could be sent to a worker of this core is to wait in line: its sender has sent enough in this
    /// step, or has one to the same worker there. A sender of whom neither is true is not held any more. What threads outside send
    /// has lines of its own.
    #[cold]
    pub(crate) fn is_to_pause(&self, to: &MailboxRc, from: &MailboxRc, out: &Outgoing) -> bool {
        if out.has_paused || out.grant != Grant::Nothing || from.state.get() == State::Stub {
            return false;
        }
        let is_enough = self.published.is_enough_here();
        // Who is not held is asked in a simulation alone.
        if out.waits && (is_enough || !from.is_held.get()) {
            return true;
        }
        let (is_there, is_behind) = self.pausing.has(from, to);
        from.is_held.set(is_enough || is_there);
        is_behind
    }

    /// Puts a sender in the line.
    pub(crate) fn pause(&self, to: &MailboxRc, from: &Mailbox, waiter: &Rc<Waiter>) {
        from.is_held.set(true);
        let pause = Pause {
            to: to.clone(),
            waiter: Rc::clone(waiter),
            since: self.queue.end(),
        };
        self.pausing.0.borrow_mut().push_back(pause);
    }

    /// Lets those go on before whom nothing is left in the queue of what was there when they began to wait.
    pub(crate) fn end_pauses(&self) {
        let is_over = |first: &mut Pause| !first.waits() || self.queue.has_passed(first.since);
        loop {
            let first = self.pausing.0.borrow_mut().pop_front_if(is_over);
            match first {
                Some(pause) if pause.waits() => self.grant(&pause.waiter),
                Some(_) => {}
                None => return,
            }
        }
    }

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
        let outer = published.step();
        published.begin();
        assert!(!published.is_enough(true), "the next step");
        published.go_on(outer);
        assert!(published.is_enough(false), "that goes on");
    }

    #[test]
    fn what_is_put_in_the_queue_is_known_at_the_second_look() {
        let published = Published::new(&Limits::default());
        let most = Limits::default().turn_messages;
        let first = u32::MAX - 100;
        let at = |count: u32| published.look(first.wrapping_add(count));
        assert!(!at(0) && !at(most - 1));
        published.begin();
        assert!(!at(most) && !published.is_enough_here(), "the next step");
        assert!(at(2 * most) && published.is_enough_here());
        let outer = published.step();
        published.begin();
        assert!(!published.is_enough_here() && !at(3 * most));
        published.go_on(outer);
        assert!(at(3 * most + 1), "that goes on");
        published.begin();
        assert!(!at(4 * most));
        let outer = published.step();
        published.begin();
        assert!(!at(5 * most - 1), "a step within it");
        published.go_on(outer);
        assert!(at(5 * most), "what is counted from its own first look");
    }
}
