//! The futures that send: they try, wait for what is lacking, and try again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Body, Handle, Message, Route};

use crate::context::Context;
use crate::context::further::{
    Unsent, further, further_along, go_on, go_on_along, goes_whole, reply, reply_place,
};
use crate::core::Core;
use crate::core::deliver::{Attempt, Grant, Lack, Outgoing};
use crate::envelope::{Detour, Origin};
use crate::error::{Error, Result, not_found};
use crate::mailbox::{Waiter, Waiting};
use crate::task::Wake;
use crate::task::raw::MailboxRc;

/// Sends one message; made by [`Context::send_message`].
///
/// The call has sent the message already if nothing was in the way: its receiver had room, and was found
/// at once. Otherwise nothing more happens until this is awaited. Who has sent much to its own core, or to several others,
/// in one go waits for its next turn here, although there is room.
///
/// # Cancellation
/// Dropping it before it is done leaves nothing behind: a message that has not been sent is dropped, and
/// what was granted to it goes to the next who waits.
#[must_use = "the message may not be sent until this is awaited"]
pub struct SendMessage<'a> {
    ctx: &'a Context,
    /// What there is still to do; nothing for a message that has been sent.
    rest: Option<Box<Rest>>,
}

/// What is still to be done for a message that was not sent at once.
pub(super) enum Rest {
    Fail(Error),
    Send(Blocked),
}

impl<'a> SendMessage<'a> {
    /// Sends the message if that can be done at once: where it is called, as long as route and payload
    /// are still in registers.
    #[inline(always)]
    pub(crate) fn new<M: Message>(ctx: &'a Context, route: Route, message: M) -> Self {
        if ctx.core.lacks_memory_for::<M>() {
            return Self::refused(ctx, message);
        }
        let rest = match ctx.core.receiver_here(&ctx.mailbox, &route) {
            Some(to) => {
                let body = message.into_body();
                ctx.core
                    .enqueue_plain(to, &ctx.mailbox, Origin::LOCAL, body);
                // A short route: there is nothing to drop, and so nothing to look at.
                std::mem::forget(route);
                None
            }
            None => match reply_place(ctx, &route) {
                Some(place) => {
                    std::mem::forget(route);
                    reply(ctx, place, message)
                }
                None if goes_whole::<M>() => {
                    let body = Some(message.into_body());
                    go_on(ctx, Unsent(route, body))
                }
                None => further(ctx, Unsent(route, message)),
            },
        };
        Self { ctx, rest }
    }

    /// As [`new`](Self::new), along a route that is the caller's: where it is short, only what says who the receiver is
    /// need be looked at of it, and it is cloned where there is more to be done.
    #[inline(always)]
    pub(crate) fn along<M: Message>(ctx: &'a Context, route: &Route, message: M) -> Self {
        if ctx.core.lacks_memory_for::<M>() {
            return Self::refused(ctx, message);
        }
        let rest = match ctx.core.receiver_here(&ctx.mailbox, route) {
            Some(to) => {
                let body = message.into_body();
                ctx.core
                    .enqueue_plain(to, &ctx.mailbox, Origin::LOCAL, body);
                None
            }
            None if goes_whole::<M>() => go_on_along(ctx, route, Some(message.into_body())),
            None => further_along(ctx, route, message),
        };
        Self { ctx, rest }
    }

    /// There is no memory for the message.
    #[cold]
    fn refused<M: Message>(ctx: &'a Context, message: M) -> Self {
        let error = ctx.core.no_memory(message);
        let rest = Some(Box::new(Rest::Fail(error)));
        Self { ctx, rest }
    }

    #[cold]
    #[inline(never)]
    fn go_on(&mut self, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        let Some(mut rest) = self.rest.take() else {
            return Poll::Ready(Ok(()));
        };
        let core = &self.ctx.core;
        if let Rest::Send(blocked) = &mut *rest {
            let poll = blocked.poll(core, &self.ctx.mailbox, polling);
            if poll.is_pending() {
                self.rest = Some(rest);
            }
            return poll;
        }
        match *rest {
            Rest::Fail(error) => Poll::Ready(Err(error)),
            Rest::Send(_) => Poll::Ready(Ok(())),
        }
    }
}

impl Future for SendMessage<'_> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        // Looked at before it is taken: where nothing is left, nothing is stored.
        if self.rest.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.go_on(polling)
    }
}

impl Drop for SendMessage<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            cancel(rest, self.ctx);
        }
    }
}

#[cold]
#[inline(never)]
#[expect(clippy::boxed_local, reason = "dropped here, out of line")]
fn cancel(mut rest: Box<Rest>, ctx: &Context) {
    if let Rest::Send(blocked) = &mut *rest {
        blocked.cancel(&ctx.core);
    }
}

impl fmt::Debug for SendMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.rest.as_deref() {
            None => "sent",
            Some(Rest::Fail(_)) => "failed",
            Some(Rest::Send(_)) => "waiting",
        };
        f.debug_struct("SendMessage")
            .field("from", &self.ctx.mailbox.address)
            .field("state", &state)
            .finish()
    }
}

/// A message that is being sent, whoever sends it. Small, because it lies in the sender's future:
/// what only a message needs that has to wait is boxed.
pub(crate) enum Sending {
    /// Not polled yet.
    Fresh {
        route: Route,
        /// There until it is taken to be sent, which ends this state.
        body: Option<Body>,
        /// Whether the body holds its routes already.
        detour: bool,
    },
    /// Something is lacking.
    Blocked(Box<Blocked>),
    /// Sent, or failed.
    Done,
}

impl Sending {
    #[inline]
    pub(crate) fn new(route: Route, body: Body) -> Self {
        Self::Fresh {
            route,
            body: Some(body),
            detour: false,
        }
    }

    pub(crate) fn of(out: Outgoing) -> Self {
        let Outgoing {
            route,
            body,
            detour,
            ..
        } = out;
        Self::Fresh {
            route,
            body,
            detour,
        }
    }

    /// Where the message is to go, as long as it is here.
    pub(crate) fn route(&self) -> Option<&Route> {
        match self {
            Self::Fresh { route, .. } => Some(route),
            Self::Blocked(blocked) => Some(&blocked.out.route),
            Self::Done => None,
        }
    }

    /// Tries to send; `reply` is the place reserved for the answer, if one is wanted.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        ctx: &Context,
        reply: Handle,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        if let Self::Fresh {
            route,
            body,
            detour: false,
        } = self
            && let Some(to) = ctx.core.receiver_here(&ctx.mailbox, route)
            && let Some(body) = body.take()
        {
            ctx.core
                .enqueue(to, &ctx.mailbox, reply, Origin::LOCAL, body);
            *self = Self::Done;
            return Poll::Ready(Ok(()));
        }
        self.poll_further(ctx, reply, polling)
    }

    /// As [`poll`](Self::poll), where the short way is known to be closed.
    #[inline(never)]
    pub(crate) fn poll_further(
        &mut self,
        ctx: &Context,
        reply: Handle,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        let mut blocked = match std::mem::replace(self, Self::Done) {
            Self::Done => return Poll::Pending,
            Self::Blocked(blocked) => blocked,
            Self::Fresh { body: None, .. } => return Poll::Pending,
            Self::Fresh {
                route,
                body: Some(body),
                detour,
            } => {
                let mut out = Outgoing::with_body(route, body);
                out.reply = reply;
                out.detour = detour;
                out.waits = true;
                match ctx.core.attempt_or_wait(&ctx.mailbox, &mut out) {
                    Attempt::Sent => return Poll::Ready(Ok(())),
                    Attempt::Failed(error) => return Poll::Ready(Err(error)),
                    Attempt::Misgranted => Box::new(Blocked::new(out)),
                    Attempt::Blocked(lack) => {
                        let from = &ctx.mailbox;
                        if let Some(own) = lack.of_oneself(&ctx.core, from) {
                            return Poll::Ready(Err(out.fail_own(own)));
                        }
                        Box::new(Blocked::for_lack(out, &ctx.core, from, lack, polling))
                    }
                }
            }
        };
        let poll = blocked.poll(&ctx.core, &ctx.mailbox, polling);
        if poll.is_pending() {
            *self = Self::Blocked(blocked);
        }
        poll
    }

    /// What the message holds, as long as it is here.
    pub(crate) fn take_payload(&mut self) -> Option<Body> {
        match self {
            Self::Fresh { body, detour, .. } => {
                let body = body.take()?;
                Some(match *detour {
                    true => Detour::open(body).1,
                    false => body,
                })
            }
            Self::Blocked(blocked) => blocked.out.take_payload(),
            Self::Done => None,
        }
    }

    /// Gives up: leaves the queue, and gives back what was granted.
    #[inline]
    pub(crate) fn cancel(&mut self, core: &Rc<Core>) {
        if let Self::Blocked(blocked) = self {
            blocked.cancel(core);
        }
    }
}

/// A message that could not be sent at once.
pub(crate) struct Blocked {
    out: Outgoing,
    /// What was lacking when the message could not be sent at once, until that is waited for.
    lacked: Option<Lack>,
    wait: Option<Wait>,
}

struct Wait {
    lack: Lack,
    waiter: Rc<Waiter>,
    /// Whose credit is held while room is waited for.
    credit_of: Option<Lack>,
}

impl Blocked {
    /// A message that is to be tried again.
    pub(crate) fn new(out: Outgoing) -> Self {
        Self {
            out,
            lacked: None,
            wait: None,
        }
    }

    /// A request that was parked and has not been sent: it is polled from now on.
    pub(super) fn of_parked(waiter: Rc<Waiter>) -> Option<Self> {
        waiter.unpark();
        let (out, lack) = waiter.parked.as_ref()?.take()?;
        let wait = Some(Wait {
            lack,
            waiter,
            credit_of: None,
        });
        Some(Self {
            wait,
            ..Self::new(out)
        })
    }

    /// A message that is to wait for this when it is polled.
    pub(super) fn lacking(out: Outgoing, lack: Lack) -> Self {
        Self {
            lacked: Some(lack),
            ..Self::new(out)
        }
    }

    /// A message that waits for this, in the task that is being polled.
    pub(crate) fn for_lack(
        out: Outgoing,
        core: &Rc<Core>,
        from: &MailboxRc,
        lack: Lack,
        polling: &Polling<'_>,
    ) -> Self {
        let mut blocked = Self::new(out);
        blocked.begin_wait(core, from, lack, polling);
        blocked
    }

    /// Whether nothing has happened since the task that waits was polled last.
    pub(crate) fn is_queued(&self) -> bool {
        let state = self.wait.as_ref().map(|wait| wait.waiter.state.get());
        state == Some(Waiting::Queued)
    }

    /// The receiver on this core that it waits for, if that is what it lacks.
    pub(crate) fn local_lack(&self) -> Option<Lack> {
        let lack = self.wait.as_ref().map(|wait| &wait.lack);
        lack.filter(|lack| matches!(lack, Lack::Local(_))).cloned()
    }

    /// Where the message is to go.
    pub(crate) fn route(&self) -> &Route {
        &self.out.route
    }

    /// The message, which was not sent.
    pub(crate) fn take_payload(&mut self) -> Option<Body> {
        self.out.take_payload()
    }

    pub(crate) fn poll(
        &mut self,
        core: &Rc<Core>,
        from: &MailboxRc,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        if let Some(lack) = self.lacked.take()
            && core.is_still_lacking(&lack)
        {
            if let Some(own) = lack.of_oneself(core, from) {
                return Poll::Ready(Err(self.out.fail_own(own)));
            }
            self.begin_wait(core, from, lack, polling);
            return Poll::Pending;
        }
        loop {
            match self.wait.as_ref().map(|wait| wait.waiter.state.get()) {
                None => {}
                Some(Waiting::Queued | Waiting::Cancelled) => {
                    self.wait_again(core, from, core.tasks.register(polling));
                    return Poll::Pending;
                }
                Some(Waiting::Closed) => {
                    self.wait = None;
                    let kind = not_found(&self.out.route);
                    return Poll::Ready(Err(self.out.error(kind)));
                }
                Some(Waiting::Retry) => self.wait = None,
                Some(Waiting::Granted) if self.use_grant(core, from) => {
                    self.wait = None;
                    return Poll::Ready(Ok(()));
                }
                Some(Waiting::Granted) => self.take_grant(core),
            }
            match core.attempt(from, &mut self.out) {
                Attempt::Sent => {
                    self.wait = None;
                    return Poll::Ready(Ok(()));
                }
                Attempt::Failed(error) => {
                    self.cancel(core);
                    return Poll::Ready(Err(error));
                }
                Attempt::Blocked(lack) => {
                    if let Some(own) = lack.of_oneself(core, from) {
                        self.cancel(core);
                        return Poll::Ready(Err(self.out.fail_own(own)));
                    }
                    self.begin_wait(core, from, lack, polling);
                }
                // The name has moved between cores: what was meant for the other place goes back.
                Attempt::Misgranted => self.cancel(core),
            }
        }
    }

    fn wait_again(&self, core: &Core, from: &MailboxRc, wake: Wake) {
        if let Some(wait) = &self.wait {
            wait.waiter.wake.replace(wake);
            core.note_behalf(from, &wait.waiter);
        }
    }

    /// Sends with a credit that was granted, which is all that a message of this core lacks.
    fn use_grant(&mut self, core: &Rc<Core>, from: &MailboxRc) -> bool {
        let Some(wait) = &self.wait else { return false };
        let Lack::Local(to) = &wait.lack else {
            return false;
        };
        if !to.accepts() || to.overflow.get().drops() {
            return false;
        }
        wait.waiter.state.set(Waiting::Cancelled);
        core.accept(to, from, &mut self.out);
        true
    }

    /// Notes what the waiter was granted, unless it has become worthless meanwhile.
    fn take_grant(&mut self, core: &Rc<Core>) {
        let Some(wait) = &mut self.wait else { return };
        wait.waiter.state.set(Waiting::Cancelled);
        if !core.is_grant_good(&wait.lack) {
            return;
        }
        self.out.grant_core = wait.lack.core();
        self.out.grant = match &wait.lack {
            Lack::Turn(_) => {
                self.out.has_paused = true;
                self.out.grant
            }
            Lack::Local(_) | Lack::Link { .. } => {
                self.out.more_credits = wait.waiter.credits.get().saturating_sub(1);
                wait.credit_of = Some(wait.lack.clone());
                self.out.grant.with_credit()
            }
            Lack::Room { .. } => self.out.grant.with_room(),
            Lack::Destination { .. } => Grant::Link,
        };
    }

    /// Queues this sender for what it lacks. Room is not held while a credit is waited for.
    fn begin_wait(&mut self, core: &Rc<Core>, from: &MailboxRc, lack: Lack, polling: &Polling<'_>) {
        let mut credit_of = self.wait.take().and_then(|wait| {
            if self.out.grant.room()
                && let Some(to) = wait.lack.core()
            {
                core.room_back(to);
                self.out.grant = if self.out.grant.credit() {
                    Grant::Credit
                } else {
                    Grant::Nothing
                };
            }
            wait.credit_of
        });
        let lack = self.credit_first(core, lack, &mut credit_of);
        // Who is to be answered sends no more before that.
        let credits = match (&lack, self.out.is_plain()) {
            (Lack::Local(_) | Lack::Turn(_), _) => 0,
            (Lack::Link { .. }, true) => core.limits.link_share(),
            _ => 1,
        };
        let waiter = core.wait_for(&lack, from, core.tasks.register(polling), credits);
        self.wait = Some(Wait {
            lack,
            waiter,
            credit_of,
        });
    }

    /// Who is to wait for room takes a credit first, or waits for that: so those who send to one link get its
    /// credits in their order, and then room in the same order.
    fn credit_first(&mut self, core: &Rc<Core>, lack: Lack, credit_of: &mut Option<Lack>) -> Lack {
        let of_link = match lack {
            Lack::Room { core, link, epoch } if !self.out.grant.credit() => {
                Lack::Link { core, link, epoch }
            }
            other => return other,
        };
        if !core.take_link_credit(&of_link) {
            return of_link;
        }
        self.out.grant = self.out.grant.with_credit();
        self.out.grant_core = of_link.core();
        *credit_of = Some(of_link);
        lack
    }

    /// Gives up: leaves the queue, and gives back what was granted.
    pub(crate) fn cancel(&mut self, core: &Rc<Core>) {
        let Some(wait) = self.wait.take() else { return };
        if self.out.grant.room()
            && let Some(to) = wait.lack.core()
        {
            core.room_back(to);
        } else {
            core.stop_waiting(&wait.lack, &wait.waiter);
        }
        if self.out.grant.credit()
            && let Some(lack) = &wait.credit_of
        {
            core.give_grant_back(lack, 1 + self.out.more_credits);
        }
        if self.out.grant == Grant::Link {
            core.give_grant_back(&wait.lack, 1);
        }
        self.out.grant = Grant::Nothing;
        self.out.more_credits = 0;
    }
}
