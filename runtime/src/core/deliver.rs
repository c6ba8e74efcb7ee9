//! Sending: from a route and a payload to a queue, and what happens when there is no room.
//!
//! A message to a worker of the same core needs a credit of that worker; one to another core needs a
//! credit of the link and room in the ring ([`links`](super::links)). Who lacks either is put in a
//! queue, first come first served, and is *granted* what it waited for: the credit is not free again
//! in between, so nobody can overtake.

use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::cell::Boxed;
use ringpost_router::{Address, Body, Handle, Hint, Hop, Message, Route};

use crate::core::Core;
use crate::driver::rare::Rare;
use crate::envelope::{Detour, Envelope, Origin, OriginKind, ReplyTo, Routes, Sender};
use crate::error::{Error, ErrorKind};
use crate::mailbox::{Mailbox, State, Waiter, Waiting, pop_waiting, trim};
use crate::overflow::Overflow;
use crate::task::Wake;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;
use crate::transport::goes_ahead;

/// A message that has not been accepted yet.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) route: Route,
    /// Taken when the message is accepted.
    pub(crate) body: Option<Body>,
    /// The reserved place of the reply, for a request.
    pub(crate) reply: Handle,
    /// Whether `body` is a [`Detour`] already.
    pub(crate) detour: bool,
    /// What the sender holds after waiting for it.
    pub(crate) grant: Grant,
    /// The other core that the grant is for, if it is for one.
    pub(crate) grant_core: Option<u16>,
    /// Credits that were granted with the one for this message, for those that follow it.
    pub(crate) more_credits: u32,
    /// Whether the sender waits for what is lacking, and so may be made to wait for its next turn although nothing is. Not of
    /// one who only tries.
    pub(crate) waits: bool,
    /// Whether it has paused already, for what its sender has put in the queue of this core.
    pub(crate) has_paused: bool,
}

/// What a sender was granted and has not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    Nothing,
    /// A credit of the mailbox or the link.
    Credit,
    /// Room in the ring.
    Room,
    /// Both.
    CreditAndRoom,
    /// A link may be opened, and there is room for its first message.
    Link,
}

impl Grant {
    pub(crate) fn credit(self) -> bool {
        matches!(self, Grant::Credit | Grant::CreditAndRoom)
    }

    pub(crate) fn room(self) -> bool {
        matches!(self, Grant::Room | Grant::CreditAndRoom)
    }

    pub(crate) fn with_credit(self) -> Self {
        if self.room() {
            Grant::CreditAndRoom
        } else {
            Grant::Credit
        }
    }

    /// What is left when the credit's link is gone.
    pub(crate) fn without_credit(self) -> Self {
        if self.room() {
            Grant::Room
        } else {
            Grant::Nothing
        }
    }

    pub(crate) fn with_room(self) -> Self {
        if self.credit() {
            Grant::CreditAndRoom
        } else {
            Grant::Room
        }
    }
}

/// What came of an attempt to send.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Accepted.
    Sent,
    /// It cannot be sent; the message is in the error.
    Failed(Error),
    /// Something is lacking.
    Blocked(Lack),
    /// What the sender was granted is for a place where the receiver is not, or is no longer.
    Misgranted,
}

/// What a sender lacks.
#[derive(Debug, Clone)]
pub(crate) enum Lack {
    /// A credit of this mailbox of the same core.
    Local(MailboxRc),
    /// Its next turn, to send to this mailbox of the same core ([`step`](super::step)).
    Turn(MailboxRc),
    /// A credit of this link to that core.
    Link { core: u16, link: u32, epoch: u32 },
    /// Room in the ring to that core, for a message of this link.
    Room { core: u16, link: u32, epoch: u32 },
    /// A link to that core: as many as are allowed are in use.
    Destination { core: u16 },
}

impl Lack {
    /// The mailbox in which room is lacking, if it is that of whoever sends as `from`, and is polled now, or that sender's: it
    /// would wait for ever, as nobody else can make any.
    pub(crate) fn of_oneself(&self, core: &Core, from: &MailboxRc) -> Option<&MailboxRc> {
        match self {
            Lack::Local(of) if core.is_oneself(from, of) => Some(of),
            _ => None,
        }
    }

    /// The other core that this is about.
    pub(crate) fn core(&self) -> Option<u16> {
        match self {
            Lack::Local(_) | Lack::Turn(_) => None,
            Lack::Link { core, .. } | Lack::Room { core, .. } | Lack::Destination { core } => {
                Some(*core)
            }
        }
    }
}

impl Outgoing {
    pub(crate) fn new<M: Message>(route: Route, message: M) -> Self {
        Self::with_body(route, message.into_body())
    }

    pub(crate) fn with_body(route: Route, body: Body) -> Self {
        Self {
            body: Some(body),
            ..Self::along(route)
        }
    }

    /// A message that is still without its payload.
    pub(crate) fn along(route: Route) -> Self {
        Self {
            route,
            body: None,
            reply: Handle::NONE,
            detour: false,
            grant: Grant::Nothing,
            grant_core: None,
            more_credits: 0,
            waits: false,
            has_paused: false,
        }
    }

    /// Whether nothing goes with it but its payload.
    pub(crate) fn is_plain(&self) -> bool {
        self.reply == Handle::NONE && !self.detour
    }

    /// The payload, out of its detour.
    pub(crate) fn take_payload(&mut self) -> Option<Body> {
        let body = self.body.take()?;
        if !self.detour {
            return Some(body);
        }
        Some(Detour::open(body).1)
    }

    /// A failure that gives the message back.
    #[cold]
    pub(crate) fn fail(&mut self, kind: ErrorKind) -> Attempt {
        Attempt::Failed(self.error(kind))
    }

    /// The error that gives the message back.
    #[cold]
    pub(crate) fn error(&mut self, kind: ErrorKind) -> Error {
        match self.take_payload() {
            Some(body) => Error::returning(kind, body),
            None => Error::new(kind),
        }
    }

    /// A failure of who would wait for itself.
    #[cold]
    pub(crate) fn fail_own(&mut self, own: &MailboxRc) -> Error {
        let address = own.address.clone();
        self.error(ErrorKind::WaitsForItself { address })
    }

    #[cold]
    pub(crate) fn fail_not_found(&mut self) -> Attempt {
        let kind = crate::error::not_found(&self.route);
        self.fail(kind)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin {
            detour: self.detour,
            ..Origin::LOCAL
        }
    }
}

impl Core {
    /// The worker of this core that a message visits first, if it is found at once and has room; a credit
    /// of it is taken.
    #[inline(always)]
    pub(crate) fn receiver_at(&self, hop: &Hop) -> Option<MailboxRc> {
        let recall = |address: &Address| self.names.recall(address);
        self.table.claim(hop, self.workers_here, recall)
    }

    /// Puts a message with routes of its own in the queue; its credit is taken.
    pub(crate) fn enqueue_along(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        routes: Boxed<Routes>,
        body: Body,
    ) {
        let body = Detour::pack(routes, body);
        self.enqueue(to, from, Handle::NONE, Origin::DETOUR, body);
        self.look_at_step(from);
    }

    /// A reply to a request of this core: it never waits.
    #[inline(always)]
    pub(crate) fn post_reply(self: &Rc<Self>, place: Handle, body: Body) {
        self.tally().replies.add(1);
        self.answer_here(place, Ok(body));
    }

    /// As [`post_reply`](Self::post_reply), to a request of any core.
    #[inline]
    pub(crate) fn post_reply_to(self: &Rc<Self>, hint: Hint, body: Body) {
        if let Some(to) = ReplyTo::from_hint(hint) {
            self.tally().replies.add(1);
            self.answer(to, Ok(body));
        }
    }

    /// Sends the message if everything it needs is there.
    pub(crate) fn attempt(self: &Rc<Self>, from: &MailboxRc, out: &mut Outgoing) -> Attempt {
        if out.route.len() > 1 && !out.detour {
            if let Err(kind) = crate::error::check_route(&out.route) {
                return out.fail(kind);
            }
            if self.pool.is_short() {
                self.tally().memory_refused.add(1);
                return out.fail(ErrorKind::NoMemory {
                    bytes: size_of::<Routes>(),
                });
            }
            self.wrap(from, out);
        }
        if out.detour && self.send_back(from, out) {
            return Attempt::Sent;
        }
        let Some(hop) = out.route.first() else {
            return out.fail(ErrorKind::EmptyRoute);
        };
        if let Some(handle) = hop.worker_on(self.here) {
            return match self.at(handle) {
                Some(to) => self.deliver(&to, from, out),
                None => out.fail_not_found(),
            };
        }
        match hop.hint_of(self.here.node()) {
            Some(hint) => self.attempt_hinted(hint, from, out),
            None => self.attempt_named(from, out),
        }
    }

    /// As [`attempt`](Self::attempt), for a sender that is going to wait: it need not for a connection whose peer has sent
    /// it what this answers.
    pub(crate) fn attempt_or_wait(
        self: &Rc<Self>,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        match self.attempt(from, out) {
            Attempt::Blocked(Lack::Local(to)) if goes_ahead(self, &to, from, out) => {
                to.overdraw();
                self.accept(&to, from, out)
            }
            attempt => attempt,
        }
    }

    /// Puts the message in the queue of this core if its receiver has a credit left.
    pub(crate) fn deliver(
        self: &Rc<Self>,
        to: &MailboxRc,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        let may_pause = from.is_held.get() || self.rare.takes(Rare::EarlyPause);
        if may_pause && self.is_to_pause(to, from, out) {
            return Attempt::Blocked(Lack::Turn(to.clone()));
        }
        if out.grant != Grant::Nothing || !to.take_room() {
            return self.deliver_slow(to, from, out);
        }
        self.accept(to, from, out)
    }

    /// The message's credit is taken: it is sent.
    pub(crate) fn accept(&self, to: &MailboxRc, from: &MailboxRc, out: &mut Outgoing) -> Attempt {
        if let Some(body) = out.body.take() {
            self.enqueue(to.clone(), from, out.reply, out.origin(), body);
            if out.waits {
                self.look_at_step(from);
            }
        }
        Attempt::Sent
    }

    /// The message's credit is taken: it joins the queue.
    #[inline]
    pub(crate) fn enqueue(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        reply: Handle,
        origin: Origin,
        body: Body,
    ) {
        match reply {
            Handle::NONE => self.enqueue_plain(to, from, origin, body),
            _ => self.enqueue_request(to, from, reply, origin, body),
        }
    }

    /// As [`enqueue`](Self::enqueue), for a message that wants no answer: in line wherever most are sent.
    #[inline(always)]
    pub(crate) fn enqueue_plain(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        origin: Origin,
        body: Body,
    ) {
        to.add_queued(1);
        self.queue.push_plain(to, from, self, origin, body);
    }

    /// As [`enqueue`](Self::enqueue), for a message that wants an answer at this place. In line, as a call would be handed the body in
    /// memory.
    #[inline(always)]
    pub(crate) fn enqueue_request(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        reply: Handle,
        origin: Origin,
        body: Body,
    ) {
        to.add_queued(1);
        let sender = Sender::new(from.clone(), reply);
        let envelope = Envelope {
            sender,
            origin,
            body,
        };
        self.queue.push_sent(to, from, self, envelope);
    }

    #[cold]
    fn deliver_slow(
        self: &Rc<Self>,
        to: &MailboxRc,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        if !to.accepts() {
            return out.fail_not_found();
        }
        if out.grant != Grant::Nothing && out.grant_core.is_some() {
            return Attempt::Misgranted;
        }
        let may_wait = to.overflow.get() == Overflow::Wait || to.is_reserved();
        if !out.grant.credit() && may_wait {
            return Attempt::Blocked(Lack::Local(to.clone()));
        }
        let granted = std::mem::replace(&mut out.grant, Grant::Nothing).credit();
        match granted && !to.overflow.get().drops() {
            true => self.accept(to, from, out),
            false => self.overflow(to, from, out),
        }
    }

    fn attempt_hinted(
        self: &Rc<Self>,
        hint: Hint,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        if let Some(reply) = ReplyTo::from_hint(hint) {
            // A reply never waits: its place was reserved by the request.
            if let Some(body) = out.take_payload() {
                self.tally().replies.add(1);
                self.answer(reply, Ok(body));
            }
            return Attempt::Sent;
        }
        self.attempt_remote(hint.core.index(), hint.handle, from, out)
    }

    fn attempt_named(self: &Rc<Self>, from: &MailboxRc, out: &mut Outgoing) -> Attempt {
        let Some(hop) = out.route.first() else {
            return out.fail(ErrorKind::EmptyRoute);
        };
        let address = &hop.address;
        if !address.is_local() && !self.has_transport(address) {
            let address = address.clone();
            return out.fail(ErrorKind::NoTransport { address });
        }
        let home = self.placement.home(address);
        if home == self.id || self.guests.get() > 0 {
            match self.named(address) {
                Some(to) => {
                    self.names.note(&to);
                    return self.deliver(&to, from, out);
                }
                None if home == self.id => {
                    return match self.connect_to(address) {
                        Some(to) => self.deliver(&to, from, out),
                        None => out.fail_not_found(),
                    };
                }
                None => {}
            }
        }
        self.attempt_remote(home, Handle::NONE, from, out)
    }

    /// Whether messages to addresses of this type can leave the node.
    pub(crate) fn has_transport(&self, address: &Address) -> bool {
        self.transports.has(address.transport())
    }

    /// Starts the connection that an address stands for, if it stands for one.
    #[cold]
    pub(crate) fn connect_to(self: &Rc<Self>, address: &Address) -> Option<MailboxRc> {
        match self.has_transport(address) {
            true => crate::transport::dial(self, address),
            false => None,
        }
    }

    /// Packs the routes of a message that has more than one hop before it into its body.
    #[cold]
    pub(crate) fn wrap(&self, from: &MailboxRc, out: &mut Outgoing) {
        let Some(body) = out.body.take() else { return };
        let back = if out.reply == Handle::NONE {
            from.hop()
        } else {
            from.reply_hop(out.reply)
        };
        let routes = Routes::new(std::mem::take(&mut out.route), Route::from(back));
        out.reply = Handle::NONE;
        self.wrap_with(routes, body, out);
    }

    /// Packs these routes; the message goes to the first hop of the onward one. A route that has grown
    /// too long is left as it is, and the attempt to send along it fails.
    pub(crate) fn wrap_with(&self, routes: Boxed<Routes>, body: Body, out: &mut Outgoing) {
        let both = [&routes.onward, &routes.back];
        if let Some(long) = both.into_iter().find(|route| route.check().is_err()) {
            out.route = long.clone();
            out.body = Some(body);
            return;
        }
        out.route = routes
            .onward
            .first()
            .cloned()
            .map(Route::from)
            .unwrap_or_default();
        out.body = Some(Detour::pack(routes, body));
        out.detour = true;
    }

    /// Queues a sender for what it lacks; of credits of a link it takes so many at the most.
    pub(crate) fn wait_for(
        self: &Rc<Self>,
        lack: &Lack,
        from: &MailboxRc,
        wake: Wake,
        credits: u32,
    ) -> Rc<Waiter> {
        let waiter = Waiter::of_sender(wake, from.clone(), self.now.get(), credits);
        self.note_behalf(from, &waiter);
        match lack {
            Lack::Turn(to) => self.pause(to, from, &waiter),
            Lack::Local(mailbox) => {
                mailbox.special.set(true);
                mailbox.with_more(|more| more.senders.push_back(Rc::clone(&waiter)));
                self.note_crowded(mailbox);
            }
            Lack::Link { core, link, epoch } => {
                self.wait_for_link(*core, *link, *epoch, &waiter);
            }
            Lack::Room { core, .. } => self.wait_for_room(*core, &waiter),
            Lack::Destination { core } => self.wait_for_destination(*core, &waiter),
        }
        self.tally().blocked.add(1);
        waiter
    }

    /// Whether what was lacking when a message could not be sent, a credit, is lacking still, for one who may wait for it.
    pub(crate) fn is_still_lacking(&self, lack: &Lack) -> bool {
        match lack {
            Lack::Local(to) => to.room() == 0 && to.accepts(),
            Lack::Link { core, link, epoch } => self.is_link_used_up(*core, *link, *epoch),
            Lack::Turn(_) | Lack::Room { .. } | Lack::Destination { .. } => false,
        }
    }

    /// Gives up waiting: what was granted meanwhile goes to the next in the queue.
    pub(crate) fn stop_waiting(self: &Rc<Self>, lack: &Lack, waiter: &Waiter) {
        let was_granted = waiter.state.replace(Waiting::Cancelled) == Waiting::Granted;
        if was_granted && !is_planted(Canary::LeakOnCancel) {
            self.give_grant_back(lack, waiter.credits.get());
        }
        match lack {
            Lack::Local(mailbox) => {
                mailbox.if_more(|more| trim(&mut more.senders));
            }
            Lack::Turn(_) => self.pausing.trim(),
            Lack::Link { core, link, .. } => self.trim_waiters(*core, Some(*link)),
            Lack::Room { core, .. } | Lack::Destination { core } => self.trim_waiters(*core, None),
        }
        // It may lie in the queue for longer, and who takes it out there must run no code of the user's.
        drop_guarded(waiter.wake.replace(Wake::Nobody));
    }

    /// Passes an unused grant on; if it is of credits of a link, so many.
    pub(crate) fn give_grant_back(self: &Rc<Self>, lack: &Lack, credits: u32) {
        match lack {
            Lack::Local(mailbox) => self.local_credit_back(mailbox),
            Lack::Turn(_) => {}
            Lack::Link { core, link, epoch } => {
                self.link_credit_back(*core, *link, *epoch, credits);
            }
            Lack::Room { core, .. } => self.room_back(*core),
            Lack::Destination { core } => self.destination_back(*core),
        }
    }

    /// A message has been taken, or is about to be: its credit goes back to where it came from. Runs no code of the user's,
    /// and touches no queue of messages.
    #[inline]
    pub(crate) fn settle(self: &Rc<Self>, to: &Mailbox, origin: &Origin) {
        if is_planted(Canary::LostRoom) && to.has_stash() && to.room() > 0 {
            to.set_room(to.room() - 1);
        }
        // What most messages hold.
        if origin.kind == OriginKind::Local && !to.special.get() {
            return to.take_queued_with_room();
        }
        self.settle_further(to, *origin);
    }

    #[inline(never)]
    fn settle_further(self: &Rc<Self>, to: &Mailbox, origin: Origin) {
        to.take_queued();
        if origin.kind == OriginKind::Link && self.owe_next(origin.core, origin.link) {
            return;
        }
        match origin.kind {
            OriginKind::Local | OriginKind::UrgentAgain => self.local_credit_back(to),
            OriginKind::Link => self.owe(origin.core, origin.link, false),
            OriginKind::Urgent => self.settle_urgent(origin),
            OriginKind::Returned => self.settle_returned(),
            OriginKind::News => self.settle_news(),
            OriginKind::Free => {}
        }
    }

    /// As [`settle`](Self::settle), for a message that finds its receiver gone.
    pub(crate) fn settle_ended(self: &Rc<Self>, origin: Origin) {
        match origin.kind {
            OriginKind::Link => self.owe(origin.core, origin.link, true),
            OriginKind::Urgent => self.settle_urgent(origin),
            OriginKind::Returned => self.settle_returned(),
            OriginKind::News => self.settle_news(),
            OriginKind::Local | OriginKind::UrgentAgain | OriginKind::Free => {}
        }
    }

    /// A local credit is free: the first who waits gets it.
    #[cold]
    fn local_credit_back(&self, mailbox: &Mailbox) {
        if !mailbox.accepts() || mailbox.overflow.get().drops() {
            return;
        }
        let next = mailbox.with_more(|more| {
            let is_owed = more.owed > 0;
            let next = match is_owed {
                true => None,
                false => pop_waiting(&mut more.senders),
            };
            more.owed -= u32::from(is_owed);
            mailbox
                .special
                .set(more.owed > 0 || !more.senders.is_empty());
            if next.is_none() && !is_owed {
                mailbox.set_room(mailbox.room() + 1);
            }
            next
        });
        let Some(waiter) = next else { return };
        match mailbox.queued() > self.limits.worker_burst {
            true => self.grant_for_later(&waiter),
            false => self.grant_while_taking(&waiter),
        }
    }

    /// As [`grant`](Self::grant), where a message may be about to be taken, which lies in the queue yet. A waker that is not
    /// one of this core's is code of the user's, and may send: so that is woken when the messages have been handled.
    pub(crate) fn grant_while_taking(&self, waiter: &Waiter) {
        let is_foreign = matches!(*waiter.wake.borrow(), Wake::Foreign(_));
        match is_foreign {
            true => self.grant_for_later(waiter),
            false => self.grant(waiter),
        }
    }

    /// As [`grant`](Self::grant), to one whom nobody misses before this turn has ended. So it is where the receiver has
    /// messages for longer than a slice of it: woken at once it would find as much room as that slice has made, and wait again.
    fn grant_for_later(&self, waiter: &Waiter) {
        waiter.state.set(Waiting::Granted);
        let wake = waiter.wake.replace(Wake::Nobody);
        self.woken_later.push(wake);
    }

    /// Wakes those who were granted room in this turn and whom nobody missed.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_later_ones(&self) {
        while let Some(wake) = self.woken_later.pop() {
            self.wake(&wake);
        }
    }

    /// Marks a waiter as having what it waited for, and wakes it.
    pub(crate) fn grant(&self, waiter: &Waiter) {
        waiter.state.set(Waiting::Granted);
        let wake = waiter.wake.replace(Wake::Nobody);
        self.wake(&wake);
    }

    /// Tells waiters that what they wait for will never come.
    pub(crate) fn close_waiters(&self, waiters: &mut VecDeque<Rc<Waiter>>) {
        self.end_waiting(waiters, Waiting::Closed);
    }

    /// Leaves waiters in this state, and wakes them.
    pub(crate) fn end_waiting(&self, waiters: &mut VecDeque<Rc<Waiter>>, state: Waiting) {
        while let Some(waiter) = pop_waiting(waiters) {
            waiter.state.set(state);
            let wake = waiter.wake.replace(Wake::Nobody);
            self.wake(&wake);
        }
    }

    /// A mailbox that may receive but has no worker, for contexts and futures.
    pub(crate) fn detached_mailbox(&self, address: Address) -> Mailbox {
        Mailbox::new(
            address,
            self.here,
            State::Detached,
            self.limits.mailbox_credits,
        )
    }
}
