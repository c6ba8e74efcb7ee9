//! What a connection is between the worker that takes its messages and the task that writes them.

mod ends;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};

use ringpost_mailbox::buf::Buf;
use ringpost_router::wire::{Note, Outlet, Refusal};
use ringpost_router::{Address, Aliases, Any, Body, CodecError, Encoded, Hop, Message, Route};

use crate::core::Core;
use crate::envelope::{ReplyTo, Routes};
use crate::error::{ErrorKind, Reason, Undelivered};
use crate::routed::Routed;
use crate::task::Wake;
use crate::task::panics::{drop_guarded, into_text};
use crate::task::raw::MailboxRc;
use crate::transport::Terms;
use crate::transport::carrier::Bounce;
use crate::transport::covers::{Cover, Covers, leads_back};
use crate::transport::credits::Allowance;
use crate::transport::watches::{EndedHere, Watches};

/// Room to encode in that is kept from one message to the next.
const ENCODED_BYTES_KEPT: usize = 64 * 1024;

/// What the two sides of a connection's work share.
pub(super) struct Connection {
    pub(super) core: Rc<Core>,
    pub(super) name: Address,
    pub(super) terms: Arc<Terms>,
    pub(super) outlet: RefCell<Outlet>,
    /// Where a payload is encoded before it is put among the frames.
    encoded: RefCell<Vec<u8>>,
    aliases: RefCell<Aliases>,
    /// The exposed worker that sent last; it is exposed for good.
    named_last: RefCell<Option<Address>>,
    /// The way of the last frame, if a worker of this core sent that by itself.
    straight_last: RefCell<Option<Straight>>,
    /// The task that reads and writes.
    pub(super) pump: RefCell<Wake>,
    /// Whether that task knows already that there is something to write.
    pub(super) noticed: Cell<bool>,
    /// Who waits until less is to be written.
    pub(super) waiting: RefCell<Wake>,
    /// Nothing more is to be sent.
    pub(super) ending: Cell<bool>,
    /// Whether nothing can be written to the peer any more, while what it has sent may still be delivered.
    is_broken: Cell<bool>,
    /// Whether the message that is next waits until the peer gives a credit.
    pub(super) awaits_credit: Cell<bool>,
    /// Whether the peer understands notes.
    pub(super) has_notes: Cell<bool>,
    /// What may be sent to it.
    pub(super) allowance: RefCell<Allowance>,
    /// What is sent back to it and waits for nothing.
    pub(super) covers: Covers,
    /// Whose end each side tells the other.
    pub(super) watches: RefCell<Watches>,
    /// Who is told that the connection stands.
    openers: RefCell<Vec<ReplyTo>>,
    is_open: Cell<bool>,
}

/// The way of a message that a worker sent straight.
struct Straight {
    route: Route,
    /// Who sent it: an exposed worker, of which the peer sees the name.
    from: Address,
    needs: Needs,
}

/// What a message to the peer needs.
#[derive(Clone)]
struct Needs {
    credit: bool,
    /// What may stand for the credit, if the message goes back.
    cover: Option<Rc<Cover>>,
}

impl Connection {
    pub(super) fn new(core: &Rc<Core>, name: Address, terms: Arc<Terms>) -> Rc<Self> {
        let aliases = new_aliases(core, &terms);
        let outlet = Outlet::new(terms.limits.frame);
        let connection = Self {
            core: Rc::clone(core),
            name,
            terms,
            outlet: RefCell::new(outlet),
            encoded: RefCell::default(),
            aliases: RefCell::new(aliases),
            named_last: RefCell::default(),
            straight_last: RefCell::default(),
            pump: RefCell::new(Wake::Nobody),
            noticed: Cell::new(false),
            waiting: RefCell::new(Wake::Nobody),
            ending: Cell::new(false),
            is_broken: Cell::new(false),
            awaits_credit: Cell::new(false),
            has_notes: Cell::new(false),
            allowance: RefCell::default(),
            covers: Covers::default(),
            watches: RefCell::default(),
            openers: RefCell::default(),
            is_open: Cell::new(false),
        };
        connection.begin();
        Rc::new(connection)
    }

    /// What each side of a stream says first. Whoever sends datagrams is known to understand notes, and nobody has
    /// credits: what there is no room for is lost, as on the way.
    pub(super) fn begin(&self) {
        if self.terms.datagrams.is_some() {
            return self.has_notes.set(true);
        }
        self.is_broken.set(false);
        self.outlet.borrow_mut().open();
        self.allowance.take();
        let (frames, watches) = (
            self.terms.limits.peer_credits,
            self.terms.limits.watches_max,
        );
        self.tell(&Note::Hello { frames, watches });
    }

    /// Whoever asked is told when the connection stands, or that it will not.
    pub(super) fn tell_when_open(&self, to: ReplyTo) {
        match self.is_open.get() {
            true => self.core.answer(to, Ok(().into_body())),
            false => self.openers.borrow_mut().push(to),
        }
    }

    /// The connection stands: whoever waited for that goes on.
    pub(super) fn opened(&self) {
        self.is_open.set(true);
        self.core.tally().transport.opened.add(1);
        for to in self.openers.take() {
            self.core.answer(to, Ok(().into_body()));
        }
        self.wake_waiting();
    }

    /// What waits goes on, and whoever waits looks again.
    pub(super) fn wake_waiting(&self) {
        while !self.covers.is_empty()
            && self.takes_covered()
            && let Some(message) = self.covers.pop()
        {
            self.send(message);
        }
        let waiting = self.waiting.replace(Wake::Nobody);
        self.core.wake(&waiting);
    }

    /// Whether messages are put among the frames now. Where the connection will be opened again, they wait
    /// for that rather than be lost with what was lost.
    pub(super) fn takes_messages(&self) -> bool {
        self.terms.reconnect.is_none() || self.is_open.get() && !self.is_broken.get()
    }

    /// Whether the peer has to be given room for a message before it is sent.
    pub(super) fn needs_credit(message: &Routed<Any>) -> bool {
        let routes = message.routes();
        routes.is_some_and(|routes| takes_credit(&routes.onward))
    }

    /// Whether the peer has given room for one more message, or nothing is sent to it any more.
    pub(super) fn has_credit(&self) -> bool {
        self.allowance.borrow().may_send() || self.drops_messages()
    }

    /// Whether a message that is covered can be put among the frames, if none waits.
    fn takes_covered(&self) -> bool {
        self.takes_messages() && self.has_room() && !self.lacks_credit_for_covered()
    }

    /// Whether all is used up that the peer has given room for, and what may be sent beyond.
    pub(super) fn lacks_credit_for_covered(&self) -> bool {
        !self.has_credit() && !self.allowance.borrow().may_overdraw()
    }

    /// Sends a message that is covered, or has it wait where it is in nobody's way. Any other comes back.
    pub(super) fn send_covered(&self, message: Routed<Any>) -> Option<Routed<Any>> {
        let Some(cover) = self.cover_of(&message) else {
            return Some(message);
        };
        cover.spend();
        if self.covers.is_empty() && self.takes_covered() {
            self.send(message);
        } else {
            self.covers.push(message);
            self.notice();
        }
        None
    }

    fn cover_of(&self, message: &Routed<Any>) -> Option<Rc<Cover>> {
        let back = message.routes().filter(|it| leads_back(&it.onward));
        back.and_then(|_| self.cover_left(message.passed_by()))
    }

    /// Whether this message need not wait.
    pub(super) fn is_covered(&self, message: &Routed<Any>) -> bool {
        self.cover_of(message).is_some()
    }

    /// The cover of this worker, if it has any left.
    pub(super) fn cover_left(&self, worker: &Address) -> Option<Rc<Cover>> {
        let most = self.terms.limits.queued_frames_max.saturating_mul(4);
        let cover = self.covers.find(worker);
        cover.filter(|cover| cover.is_left() && self.covers.len() < most)
    }

    /// Whether messages are reported rather than sent: nothing can be written, and the connection is not opened again.
    fn drops_messages(&self) -> bool {
        self.is_broken.get() && self.terms.reconnect.is_none()
    }

    /// Whether what is to be sent waits until the peer gives credits.
    pub(super) fn awaits_credits(&self) -> bool {
        let is_next = self.awaits_credit.get() && !self.has_credit();
        is_next || !self.covers.is_empty() && self.lacks_credit_for_covered()
    }

    /// The message that is next waits for a credit: the task that reads and writes has an eye on how long.
    pub(super) fn await_credit(&self) -> AwaitsCredit<'_> {
        self.awaits_credit.set(true);
        self.notice();
        AwaitsCredit(self)
    }

    /// Whether no message is left to be written.
    pub(super) fn is_written(&self) -> bool {
        self.covers.is_empty() && self.outlet.borrow().messages() == 0
    }

    /// Puts a note among the frames.
    pub(super) fn tell(&self, note: &Note) {
        if self.is_broken.get() {
            return;
        }
        let payload = note.encode();
        self.straight_last.take();
        let mut outlet = self.outlet.borrow_mut();
        let put = outlet.push_copy([].iter(), [].iter(), &payload);
        drop(outlet);
        if let Err(error) = put {
            tracing::debug!(%error, "a note to the peer was left out");
        }
        self.notice();
    }

    /// Has what is queued written in the next turn, with all else of this turn; or sooner, if much is read.
    #[inline]
    fn notice(&self) {
        if !self.noticed.get() {
            self.notice_first();
        }
    }

    #[inline(never)]
    fn notice_first(&self) {
        self.noticed.set(true);
        self.core.io.put_first(self.pump.borrow().clone());
    }

    /// Puts a message among the frames to be written.
    pub(super) fn send(&self, message: Routed<Any>) {
        if self.drops_messages() {
            return self.drop_message(message);
        }
        if message.routes().is_none() {
            return self.send_further(message);
        }
        // A request is the peer's from here on; who asked is told below if it does not get there.
        let (routes, message) = message.into_parts();
        self.straight_last.take();
        let Some(routes) = routes else { return };
        let type_name = message.type_name();
        if routes.onward.len() < 2 {
            self.lose(&routes, type_name, Reason::NotFound, None);
            return drop_guarded(message);
        }
        let back = self.name_back(&routes.back);
        let onward = routes.onward.iter().skip(1);
        let is_counted = takes_credit(&routes.onward);
        match self.put(onward, back.as_slice().iter(), message) {
            Ok(()) => {
                if is_counted {
                    self.allowance.borrow_mut().note_sent();
                }
                self.notice();
            }
            Err(cause) => {
                let kind = ErrorKind::Codec(cause);
                self.lose(&routes, type_name, Reason::Unencodable, Some(kind));
            }
        }
    }

    /// Puts a message of a worker of this core among the frames, if it has to wait for nothing; gives its payload back
    /// if it has.
    pub(super) fn send_straight(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: Body,
    ) -> Result<(), Body> {
        let needs = self.needs(from, route);
        if !self.is_free(&needs) {
            return Err(body);
        }
        self.count_straight(&needs);
        let back = self.name_back(&Route::from(from.hop()));
        let is_named = self.named_last.borrow().as_ref() == Some(&from.address);
        self.straight_last.replace(is_named.then(|| Straight {
            route: route.clone(),
            from: from.address.clone(),
            needs,
        }));
        let message = Any::from(body);
        let type_name = message.type_name();
        let onward = route.iter().skip(1);
        match self.put(onward, back.as_slice().iter(), message) {
            Ok(()) => self.notice(),
            Err(cause) => {
                self.straight_last.take();
                let routes = Routes::new(route.clone(), Route::from(from.hop()));
                let kind = ErrorKind::Codec(cause);
                self.lose(&routes, type_name, Reason::Unencodable, Some(kind));
            }
        }
        Ok(())
    }

    /// As [`send_straight`](Self::send_straight), for bytes that take the way of the frame before them and are as many.
    #[inline]
    pub(super) fn send_alike(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: Body,
    ) -> Result<(), Body> {
        let last = self.straight_last.borrow();
        let needs = match &*last {
            Some(last) if last.route.shares_with(route) && last.from == from.address => &last.needs,
            _ => return Err(body),
        };
        if !self.is_free(needs) {
            return Err(body);
        }
        let payload = body.take::<Encoded>()?;
        if !self.outlet.borrow_mut().push_alike(&payload.0) {
            return Err(payload.into_body());
        }
        self.count_straight(needs);
        self.notice();
        Ok(())
    }

    /// What a message of this worker along this route needs.
    fn needs(&self, from: &MailboxRc, route: &Route) -> Needs {
        let cover = match leads_back(route) {
            true => self.covers.find(&from.address),
            false => None,
        };
        let credit = takes_credit(route);
        Needs { credit, cover }
    }

    /// Whether a message can be put among the frames now.
    #[inline]
    fn is_free(&self, needs: &Needs) -> bool {
        self.takes_messages()
            && !self.ending.get()
            && !self.is_broken.get()
            && self.covers.is_empty()
            && self.has_room()
            && (!needs.credit || self.has_credit() || self.may_overdraw(needs))
    }

    /// Whether a message for which the peer has given no room goes all the same.
    #[cold]
    fn may_overdraw(&self, needs: &Needs) -> bool {
        let is_left = needs.cover.as_ref().is_some_and(|cover| cover.is_left());
        is_left && self.allowance.borrow().may_overdraw()
    }

    /// A message goes as if the worker of the connection had handled it.
    #[inline]
    fn count_straight(&self, needs: &Needs) {
        self.core.tally().sent_local.add(1);
        self.core.tally().handled.add(1);
        if needs.credit {
            self.allowance.borrow_mut().note_sent();
        }
        if let Some(cover) = &needs.cover {
            cover.spend();
        }
    }

    /// What is to be sent to the peer without a way on: a word of this node, or nothing that can be.
    #[cold]
    fn send_further(&self, message: Routed<Any>) {
        let (routes, message, obligation) = message.into_rerouted(Route::new());
        if let Some(obligation) = obligation {
            obligation.pass_on();
        }
        let type_name = message.type_name();
        if let Some(ended) = message.peek::<EndedHere>() {
            return self.tell_ended(ended);
        }
        if message.peek::<Bounce>().is_none() {
            self.lose(&routes, type_name, Reason::NotFound, None);
            return drop_guarded(message);
        }
        if let Ok(bounce) = message.unpack::<Bounce>() {
            let Bounce {
                sender,
                address,
                refusal,
            } = bounce;
            self.refuse(Some(sender), address, refusal);
        }
    }

    fn put<'a>(
        &self,
        onward: impl ExactSizeIterator<Item = &'a Address> + Clone,
        back: impl ExactSizeIterator<Item = &'a Address> + Clone,
        message: Any,
    ) -> Result<(), CodecError> {
        let type_name = message.type_name();
        let failed = |cause: String| CodecError::Encode { type_name, cause };
        let put = if message.is::<Buf>() {
            let payload = message
                .unpack::<Buf>()
                .map_err(|_| failed("its bytes cannot be had".to_owned()))?;
            self.outlet.borrow_mut().push(onward, back, payload)
        } else {
            let mut payload = self.encoded.take();
            payload.clear();
            let encoded = encode(&message, &mut payload).map_err(failed);
            drop_guarded(message);
            let put = encoded.map(|()| {
                let mut outlet = self.outlet.borrow_mut();
                outlet.push_copy(onward, back, &payload)
            });
            if payload.capacity() <= ENCODED_BYTES_KEPT {
                self.encoded.replace(payload);
            }
            put?
        };
        put.map_err(|error| failed(error.to_string()))
    }

    /// What the peer gets to see of a return route: the name of an exposed worker, or an alias.
    fn name_back(&self, back: &Route) -> Option<Address> {
        let first = back.first()?;
        let is_reply = first.hint().and_then(ReplyTo::from_hint).is_some();
        if back.len() == 1 && !is_reply {
            let is_last = self.named_last.borrow().as_ref() == Some(&first.address);
            if is_last || self.terms.exposes(&first.address) {
                if !is_last && self.terms.always_exposes(&first.address) {
                    self.named_last.replace(Some(first.address.clone()));
                }
                return Some(first.address.clone());
            }
        }
        Some(self.aliases.borrow_mut().name_for(back))
    }

    /// The route that a name stands for, if the peer was given it.
    pub(super) fn route_of(&self, name: &Address) -> Option<Route> {
        self.aliases.borrow_mut().route_of(name)
    }

    /// Reports a message that does not leave, and tells its requester. The worker of the connection had taken it, or it
    /// was counted as if; it is not handled.
    #[cold]
    fn lose(
        &self,
        routes: &Routes,
        type_name: &'static str,
        reason: Reason,
        kind: Option<ErrorKind>,
    ) {
        let address = routes.onward.last().unwrap_or(&self.name).clone();
        let from = routes.back.last().unwrap_or(&self.name).clone();
        let last = routes.back.hops().next_back();
        let requester = last.and_then(Hop::hint).and_then(ReplyTo::from_hint);
        self.core.uncount_handled();
        self.core.report(&Undelivered {
            to: address.clone(),
            from,
            type_name,
            expected: None,
            reason,
        });
        let kind = kind.unwrap_or(ErrorKind::NotFound { address });
        self.core.refuse(requester, kind);
    }

    /// Tells the peer that a message of its was not taken, if it understands.
    pub(super) fn refuse(&self, sender: Option<Address>, address: Address, refusal: Refusal) {
        let has_room = self.outlet.borrow().bytes() < self.terms.limits.queued_bytes_max;
        if let Some(sender) = sender
            && self.has_notes.get()
            && has_room
        {
            let address = self.known_as(address, refusal);
            self.tell(&Note::Refused {
                sender,
                address,
                refusal,
            });
        }
    }

    /// What the peer calls this address, as far as it was given another name for it. What it may not reach is called as
    /// it was called by the peer itself.
    fn known_as(&self, address: Address, refusal: Refusal) -> Address {
        if refusal == Refusal::Denied || self.terms.exposes(&address) {
            return address;
        }
        self.aliases.borrow().name_of(&address).unwrap_or(address)
    }

    /// Whether less is queued than the limits say.
    pub(super) fn has_room(&self) -> bool {
        let (limits, outlet) = (&self.terms.limits, self.outlet.borrow());
        outlet.bytes() < limits.queued_bytes_max && outlet.frames() < limits.queued_frames_max
    }

    /// Whether half as much is queued as may be: what has come from the peer already may need the rest.
    pub(super) fn is_half_full(&self) -> bool {
        let (limits, outlet) = (&self.terms.limits, self.outlet.borrow());
        outlet.bytes() > limits.queued_bytes_max / 2
            || outlet.frames() > limits.queued_frames_max / 2
    }

    pub(super) fn poll_until(
        &self,
        done: impl Fn(&Self) -> bool,
        polling: &Polling<'_>,
    ) -> Poll<()> {
        if done(self) {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = self.core.tasks.register(polling);
        Poll::Pending
    }
}

/// No names yet, under keys of their own.
fn new_aliases(core: &Core, terms: &Terms) -> Aliases {
    let limits = &terms.limits;
    let (routes_max, bytes_max) = (limits.return_routes_max, limits.return_route_bytes_max);
    Aliases::new(core.io.network.secret(), routes_max, bytes_max)
}

/// While it is there, the message that is next waits for a credit.
pub(super) struct AwaitsCredit<'a>(&'a Connection);

impl Drop for AwaitsCredit<'_> {
    fn drop(&mut self) {
        self.0.awaits_credit.set(false);
    }
}

/// Whether a message along this route, the connection in front, takes a credit of the peer: replies take none.
fn takes_credit(route: &Route) -> bool {
    let next = route.iter().nth(1);
    next.is_some_and(|next| !Aliases::is_once(next))
}

/// Encodes a message, which its own code does: should it panic, the connection goes on.
fn encode(message: &Any, payload: &mut Vec<u8>) -> Result<(), String> {
    let encoded = catch_unwind(AssertUnwindSafe(|| message.encode(payload)));
    encoded
        .map_err(into_text)?
        .map_err(|error| error.to_string())
}
