//! What comes over a connection, on its way to the workers of this node.
//!
//! A message whose receiver has no room waits here, and others pass it: those for other receivers, and
//! replies, which never wait. What is for one receiver waits in a line, so that it stays in order whatever
//! room is granted when. Several get some at a time, so their replies leave in one write.

mod lines;
mod notes;
mod reports;
mod room;
mod way;

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Context as Polling;

use ringpost_mailbox::buf::Buf;
use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::sync::Arc;
use ringpost_router::wire::Incoming;
use ringpost_router::{Address, Encoded, Handle, Message, Route};

use crate::context::Context;
use crate::context::send::Blocked;
use crate::core::deliver::{Attempt, Outgoing};
use crate::envelope::{Detour, Origin, ReplyTo, Routes};
use crate::error::Reason;
use crate::held::Account;
use crate::transport::connection::Connection;
use crate::transport::credits::Grants;
use crate::transport::end::End;

use self::lines::Line;
use self::way::Way;

/// What a message is called of which only the bytes are known.
pub(super) const ENCODED: &str = "message between nodes";

/// The receiving side of a connection, behind its frames.
pub(super) struct Arrivals<'a> {
    ctx: &'a Context,
    connection: Rc<Connection>,
    way: Way,
    /// Messages that wait for room at their receivers, in a line for each.
    lines: Vec<Line>,
    /// How many messages wait, and how many bytes their payloads have.
    waiting: usize,
    waiting_bytes: usize,
    /// How many of them took no credit, as their receivers' names are like those of replies.
    uncredited: u32,
    /// Frames without a message since the last message.
    heartbeats: u32,
    /// What a peer of this make may send.
    grants: Grants,
    /// The bytes of messages that are not handled yet, once there were long ones.
    account: Option<Arc<Account>>,
}

impl<'a> Arrivals<'a> {
    pub(super) fn new(ctx: &'a Context, connection: Rc<Connection>) -> Self {
        let now = ctx.core.now.get();
        let grants = Grants::new(connection.terms.limits.peer_credits, now);
        Self {
            ctx,
            connection,
            way: Way::none(ctx.core.id),
            lines: Vec::new(),
            waiting: 0,
            waiting_bytes: 0,
            uncredited: 0,
            heartbeats: 0,
            grants,
            account: None,
        }
    }

    /// Whether no message waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes what has come in one frame. Fails if the connection is to end for it.
    pub(super) fn deliver(
        &mut self,
        incoming: Incoming,
        polling: &mut Polling<'_>,
    ) -> Result<(), End> {
        self.way
            .follow(&incoming, &self.connection, &self.ctx.mailbox);
        self.deliver_alike(incoming.payload, polling).map(|_| ())
    }

    /// Takes what has come in a frame that goes the way of the one before. Whether as much may come as could before:
    /// nothing waits for it, it counts for nothing, and the peer keeps to what it may send.
    pub(super) fn deliver_alike(
        &mut self,
        payload: Buf,
        polling: &mut Polling<'_>,
    ) -> Result<bool, End> {
        if self.way.onward.is_empty() {
            return self.take_note(&payload).map(|()| false);
        }
        self.heartbeats = 0;
        let is_counted = self.way.is_counted;
        if is_counted {
            self.grants.note_taken();
        }
        if is_planted(Canary::DoubleDelivery)
            && self.way.is_plain
            && self.ctx.core.random().is_multiple_of(16)
        {
            self.place(Buf::from(&payload[..]), polling);
        }
        if self.connection.terms.datagrams.is_some() && self.is_spent() {
            self.shed(self.way.onward.first().map(|hop| hop.address.clone()));
            return Ok(false);
        }
        let has_room = self.place(payload, polling);
        match (has_room, is_counted) {
            (true, true) => self.grants.note_settled(),
            (false, false) => self.note_uncredited()?,
            _ => {}
        }
        let is_overdrawn = || self.connection.has_notes.get() && self.grants.is_overdrawn();
        Ok(has_room && self.way.is_plain && self.account.is_none() && !is_overdrawn())
    }

    /// Brings a message to its receiver, if that can take it now. False if it waits.
    fn place(&mut self, payload: Buf, polling: &mut Polling<'_>) -> bool {
        if self.way.is_plain
            && self.lines.is_empty()
            && let Some(first) = self.way.onward.first()
            && let Some(to) = self.ctx.core.receiver_at(first)
        {
            let hold = self.hold(payload.len(), polling);
            let ways = (&self.way.onward, &self.way.back);
            let body = Detour::along(self.way.kin, ways, hold, Encoded(payload).into_body());
            let from = &self.ctx.mailbox;
            self.ctx
                .core
                .enqueue(to, from, Handle::NONE, Origin::DETOUR, body);
            self.expect_reply(None);
            return true;
        }
        self.place_further(payload, polling)
    }

    /// What cannot simply be put into the queue of its receiver.
    fn place_further(&mut self, payload: Buf, polling: &mut Polling<'_>) -> bool {
        let core = &self.ctx.core;
        let mut onward = self.way.onward.clone();
        let known = onward
            .first()
            .and_then(|first| self.connection.route_of(&first.address));
        if let Some(route) = &known {
            onward.pop_front();
            if onward.is_empty()
                && let Some(reply) = reply_place(route)
            {
                core.tally().replies.add(1);
                core.answer(reply, Ok(Encoded(payload).into_body()));
                return true;
            }
        }
        if let Some(denied) = self.connection.terms.denied(&onward) {
            self.deny(denied.clone());
            return true;
        }
        let onward = known.unwrap_or_default().append_route(onward);
        self.send_on(onward, payload, polling)
    }

    fn send_on(&mut self, onward: Route, payload: Buf, polling: &mut Polling<'_>) -> bool {
        let core = &self.ctx.core;
        let bytes = payload.len();
        let mut out = Outgoing::along(Route::new());
        let mut routes = Routes::new(onward, self.way.back.clone());
        routes.hold = self.hold(bytes, polling);
        core.wrap_with(routes, Encoded(payload).into_body(), &mut out);
        let to = out.route.first().map(|hop| hop.address.clone());
        let line = self
            .lines
            .iter()
            .position(|line| Some(&line.to) == to.as_ref());
        let last = line.and_then(|at| self.lines.get(at)?.messages.back());
        let is_shed = self.connection.terms.datagrams.is_some() && self.is_full();
        let blocked = match last.map(|(last, _)| last.local_lack()) {
            Some(_) if is_shed => return self.shed(to),
            // What those in front lack is lacking here too.
            Some(Some(lack)) => self.blocked(out, Attempt::Blocked(lack), polling),
            // What leads to another core waits for several things in turn. Were this granted room there, it would
            // keep it from those in front; and it might find what those still wait for.
            Some(None) => Blocked::new(out),
            None => match core.attempt(&self.ctx.mailbox, &mut out) {
                Attempt::Failed(error) => {
                    self.lost(&error, self.way.sender.clone());
                    return true;
                }
                Attempt::Sent => {
                    self.expect_reply(to.as_ref());
                    return true;
                }
                _ if is_shed => return self.shed(to),
                attempt => self.blocked(out, attempt, polling),
            },
        };
        self.expect_reply(to.as_ref());
        let waiting = (blocked, self.way.waiting(bytes));
        match line.and_then(|at| self.lines.get_mut(at)) {
            Some(line) => line.messages.push_back(waiting),
            None => self.lines.push(Line {
                to: to.unwrap_or_else(|| self.connection.name.clone()),
                messages: VecDeque::from([waiting]),
                ends: Vec::new(),
            }),
        }
        self.waiting = self.waiting.saturating_add(1);
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        false
    }

    /// Notes that the connection will take what comes back for a message, for which it then has room: a reply to a request,
    /// or an answer of this worker, if it is not the one that is known by the way.
    #[inline]
    fn expect_reply(&self, to: Option<&Address>) {
        if let Some(cover) = &self.way.cover {
            cover.add(self.connection.terms.limits.queued_frames_max);
        } else if let Some(to) = to
            && self.way.wants_cover(&self.connection)
        {
            let most = self.connection.terms.limits.queued_frames_max;
            self.connection.covers.of(to).add(most);
        }
        if let Some(place) = self.way.asks {
            self.ctx.core.expect_answer(&self.ctx.mailbox, place);
        }
    }
}

impl Drop for Arrivals<'_> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines).into_iter();
        for (mut message, _) in lines.flat_map(|line| line.messages) {
            message.cancel(&self.ctx.core);
            let to = message.route().last().unwrap_or(&self.connection.name);
            self.report_arrived(to.clone(), Reason::Disconnected);
        }
    }
}

/// Where somebody waits for a reply, if that is all that the route leads to.
fn reply_place(route: &Route) -> Option<ReplyTo> {
    ReplyTo::from_hint(route.only()?.hint()?)
}
