//! Sending in the urgent lane.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Body, Message, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::urgent::Hurry;
use crate::error::Result;
use crate::mailbox::{Waiter, Waiting};
use crate::task::raw::MailboxRc;

impl Context {
    /// Sends a message that passes those which wait at its receiver.
    ///
    /// It needs none of the room that other messages wait for. Of urgent ones,
    /// [`Limits::urgent_credits`](crate::Limits::urgent_credits) from one core may wait at one worker; beyond
    /// that the sender waits. Urgent messages stay in order among themselves. They hold up the others no more
    /// than the limits say: see [`Limits::worker_burst`](crate::Limits::worker_burst).
    ///
    /// Urgent is the way to the first hop of the route. A worker that passes the message on, one that stands at
    /// the home of a name that lives elsewhere, and a connection to another node send it like any other.
    ///
    /// ```
    /// # use ringpost::{Context, Result, Routed, Worker};
    /// # use std::time::Duration;
    /// struct Slow;
    ///
    /// impl Worker for Slow {
    ///     type Message = String;
    ///     type Context = Context;
    ///
    ///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
    ///         ctx.sleep(Duration::from_millis(1)).await;
    ///         ctx.send_message(msg.reply(), msg.take()).await
    ///     }
    /// }
    /// # fn main() -> Result<()> {
    /// # ringpost::Node::builder().cores(1).run(async |mut ctx: Context| {
    /// ctx.start_worker("slow", Slow).await?;
    /// for number in 0..3 {
    ///     ctx.send_message("slow", number.to_string()).await?;
    /// }
    /// ctx.send_urgent("slow", "stop".to_owned()).await?;
    /// let first = ctx.receive::<String>().await?;
    /// assert_eq!(*first, "stop");
    /// # ctx.stop_now().await
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message).
    ///
    /// # Cancellation
    /// Dropped before it is done, the message is not sent.
    pub async fn send_urgent(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        let out = Outgoing::with_body(route.into(), self.core.body_of(message)?);
        let mut pressing = Pressing::new(&self.core, out);
        poll_fn(|polling| pressing.poll(&self.mailbox, polling)).await
    }

    /// As [`send_urgent`](Self::send_urgent), if there is room for it now.
    ///
    /// # Errors
    /// As [`try_send_message`](Self::try_send_message).
    pub fn try_send_urgent(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        let mut out = Outgoing::with_body(route.into(), self.core.body_of(message)?);
        match self.core.attempt_urgent(&self.mailbox, &mut out, None) {
            Hurry::Done(Attempt::Sent) => Ok(()),
            Hurry::Done(Attempt::Failed(error)) => Err(error),
            Hurry::Done(Attempt::Blocked(_) | Attempt::Misgranted)
            | Hurry::Full(_)
            | Hurry::FullOf(_) => Err(self.full(out)),
        }
    }
}

/// An urgent message that is being sent. Dropped before that is done, it is not sent.
pub(crate) struct Pressing {
    core: Rc<Core>,
    out: Outgoing,
    /// Waits for a credit of this lane.
    place: Option<(u32, Rc<Waiter>)>,
}

impl Pressing {
    pub(crate) fn new(core: &Rc<Core>, out: Outgoing) -> Self {
        let core = Rc::clone(core);
        let place = None;
        Self { core, out, place }
    }

    /// The message, which was not sent.
    pub(crate) fn take_payload(&mut self) -> Option<Body> {
        self.out.take_payload()
    }

    pub(crate) fn poll(&mut self, from: &MailboxRc, polling: &Polling<'_>) -> Poll<Result<()>> {
        let core = Rc::clone(&self.core);
        if let Some((_, waiter)) = &self.place
            && waiter.state.get() == Waiting::Queued
        {
            waiter.wake.replace(core.tasks.register(polling));
            core.note_behalf(from, waiter);
            return Poll::Pending;
        }
        let held = self.place.take().map(|(lane, _)| lane);
        match core.attempt_urgent(from, &mut self.out, held) {
            Hurry::Done(Attempt::Sent) => Poll::Ready(Ok(())),
            Hurry::Done(Attempt::Failed(error)) => Poll::Ready(Err(error)),
            Hurry::Done(Attempt::Blocked(_) | Attempt::Misgranted) => {
                core.io.put_off(core.tasks.register(polling));
                Poll::Pending
            }
            Hurry::Full(lane) => {
                let waiter = core.wait_for_urgent(lane, from, core.tasks.register(polling));
                self.place = Some((lane, waiter));
                Poll::Pending
            }
            Hurry::FullOf(own) => Poll::Ready(Err(self.out.fail_own(&own))),
        }
    }
}

impl Drop for Pressing {
    fn drop(&mut self) {
        if let Some((lane, waiter)) = &self.place {
            self.core.stop_waiting_for_urgent(*lane, waiter);
        }
    }
}
