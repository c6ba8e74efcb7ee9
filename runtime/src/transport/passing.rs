//! Replies that pass the message at the head of a connection while that waits for a credit of the peer.
//!
//! Replies need no credit. Were they to wait behind messages that do, two nodes that send each other's
//! workers more than these take, while the workers wait for each other's replies, would wait for ever. They
//! get into the mailbox of the connection without a credit of that too ([`returning`](crate::core::returning)).

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

/// Sends the replies that come, until the peer gives a credit.
pub(super) struct Passing<'a> {
    ctx: &'a Context,
    connection: &'a Connection,
    /// How many of the messages that wait are none.
    seen: usize,
    waiter: Option<Rc<Waiter>>,
}

impl<'a> Passing<'a> {
    pub(super) fn new(ctx: &'a Context, connection: &'a Connection) -> Self {
        connection.await_credit();
        Self {
            ctx,
            connection,
            seen: 0,
            waiter: None,
        }
    }

    /// The next reply that waits in the connection's mailbox.
    fn next(&mut self) -> Option<Routed<Any>> {
        let mailbox = &self.ctx.mailbox;
        let found =
            mailbox.find_stashed(self.seen, |at, envelope| is_reply(envelope).then_some(at));
        let Some(at) = found else {
            self.seen = mailbox.stashed();
            return None;
        };
        self.seen = at;
        let envelope = mailbox.unstash(at)?;
        self.ctx.core.settle(mailbox, envelope.origin);
        self.ctx.core.tally().handled.add(1);
        let (head, body) = envelope.open(mailbox.clone());
        Any::from_body(body).ok().map(|any| Routed::new(any, head))
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

impl Future for Passing<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<()> {
        let connection = self.connection;
        while connection.has_room()
            && let Some(reply) = self.next()
        {
            connection.send(reply);
        }
        self.wait(polling);
        connection.poll_until(Connection::has_credit, polling)
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.connection.awaits_credit.set(false);
        if let Some(waiter) = &self.waiter {
            waiter.state.set(Waiting::Cancelled);
            self.ctx.mailbox.if_more(|more| trim(&mut more.receivers));
        }
    }
}
