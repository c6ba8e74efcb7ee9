//! Supervised workers: what follows when one fails, and how it comes back.
//!
//! A worker that is to be restarted is wrapped, with what builds it, in one that can be [`Restartable`]. That is
//! what the block of its mailbox holds, so a restart is another call of its `initialize`, in the place and with
//! the mailbox that it has; nothing else of the core knows of restarts, and a worker without supervision has
//! none of this. Between its failure and the return of `initialize` the mailbox is `Starting`: what comes waits.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringpost_router::Address;

use crate::context::Context;
use crate::core::Core;
use crate::driver::stderr::failure;
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Result, Undelivered};
use crate::mailbox::{Mailbox, State, Stop};
use crate::routed::Routed;
use crate::supervision::{Outcome, Supervision};
use crate::task::panics::drop_guarded;
use crate::task::raw::{Ending, MailboxRc};
use crate::time::Time;
use crate::worker::Worker;

/// What a mailbox knows of the supervision of its worker.
pub(crate) struct Supervised {
    terms: Supervision,
    /// The type that the worker takes.
    type_name: &'static str,
    /// When it was restarted lately.
    restarts: VecDeque<Time>,
    /// Who sent the message that it handles.
    in_hand: Option<Address>,
    /// How it comes back, if that is what `initialize` is called for.
    comeback: Option<Comeback>,
}

/// A restart that is due.
#[derive(Debug, Clone, Copy)]
struct Comeback {
    /// Whether the old value can be asked to shut down.
    is_sound: bool,
    wait: Duration,
}

/// How a worker has failed, or come to its end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Panicked,
    Error,
    /// It has stopped itself.
    Stopped,
    /// It was to come back and could not; whether it can be asked to shut down.
    Comeback {
        is_sound: bool,
    },
}

impl Supervised {
    /// What follows from a failure. A restart is counted.
    fn decide(&mut self, failure: Failure, now: Time) -> Option<Outcome> {
        let outcome = match failure {
            Failure::Panicked => self.terms.on_panic,
            Failure::Error => self.terms.on_error?,
            Failure::Stopped => self.terms.on_stop,
            Failure::Comeback { .. } => Outcome::Restart,
        };
        if outcome != Outcome::Restart {
            return Some(outcome);
        }
        let within = self.terms.within;
        let is_over = |then: &Time| now.saturating_since(*then) >= within;
        while self.restarts.front().is_some_and(is_over) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.terms.restarts_max as usize {
            return Some(self.terms.exhausted);
        }
        self.restarts.push_back(now);
        Some(Outcome::Restart)
    }

    fn wait(&self, random: u64) -> Duration {
        let failed = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        self.terms.backoff.wait(failed.saturating_sub(1), random)
    }
}

/// A worker with what builds it anew.
struct Restartable<W, F> {
    /// There but while one is being replaced by the next.
    worker: Option<W>,
    build: F,
}

impl<W, F> Worker for Restartable<W, F>
where
    W: Worker<Context = Context>,
    F: Fn() -> W + 'static,
{
    type Message = W::Message;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        if let Some(comeback) = take_comeback(&ctx.mailbox) {
            if let Some(mut old) = self.worker.take() {
                if comeback.is_sound
                    && let Err(error) = old.shutdown(ctx).await
                {
                    let what = "shutdown returned an error";
                    failure(what, Some(&ctx.mailbox.address), Some(&error));
                }
                drop_guarded(old);
            }
            pass_the_time(ctx, comeback.wait).await?;
        }
        let worker = self.worker.get_or_insert_with(&self.build);
        worker.initialize(ctx).await
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        match &mut self.worker {
            Some(worker) => worker.shutdown(ctx).await,
            None => Ok(()),
        }
    }

    fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: Routed<W::Message>,
    ) -> impl Future<Output = Result<()>> {
        let sender = msg.sender();
        ctx.mailbox.with_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                supervised.in_hand = Some(sender);
            }
        });
        let worker = self.worker.get_or_insert_with(&self.build);
        worker.handle_message(ctx, msg)
    }
}

fn take_comeback(mailbox: &MailboxRc) -> Option<Comeback> {
    let comeback = mailbox.if_more(|more| more.supervised.as_mut()?.comeback.take());
    comeback.flatten()
}

/// Waits so long, unless the worker is asked to stop.
async fn pass_the_time(ctx: &Context, wait: Duration) -> Result<()> {
    let mut sleep = pin!(ctx.sleep(wait));
    poll_fn(|polling| match ctx.mailbox.stop.get().is_asked() {
        false => sleep.as_mut().poll(polling).map(Ok),
        true => Poll::Ready(Err(Error::new(ErrorKind::Stopping))),
    })
    .await
}

impl Core {
    /// Starts a worker that comes back as its supervision says. The starter is answered later.
    pub(crate) fn start_supervised<W, F>(
        self: &Rc<Self>,
        address: Address,
        terms: Supervision,
        build: F,
        starter: ReplyTo,
    ) where
        W: Worker<Context = Context>,
        F: Fn() -> W + 'static,
    {
        let restartable = || Restartable {
            worker: Some(build()),
            build,
        };
        let room = self.limits.mailbox_credits;
        match self.admit(address, restartable, State::Starting, room) {
            Ok(mailbox) => {
                let supervised = Supervised {
                    terms,
                    type_name: std::any::type_name::<W::Message>(),
                    restarts: VecDeque::new(),
                    in_hand: None,
                    comeback: None,
                };
                mailbox.with_more(|more| more.supervised = Some(Box::new(supervised)));
                mailbox.note_starter(starter);
                self.attend(mailbox);
            }
            Err(error) => self.answer(starter, Err(error)),
        }
    }

    /// What the worker's supervision says to this failure; nothing if the worker has none, or does not mind.
    /// What follows from it is seen to, but for ending the worker.
    #[cold]
    pub(crate) fn supervise(
        self: &Rc<Self>,
        mailbox: &MailboxRc,
        failed: Failure,
    ) -> Option<Outcome> {
        if mailbox.stop.get().is_asked() {
            return None;
        }
        let is_sound = !matches!(
            failed,
            Failure::Panicked | Failure::Comeback { is_sound: false }
        );
        let (now, random) = (self.now.get(), || self.random());
        let decided = mailbox.if_more(|more| {
            let supervised = more.supervised.as_mut()?;
            let outcome = supervised.decide(failed, now)?;
            supervised.comeback = (outcome == Outcome::Restart).then(|| Comeback {
                is_sound,
                wait: supervised.wait(random()),
            });
            Some(outcome)
        });
        let outcome = decided.flatten()?;
        match outcome {
            Outcome::Restart => self.begin_comeback(mailbox),
            Outcome::Escalate => {
                let what = "a worker's failure is to end the node, which stops";
                failure(what, Some(&mailbox.address), None);
                self.node.begin_stop(Stop::Drain);
            }
            Outcome::Stop => {}
        }
        Some(outcome)
    }

    fn begin_comeback(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.tally().restarted.add(1);
        tracing::info!(worker = %mailbox.address, "a worker is restarted");
        mailbox.stop.set(Stop::No);
        mailbox.state.set(State::Starting);
        self.attend(mailbox.clone());
    }

    /// Reports the message whose handler has panicked, if its worker is supervised.
    #[cold]
    pub(crate) fn report_in_hand(&self, mailbox: &MailboxRc) {
        let in_hand = mailbox.if_more(|more| {
            let supervised = more.supervised.as_mut()?;
            Some((supervised.in_hand.take()?, supervised.type_name))
        });
        if let Some((from, type_name)) = in_hand.flatten() {
            self.uncount_handled();
            self.report(&Undelivered {
                to: mailbox.address.clone(),
                from,
                type_name,
                expected: None,
                reason: Reason::InHand,
            });
        }
    }

    /// A worker that was to come back could not: it tries again, or ends.
    #[cold]
    pub(crate) fn comeback_failed(self: &Rc<Self>, mailbox: &MailboxRc, ending: Ending) {
        match ending {
            Ending::Failed(error) => {
                let is_sound = true;
                let outcome = self.supervise(mailbox, Failure::Comeback { is_sound });
                // Of one that has been asked to end meanwhile, that is the error.
                if !mailbox.stop.get().is_asked() {
                    let what = "a worker could not be restarted";
                    failure(what, Some(&mailbox.address), Some(&error));
                    self.note_failure(mailbox, &error);
                }
                drop_guarded(error);
                if outcome != Some(Outcome::Restart) {
                    self.end_failed(mailbox);
                }
            }
            Ending::Panicked(message) => {
                self.tally().panics.add(1);
                let is_sound = false;
                let outcome = self.supervise(mailbox, Failure::Comeback { is_sound });
                let what = "a worker panicked when it was restarted";
                failure(what, Some(&mailbox.address), Some(&message));
                if outcome != Some(Outcome::Restart) {
                    self.note_panic(mailbox, &message);
                    self.close(mailbox, Reason::Panicked);
                }
            }
            Ending::Mismatch(..) => {}
        }
    }

    /// Ends a worker that goes on no more; it is asked to shut down.
    #[cold]
    pub(crate) fn end_failed(self: &Rc<Self>, mailbox: &MailboxRc) {
        mailbox.stop.set(Stop::Now);
        mailbox.room.set(0);
        mailbox.special.set(true);
        self.end(mailbox);
    }

    /// A worker asks itself to stop. Whether it is one that is restarted then, when its handler has returned.
    pub(crate) fn restarts_itself(&self, mailbox: &Mailbox) -> bool {
        let on_stop = mailbox.if_more(|more| Some(more.supervised.as_ref()?.terms.on_stop));
        let restarts =
            on_stop.flatten() == Some(Outcome::Restart) && !mailbox.stop.get().is_asked();
        if restarts {
            mailbox.stop.set(Stop::Again);
        }
        restarts
    }
}
