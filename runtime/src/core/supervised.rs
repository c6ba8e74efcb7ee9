//! Supervised workers: what follows when one fails, and how it comes back.
//!
//! A worker that is to be restarted is wrapped, with what builds it, in one that can be [`Restartable`]. That is
//! what the block of its mailbox holds, so a restart is another call of its `initialize`, in the place and with
//! the mailbox that it has; nothing else of the core knows of restarts, and a worker without supervision has
//! none of this. Between its failure and the return of `initialize` the mailbox is `Starting`: what comes waits.

mod following;
mod in_hand;
mod restartable;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ringpost_router::Address;

use crate::context::Context;
use crate::core::Core;
use crate::core::group::{Led, News};
use crate::driver::stderr::failure;
use crate::envelope::ReplyTo;
use crate::error::{Error, Reason};
use crate::mailbox::{Mailbox, State, Stop};
use crate::supervision::{Outcome, Supervision};
use crate::task::panics::drop_guarded;
use crate::task::raw::{Ending, MailboxRc};
use crate::time::Time;
use crate::worker::Worker;

use self::following::{BACK, Following};
use self::in_hand::InHand;
use self::restartable::Restartable;

pub(crate) use self::restartable::pass_the_time;

/// What a mailbox knows of the supervision of its worker.
pub(crate) struct Supervised {
    terms: Supervision,
    /// The type that the worker takes.
    type_name: &'static str,
    /// When it was restarted lately.
    recent: VecDeque<Time>,
    /// The message that it handles.
    in_hand: Option<InHand>,
    /// How many it has been given.
    calls: u32,
    /// How it comes back, if that is what `initialize` is called for.
    comeback: Option<Comeback>,
    led: Option<Following>,
    /// Whether it is the leader of a group, whose end is for it to see to.
    leads: bool,
}

/// A restart that is due.
#[derive(Debug, Clone, Copy)]
struct Comeback {
    /// Whether the old value can be asked to shut down.
    is_sound: bool,
    /// How long to wait; without it, until the leader says so.
    wait: Option<Duration>,
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
        if outcome != Outcome::Restart || self.led.is_some() {
            return Some(outcome);
        }
        match self.terms.restarts.count(&mut self.recent, now) {
            true => Some(Outcome::Restart),
            false => Some(self.terms.restarts.exhausted),
        }
    }

    /// How long to wait before the restart, if that is not for the leader to say.
    fn wait(&self, random: u64) -> Option<Duration> {
        let is_led = self.led.is_some();
        (!is_led).then(|| self.terms.restarts.wait(&self.recent, random))
    }
}

impl Mailbox {
    /// Whether the worker is the leader of a group.
    pub(crate) fn leads(&self) -> bool {
        let leads = self.if_more(|more| Some(more.supervised.as_ref()?.leads));
        leads.flatten() == Some(true)
    }

    /// Notes that the worker is the leader of a group.
    pub(crate) fn note_that_it_leads(&self) {
        self.if_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                supervised.leads = true;
            }
        });
    }
}

impl Core {
    /// Starts a worker that comes back as its supervision says, or as its leader does. The starter is answered
    /// later.
    pub(crate) fn start_supervised<W, F>(
        self: &Rc<Self>,
        address: Address,
        terms: Supervision,
        build: F,
        led: Option<Led>,
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
                    recent: VecDeque::new(),
                    in_hand: None,
                    calls: 0,
                    comeback: None,
                    led: led.map(Following::new),
                    leads: false,
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
        let following = mailbox.if_following(|it| (it.led, it.life, it.askers[BACK]));
        match (outcome, following) {
            (Outcome::Restart, following) => {
                self.begin_comeback(mailbox);
                self.attend(mailbox.clone());
                match following {
                    Some((_, _, asker)) if asker != ReplyTo::NOBODY => {
                        let failed = || Err(Error::other("it could not come back"));
                        self.answer_asker(mailbox, BACK, failed());
                    }
                    Some((led, life, _)) => self.tell_leader(led, mailbox, News::Failed { life }),
                    None => {}
                }
            }
            (Outcome::Escalate, Some((led, ..))) => self.tell_leader(led, mailbox, News::Escalated),
            (Outcome::Escalate, None) => {
                let what = "a worker's failure is to end the node, which stops";
                failure(what, Some(&mailbox.address), None);
                self.node.begin_stop(Stop::Drain);
            }
            (Outcome::Stop, _) => {}
        }
        Some(outcome)
    }

    fn begin_comeback(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.tally().restarted.add(1);
        tracing::info!(worker = %mailbox.address, "a worker is restarted");
        mailbox.stop.set(Stop::No);
        mailbox.state.set(State::Starting);
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
        mailbox.set_room(0);
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
