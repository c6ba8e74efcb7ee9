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

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::core::group::{Led, News, Role};
use crate::core::replies::Answer;
use crate::driver::stderr::failure;
use crate::envelope::{Head, ReplyTo};
use crate::error::{Error, ErrorKind, Reason, Result, Undelivered};
use crate::mailbox::{Mailbox, More, State, Stop};
use crate::overflow::Overflow;
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

/// A message that a handler was given.
struct InHand {
    sender: Address,
    /// What tells it from others: who waits for the answer, or which call it is that was given it.
    requester: Option<ReplyTo>,
    call: u32,
}

impl InHand {
    fn new(head: &Head, call: u32) -> Self {
        head.set_stamp(call);
        Self {
            sender: head.first_sender().clone(),
            requester: head.requester(),
            call: head.stamp(),
        }
    }

    fn is(&self, head: &Head) -> bool {
        match self.requester {
            Some(_) => head.requester() == self.requester,
            None => head.stamp() == self.call,
        }
    }
}

/// What there is to know of a worker that belongs to a group.
struct Following {
    led: Led,
    /// How many times it has come back.
    life: u64,
    /// Whether it has been taken down, and may not come back yet.
    is_down: bool,
    /// Whether it may come back.
    may_come_back: bool,
    /// Who is told when it has been taken down, and when it has come back.
    askers: [ReplyTo; 2],
}

/// Of [`Following::askers`].
const DOWN: usize = 0;
const BACK: usize = 1;

impl Following {
    fn new(led: Led) -> Self {
        Self {
            led,
            life: 0,
            is_down: false,
            may_come_back: false,
            askers: [ReplyTo::NOBODY; 2],
        }
    }
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
            if let Some(old) = self.worker.take() {
                take_down(old, ctx, comeback.is_sound).await;
            }
            ctx.core.is_down(&ctx.mailbox);
            match comeback.wait {
                Some(wait) => pass_the_time(ctx, wait).await?,
                None => hear_the_word(ctx).await?,
            }
        }
        let worker = self.worker.get_or_insert_with(&self.build);
        worker.initialize(ctx).await
    }

    fn overflow(&self) -> Overflow {
        let worker = self.worker.as_ref();
        worker.map_or(Overflow::Wait, Worker::overflow)
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
        ctx.mailbox.with_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                supervised.calls = supervised.calls.wrapping_add(1);
                supervised.in_hand = Some(InHand::new(&msg.head, supervised.calls));
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

/// Drops the old value, which may shut down before if it is sound.
async fn take_down<W: Worker<Context = Context>>(mut old: W, ctx: &mut Context, is_sound: bool) {
    if is_sound {
        let mut deadline = pin!(ctx.sleep(ctx.core.node.drain));
        let leads = ctx.mailbox.leads();
        let ended = {
            let mut shutdown = pin!(old.shutdown(ctx));
            let late = || Err(Error::other("it took too long and was cancelled"));
            poll_fn(|polling| match shutdown.as_mut().poll(polling) {
                Poll::Pending if leads => Poll::Pending,
                Poll::Pending => deadline.as_mut().poll(polling).map(|()| late()),
                ended => ended,
            })
            .await
        };
        if let Err(error) = ended {
            let what = "shutdown returned an error";
            failure(what, Some(&ctx.mailbox.address), Some(&error));
        }
    }
    drop_guarded(old);
}

/// Waits for the leader's word, unless the worker is asked to stop.
async fn hear_the_word(ctx: &Context) -> Result<()> {
    poll_fn(|_| {
        if ctx.mailbox.stop.get().is_asked() {
            return Poll::Ready(Err(Error::new(ErrorKind::Stopping)));
        }
        let may_come_back = ctx.mailbox.if_following(|following| {
            following.is_down = !following.may_come_back;
            std::mem::take(&mut following.may_come_back)
        });
        match may_come_back {
            Some(false) => Poll::Pending,
            Some(true) | None => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// Waits so long, unless the worker is asked to stop.
pub(crate) async fn pass_the_time(ctx: &Context, wait: Duration) -> Result<()> {
    let mut sleep = pin!(ctx.sleep(wait));
    poll_fn(|polling| match ctx.mailbox.stop.get().is_asked() {
        false => sleep.as_mut().poll(polling).map(Ok),
        true => Poll::Ready(Err(Error::new(ErrorKind::Stopping))),
    })
    .await
}

impl Mailbox {
    /// Whether the worker belongs to a group.
    pub(crate) fn is_led(&self) -> bool {
        self.if_following(|_| ()).is_some()
    }

    /// Whether that is what it is of its group.
    pub(crate) fn is_led_as(&self, role: Role) -> bool {
        self.if_following(|it| it.led.role == role) == Some(true)
    }

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

    /// A message that this mailbox's worker had is in a mailbox again. If its call was given it, it has it no more.
    pub(crate) fn note_put_back(&self, head: &Head) {
        self.with_more(|more| match &mut more.supervised {
            Some(supervised) => drop(supervised.in_hand.take_if(|it| it.is(head))),
            None => more.put_back |= !head.was_received(),
        });
    }

    fn if_following<R>(&self, f: impl FnOnce(&mut Following) -> R) -> Option<R> {
        let f = |more: &mut More| more.supervised.as_mut()?.led.as_mut().map(f);
        self.if_more(f).flatten()
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

    /// Has a worker of a group taken down, to come back when its leader says so.
    pub(crate) fn begin_takedown(self: &Rc<Self>, mailbox: &MailboxRc) {
        mailbox.if_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                let is_sound = true;
                supervised.comeback = Some(Comeback {
                    is_sound,
                    wait: None,
                });
            }
        });
        self.begin_comeback(mailbox);
    }

    /// Answers when a worker that is being taken down is so.
    pub(crate) fn answer_when_down(self: &Rc<Self>, mailbox: &Mailbox, to: ReplyTo) {
        let is_down = mailbox.if_following(|following| {
            following.askers[DOWN] = to;
            following.is_down
        });
        if is_down == Some(true) {
            self.answer_asker(mailbox, DOWN, Ok(().into_body()));
        }
    }

    fn is_down(self: &Rc<Self>, mailbox: &Mailbox) {
        self.answer_asker(mailbox, DOWN, Ok(().into_body()));
    }

    /// Gives a worker its leader's word, and answers when it has come back or could not.
    pub(crate) fn let_come_back(&self, mailbox: &Mailbox, to: ReplyTo) {
        mailbox.if_following(|following| {
            following.may_come_back = true;
            following.life += 1;
            following.askers[BACK] = to;
        });
    }

    /// A worker goes on as it was, or as a new one.
    pub(crate) fn came_back(self: &Rc<Self>, mailbox: &Mailbox) {
        self.answer_asker(mailbox, BACK, Ok(().into_body()));
    }

    fn answer_asker(self: &Rc<Self>, mailbox: &Mailbox, which: usize, answer: Answer) {
        let asker = mailbox.if_following(|following| {
            std::mem::replace(&mut following.askers[which], ReplyTo::NOBODY)
        });
        if let Some(asker) = asker {
            self.answer(asker, answer);
        }
    }

    /// A worker has ended: its leader waits for nothing of it any more.
    pub(crate) fn conclude_supervision(
        self: &Rc<Self>,
        mailbox: &Mailbox,
        supervised: Option<Box<Supervised>>,
    ) {
        let askers = supervised.and_then(|supervised| supervised.led.map(|led| led.askers));
        for asker in askers.into_iter().flatten() {
            let address = mailbox.address.clone();
            self.refuse(Some(asker), ErrorKind::NotFound { address });
        }
    }

    fn begin_comeback(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.tally().restarted.add(1);
        tracing::info!(worker = %mailbox.address, "a worker is restarted");
        mailbox.stop.set(Stop::No);
        mailbox.state.set(State::Starting);
    }

    /// Reports the message whose handler has panicked, or was cancelled, if its worker is supervised; not what a leader is
    /// told.
    #[cold]
    pub(crate) fn report_in_hand(&self, mailbox: &MailboxRc) {
        let in_hand = mailbox.if_more(|more| {
            let supervised = more.supervised.as_mut().filter(|it| !it.leads)?;
            Some((supervised.in_hand.take()?, supervised.type_name))
        });
        if let Some((in_hand, type_name)) = in_hand.flatten() {
            self.report_unfinished(mailbox, in_hand.sender, type_name, false);
        }
    }

    /// Reports the message whose handler has panicked. Of a worker without supervision nobody has noted who sent it, so where
    /// there is no hook, the line that says that it has panicked says as much.
    #[cold]
    pub(crate) fn report_panicked(&self, mailbox: &MailboxRc) {
        let is_supervised = mailbox.if_more(|more| more.supervised.is_some()) == Some(true);
        if is_supervised {
            return self.report_in_hand(mailbox);
        }
        if mailbox.if_more(|more| more.put_back) == Some(true) {
            return;
        }
        let (_, type_name) = mailbox.type_names();
        self.report_unfinished(mailbox, self.outside.address.clone(), type_name, true);
    }

    fn report_unfinished(
        &self,
        mailbox: &MailboxRc,
        from: Address,
        type_name: &'static str,
        told: bool,
    ) {
        self.uncount_handled();
        let undelivered = Undelivered {
            to: mailbox.address.clone(),
            from,
            type_name,
            expected: None,
            reason: Reason::InHand,
        };
        self.report_with(&undelivered, told, None);
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
