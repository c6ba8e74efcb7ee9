//! How workers start and end.
//!
//! Starting: the address is taken at once, `initialize` runs when the mailbox gets its turn, and the
//! starter is answered when it has returned. Ending: new messages are refused at once; what is queued
//! is handled until the deadline; `shutdown` runs; then the address is free and whoever asked is told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use ringpost_router::{Address, Any, Hint, Hop, Message, Route};

use crate::context::Context;
use crate::core::{Core, Timed};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::mailbox::{Mailbox, State, Stop};
use crate::routed::Routed;
use crate::task::raw::{Call, Step, WorkerTask, drop_guarded, panic_text};
use crate::worker::Worker;

/// What the one who asked for a stop is told: whether other cores have instances of the worker too.
pub(crate) type WasReplicated = bool;

impl Core {
    /// Takes the address and queues the worker's `initialize`. The starter is answered later.
    pub(crate) fn start_here<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        worker: impl FnOnce() -> W,
        replicated: bool,
        starter: ReplyTo,
    ) {
        if let Err(kind) = self.check_new(&address) {
            return self.answer(starter, Err(Error::new(kind)));
        }
        let mailbox = Rc::new(Mailbox::new(
            address.clone(),
            self.id,
            State::Starting,
            self.limits.mailbox_credits,
        ));
        if let Err(kind) = self.register(&mailbox) {
            return self.answer(starter, Err(Error::new(kind)));
        }
        let ctx = Context::of_worker(Rc::clone(self), Rc::clone(&mailbox));
        match catch_unwind(AssertUnwindSafe(worker)) {
            Ok(worker) => *mailbox.task.borrow_mut() = Some(WorkerTask::new(worker, ctx)),
            Err(panic) => {
                drop(ctx);
                self.unregister(&mailbox);
                mailbox.state.set(State::Closed);
                let message = panic_text(&*panic).to_owned();
                drop_guarded(panic);
                let kind = ErrorKind::Panicked { address, message };
                return self.answer(starter, Err(Error::new(kind)));
            }
        }
        mailbox.with_more(|more| {
            more.starter = Some(starter);
            more.replicated = replicated;
        });
        self.workers.set(self.workers.get() + 1);
        self.tally().started.add(1);
        self.attend(mailbox);
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
    pub(crate) fn register(&self, mailbox: &Rc<Mailbox>) -> Result<(), ErrorKind> {
        let bucket = self.placement.bucket(&mailbox.address);
        let entered =
            self.table
                .borrow_mut()
                .insert(mailbox.address.clone(), bucket, Rc::clone(mailbox));
        match entered {
            Ok(handle) => {
                mailbox.handle.set(handle);
                if self.placement.home(&mailbox.address) != self.id {
                    self.guests.set(self.guests.get() + 1);
                }
                Ok(())
            }
            Err(_) => Err(ErrorKind::AlreadyExists {
                address: mailbox.address.clone(),
            }),
        }
    }

    /// Takes a mailbox out of the table; its address is free.
    pub(crate) fn unregister(&self, mailbox: &Mailbox) {
        let handle = mailbox.handle.get();
        let removed = self.table.borrow_mut().remove(handle);
        if removed.is_some() && self.placement.home(&mailbox.address) != self.id {
            self.guests.set(self.guests.get() - 1);
        }
    }

    pub(crate) fn initialize(self: &Rc<Self>, mailbox: &Rc<Mailbox>) {
        let step = self.run_worker(mailbox, Call::Initialize);
        if !matches!(step, Step::Pending) {
            self.after_initialize(mailbox, step);
        }
    }

    pub(crate) fn after_initialize(self: &Rc<Self>, mailbox: &Rc<Mailbox>, step: Step) {
        match step {
            Step::Done(Ok(())) => {
                if let Some(starter) = mailbox.with_more(|more| more.starter.take()) {
                    self.answer(starter, Ok(().into_body()));
                }
                self.rest(mailbox);
            }
            Step::Done(Err(error)) => {
                tracing::error!(worker = %mailbox.address, %error, "initialize failed; the worker is ended");
                mailbox.with_more(|more| more.failure = Some(error));
                mailbox.stop.set(Stop::Now);
                self.end(mailbox);
            }
            Step::Panicked(message) => {
                self.tally().panics.add(1);
                tracing::error!(worker = %mailbox.address, panic = message, "initialize panicked");
                let address = mailbox.address.clone();
                mailbox.with_more(|more| {
                    more.failure = Some(Error::new(ErrorKind::Panicked { address, message }));
                });
                self.close(mailbox, Reason::Panicked);
            }
            Step::Pending | Step::Mismatch(_) => {}
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
            Some(mailbox) if mailbox.task.try_borrow().is_ok_and(|task| task.is_some()) => {
                mailbox.with_more(|more| more.stoppers.push(stopper));
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
    pub(crate) fn begin_stop(self: &Rc<Self>, mailbox: &Rc<Mailbox>, stop: Stop, drain: Duration) {
        if matches!(mailbox.state.get(), State::Closed | State::Ending)
            || mailbox.stop.get() == Stop::Now
        {
            return;
        }
        mailbox.stop.set(stop);
        mailbox.room.set(0);
        mailbox.special.set(true);
        let mut senders = mailbox.with_more(|more| std::mem::take(&mut more.senders));
        self.close_waiters(&mut senders);
        self.arm_drain(mailbox, drain);
        match mailbox.state.get() {
            State::Idle => {
                mailbox.state.set(State::Backlog);
                self.attend(Rc::clone(mailbox));
            }
            State::Busy if stop == Stop::Now => self.cut_short(mailbox),
            _ => {}
        }
    }

    fn arm_drain(&self, mailbox: &Rc<Mailbox>, drain: Duration) {
        let deadline = self.now.get().saturating_add(drain);
        let timer = self
            .timers
            .borrow_mut()
            .arm(deadline, Timed::Drain(Rc::clone(mailbox)));
        let old = mailbox.with_more(|more| {
            more.drain = drain;
            more.drain_timer.replace(timer)
        });
        if let Some(old) = old {
            let target = self.timers.borrow_mut().disarm(old);
            drop(target);
        }
    }

    /// Cancels the suspended handler at the await where it is. A running one is left to return.
    fn cut_short(self: &Rc<Self>, mailbox: &Rc<Mailbox>) {
        let Ok(mut task) = mailbox.task.try_borrow_mut() else {
            return;
        };
        let Some(worker) = task.as_mut().filter(|task| task.is_suspended()) else {
            return;
        };
        worker.cancel(&self.frames);
        drop(task);
        if let Some(key) = mailbox.with_more(|more| more.task_key.take()) {
            self.tasks.release(key);
        }
        tracing::warn!(worker = %mailbox.address, "a handler was cancelled: its worker had to stop");
        mailbox.state.set(State::Backlog);
        self.attend(Rc::clone(mailbox));
    }

    /// The time to drain, or to shut down, is over.
    pub(crate) fn drain_is_over(self: &Rc<Self>, mailbox: &Rc<Mailbox>) {
        let drain = mailbox.with_more(|more| {
            more.drain_timer = None;
            more.drain
        });
        match mailbox.state.get() {
            State::Closed => {}
            State::Ending => {
                tracing::warn!(worker = %mailbox.address, "shutdown took too long and is cancelled");
                self.close(mailbox, Reason::Stopped);
            }
            State::Starting => {
                tracing::warn!(worker = %mailbox.address, "initialize took too long and is cancelled");
                self.close(mailbox, Reason::Stopped);
            }
            state => {
                mailbox.stop.set(Stop::Now);
                self.arm_drain(mailbox, drain);
                if state == State::Idle {
                    mailbox.state.set(State::Backlog);
                    self.attend(Rc::clone(mailbox));
                } else if state == State::Busy {
                    self.cut_short(mailbox);
                }
            }
        }
    }

    /// Runs `shutdown`.
    pub(crate) fn end(self: &Rc<Self>, mailbox: &Rc<Mailbox>) {
        mailbox.state.set(State::Ending);
        let step = self.run_worker(mailbox, Call::Shutdown);
        if !matches!(step, Step::Pending) {
            self.after_shutdown(mailbox, step);
        }
    }

    pub(crate) fn after_shutdown(self: &Rc<Self>, mailbox: &Rc<Mailbox>, step: Step) {
        match step {
            Step::Done(Err(error)) => {
                tracing::error!(worker = %mailbox.address, %error, "shutdown returned an error");
            }
            Step::Panicked(message) => {
                self.tally().panics.add(1);
                tracing::error!(worker = %mailbox.address, panic = message, "shutdown panicked");
            }
            _ => {}
        }
        self.close(mailbox, Reason::Stopped);
    }

    /// Frees the address, reports what is left, and tells whoever waits.
    pub(crate) fn close(self: &Rc<Self>, mailbox: &Rc<Mailbox>, reason: Reason) {
        if mailbox.state.replace(State::Closed) == State::Closed {
            return;
        }
        mailbox.room.set(0);
        mailbox.special.set(true);
        self.unregister(mailbox);
        let task = mailbox.task.borrow_mut().take();
        let was_worker = task.is_some();
        drop(task);
        let reason = if self.node.is_stopping() && reason == Reason::Stopped {
            Reason::NodeStopped
        } else {
            reason
        };
        self.clear(mailbox, reason);
        if was_worker {
            self.workers.set(self.workers.get() - 1);
            self.tally().ended.add(1);
            self.exempt
                .borrow_mut()
                .retain(|other| !Rc::ptr_eq(other, mailbox));
        }
    }

    /// Reports what waits at a closed mailbox, and answers those who asked for its start or end.
    fn clear(self: &Rc<Self>, mailbox: &Rc<Mailbox>, reason: Reason) {
        let Some(mut more) = mailbox.take_more() else {
            return;
        };
        while let Some(envelope) = more.stash.pop_front() {
            self.undeliver(envelope, reason);
        }
        self.close_waiters(&mut more.senders);
        self.close_waiters(&mut more.receivers);
        if let Some(key) = more.task_key {
            self.tasks.release(key);
        }
        if let Some(timer) = more.drain_timer {
            let target = self.timers.borrow_mut().disarm(timer);
            drop(target);
        }
        if let Some(starter) = more.starter {
            let error = more
                .failure
                .unwrap_or_else(|| Error::new(ErrorKind::Stopping));
            self.answer(starter, Err(error));
        }
        for stopper in more.stoppers {
            self.answer(stopper, Ok(more.replicated.into_body()));
        }
    }
}

/// Stands at the home of an address whose mailbox is on another core, and passes messages on.
pub(crate) struct Forwarder {
    onward: Hop,
    /// The core whose worker ends with this forwarder; none for a detached context.
    core: Option<u16>,
}

impl Forwarder {
    pub(crate) fn to(onward: Hop, core: Option<u16>) -> Self {
        Self { onward, core }
    }
}

impl Worker for Forwarder {
    type Message = Any;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.mailbox
            .with_more(|more| more.forwards = self.onward.hint);
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let lost = msg.lost(Reason::NotFound);
        let requester = msg.requester();
        if ctx.relay(msg, self.onward.clone()).await.is_err() {
            // Whom this stands for has ended by itself: the message is reported, and the name is free.
            ctx.core.uncount_handled();
            ctx.core.report(&lost);
            ctx.core
                .refuse(requester, ErrorKind::NotFound { address: lost.to });
            self.core = None;
            ctx.core
                .begin_stop(&ctx.mailbox, Stop::Now, ctx.core.node.drain);
        }
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        let Some(core) = self.core else { return Ok(()) };
        let address = self.onward.address.clone();
        let drain = ctx.core.node.drain;
        let end = move |core: &Rc<Core>, to| core.stop_here(&address, Stop::Drain, drain, to);
        // The worker may have ended by itself; then there is nothing to stop.
        let _ = ctx.call(core, end).await;
        Ok(())
    }
}

impl Core {
    /// Answers with the place of a mailbox of this core.
    pub(crate) fn locate(self: &Rc<Self>, address: &Address, to: ReplyTo) {
        let answer = match self.named(address) {
            Some(mailbox) => Ok(Route::from(mailbox.hop()).into_body()),
            None => Err(Error::new(ErrorKind::NotFound {
                address: address.clone(),
            })),
        };
        self.answer(to, answer);
    }

    /// The context behind a forwarder of this core has ended.
    pub(crate) fn stop_forwarder(self: &Rc<Self>, address: &Address, onward: Option<Hint>) {
        let forwarder = self.named(address);
        let is_its = |mailbox: &Rc<Mailbox>| {
            onward.is_some() && mailbox.if_more(|more| more.forwards) == Some(onward)
        };
        if let Some(mailbox) = forwarder.filter(is_its) {
            self.begin_stop(&mailbox, Stop::Now, self.node.drain);
        }
    }
}
