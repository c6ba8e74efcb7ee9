//! How workers start and end.
//!
//! Starting: the address is taken at once, `initialize` runs in line, or where others have waited longer or the start
//! was asked for on another core when the mailbox gets its turn, and the starter is answered when it has returned.
//! Ending: new messages are refused at once; what is queued is handled until the deadline; `shutdown` runs; then the
//! address is free and whoever asked is told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::{Core, Timed};
use crate::driver::stderr::failure;
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::mailbox::{Mailbox, More, State, Stop};
use crate::task::Spare;
use crate::task::panics::{drop_guarded, into_text};
use crate::task::raw::{Call, Ending, MailboxRc, Step, Vacant};
use crate::worker::Worker;

/// What the one who asked for a stop is told: whether other cores have instances of the worker too.
pub(crate) type WasReplicated = bool;

/// How many starts in a row are made in line. Their blocks, and those of as many that have ended, are in the caches yet.
pub(crate) const STARTS_IN_LINE: u32 = 7;

/// How many workers may be noted as draining before the first look at which of them have ended.
const DRAINING_MIN: usize = 8;

impl Core {
    /// Takes the address and queues the worker's `initialize`. The starter is answered later.
    pub(crate) fn start_here<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        replicated: bool,
        starter: ReplyTo,
    ) {
        if let Some(mailbox) = self.admit_for(address, worker, replicated, starter) {
            self.attend(mailbox);
        }
    }

    /// As [`start_here`](Self::start_here), for who is polled now: `initialize` runs in line, unless others have waited
    /// for that, or have to wait for their turns.
    pub(crate) fn start_in_line<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        starter: ReplyTo,
    ) {
        let Some(mailbox) = self.admit_for(address, worker, false, starter) else {
            return;
        };
        if self.starts_left.get() == 0 || !self.attention.is_empty() {
            return self.attend(mailbox);
        }
        // None within `initialize`: how deep that could go is for nobody to say.
        let left = self.starts_left.replace(0);
        self.within_step(|| self.initialize(&mailbox));
        self.starts_left.set(left - 1);
    }

    fn admit_for<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        replicated: bool,
        starter: ReplyTo,
    ) -> Option<MailboxRc> {
        let room = self.limits.mailbox_credits;
        match self.admit(address, worker, State::Starting, room) {
            Ok(mailbox) => {
                mailbox.note_starter(starter);
                mailbox.replicated.set(replicated);
                Some(mailbox)
            }
            Err(error) => {
                self.answer(starter, Err(error));
                None
            }
        }
    }

    /// Starts the worker of a connection, whose address may be of another type than a worker's.
    pub(crate) fn start_carrier<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
    ) -> Result<(), ErrorKind> {
        if self.node.is_stopping() {
            return Err(ErrorKind::Stopping);
        }
        let room = self.limits.mailbox_credits;
        let mailbox = self
            .admit_checked(address, worker, State::Starting, room, Ok(()))
            .map_err(|error| error.kind().clone())?;
        self.attend(mailbox);
        Ok(())
    }

    /// Gives a worker its address and its place; nothing of it runs yet.
    pub(crate) fn admit<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        state: State,
        room: u32,
    ) -> Result<MailboxRc> {
        let checked = self.check_new(&address);
        self.admit_checked(address, worker, state, room, checked)
    }

    fn admit_checked<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        state: State,
        room: u32,
        entered: Result<(), ErrorKind>,
    ) -> Result<MailboxRc> {
        let vacant = Vacant::<W>::new(Mailbox::new(address, self.here, state, room));
        let mailbox = vacant.mailbox().clone();
        if let Err(kind) = entered.and_then(|()| self.register(&mailbox)) {
            drop_guarded(worker);
            return Err(Error::new(kind));
        }
        let ctx = Context::of_worker(Rc::clone(self), mailbox.clone());
        let build = || {
            let worker = worker();
            let overflow = worker.overflow();
            (worker, overflow)
        };
        match catch_unwind(AssertUnwindSafe(build)) {
            Ok((worker, overflow)) => {
                mailbox.set_overflow(overflow);
                drop(vacant.fill(worker, ctx));
            }
            Err(panic) => {
                drop(ctx);
                self.unregister(&mailbox);
                mailbox.state.set(State::Closed);
                let address = mailbox.address.clone();
                let message = into_text(panic);
                return Err(Error::new(ErrorKind::Panicked { address, message }));
            }
        }
        if self.node.hooks.dead_letters.as_ref() == Some(&mailbox.address) {
            // What the others leave behind is for it.
            self.exempt.borrow_mut().insert(mailbox.handle());
        }
        self.workers.set(self.workers.get() + 1);
        self.tally().started.add(1);
        Ok(mailbox)
    }

    /// Whether a mailbox may be given this address.
    pub(crate) fn check_new(&self, address: &Address) -> Result<(), ErrorKind> {
        let invalid = |reason| {
            Err(ErrorKind::InvalidAddress {
                address: address.clone(),
                reason,
            })
        };
        if self.node.is_stopping() {
            return Err(ErrorKind::Stopping);
        }
        if address.as_bytes().is_empty() {
            return invalid("it is empty; give the worker a name");
        }
        if !address.is_local() {
            return invalid("workers have local addresses, of type 0");
        }
        if address.as_bytes().first() == Some(&b'~') {
            return invalid("names that begin with ~ are the node's own");
        }
        Ok(())
    }

    /// Enters a mailbox into the table under its name.
    pub(crate) fn register(&self, mailbox: &MailboxRc) -> Result<(), ErrorKind> {
        let bucket = self.placement.bucket(&mailbox.address);
        match self.table.insert(bucket, mailbox.clone()) {
            Some(handle) => {
                mailbox.set_handle(handle);
                self.names.note(mailbox);
                if self.placement.home(&mailbox.address) != self.id {
                    self.guests.set(self.guests.get() + 1);
                    self.guests_ever.set(self.guests_ever.get() + 1);
                }
                Ok(())
            }
            None => Err(ErrorKind::AlreadyExists {
                address: mailbox.address.clone(),
            }),
        }
    }

    /// Takes a mailbox out of the table; its address is free.
    pub(crate) fn unregister(&self, mailbox: &Mailbox) {
        let handle = mailbox.handle();
        let removed = self.table.remove(handle);
        let guests = self.guests.get();
        if guests > 0 && removed.is_some() && self.placement.home(&mailbox.address) != self.id {
            self.guests.set(guests - 1);
        }
    }

    pub(crate) fn initialize(self: &Rc<Self>, mailbox: &MailboxRc) {
        let mut within = self.tasks.spare_within();
        let step = self.run_call(mailbox, Call::Initialize, &mut within.spare);
        drop(within);
        self.after_initialize(mailbox, step);
    }

    pub(crate) fn after_initialize(self: &Rc<Self>, mailbox: &MailboxRc, step: Step) {
        let ending = match step {
            Step::Pending => return,
            Step::Done => {
                match mailbox.started.replace(true) {
                    false => self.answer(mailbox.take_asker(), Ok(().into_body())),
                    // Here somebody may await the end by now.
                    true => self.came_back(mailbox),
                }
                return self.rest(mailbox);
            }
            Step::Ended(ending) => ending,
        };
        self.disappoint_all(mailbox);
        if mailbox.started.get() {
            return self.comeback_failed(mailbox, *ending);
        }
        match *ending {
            Ending::Failed(error) => {
                let what = "initialize failed; the worker is ended";
                failure(what, Some(&mailbox.address), Some(&error));
                self.note_failure(mailbox, &error);
                mailbox.with_more(|more| more.failure = Some(error));
                mailbox.stop.set(Stop::Now);
                self.end(mailbox);
            }
            Ending::Panicked(message) => {
                self.tally().panics.add(1);
                let what = "initialize panicked; the worker is ended";
                failure(what, Some(&mailbox.address), Some(&message));
                self.note_panic(mailbox, &message);
                let address = mailbox.address.clone();
                mailbox.with_more(|more| {
                    more.failure = Some(Error::new(ErrorKind::Panicked { address, message }));
                });
                self.close(mailbox, Reason::Panicked);
            }
            Ending::Mismatch(..) => {}
        }
    }

    /// Asks the worker at this address of this core to end; the asker is answered when it has.
    pub(crate) fn stop_here(
        self: &Rc<Self>,
        address: &Address,
        stop: Stop,
        drain: Duration,
        stopper: ReplyTo,
    ) {
        match self.named(address) {
            Some(mailbox) if mailbox.has_worker() && !mailbox.is_reserved() => {
                mailbox.note_stopper(stopper);
                self.begin_stop(&mailbox, stop, drain);
            }
            _ => {
                let kind = ErrorKind::NotFound {
                    address: address.clone(),
                };
                self.answer(stopper, Err(Error::new(kind)));
            }
        }
    }

    /// Refuses new messages and lets the worker end.
    pub(crate) fn begin_stop(self: &Rc<Self>, mailbox: &MailboxRc, stop: Stop, drain: Duration) {
        if matches!(mailbox.state.get(), State::Closed | State::Ending)
            || mailbox.stop.get() == Stop::Now
        {
            return;
        }
        mailbox.stop.set(stop);
        mailbox.set_room(0);
        mailbox.special.set(true);
        if let Some(mut senders) = mailbox.if_more(|more| std::mem::take(&mut more.senders)) {
            self.close_waiters(&mut senders);
        }
        // What is idle and has nothing to drain ends at its next turn, and needs no deadline for that.
        if mailbox.state.get() != State::Idle || mailbox.queued() > 0 {
            self.note_draining(mailbox, drain);
        }
        match mailbox.state.get() {
            // What it is sent is in the queues, and the last of that ends it.
            State::Idle if !mailbox.is_drained() => {}
            State::Idle => {
                mailbox.state.set(State::Backlog);
                self.attend(mailbox.clone());
            }
            State::Busy if stop == Stop::Now => self.cut_short(mailbox),
            State::Starting | State::Busy => self.hurry(mailbox),
            _ => {}
        }
    }

    /// Notes that the worker is to have a deadline if it has not ended by the end of this turn. Those that have are
    /// forgotten whenever as many have come, so that their memory can be used again.
    fn note_draining(&self, mailbox: &MailboxRc, drain: Duration) {
        let mut draining = self.draining.borrow_mut();
        if draining.len() == draining.capacity() {
            draining.retain(|(old, _)| old.state.get() != State::Closed);
            let more = draining.len() + DRAINING_MIN;
            draining.reserve(more);
        }
        draining.push((mailbox.clone(), drain));
    }

    /// Has a worker that waits to be restarted, or leads those who do, look at what it is asked.
    pub(crate) fn hurry(&self, mailbox: &Mailbox) {
        if let Some(key) = mailbox.if_more(|more| more.task_key).flatten() {
            self.tasks.make_ready(key);
        }
    }

    /// Arms the deadlines of those that were asked to end in this turn and have not: most have, and
    /// never touch the timers.
    pub(crate) fn arm_drains(&self) {
        if self.draining.borrow().is_empty() {
            return;
        }
        for (mailbox, drain) in self.draining.take() {
            if mailbox.state.get() != State::Closed {
                self.arm_drain(&mailbox, drain);
            }
        }
    }

    fn arm_drain(&self, mailbox: &MailboxRc, drain: Duration) {
        let timed = Timed::Drain(mailbox.clone());
        let timer = self.timers.borrow_mut().arm_in(drain, timed);
        let old = mailbox.with_more(|more| {
            more.drain = drain;
            more.drain_timer.replace(timer)
        });
        if let Some(old) = old {
            self.disarm(old);
        }
    }

    /// Cancels the suspended handler at the await where it is. A running one is left to return if it asks for that itself;
    /// where one asks that it has started in line, it is cut short where it next suspends.
    pub(crate) fn cut_short(self: &Rc<Self>, mailbox: &MailboxRc) {
        if !self.cancel_handler(mailbox) {
            let asks_itself = self
                .shown_now()
                .is_some_and(|now| MailboxRc::ptr_eq(&now, mailbox));
            if !asks_itself {
                // Nothing that needs a look has one before that handler has been polled.
                mailbox.with_more(|more| more.cut_later = true);
                self.attend(mailbox.clone());
            }
            return;
        }
        tracing::warn!(worker = %mailbox.address, "a handler was cancelled: its worker had to stop");
        self.report_in_hand(mailbox);
        mailbox.state.set(State::Backlog);
        self.attend(mailbox.clone());
    }

    /// Drops the suspended handler, if there is one.
    pub(crate) fn cancel_handler(self: &Rc<Self>, mailbox: &MailboxRc) -> bool {
        // One that is being polled may answer yet what it was asked before.
        if !mailbox.is_suspended() {
            return false;
        }
        self.ending(mailbox, || mailbox.cancel(self));
        if let Some(key) = mailbox.with_more(|more| more.task_key.take()) {
            self.tasks.release(key);
        }
        true
    }

    /// The time to drain, or to shut down, is over. The leader of a group sees to the end of its workers itself.
    pub(crate) fn drain_is_over(self: &Rc<Self>, mailbox: &MailboxRc) {
        let drain = mailbox.with_more(|more| {
            more.drain_timer = None;
            more.drain
        });
        match mailbox.state.get() {
            State::Closed => {}
            State::Ending | State::Starting if mailbox.leads() => {
                mailbox.stop.set(Stop::Now);
                self.hurry(mailbox);
            }
            State::Ending => {
                tracing::warn!(worker = %mailbox.address, "shutdown took too long and is cancelled");
                self.close(mailbox, Reason::Stopped);
            }
            State::Reserved | State::Starting => {
                tracing::warn!(worker = %mailbox.address, "initialize took too long and is cancelled");
                self.close(mailbox, Reason::Stopped);
            }
            state => {
                mailbox.stop.set(Stop::Now);
                self.arm_drain(mailbox, drain);
                if state == State::Idle {
                    mailbox.state.set(State::Backlog);
                    self.attend(mailbox.clone());
                } else if state == State::Busy {
                    self.cut_short(mailbox);
                }
            }
        }
    }

    /// Runs `shutdown`.
    pub(crate) fn end(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.end_with(mailbox, &mut self.tasks.spare_within().spare);
    }

    /// As [`end`](Self::end), where the spare slot is at hand.
    pub(crate) fn end_with(self: &Rc<Self>, mailbox: &MailboxRc, spare: &mut Spare<'_>) {
        mailbox.state.set(State::Ending);
        let step = self.run_call(mailbox, Call::Shutdown, spare);
        if matches!(step, Step::Pending) && mailbox.with_more(|more| more.drain_timer.is_none()) {
            self.arm_drain(mailbox, self.node.drain);
        }
        self.after_shutdown(mailbox, step);
    }

    pub(crate) fn after_shutdown(self: &Rc<Self>, mailbox: &MailboxRc, step: Step) {
        match step {
            Step::Pending => return,
            Step::Done => {}
            Step::Ended(ending) => match *ending {
                Ending::Failed(error) => {
                    self.disappoint_all(mailbox);
                    let what = "shutdown returned an error";
                    failure(what, Some(&mailbox.address), Some(&error));
                    drop_guarded(error);
                }
                Ending::Panicked(message) => {
                    self.disappoint_all(mailbox);
                    self.tally().panics.add(1);
                    failure("shutdown panicked", Some(&mailbox.address), Some(&message));
                }
                Ending::Mismatch(..) => {}
            },
        }
        self.close(mailbox, Reason::Stopped);
    }

    /// Frees the address, reports what is left, and tells whoever waits.
    pub(crate) fn close(self: &Rc<Self>, mailbox: &MailboxRc, reason: Reason) {
        if mailbox.state.replace(State::Closed) == State::Closed {
            return;
        }
        mailbox.set_room(0);
        mailbox.special.set(true);
        self.unregister(mailbox);
        let was_worker = self.ending(mailbox, || mailbox.end(self));
        let reason = if self.node.is_stopping() && reason == Reason::Stopped {
            Reason::NodeStopped
        } else {
            reason
        };
        self.clear(mailbox, reason);
        if reason == Reason::Panicked {
            mailbox.with_more(|more| more.panicked = true);
        }
        if was_worker {
            self.workers.set(self.workers.get() - 1);
            self.tally().ended.add(1);
            self.entomb(mailbox.clone());
            self.exempt.borrow_mut().remove(&mailbox.handle());
        }
    }

    /// Reports what waits at a closed mailbox, and answers those who asked for its start or end.
    fn clear(self: &Rc<Self>, mailbox: &MailboxRc, reason: Reason) {
        while let Some(envelope) = mailbox.unstash(0) {
            self.undeliver(mailbox, envelope, reason);
        }
        let more = mailbox.take_more();
        let (failure, stoppers) = match more {
            Some(mut more) => {
                self.conclude_watches(mailbox, more.watches.take(), reason);
                self.conclude_supervision(mailbox, more.supervised.take());
                self.clear_more(*more)
            }
            None => (None, Vec::new()),
        };
        let ended = || Ok(mailbox.replicated.get().into_body());
        let asked = if mailbox.started.get() {
            ended()
        } else {
            let stopping = || Error::new(ErrorKind::Stopping);
            Err(failure.unwrap_or_else(stopping))
        };
        self.answer(mailbox.take_asker(), asked);
        for stopper in stoppers {
            self.answer(stopper, ended());
        }
    }

    /// Gives back what the rarely needed part held. What is left is why the start failed, and who else
    /// asked for the end.
    fn clear_more(&self, mut more: More) -> (Option<Error>, Vec<ReplyTo>) {
        self.close_waiters(&mut more.senders);
        self.close_waiters(&mut more.receivers);
        if let Some(key) = more.task_key {
            self.tasks.release(key);
        }
        if let Some(passer) = more.passer {
            self.passed_on.borrow_mut().leave(passer);
        }
        if let Some(timer) = more.drain_timer {
            self.disarm(timer);
        }
        (more.failure, more.stoppers)
    }
}
