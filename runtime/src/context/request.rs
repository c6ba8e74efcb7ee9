//! Asking, and waiting for the answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;

use ringpost_router::{Body, Handle, Message, Unpack};

use crate::context::Context;
use crate::context::send::Sending;
use crate::error::{Error, ErrorKind, Result};

/// How long a request waits when nothing else is said.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a message and waits for its reply; made by [`Context::request`].
///
/// # Errors
/// What sending fails with; [`ErrorKind::Timeout`] when the deadline passes, which counts from the
/// first poll and includes waiting for room; [`ErrorKind::NotFound`] or [`ErrorKind::Dropped`] when
/// the receiver is gone; [`ErrorKind::WrongType`] when the receiver does not take the message or the
/// reply is not an `R`.
///
/// # Cancellation
/// Dropping it gives the reply's place up; a reply that comes later is counted as late.
#[must_use = "nothing is sent until this is awaited"]
pub struct Request<'a, R> {
    ctx: &'a Context,
    sending: Sending,
    state: State,
    timeout: Option<Duration>,
    reply: PhantomData<fn() -> R>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Sending(Handle),
    Waiting(Handle),
    Done,
}

impl<'a, R: Message> Request<'a, R> {
    pub(crate) fn new(ctx: &'a Context, sending: Sending) -> Self {
        Self {
            ctx,
            sending,
            state: State::Fresh,
            timeout: Some(REQUEST_TIMEOUT),
            reply: PhantomData,
        }
    }

    /// Waits at most so long.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits as long as it takes.
    pub fn without_deadline(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Reserves the place of the reply.
    fn reserve(&self) -> Handle {
        let core = &self.ctx.core;
        let now = core.now.get();
        let deadline = self
            .timeout
            .map(|timeout| (now.saturating_add(timeout), timeout));
        core.replies.reserve(self.sending.route(), deadline)
    }
}

impl<R> Request<'_, R> {
    fn give_up(&mut self) {
        let core = &self.ctx.core;
        match std::mem::replace(&mut self.state, State::Done) {
            State::Fresh | State::Done => {}
            State::Sending(place) | State::Waiting(place) => {
                self.sending.cancel(core);
                core.replies.cancel(core, place);
            }
        }
    }
}

impl<R: Message> Future for Request<'_, R> {
    type Output = Result<R>;

    #[inline]
    fn poll(self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<R>> {
        let this = self.get_mut();
        let ctx = this.ctx;
        if this.state == State::Fresh {
            this.state = State::Sending(this.reserve());
        }
        if let State::Sending(place) = this.state {
            match this.sending.poll(ctx, place, polling) {
                Poll::Ready(Ok(())) => this.state = State::Waiting(place),
                Poll::Ready(Err(error)) => {
                    this.give_up();
                    return Poll::Ready(Err(error));
                }
                // The deadline runs while the message waits for room.
                Poll::Pending => {
                    let answer = ready!(ctx.poll_place(place, polling));
                    this.give_up();
                    return Poll::Ready(answer.and_then(|body| read(ctx, body)));
                }
            }
        }
        let State::Waiting(handle) = this.state else {
            return Poll::Ready(Err(Error::new(ErrorKind::Stopping)));
        };
        let answer = ready!(ctx.poll_place(handle, polling));
        this.state = State::Done;
        Poll::Ready(answer.and_then(|body| read(ctx, body)))
    }
}

/// The reply as the type that was asked for.
fn read<R: Message>(ctx: &Context, body: Body) -> Result<R> {
    R::from_body(body).map_err(|mismatch| match mismatch {
        Unpack::WrongType {
            expected, found, ..
        } => {
            let address = ctx.address();
            Error::new(ErrorKind::WrongType {
                address,
                expected,
                found,
            })
        }
        Unpack::Codec(cause) => Error::from(cause),
    })
}

impl<R> Drop for Request<'_, R> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<R> fmt::Debug for Request<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("route", &self.sending.route())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
