//! What passes the message at the head of a connection while that waits for a credit of the peer, or for room.
//!
//! Replies need no credit. Were they to wait behind messages that do, two nodes that send each other's
//! workers more than these take, while the workers wait for each other's replies, would wait for ever. They
//! get into the mailbox of the connection without a credit of that too ([`returning`](crate::core::returning)). So it is
//! with messages that are [covered](super::covers), which go on or wait elsewhere, so that the mailbox has room for
//! the next. What one worker sends back keeps its order: while a message of its is not covered, no later one is.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Aliases, Any, Message};

use crate::context::Context;
use crate::envelope::Envelope;
use crate::mailbox::{Waiter, Waiting, trim};
use crate::routed::Routed;
use crate::transport::connection::Connection;
use crate::transport::covers::leads_back;
use crate::transport::watches::EndedHere;

/// Sends what need not wait behind the message at the head of a connection, until that can go on.
pub(super) struct Passing<'a, F> {
    ctx: &'a Context,
    connection: &'a Connection,
    done: F,
    /// Before which of the messages that wait there is no reply, and none that may be covered.
    replies_at: usize,
    covered_at: usize,
    waiter: Option<Rc<Waiter>>,
}

impl<'a, F: Fn(&Connection) -> bool> Passing<'a, F> {
    pub(super) fn until(done: F, ctx: &'a Context, connection: &'a Connection) -> Self {
        Self {
            ctx,
            connection,
            done,
            replies_at: 0,
            covered_at: 0,
            waiter: None,
        }
    }

    /// Sends the next reply that waits in the connection's mailbox. Whether there was one.
    fn pass_reply(&mut self) -> bool {
        let mailbox = &self.ctx.mailbox;
        let found = mailbox.find_stashed(self.replies_at, |at, envelope| {
            is_reply(envelope).then_some(at)
        });
        self.replies_at = found.unwrap_or_else(|| mailbox.stashed());
        found.is_some_and(|at| {
            self.covered_at -= usize::from(at < self.covered_at);
            self.send(at);
            true
        })
    }

    /// Sends the next message that waits there and is covered, or has it wait elsewhere. Whether there was one. One that
    /// is not covered is looked at again, as it may be when its sender has been sent more.
    fn pass_covered(&mut self) -> bool {
        let (mailbox, connection) = (&self.ctx.mailbox, self.connection);
        let mut uncovered = None;
        let found = mailbox.find_stashed(self.covered_at, |at, envelope| {
            if !goes_back(envelope) {
                return None;
            }
            let cover = connection.cover_left(&envelope.sender.from.address);
            if cover.is_none() {
                uncovered.get_or_insert(at);
            }
            cover.map(|_| at)
        });
        let next = found.unwrap_or_else(|| mailbox.stashed());
        self.covered_at = uncovered.unwrap_or(next);
        found.is_some_and(|at| {
            self.replies_at -= usize::from(at < self.replies_at);
            self.send(at);
            true
        })
    }

    /// Takes out the news that the peer does not want any more, once there is much of it.
    fn drop_unwanted(&mut self) {
        let (mailbox, connection) = (&self.ctx.mailbox, self.connection);
        if !connection.has_much_unwanted() {
            return;
        }
        let mut from = 0;
        while let Some(at) = mailbox.find_stashed(from, |at, envelope| {
            let ended = envelope.body.peek::<EndedHere>()?;
            connection.is_unwanted(ended).then_some(at)
        }) {
            self.replies_at -= usize::from(at < self.replies_at);
            self.covered_at -= usize::from(at < self.covered_at);
            self.send(at);
            from = at;
        }
    }

    fn send(&self, at: usize) {
        let mailbox = &self.ctx.mailbox;
        let Some(envelope) = mailbox.unstash(at) else {
            return;
        };
        self.ctx.core.settle(mailbox, &envelope.origin);
        self.ctx.core.tally().handled.add(1);
        let (head, body) = envelope.open(mailbox.clone());
        let any = Any::from_body(body).ok();
        let message = any.map(|any| Routed::new(any, head));
        if let Some(reply) = message.and_then(|message| self.connection.send_covered(message)) {
            self.connection.send(reply);
        }
    }

    /// Has the task woken when a message comes.
    fn wait(&mut self, polling: &Polling<'_>) {
        let wake = self.ctx.core.tasks.register(polling);
        match &self.waiter {
            Some(waiter) if waiter.state.get() == Waiting::Queued => {
                waiter.wake.replace(wake);
            }
            _ => {
                let waiter = Waiter::new(wake);
                let queued = Rc::clone(&waiter);
                let mailbox = &self.ctx.mailbox;
                mailbox.with_more(|more| more.receivers.push_back(queued));
                self.waiter = Some(waiter);
            }
        }
    }
}

fn is_reply(envelope: &Envelope) -> bool {
    let next = envelope
        .routes()
        .and_then(|routes| routes.onward.iter().nth(1));
    next.is_some_and(Aliases::is_once)
}

fn goes_back(envelope: &Envelope) -> bool {
    envelope
        .routes()
        .is_some_and(|routes| leads_back(&routes.onward))
}

impl<F: Fn(&Connection) -> bool + Unpin> Future for Passing<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<()> {
        let connection = self.connection;
        if (self.done)(connection) {
            return Poll::Ready(());
        }
        self.drop_unwanted();
        while connection.takes_messages() && connection.has_room() && self.pass_reply() {}
        while self.pass_covered() {}
        self.wait(polling);
        connection.poll_until(&self.done, polling)
    }
}

impl<F> Drop for Passing<'_, F> {
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            waiter.state.set(Waiting::Cancelled);
            self.ctx.mailbox.if_more(|more| trim(&mut more.receivers));
        }
    }
}
