//! What comes over a connection, on its way to the workers of this node.
//!
//! A message whose receiver has no room waits here, and others pass it: those for other receivers, and
//! replies, which never wait. What is for one receiver waits in a line, so that it stays in order whatever
//! room is granted when. Several get some at a time, so their replies leave in one write.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost_mailbox::buf::Buf;
use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::sync::Arc;
use ringpost_router::wire::{Ending, Incoming, Note, Refusal};
use ringpost_router::{Address, Aliases, Encoded, Handle, Hop, Message, Route};

use crate::context::Context;
use crate::context::send::Blocked;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::kept::Kin;
use crate::core::returning::place_of_name;
use crate::core::watches::Watcher;
use crate::envelope::{Detour, Origin, ReplyTo, Routes};
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::held::{Account, Hold};
use crate::task::raw::MailboxRc;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::covers::Cover;
use crate::transport::credits::Grants;
use crate::transport::end::End;
use crate::transport::watches::reason_of;

/// What a message is called of which only the bytes are known.
pub(super) const ENCODED: &str = "message between nodes";

/// Messages of fewer bytes, with their routes, hold nothing: what limits them is the number that a mailbox takes.
const HELD_BYTES_MIN: usize = 2048;

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

/// Messages for one receiver, in the order in which they came. Each has its place among those who send to it, so
/// that several get what they lack in one turn; but none is sent before those in front of it.
struct Line {
    to: Address,
    messages: VecDeque<(Blocked, Waiting)>,
    /// Ends that were told behind these messages.
    ends: Vec<Told>,
}

/// News of the end of a worker of the peer, for who watches it.
struct Told {
    watcher: Watcher,
    ending: Ending,
    /// How many messages of the line are to be sent before.
    behind: usize,
}

/// What is to be known of a message that waits.
struct Waiting {
    bytes: usize,
    is_counted: bool,
    asks: Option<ReplyTo>,
    sender: Option<Address>,
}

/// The way of the message that came last, which is that of the next one too, as a rule.
struct Way {
    /// Whose routes its messages have.
    kin: Kin,
    onward: Route,
    /// The way back, this connection in front.
    back: Route,
    /// Whom the peer is told of if nobody takes the message.
    sender: Option<Address>,
    /// Whether the onward route is an exposed worker, now and for good.
    is_plain: bool,
    /// Whether its messages take credits.
    is_counted: bool,
    /// Of the receiver, if that is one exposed worker and may send back what is no reply to a request.
    cover: Option<Rc<Cover>>,
    /// If they are requests, what stands for the place where the reply is waited for.
    asks: Option<ReplyTo>,
    /// What both routes take.
    bytes: usize,
}

impl Way {
    /// None that leads anywhere.
    fn none(core: u16) -> Self {
        Self {
            kin: Kin::new(core),
            onward: Route::new(),
            back: Route::new(),
            sender: None,
            is_plain: false,
            is_counted: false,
            cover: None,
            asks: None,
            bytes: 0,
        }
    }

    /// What is to be known of a message of this way that waits.
    fn waiting(&self, bytes: usize) -> Waiting {
        Waiting {
            bytes,
            is_counted: self.is_counted,
            asks: self.asks,
            sender: self.sender.clone(),
        }
    }

    /// Whether what comes back for a message of this way is to wait for nothing. Replies to requests never do, and what
    /// is sent as datagrams is not made to wait by the peer.
    fn wants_cover(&self, connection: &Connection) -> bool {
        self.sender.is_some() && self.asks.is_none() && connection.terms.datagrams.is_none()
    }

    #[inline]
    fn follow(&mut self, incoming: &Incoming, connection: &Connection, carrier: &MailboxRc) {
        if incoming.onward.is_some() || incoming.return_route.is_some() {
            self.change(incoming, connection, carrier);
        }
    }

    fn change(&mut self, incoming: &Incoming, connection: &Connection, carrier: &MailboxRc) {
        self.kin.turn();
        if let Some(onward) = &incoming.onward {
            self.onward.clone_from(onward);
        }
        if let Some(back) = &incoming.return_route {
            let asker = back.only();
            self.asks = asker.and_then(|hop| place_of_name(&hop.address));
            self.sender = back.first().map(|hop| hop.address.clone());
            self.back.clone_from(back);
            self.back.push_front(carrier.hop());
        }
        let exposed = |hop: &Hop| connection.terms.always_exposes(&hop.address);
        let first = self.onward.first();
        self.is_counted = first.is_some_and(|hop| !Aliases::is_once(&hop.address));
        self.is_plain = self.onward.only().is_some_and(exposed) && self.back.check().is_ok();
        let covers = &connection.covers;
        let covered = first.filter(|_| self.is_plain && self.wants_cover(connection));
        self.cover = covered.map(|hop| covers.of(&hop.address));
        let back = self.back.memory_bytes();
        self.bytes = self.onward.memory_bytes().saturating_add(back);
    }
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

    /// Whether so much waits that no more is to be taken from the connection.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let limits = &self.connection.terms.limits;
        let too_many = match self.has_credits() {
            // The credits that are waited for may lie behind what the peer sent before it was greeted.
            true if self.connection.awaits_credits() => {
                self.waiting + self.connection.covers.len() >= limits.queued_frames_max
            }
            true => self.grants.is_overdrawn(),
            false => self.waiting >= limits.waiting_frames_max,
        };
        too_many
            || self.waiting_bytes >= limits.waiting_bytes_max
            || self.is_spent()
            || self.connection.asks_much()
    }

    /// Whether what is not handled yet, wherever it is, is all that the peer may have here.
    fn is_spent(&self) -> bool {
        let account = self.account.as_ref();
        account.is_some_and(|account| account.is_spent())
    }

    /// Whether half of that is.
    fn is_half_spent(&self) -> bool {
        let account = self.account.as_ref();
        account.is_some_and(|account| account.is_half_spent())
    }

    /// How long a peer gets no credits for what is not handled: not so long that it takes this side for dead.
    fn patience(&self) -> Duration {
        self.connection.terms.limits.stall / 4
    }

    /// What a message counts for until it is handled.
    #[inline]
    fn hold(&mut self, payload: usize, polling: &Polling<'_>) -> Option<Hold> {
        let bytes = payload.saturating_add(self.way.bytes);
        (bytes >= HELD_BYTES_MIN).then(|| self.hold_bytes(bytes, polling))
    }

    fn hold_bytes(&mut self, bytes: usize, polling: &Polling<'_>) -> Hold {
        let most = self.connection.terms.limits.unhandled_bytes_max;
        let open = || Account::new(most, polling.waker().clone());
        Hold::new(self.account.get_or_insert_with(open), bytes)
    }

    /// Whether the peer keeps to the credits that it is given.
    fn has_credits(&self) -> bool {
        self.connection.has_notes.get() && self.connection.terms.limits.peer_credits > 0
    }

    /// Gives the peer credits for what has found room, unless it does not take what is sent to it.
    pub(super) fn return_credits(&mut self) {
        if !self.has_credits() || self.connection.is_half_full() {
            return;
        }
        let now = self.ctx.core.now.get();
        let most = self.credits_due(now);
        if let Some(frames) = self.grants.take_settled(now, most) {
            self.connection.tell(&Note::Credit { frames });
        }
    }

    /// How many credits the peer may have now, if so many of its messages have found room. While answers wait for it, it
    /// is to send nothing that has more of them made, but those of its own that were sent beyond its window are made up for:
    /// they wait for nobody here, and else two nodes with answers for each other would both wait.
    fn credits_due(&self, now: Time) -> u32 {
        let is_late = || self.grants.are_late(now, self.patience());
        match self.connection.covers.len() {
            0 if self.is_half_spent() && !is_late() => 0,
            0 => u32::MAX,
            waiting if waiting >= self.connection.terms.limits.queued_frames_max => 0,
            _ => self.grants.beyond().max(u32::from(is_late())),
        }
    }

    /// Sends on what waited and has room now.
    pub(super) fn poll_waiting(&mut self, polling: &mut Polling<'_>) {
        if self.lines.is_empty() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain_mut(|line| self.go_on(line, polling));
        if !lines.is_empty() {
            self.lines = lines;
        }
    }

    /// Sends what can be sent of a line. Whether any is left.
    fn go_on(&mut self, line: &mut Line, polling: &mut Polling<'_>) -> bool {
        while let Some((first, note)) = line.messages.front_mut() {
            if first.is_queued() {
                return true;
            }
            let core = &self.ctx.core;
            let Poll::Ready(sent) = first.poll(core, &self.ctx.mailbox, polling) else {
                return true;
            };
            self.conclude(note, sent);
            line.messages.pop_front();
            self.tell_ends(line);
        }
        false
    }

    /// A message of a line was sent: tells of the ends that came behind it.
    fn tell_ends(&self, line: &mut Line) {
        line.ends.retain_mut(|told| {
            told.behind -= 1;
            if told.behind == 0 {
                self.tell_of_end(told.watcher, told.ending);
            }
            told.behind > 0
        });
    }

    fn tell_of_end(&self, watcher: Watcher, ending: Ending) {
        let ctx = self.ctx;
        ctx.core
            .tell_from_afar(&ctx.mailbox, watcher, reason_of(ending));
    }

    /// A worker of the peer has ended that somebody here watches. What it has sent to them may wait for room.
    fn has_ended(&mut self, watcher: Watcher, to: &Address, ending: Ending) {
        let line = self.lines.iter_mut().find(|line| line.to == *to);
        match line.filter(|line| !line.messages.is_empty()) {
            Some(line) => line.ends.push(Told {
                watcher,
                ending,
                behind: line.messages.len(),
            }),
            None => self.tell_of_end(watcher, ending),
        }
    }

    /// A message that could not be sent yet waits for what it lacks.
    fn blocked(&self, out: Outgoing, attempt: Attempt, polling: &Polling<'_>) -> Blocked {
        let core = &self.ctx.core;
        match attempt {
            Attempt::Blocked(lack) => {
                let from = &self.ctx.mailbox;
                Blocked::for_lack(out, core, from, lack, polling)
            }
            _ => {
                core.io.put_off(core.tasks.register(polling));
                Blocked::new(out)
            }
        }
    }

    /// A message has waited: it was sent, or cannot be.
    fn conclude(&mut self, note: &mut Waiting, sent: Result<(), Error>) {
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(note.bytes);
        match note.is_counted {
            true => self.grants.note_settled(),
            false => self.uncredited = self.uncredited.saturating_sub(1),
        }
        if let Err(error) = sent {
            if let Some(place) = note.asks {
                self.ctx.core.take_expected(&self.ctx.mailbox, place);
            }
            self.lost(&error, note.sender.take());
        }
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

    /// A message waits that took no credit. A reply that is waited for here never does, so this is none.
    #[cold]
    fn note_uncredited(&mut self) -> Result<(), End> {
        self.uncredited = self.uncredited.saturating_add(1);
        let most = self.connection.terms.limits.peer_credits;
        if self.has_credits() && self.uncredited > most {
            return Err(End::Fault(format!(
                "more than {most} messages of the peer wait that are named like replies and are none (peer_credits)"
            )));
        }
        Ok(())
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

    /// Reports a datagram's message whose receiver has no room, as so many wait already; so those for others pass. It
    /// has found its end.
    #[cold]
    fn shed(&self, to: Option<Address>) -> bool {
        let to = to.unwrap_or_else(|| self.connection.name.clone());
        self.report_arrived(to, Reason::Overflow);
        self.ctx.core.tally().transport.datagrams_dropped.add(1);
        true
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

    #[cold]
    fn deny(&self, denied: Address) {
        self.report_arrived(denied.clone(), Reason::Refused);
        let sender = self.way.sender.clone();
        self.connection.refuse(sender, denied, Refusal::Denied);
    }

    /// Reports a message that has come and is handed on to nobody. It counts as sent by the connection, as those do that
    /// are.
    fn report_arrived(&self, to: Address, reason: Reason) {
        self.ctx.core.tally().sent_local.add(1);
        self.report(to, self.connection.name.clone(), reason);
    }

    fn report(&self, to: Address, from: Address, reason: Reason) {
        self.ctx.core.report(&Undelivered {
            to,
            from,
            type_name: ENCODED,
            expected: None,
            reason,
        });
    }

    /// Reports a message that could not be sent on, and tells the peer.
    fn lost(&self, error: &Error, sender: Option<Address>) {
        let (to, reason) = match error.kind() {
            ErrorKind::NotFound { address } => (address.clone(), Reason::NotFound),
            ErrorKind::NoTransport { address } => (address.clone(), Reason::NoTransport),
            ErrorKind::Full { address } => (address.clone(), Reason::Overflow),
            _ => (self.connection.name.clone(), Reason::Refused),
        };
        self.report_arrived(to.clone(), reason);
        self.connection.refuse(sender, to, Refusal::Gone);
    }

    /// A frame without a route: a note of a node of this make, or a sign of life.
    fn take_note(&mut self, payload: &[u8]) -> Result<(), End> {
        self.heartbeats = self.heartbeats.saturating_add(1);
        let most = self.connection.terms.limits.heartbeats_max;
        if self.heartbeats > most {
            return Err(End::Fault(format!(
                "the peer sent more than {most} frames without a message (heartbeats_max)"
            )));
        }
        match Note::decode(payload) {
            Some(Note::Hello { frames, watches }) => {
                self.connection.has_notes.set(true);
                self.connection.may_ask(watches);
                self.connection.allowance.borrow_mut().greeted(frames);
                self.connection.wake_waiting();
            }
            Some(Note::Credit { frames }) if self.took_back(frames) => {
                self.heartbeats = 0;
                self.connection.wake_waiting();
            }
            Some(Note::Refused {
                sender,
                address,
                refusal,
            }) => {
                self.heartbeats = 0;
                let known = self.connection.route_of(&sender);
                // Only what was sent from here can have been refused.
                if let Some(route) = known {
                    self.was_refused(&route, address, refusal)?;
                }
            }
            Some(Note::Watch { id, address }) => {
                self.heartbeats = 0;
                let mailbox = &self.ctx.mailbox;
                self.connection.note_watch(mailbox, id, &address)?;
            }
            Some(Note::Unwatch { id }) => {
                self.heartbeats = 0;
                self.connection.note_unwatch(&self.ctx.mailbox, id);
            }
            Some(Note::Ended { id, ending }) if self.connection.has_asked(id) => {
                self.heartbeats = 0;
                if let Some((watcher, to)) = self.connection.take_asked(id) {
                    self.has_ended(watcher, &to, ending);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Credits for this side. Whether so many were out.
    fn took_back(&self, frames: u32) -> bool {
        self.connection.allowance.borrow_mut().returned(frames)
    }

    /// Fails if the peer refuses more than there was.
    fn was_refused(&self, route: &Route, address: Address, refusal: Refusal) -> Result<(), End> {
        if !self.connection.allowance.borrow_mut().note_refused() {
            let end = "the peer refuses more messages than were sent to it";
            return Err(End::Fault(end.to_owned()));
        }
        let from = route.last().unwrap_or(&self.connection.name).clone();
        // It counted as handled when it left.
        self.ctx.core.uncount_handled();
        self.report(address.clone(), from, Reason::Refused);
        let kind = match refusal {
            Refusal::Denied => ErrorKind::Refused { address },
            _ => ErrorKind::NotFound { address },
        };
        self.ctx.core.refuse(reply_place(route), kind);
        Ok(())
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
