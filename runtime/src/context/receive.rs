//! Taking messages from one's own mailbox, outside `handle_message` or inside it.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost_router::{Message, accepts};

use crate::context::Context;
use crate::context::sleep::Sleep;
use crate::error::{Error, ErrorKind, Result};
use crate::mailbox::{Mailbox, State, Waiter, Waiting, trim};
use crate::routed::Routed;

/// Waits for a message of one type; made by [`Context::receive`] and its relatives.
///
/// Messages of other types stay where they are, for their own receiver or handler.
///
/// # Cancellation
/// Dropping it takes nothing.
#[must_use = "nothing is received until this is awaited"]
pub struct Receive<'a, M, F = fn(&M) -> bool> {
    ctx: &'a Context,
    wanted: Option<F>,
    waiter: Option<Rc<Waiter>>,
    deadline: Option<(Sleep, Duration)>,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<'a, M: Message, F: FnMut(&M) -> bool + Unpin> Receive<'a, M, F> {
    pub(crate) fn new(ctx: &'a Context, wanted: Option<F>, timeout: Option<Duration>) -> Self {
        let deadline = timeout.map(|timeout| (ctx.sleep(timeout), timeout));
        Self {
            ctx,
            wanted,
            waiter: None,
            deadline,
            message: std::marker::PhantomData,
        }
    }

    /// Waits at most so long.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.deadline = Some((self.ctx.sleep(timeout), timeout));
        self
    }

    /// Takes the first waiting message that fits.
    fn take(&mut self) -> Option<Result<Routed<M>>> {
        let mailbox = &self.ctx.mailbox;
        let mut from = 0;
        loop {
            let at = position::<M>(mailbox, from)?;
            if self.is_unwanted(at) {
                from = at + 1;
                continue;
            }
            let envelope = mailbox.unstash(at)?;
            let origin = envelope.origin;
            let (head, body) = envelope.open(mailbox.clone());
            let message = match M::from_body(body) {
                Ok(message) => message,
                Err(mismatch) => {
                    self.ctx.core.settle(mailbox, &origin);
                    self.ctx.core.reject(head, mismatch);
                    continue;
                }
            };
            let wanted = self.is_wanted(&message);
            let routed = Routed::new(message, head);
            if matches!(wanted, Ok(true)) {
                self.ctx.core.settle(mailbox, &origin);
                self.ctx.core.tally().handled.add(1);
                routed.head.mark_received();
                mailbox.if_more(|more| more.put_back = false);
                return Some(Ok(routed));
            }
            // It was decoded to be looked at; its credit stays with it.
            let envelope = routed.into_envelope().with_credit_of(origin);
            mailbox.stash_again(at, envelope);
            if let Err(panic) = wanted {
                resume_unwind(panic);
            }
            from = at + 1;
        }
    }

    /// What the predicate says, or its panic: the message goes back before that goes on.
    fn is_wanted(&mut self, message: &M) -> std::thread::Result<bool> {
        match &mut self.wanted {
            None => Ok(true),
            Some(wanted) => catch_unwind(AssertUnwindSafe(|| wanted(message))),
        }
    }

    /// Whether the message at this position can be seen to be unwanted without taking it out.
    fn is_unwanted(&mut self, at: usize) -> bool {
        let Some(wanted) = &mut self.wanted else {
            return false;
        };
        let seen = self.ctx.mailbox.find_stashed(at, |_, envelope| {
            Some(envelope.payload().peek::<M>().map(&mut *wanted))
        });
        seen.flatten() == Some(false)
    }
}

/// Where the first message from `from` on is that could be an `M`.
fn position<M: Message>(mailbox: &Mailbox, from: usize) -> Option<usize> {
    mailbox.find_stashed(from, |at, envelope| {
        accepts::<M>(envelope.payload()).then_some(at)
    })
}

impl<M: Message, F: FnMut(&M) -> bool + Unpin> Future for Receive<'_, M, F> {
    type Output = Result<Routed<M>>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.take() {
            return Poll::Ready(result);
        }
        let core = Rc::clone(&self.ctx.core);
        if self.ctx.mailbox.state.get() == State::Closed || core.has_finished() {
            return Poll::Ready(Err(Error::new(ErrorKind::Stopping)));
        }
        if let Some((sleep, timeout)) = &mut self.deadline
            && Pin::new(sleep).poll(polling).is_ready()
        {
            let waiting_for = format!("a message of type {}", std::any::type_name::<M>());
            let after = *timeout;
            return Poll::Ready(Err(Error::new(ErrorKind::Timeout { waiting_for, after })));
        }
        let wake = core.tasks.register(polling);
        match &self.waiter {
            Some(waiter) if waiter.state.get() == Waiting::Queued => {
                waiter.wake.replace(wake);
            }
            _ => {
                let waiter = Waiter::new(wake);
                let queued = Rc::clone(&waiter);
                self.ctx
                    .mailbox
                    .with_more(|more| more.receivers.push_back(queued));
                self.waiter = Some(waiter);
            }
        }
        Poll::Pending
    }
}

impl<M, F> Drop for Receive<'_, M, F> {
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            waiter.state.set(Waiting::Cancelled);
            self.ctx.mailbox.if_more(|more| trim(&mut more.receivers));
        }
    }
}

impl<M, F> fmt::Debug for Receive<'_, M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receive")
            .field("at", &self.ctx.mailbox.address)
            .field("message", &std::any::type_name::<M>())
            .finish_non_exhaustive()
    }
}
