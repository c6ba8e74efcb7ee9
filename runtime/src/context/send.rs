//! The futures that send: they try, wait for what is lacking, and try again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Body, Handle, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::deliver::{Attempt, Grant, Lack, Outgoing};
use crate::error::{Error, Result};
use crate::mailbox::{Waiter, Waiting};
use crate::task::Wake;
use crate::task::raw::MailboxRc;

/// Sends one message; made by [`Context::send_message`].
///
/// # Cancellation
/// Dropping it before it is done leaves nothing behind: the message is dropped, and what was granted
/// to it goes to the next who waits.
#[must_use = "nothing is sent until this is awaited"]
pub struct SendMessage<'a> {
    ctx: &'a Context,
    sending: Sending,
}

impl<'a> SendMessage<'a> {
    #[inline]
    pub(crate) fn new(ctx: &'a Context, sending: Sending) -> Self {
        Self { ctx, sending }
    }
}

impl Future for SendMessage<'_> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        let ctx = self.ctx;
        self.sending.poll(ctx, Handle::NONE, polling)
    }
}

impl Drop for SendMessage<'_> {
    #[inline]
    fn drop(&mut self) {
        self.sending.cancel(&self.ctx.core);
    }
}

impl fmt::Debug for SendMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMessage")
            .field("route", self.sending.route())
            .finish_non_exhaustive()
    }
}

/// A message that is being sent, whoever sends it. Small, because it lies in the sender's future:
/// what only a message needs that has to wait is boxed.
pub(crate) struct Sending {
    route: Route,
    /// There until the first poll.
    body: Option<Body>,
    /// Whether the body holds its routes already.
    detour: bool,
    blocked: Option<Box<Blocked>>,
}

impl Sending {
    #[inline]
    pub(crate) fn new(route: Route, body: Body) -> Self {
        Self {
            route,
            body: Some(body),
            detour: false,
            blocked: None,
        }
    }

    pub(crate) fn of(out: Outgoing) -> Self {
        Self {
            route: out.route,
            body: out.body,
            detour: out.detour,
            blocked: None,
        }
    }

    pub(crate) fn route(&self) -> &Route {
        match &self.blocked {
            Some(blocked) => &blocked.out.route,
            None => &self.route,
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
        let Some(body) = self.body.take() else {
            return self.poll_blocked(ctx, polling);
        };
        if self.detour {
            return self.poll_first(ctx, reply, body, polling);
        }
        match ctx.core.post(&ctx.mailbox, &self.route, reply, body) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(body) => self.poll_first(ctx, reply, body, polling),
        }
    }

    #[inline(never)]
    fn poll_first(
        &mut self,
        ctx: &Context,
        reply: Handle,
        body: Body,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        let mut out = Outgoing::with_body(std::mem::take(&mut self.route), body);
        out.reply = reply;
        out.detour = self.detour;
        match ctx.core.attempt(&ctx.mailbox, &mut out) {
            Attempt::Sent => Poll::Ready(Ok(())),
            Attempt::Failed(error) => Poll::Ready(Err(error)),
            attempt => {
                let mut blocked = Box::new(Blocked { out, wait: None });
                if let Attempt::Blocked(lack) = attempt {
                    blocked.begin_wait(&ctx.core, lack, polling);
                }
                self.blocked = Some(blocked);
                self.poll_blocked(ctx, polling)
            }
        }
    }

    #[cold]
    fn poll_blocked(&mut self, ctx: &Context, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        match &mut self.blocked {
            Some(blocked) => blocked.poll(&ctx.core, &ctx.mailbox, polling),
            None => Poll::Pending,
        }
    }

    /// Gives up: leaves the queue, and gives back what was granted.
    #[inline]
    pub(crate) fn cancel(&mut self, core: &Rc<Core>) {
        if let Some(blocked) = &mut self.blocked {
            blocked.cancel(core);
        }
    }
}

/// A message that could not be sent at once.
struct Blocked {
    out: Outgoing,
    wait: Option<Wait>,
}

struct Wait {
    lack: Lack,
    waiter: Rc<Waiter>,
    /// Whose credit is held while room is waited for.
    credit_of: Option<Lack>,
}

impl Blocked {
    fn poll(
        &mut self,
        core: &Rc<Core>,
        from: &MailboxRc,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        loop {
            match self.wait.as_ref().map(|wait| wait.waiter.state.get()) {
                None => {}
                Some(Waiting::Queued | Waiting::Cancelled) => {
                    self.wait_again(core.tasks.register(polling));
                    return Poll::Pending;
                }
                Some(Waiting::Closed) => {
                    self.wait = None;
                    return Poll::Ready(Err(self.refused()));
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
                Attempt::Blocked(lack) => self.begin_wait(core, lack, polling),
                // The name has moved between cores: what was meant for the other place goes back.
                Attempt::Misgranted => self.cancel(core),
            }
        }
    }

    fn wait_again(&self, wake: Wake) {
        if let Some(wait) = &self.wait {
            *wait.waiter.wake.borrow_mut() = wake;
        }
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
            Lack::Local(_) | Lack::Link { .. } => {
                wait.credit_of = Some(wait.lack.clone());
                self.out.grant.with_credit()
            }
            Lack::Room { .. } => self.out.grant.with_room(),
            Lack::Destination { .. } => self.out.grant,
        };
    }

    /// Queues this sender for what it lacks. Room is not held while a credit is waited for.
    fn begin_wait(&mut self, core: &Rc<Core>, lack: Lack, polling: &Polling<'_>) {
        let credit_of = self.wait.take().and_then(|wait| {
            if self.out.grant.room()
                && let Lack::Room { core: to } = wait.lack
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
        let waiter = core.wait_for(&lack, core.tasks.register(polling));
        self.wait = Some(Wait {
            lack,
            waiter,
            credit_of,
        });
    }

    /// Gives up: leaves the queue, and gives back what was granted.
    fn cancel(&mut self, core: &Rc<Core>) {
        let Some(wait) = self.wait.take() else { return };
        if self.out.grant.room()
            && let Lack::Room { core: to } = wait.lack
        {
            core.room_back(to);
        } else {
            core.stop_waiting(&wait.lack, &wait.waiter);
        }
        if self.out.grant.credit()
            && let Some(lack) = &wait.credit_of
        {
            core.give_grant_back(lack);
        }
        self.out.grant = Grant::Nothing;
    }

    fn refused(&mut self) -> Error {
        match self.out.fail_not_found() {
            Attempt::Failed(error) => error,
            Attempt::Sent | Attempt::Blocked(_) | Attempt::Misgranted => {
                Error::new(crate::ErrorKind::Stopping)
            }
        }
    }
}
