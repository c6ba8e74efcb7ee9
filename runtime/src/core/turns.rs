//! Whose turn it is, where more waits than is handled at once (G7).
//!
//! Messages are handled in the order in which they came, unless one worker has more of them than
//! [`worker_burst`](crate::Limits::worker_burst), and they would delay somebody else ([`ahead`](super::ahead)): then
//! they are put aside at its mailbox, as they are while a handler is suspended, and it *takes turns*. A turn is a
//! burst of those; the next comes when all messages have been handled that were in the queue when the last one ended. So a round
//! gives each worker no more than a burst from the queue and one from its mailbox, however much it was sent and
//! in which order, and a message waits for no more than that of each other worker: two bursts.
//!
//! What a message pays for it is a look at how many wait, once for each run of messages of one worker; one of more than
//! a burst is also looked at in the queue. A worker that has its core for itself is left alone.

use std::rc::Rc;

use crate::core::Core;
use crate::core::lifecycle::STARTS_IN_LINE;
use crate::mailbox::{State, Stop};
use crate::task::Spare;
use crate::task::raw::{MailboxRc, Next, Step};

/// A worker that waits for its turn.
pub(crate) struct Waiting {
    mailbox: MailboxRc,
    /// The end of the queue when it began to wait.
    since: usize,
}

/// Which messages of a worker are worked off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Urgent ones, and those that are to be handled between them.
    Urgent,
}

impl Core {
    /// Whether a worker that could handle the next message has to wait for its turn, as so many are for it; then
    /// it does. Whose turn it is, or whose message is urgent, handles no more than the one: the pass goes up to behind it.
    #[cold]
    pub(crate) fn defers(&self, to: &MailboxRc) -> bool {
        if self.pass.until() == self.queue.behind(1) {
            return false;
        }
        let is_fair = self.turns.borrow().is_empty()
            && self.attention.is_empty()
            && (self.is_alone(to) || !self.is_anybody_late());
        if !is_fair {
            to.state.set(State::Backlog);
            self.take_turns(to.clone());
        }
        !is_fair
    }

    /// Whether all that waits is for this worker.
    fn is_alone(&self, to: &MailboxRc) -> bool {
        let waiting = self.queue.len() + self.urgent.queue.len();
        waiting <= to.queued() as usize
    }

    /// The worker waits for its turn, once.
    pub(crate) fn take_turns(&self, mailbox: MailboxRc) {
        if !mailbox.with_more(|more| std::mem::replace(&mut more.takes_turns, true)) {
            let since = self.queue.end();
            self.turns
                .borrow_mut()
                .push_back(Waiting { mailbox, since });
        }
    }

    /// Gives those their turn whose time has come. Returns how many messages and steps it took.
    pub(crate) fn run_turns(self: &Rc<Self>, budget: u32) -> u32 {
        let mut done = 0;
        while done < budget {
            let is_time = |first: &mut Waiting| self.queue.has_passed(first.since);
            let next = self.turns.borrow_mut().pop_front_if(is_time);
            let Some(Waiting { mailbox, .. }) = next else {
                break;
            };
            mailbox.if_more(|more| more.takes_turns = false);
            let handled = match mailbox.state.get() {
                State::Backlog => self.work_off(&mailbox, Which::All, budget - done),
                _ => 0,
            };
            done += handled.max(1);
            self.wait_again(mailbox);
        }
        done
    }

    /// Looks at the mailboxes that need it. Returns how many messages and steps it took.
    pub(crate) fn run_attention(self: &Rc<Self>, budget: u32) -> u32 {
        self.starts_left.set(STARTS_IN_LINE);
        let mut done = 0;
        let count = self.attention.len();
        for _ in 0..count {
            if done >= budget {
                break;
            }
            let Some(mailbox) = self.attention.pop() else {
                break;
            };
            done += 1;
            match mailbox.state.get() {
                // One that waited for attention when it was taken down is here twice.
                State::Starting if !mailbox.has_call() => self.initialize(&mailbox),
                State::Backlog => {
                    done += self.work_off(&mailbox, Which::Urgent, budget - done);
                    self.wait_again(mailbox);
                }
                State::Busy => self.cut_late(&mailbox),
                _ => {}
            }
        }
        done
    }

    /// Cuts a handler short that was being polled when its worker had to stop.
    #[cold]
    fn cut_late(self: &Rc<Self>, mailbox: &MailboxRc) {
        let is_due = mailbox.if_more(|more| std::mem::take(&mut more.cut_later));
        if is_due == Some(true) && mailbox.stop.get() == Stop::Now {
            self.cut_short(mailbox);
        }
    }

    fn wait_again(&self, mailbox: MailboxRc) {
        if mailbox.state.get() == State::Backlog {
            self.take_turns(mailbox);
        }
    }

    /// Handles the urgent messages of a worker that waits for its turn, which it keeps.
    pub(crate) fn pass_turns(self: &Rc<Self>, mailbox: &MailboxRc) {
        let mut spare = self.tasks.spare();
        self.shared.shown.show(mailbox);
        let may_go_on = || {
            let stop = mailbox.stop.get();
            mailbox.state.get() == State::Backlog && matches!(stop, Stop::No | Stop::Drain)
        };
        while may_go_on() && mailbox.has_urgent() && self.work_off_one(mailbox, &mut spare) {}
    }

    /// Whether more messages wait than are handled in a turn of the core.
    pub(crate) fn has_plenty(&self) -> bool {
        let most = self.limits.turn_messages as usize;
        let turns = self.turns.borrow();
        let waits = |first: &Waiting| first.mailbox.stashed() > most;
        self.queue.len() > most || turns.front().is_some_and(waits)
    }

    /// Handles waiting messages of one worker, up to its burst and so many, or ends it if it is to stop.
    fn work_off(self: &Rc<Self>, mailbox: &MailboxRc, which: Which, most: u32) -> u32 {
        let mut spare = self.tasks.spare();
        self.shared.shown.show(mailbox);
        let burst = self.limits.worker_burst.min(most.max(1));
        for done in 0..burst {
            if mailbox.state.get() != State::Backlog {
                return done;
            }
            match mailbox.stop.get() {
                Stop::Now => {
                    self.end_with(mailbox, &mut spare);
                    return done;
                }
                Stop::Again => {
                    mailbox.state.set(State::Busy);
                    self.rest(mailbox);
                    return done;
                }
                Stop::No | Stop::Drain => {}
            }
            if which == Which::Urgent && mailbox.has_stash() && !mailbox.has_urgent() {
                return done;
            }
            if mailbox.has_stash() {
                if !self.work_off_one(mailbox, &mut spare) {
                    return done + 1;
                }
            } else if mailbox.stop.get() == Stop::Drain && mailbox.queued() == 0 {
                self.end_with(mailbox, &mut spare);
                return done;
            } else {
                mailbox.state.set(State::Idle);
                return done;
            }
        }
        burst
    }

    /// Handles the next waiting message of a worker. Whether it is ready for one more.
    fn work_off_one(self: &Rc<Self>, mailbox: &MailboxRc, spare: &mut Spare<'_>) -> bool {
        let Some(envelope) = mailbox.unstash_next(self.limits.worker_burst) else {
            return false;
        };
        self.queue.push_front(mailbox.clone(), envelope);
        mailbox.state.set(State::Idle);
        self.pass.begin(self.queue.behind(1));
        let next = self.queue.handle_next(self, &mut spare.polling());
        if let Next::Came(_, step) = next {
            if matches!(step, Step::Pending) {
                self.keep(mailbox, spare);
            }
            if !self.conclude(mailbox, step) {
                return false;
            }
        }
        mailbox.state.set(State::Backlog);
        true
    }
}
