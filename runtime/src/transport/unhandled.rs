//! Which workers of one core have not handled what lay there when they were first looked at.
//!
//! A message that has come lies in a queue of the core, or waits at the worker's mailbox, or is in hand. So first the
//! queues have to pass the end they had; what is left waits at the mailboxes then, or is in hand. Those have to pass the
//! end that they have then; and last, the call that runs then has to end. A worker is waited for no longer than
//! that, however much comes behind.

use std::rc::Rc;

use ringpost_router::Address;

use crate::core::Core;
use crate::mailbox::{Mark, State};
use crate::task::raw::MailboxRc;

/// Workers that have something left to handle. What this says of the core holds on that core only.
pub(crate) struct Unhandled {
    workers: Vec<(Address, Stage)>,
    /// The ends of the core's queues when it was looked at first.
    ends: Option<[usize; 2]>,
    has_passed_ends: bool,
    /// Workers that stand for others, which were sent all, and the core of those.
    passed_on: Vec<(u16, Address)>,
}

/// How far a worker is.
enum Stage {
    /// Messages may be in the queues of the core.
    Queued,
    /// They are in front of this position of its mailbox.
    Waiting(Mark),
    /// They have left it, and one may be in hand, as long as no more calls than so many have ended.
    InHand(u32),
}

impl Unhandled {
    pub(super) fn new(workers: impl IntoIterator<Item = Address>) -> Self {
        let workers = workers.into_iter();
        Self {
            workers: workers.map(|worker| (worker, Stage::Queued)).collect(),
            ends: None,
            has_passed_ends: false,
            passed_on: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether the queues of the core have to move before there is more to see.
    pub(super) fn is_queued(&self) -> bool {
        !self.is_empty() && !self.has_passed_ends
    }

    /// Those that others have to be asked for, and the core of these.
    pub(super) fn take_passed_on(&mut self) -> Vec<(u16, Address)> {
        std::mem::take(&mut self.passed_on)
    }

    /// Looks at the workers again, on their core.
    pub(super) fn look(&mut self, core: &Rc<Core>) {
        let queues = [&core.queue, &core.urgent.queue];
        let ends = *self.ends.get_or_insert_with(|| queues.map(|it| it.end()));
        let mut all = queues.iter().zip(ends);
        self.has_passed_ends = all.all(|(queue, end)| queue.has_passed(end));
        let (has_passed, passed_on) = (self.has_passed_ends, &mut self.passed_on);
        self.workers.retain_mut(|(worker, stage)| {
            let Some(mailbox) = core.named(worker) else {
                return false;
            };
            let is_left = !is_handled(&mailbox) && !stage.go_on(&mailbox, has_passed);
            if !is_left && let Some(there) = mailbox.if_more(|more| more.forwards).flatten() {
                passed_on.push((there.core.index(), worker.clone()));
            }
            is_left
        });
    }
}

impl Stage {
    /// Whether it is over.
    fn go_on(&mut self, mailbox: &MailboxRc, has_passed_queues: bool) -> bool {
        let resumed = || mailbox.if_more(|more| more.resumed).unwrap_or(0);
        if matches!(self, Self::Queued) && has_passed_queues {
            *self = Self::Waiting(mailbox.mark());
        }
        if matches!(self, Self::Waiting(mark) if mailbox.has_passed(mark)) {
            *self = Self::InHand(resumed());
        }
        let is_at_rest = mailbox.state.get() != State::Busy;
        matches!(self, Self::InHand(before) if is_at_rest || *before != resumed())
    }
}

/// Whether a worker has handled all that it was sent, or a context has received it.
pub(super) fn is_handled(mailbox: &MailboxRc) -> bool {
    match mailbox.state.get() {
        State::Idle | State::Detached => mailbox.queued() == 0,
        State::Closed | State::Stub => true,
        _ => false,
    }
}
