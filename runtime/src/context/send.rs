//! The futures that send: they try, wait for what is lacking, and try again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::Handle;

use crate::context::Context;
use crate::core::Core;
use crate::core::deliver::{Attempt, Grant, Lack, Outgoing};
use crate::error::{Error, Result};
use crate::mailbox::{Mailbox, Waiter, Waiting};

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
    pub(crate) fn new(ctx: &'a Context, out: Outgoing) -> Self {
        Self {
            ctx,
            sending: Sending { out, wait: None },
        }
    }
}

impl Future for SendMessage<'_> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        let ctx = self.ctx;
        self.sending.poll(&ctx.core, &ctx.mailbox, polling)
    }
}

impl Drop for SendMessage<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.sending.wait.is_some() {
            self.sending.cancel(&self.ctx.core);
        }
    }
}

impl fmt::Debug for SendMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMessage")
            .field("route", &self.sending.out.route)
            .finish_non_exhaustive()
    }
}

/// A message on its way out, whoever sends it.
pub(crate) struct Sending {
    pub(crate) out: Outgoing,
    wait: Option<Box<Wait>>,
}

struct Wait {
    lack: Lack,
    waiter: Rc<Waiter>,
    /// Whose credit is held while room is waited for.
    credit_of: Option<Lack>,
}

impl Sending {
    pub(crate) fn new(out: Outgoing) -> Self {
        Self { out, wait: None }
    }

    #[inline]
    pub(crate) fn poll(
        &mut self,
        core: &Rc<Core>,
        from: &Rc<Mailbox>,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        if self.wait.is_none() {
            match core.attempt(from, &mut self.out) {
                Attempt::Sent => return Poll::Ready(Ok(())),
                Attempt::Failed(error) => return Poll::Ready(Err(error)),
                Attempt::Blocked(lack) => self.begin_wait(core, lack, polling),
                Attempt::Misgranted => {}
            }
        }
        self.poll_slow(core, from, polling)
    }

    #[cold]
    fn poll_slow(
        &mut self,
        core: &Rc<Core>,
        from: &Rc<Mailbox>,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<()>> {
        while let Some(wait) = &self.wait {
            match wait.waiter.state.get() {
                Waiting::Queued | Waiting::Cancelled => {
                    *wait.waiter.wake.borrow_mut() = core.tasks.register(polling);
                    return Poll::Pending;
                }
                Waiting::Closed => {
                    self.wait = None;
                    return Poll::Ready(Err(self.refused()));
                }
                Waiting::Granted => self.take_grant(core),
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
                Attempt::Misgranted => {
                    // The name has moved between cores: give back what was meant for the other place.
                    self.cancel(core);
                    return self.poll(core, from, polling);
                }
            }
        }
        Poll::Pending
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
        self.wait = Some(Box::new(Wait {
            lack,
            waiter,
            credit_of,
        }));
    }

    /// Gives up: leaves the queue, and gives back what was granted.
    pub(crate) fn cancel(&mut self, core: &Rc<Core>) {
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

    pub(crate) fn reply_at(&self) -> Handle {
        self.out.reply
    }
}
