//! The future that sends a received message on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Polling, Poll};

use ringpost_mailbox::cell::Boxed;
use ringpost_router::{Body, Handle, Message, Route};

use crate::context::Context;
use crate::context::send::Sending;
use crate::core::deliver::Outgoing;
use crate::core::unanswered::Obligation;
use crate::envelope::{ReplyTo, Routes};
use crate::error::Result;

/// Sends a received message on; made by [`Context::forward`] and [`Context::relay`].
///
/// # Cancellation
/// As for [`SendMessage`](crate::SendMessage); if the message is a request, its requester is told.
#[must_use = "nothing is sent until this is awaited"]
pub struct Forward<'a> {
    ctx: &'a Context,
    sending: Sending,
    /// If the message is a request, until it has been sent.
    obligation: Option<Obligation>,
    /// Where the answer is waited for that the sender is noted to expect, until the message has been sent.
    expects: Option<ReplyTo>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(ctx: &'a Context, out: Outgoing) -> Self {
        let sending = Sending::of(out);
        Self {
            ctx,
            sending,
            obligation: None,
            expects: None,
        }
    }

    /// Notes that the answer is to come by the sender. From now on: it may be there before this is polled again.
    pub(crate) fn expecting_answer(mut self, place: ReplyTo) -> Self {
        self.ctx.core.expect_answer(&self.ctx.mailbox, place);
        self.expects = Some(place);
        self
    }

    /// Sends a message that was received along these routes.
    pub(crate) fn along<M: Message>(
        ctx: &'a Context,
        (routes, message, obligation): (Boxed<Routes>, M, Option<Obligation>),
    ) -> Self {
        let mut out = Outgoing::with_body(Route::new(), message.into_body());
        if let Some(body) = out.body.take() {
            ctx.core.wrap_with(routes, body, &mut out);
        }
        let mut forward = Self::new(ctx, out);
        forward.obligation = obligation;
        forward
    }

    /// What it holds, if it is not sent: it will not be.
    pub(crate) fn take_payload(&mut self) -> Option<Body> {
        self.sending.take_payload()
    }

    /// The message has been sent, or could not be.
    fn conclude(&mut self, result: &Result<()>) {
        if result.is_ok() {
            self.expects = None;
        }
        match (self.obligation.take(), result) {
            (Some(obligation), Ok(())) => obligation.pass_on(),
            (Some(obligation), Err(error)) => {
                obligation.fail(&self.ctx.core, error.kind().clone());
            }
            (None, _) => {}
        }
    }
}

impl Future for Forward<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<()>> {
        let ctx = self.ctx;
        let poll = self.sending.poll(ctx, Handle::NONE, polling);
        if let Poll::Ready(result) = &poll {
            self.conclude(result);
        }
        poll
    }
}

impl Drop for Forward<'_> {
    fn drop(&mut self) {
        self.sending.cancel(&self.ctx.core);
        if let Some(place) = self.expects {
            self.ctx.core.take_expected(&self.ctx.mailbox, place);
        }
    }
}

impl fmt::Debug for Forward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("route", &self.sending.route())
            .finish_non_exhaustive()
    }
}
