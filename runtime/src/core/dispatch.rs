//! Handling: from the queue to the worker's handler, and what follows from how it ended.

use std::rc::Rc;

use ringpost_router::Unpack;
use ringpost_router::wire::Refusal;

use crate::core::Core;
use crate::core::supervised::Failure;
use crate::core::unanswered::is_step_marked;
use crate::driver::stderr::failure;
use crate::envelope::{Envelope, Head, Origin};
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::mailbox::{Mailbox, State, Stop};
use crate::supervision::Outcome;
use crate::task::panics::{drop_guarded, into_text};
use crate::task::raw::{Call, Ending, MailboxRc, Next, Step};
use crate::task::{Ready, ReadyTask, Spare, Spawned};
use crate::transport::bounce;

impl Core {
    /// Handles up to `budget` messages of the queue. Returns how many.
    pub(crate) fn run_queue(self: &Rc<Self>, budget: u32) -> u32 {
        if self.queue.is_empty() {
            return 0;
        }
        let mut spare = self.tasks.spare();
        let until = self.queue.behind(budget);
        self.pass.begin(until);
        while !self.queue.has_passed(until) {
            let mut polling = spare.polling();
            let came = loop {
                if self.queue.has_passed(until) {
                    break None;
                }
                match self.queue.handle_next(self, &mut polling) {
                    Next::Handled => {}
                    Next::Nothing => return budget - self.queue.left_to(until),
                    Next::NotReady => self.set_aside(),
                    Next::Came(to, step) => break Some((to, step)),
                }
            };
            if let Some((to, step)) = came {
                self.after_handler(&to, step, &mut spare);
            }
        }
        budget
    }

    /// The receiver is not ready: the message waits at its mailbox, or is reported.
    #[cold]
    pub(crate) fn set_aside(self: &Rc<Self>) {
        let Some((to, envelope)) = self.queue.take() else {
            return;
        };
        let to = &to;
        match to.state.get() {
            State::Closed => {
                let reason = if to.has_panicked() {
                    Reason::Panicked
                } else if self.node.is_stopping() {
                    Reason::NodeStopped
                } else {
                    Reason::Stopped
                };
                self.undeliver(to, envelope, reason);
            }
            State::Ending => self.undeliver(to, envelope, Reason::Stopped),
            State::Stub => self.undeliver(to, envelope, Reason::NotFound),
            _ => self.pile_up(to, envelope),
        }
    }

    /// Whether the worker, whose handler has ended well, is ready for the next message in the queue.
    #[inline]
    pub(crate) fn may_go_on(&self, to: &Mailbox) -> bool {
        to.stop.get() == Stop::No && !to.has_stash()
    }

    /// A message leaves the queues: its credit is free and it counts as handled. Its origin is looked at where it lies: of most
    /// messages one byte is enough.
    #[inline]
    pub(crate) fn begin(self: &Rc<Self>, to: &Mailbox, origin: &Origin) {
        self.settle(to, origin);
        self.tally().handled.add(1);
        self.begin_step();
    }

    #[cold]
    pub(crate) fn after_handler(
        self: &Rc<Self>,
        to: &MailboxRc,
        step: Step,
        spare: &mut Spare<'_>,
    ) {
        if matches!(step, Step::Pending) {
            return self.keep(to, spare);
        }
        if !self.conclude(to, step) {
            return;
        }
        // Most workers that end do so here, and need no look at them later.
        match to.is_drained() {
            true => self.end_with(to, spare),
            false => self.rest(to),
        }
    }

    /// A call has suspended: it keeps the waker it was polled with.
    pub(crate) fn keep(self: &Rc<Self>, mailbox: &MailboxRc, spare: &mut Spare<'_>) {
        let key = self.tasks.bind_spare(mailbox.clone(), spare);
        let is_marked = is_step_marked();
        mailbox.with_more(|more| {
            more.task_key = Some(key);
            if !is_marked {
                more.call = None;
            }
        });
        self.keep_unanswered(mailbox);
    }

    /// Makes another call of the worker and polls it once, keeping it if it suspends.
    pub(crate) fn run_call(
        self: &Rc<Self>,
        mailbox: &MailboxRc,
        call: Call,
        spare: &mut Spare<'_>,
    ) -> Step {
        self.begin_step();
        self.shared.shown.show(mailbox);
        let step = mailbox.call(call, self, &mut spare.polling());
        if matches!(step, Step::Pending) {
            self.keep(mailbox, spare);
        }
        step
    }

    /// What follows from a handler's step, when it is not simply the next message.
    fn after_step(self: &Rc<Self>, mailbox: &MailboxRc, step: Step) {
        if self.conclude(mailbox, step) {
            self.rest(mailbox);
        }
    }

    /// Counts and reports how a handler ended. Whether the worker is ready for what is next.
    pub(crate) fn conclude(self: &Rc<Self>, mailbox: &MailboxRc, step: Step) -> bool {
        let ending = match step {
            Step::Pending => return false,
            Step::Done => return true,
            Step::Ended(ending) => ending,
        };
        match *ending {
            Ending::Failed(error) => {
                self.disappoint_all(mailbox);
                return self.after_error(mailbox, error);
            }
            Ending::Panicked(message) => {
                self.disappoint_all(mailbox);
                self.report_panicked(mailbox);
                self.after_panic(mailbox, message);
                return false;
            }
            Ending::Mismatch(head, mismatch) => {
                self.uncount_handled();
                self.reject(head, mismatch);
            }
        }
        true
    }

    /// The worker has nothing running: what is next for it?
    pub(crate) fn rest(self: &Rc<Self>, mailbox: &MailboxRc) {
        let ending = match mailbox.stop.get() {
            Stop::No => false,
            Stop::Drain => mailbox.queued() == 0,
            Stop::Now => true,
            Stop::Again => match self.supervise(mailbox, Failure::Stopped) {
                Some(Outcome::Restart) => return,
                _ => {
                    self.begin_stop(mailbox, Stop::Drain, self.node.drain);
                    mailbox.queued() == 0
                }
            },
        };
        if ending || mailbox.has_urgent() {
            mailbox.state.set(State::Backlog);
            self.attend(mailbox.clone());
        } else if mailbox.has_stash() {
            mailbox.state.set(State::Backlog);
            self.take_turns(mailbox.clone());
        } else {
            mailbox.state.set(State::Idle);
        }
    }

    /// Whether the worker whose handler has returned an error goes on.
    fn after_error(self: &Rc<Self>, mailbox: &MailboxRc, error: Error) -> bool {
        self.tally().handler_errors.add(1);
        let outcome = self.supervise(mailbox, Failure::Error);
        let what = match outcome {
            None => "a handler returned an error; the worker goes on",
            Some(Outcome::Restart) => "a handler returned an error; the worker is restarted",
            Some(_) => "a handler returned an error; the worker is ended",
        };
        failure(what, Some(&mailbox.address), Some(&error));
        let is_over = matches!(outcome, Some(Outcome::Stop | Outcome::Escalate));
        if is_over {
            self.note_failure(mailbox, &error);
        }
        // It may hold a message that could not be sent.
        drop_guarded(error);
        if is_over {
            self.end_failed(mailbox);
        }
        outcome.is_none()
    }

    fn after_panic(self: &Rc<Self>, mailbox: &MailboxRc, message: String) {
        self.tally().panics.add(1);
        if self.supervise(mailbox, Failure::Panicked) == Some(Outcome::Restart) {
            let what = "a worker panicked and is restarted";
            return failure(what, Some(&mailbox.address), Some(&message));
        }
        let what = "a worker panicked and is ended";
        failure(what, Some(&mailbox.address), Some(&message));
        self.note_panic(mailbox, &message);
        self.close(mailbox, Reason::Panicked);
    }

    /// Reports a payload that its receiver does not take.
    #[cold]
    pub(crate) fn reject(self: &Rc<Self>, head: Head, mismatch: Unpack) {
        let address = head.to().address.clone();
        let (reason, kind, type_name, expected) = match &mismatch {
            Unpack::WrongType {
                expected, found, ..
            } => {
                let address = address.clone();
                let kind = ErrorKind::WrongType {
                    address,
                    expected,
                    found,
                };
                (Reason::WrongType, kind, *found, Some(*expected))
            }
            Unpack::Codec(cause) => {
                let kind = ErrorKind::Codec(cause.clone());
                (Reason::Undecodable, kind, "an encoded payload", None)
            }
        };
        let undelivered = Undelivered {
            to: address,
            from: head.first_sender().clone(),
            type_name,
            expected,
            reason,
        };
        let body = match mismatch {
            Unpack::WrongType { body, .. } => Some(body),
            Unpack::Codec(_) => None,
        };
        self.report_with(&undelivered, head.requester().is_some(), body);
        let routes = head.towards.routes();
        bounce(self, routes, &head.to().address, Refusal::Unreadable);
        self.refuse(head.take_requester(), kind);
    }

    /// Polls up to `budget` ready tasks. Returns how many. While more messages wait than are handled in a turn,
    /// it is one: what most of them would do is to send more, or to find no room for it. So it is when much was read
    /// that is to be dealt with first.
    pub(crate) fn run_ready(self: &Rc<Self>, budget: u32) -> u32 {
        for done in 0..budget {
            // That there is none is known soonest.
            let is_enough =
                !self.tasks.has_ready() || done > 0 && (self.has_plenty() || self.io.is_full());
            if is_enough {
                return done;
            }
            let Some(Ready { key, waker, task }) = self.tasks.next_ready() else {
                return done;
            };
            match task {
                ReadyTask::Nothing => {}
                ReadyTask::Handler(mailbox) => {
                    self.begin_step();
                    self.shared.shown.show(&mailbox);
                    let step = self
                        .tasks
                        .with_task(key, &waker, |polling| mailbox.resume(self, polling));
                    self.after_resume(&mailbox, key, step);
                }
                ReadyTask::Future(future) => self.poll_spawned(key, &waker, future),
            }
        }
        budget
    }

    fn after_resume(self: &Rc<Self>, mailbox: &MailboxRc, key: u32, step: Step) {
        if matches!(step, Step::Pending) {
            return self.keep_unanswered(mailbox);
        }
        self.tasks.release(key);
        let is_done = matches!(step, Step::Done);
        mailbox.with_more(|more| {
            (more.task_key, more.call) = (None, None);
            more.resumed = more.resumed.wrapping_add(1);
            if is_done {
                more.unanswered.clear();
            }
        });
        match mailbox.state.get() {
            State::Starting => self.after_initialize(mailbox, step),
            State::Ending => self.after_shutdown(mailbox, step),
            State::Busy => self.after_step(mailbox, step),
            _ => {}
        }
    }

    /// Polls a spawned future, whether or not somebody has woken it.
    #[cold]
    pub(crate) fn poll_unasked(self: &Rc<Self>, key: u32) {
        if let Some(ready) = self.tasks.take(key)
            && let ReadyTask::Future(future) = ready.task
        {
            self.poll_spawned(key, &ready.waker, future);
        }
    }

    /// In line where tasks are polled all the time, as if it were called from nowhere else.
    #[inline(always)]
    fn poll_spawned(self: &Rc<Self>, key: u32, waker: &std::task::Waker, mut future: Spawned) {
        self.begin_step();
        self.shared.shown.show(&self.outside);
        let poll = self.tasks.with_task(key, waker, |polling| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                future.as_mut().poll(polling).is_ready()
            }))
        });
        match poll {
            Ok(false) => self.tasks.put_back(key, future),
            Ok(true) => {
                drop_guarded(future);
                self.tasks.release(key);
            }
            Err(panic) => {
                self.tally().panics.add(1);
                let message = into_text(panic);
                let what = "a spawned future panicked and is dropped";
                failure(what, None, Some(&message));
                drop_guarded(future);
                self.tasks.release(key);
            }
        }
    }

    /// A message that was counted as handled was not: it is reported, or back in its mailbox.
    pub(crate) fn uncount_handled(&self) {
        let handled = &self.tally().handled;
        handled.set(handled.value().saturating_sub(1));
    }

    /// Hands a message that was taken and not wanted back to the front of its mailbox, or of the urgent ones there. The credit it came
    /// with was given back, so it takes one of this core's. Where there is none left the mailbox owes it:
    /// the next that comes back is not given to a sender.
    pub(crate) fn put_message_back(&self, mailbox: &MailboxRc, envelope: Envelope) {
        match mailbox.room().checked_sub(1) {
            Some(room) => mailbox.set_room(room),
            None => mailbox.overdraw(),
        }
        mailbox.add_queued(1);
        let origin = match envelope.is_urgent() {
            true => Origin::URGENT_AGAIN,
            false => Origin::LOCAL,
        };
        mailbox.stash_again(0, envelope.with_credit_of(origin));
    }
}
