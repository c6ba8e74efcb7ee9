//! A message on its way inside one core: 64 bytes with the pointer to its receiver, moved by value.

use std::cell::Cell;

use ringpost_mailbox::cell::Boxed;
use ringpost_router::{
    Address, Body, CodecError, Handle, HandleKind, Hint, Hop, Message, NodeCore, Route,
};

use crate::core::kept::{Kin, keep};
use crate::core::unanswered::{Obligation, is_nothing_noted, note, note_first};
use crate::held::Hold;
use crate::task::panics::guarded;
use crate::task::raw::{MailboxRc, MailboxRef};

/// A message between its sending and its handling. Its receiver is known from where it lies.
#[repr(C)]
pub(crate) struct Envelope {
    pub(crate) sender: Sender,
    pub(crate) origin: Origin,
    pub(crate) body: Body,
}

/// Who sent a message, and where an answer is waited for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Sender {
    pub(crate) from: MailboxRc,
    /// The place reserved for the reply to a request, or [`Handle::NONE`]; marked [`URGENT`] if the message is. In a
    /// [`Head`] it may be marked [`SHARED`] or [`RECEIVED`], be [`ROUTED`], or if it is no place, have a
    /// [stamp](Head::set_stamp).
    reply: Cell<Handle>,
}

impl Sender {
    /// Where in it the pointer lies.
    pub(crate) const POINTER_AT: usize = std::mem::offset_of!(Self, from);

    #[inline]
    pub(crate) fn new(from: MailboxRc, reply: Handle) -> Self {
        let reply = Cell::new(reply);
        Self { from, reply }
    }

    /// As [`new`](Self::new), of an urgent message.
    pub(crate) fn of_urgent(from: MailboxRc, mut reply: Handle) -> Self {
        reply.index |= URGENT;
        Self::new(from, reply)
    }
}

/// Whose credit a message holds until it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The link of the sending core, or the place of the permit for a thread outside.
    pub(crate) link: u32,
    /// The sending core.
    pub(crate) core: u16,
    pub(crate) kind: OriginKind,
    /// Whether the body is a [`Detour`].
    pub(crate) detour: bool,
}

/// The kinds of [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OriginKind {
    /// A credit of the mailbox for its own core.
    Local,
    /// A credit of a link from another core.
    Link,
    /// A credit of a lane for urgent messages of the sending core.
    Urgent,
    /// A credit of the mailbox for its own core, of an urgent message that was put back.
    UrgentAgain,
    /// No credit, but one of the places for answers that come back by workers which have passed their requests on.
    Returned,
    /// No credit, but the place of the watch that it is news of.
    News,
    /// No credit is held: it was given back, or the message never needed one.
    Free,
}

impl Origin {
    pub(crate) const FREE: Origin = Origin {
        link: 0,
        core: 0,
        kind: OriginKind::Free,
        detour: false,
    };
    /// As `LOCAL`, for a message that has its routes with it.
    pub(crate) const DETOUR: Origin = Origin {
        detour: true,
        ..Self::LOCAL
    };
    pub(crate) const LOCAL: Origin = Origin {
        link: 0,
        core: 0,
        kind: OriginKind::Local,
        detour: false,
    };
    /// Of a message of this link of another core.
    #[inline(always)]
    pub(crate) fn of_link(core: u16, link: u32) -> Self {
        Self {
            link,
            core,
            kind: OriginKind::Link,
            detour: false,
        }
    }

    /// Of an answer on its way back.
    pub(crate) const RETURNED: Origin = Origin {
        kind: OriginKind::Returned,
        detour: true,
        ..Self::FREE
    };
    /// Of news of an end.
    pub(crate) const NEWS: Origin = Origin {
        kind: OriginKind::News,
        ..Self::FREE
    };
    /// As `LOCAL`, for an urgent message.
    pub(crate) const URGENT_AGAIN: Origin = Origin {
        kind: OriginKind::UrgentAgain,
        ..Self::LOCAL
    };
}

/// A place in some core's table of pending replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReplyTo {
    pub(crate) core: u16,
    pub(crate) handle: Handle,
}

impl ReplyTo {
    /// Nobody waits for a reply.
    pub(crate) const NOBODY: ReplyTo = ReplyTo {
        core: 0,
        handle: Handle::NONE,
    };

    pub(crate) fn from_hint(hint: Hint) -> Option<Self> {
        (hint.kind == HandleKind::Reply).then_some(Self {
            core: hint.core.index(),
            handle: hint.handle,
        })
    }
}

/// The routes of a message whose way has more than one hop in either direction.
#[derive(Debug)]
pub(crate) struct Routes {
    /// The way on, the present hop first.
    pub(crate) onward: Route,
    /// The way back.
    pub(crate) back: Route,
    /// Whether somebody may have kept one of them.
    pub(crate) shared: Cell<bool>,
    /// What it counts for at the connection that brought it.
    pub(crate) hold: Option<Hold>,
    /// Who may have these routes for another message, if nobody edits them.
    pub(crate) kin: Kin,
    /// The payload, while both are under way; otherwise nothing.
    body: Body,
}

impl Routes {
    pub(crate) fn new(onward: Route, back: Route) -> Boxed<Self> {
        Boxed::new(Self {
            onward,
            back,
            shared: Cell::new(false),
            hold: None,
            kin: Kin::NONE,
            body: ().into_body(),
        })
    }

    /// Whether somebody may wait for an answer. Who does is at the end of one of the routes, with the place where.
    #[inline]
    fn may_ask(&self) -> bool {
        let is_seen = |hop: Option<&Hop>| hop.is_some_and(|hop| !hop.is_unseen());
        is_seen(self.back.last_hop()) || is_seen(self.onward.last_hop())
    }

    /// Where somebody waits for an answer: this message asks for it, or is it, on its way back.
    fn requester(&self, here: NodeCore) -> Option<ReplyTo> {
        let place = |hop: Option<&Hop>| ReplyTo::from_hint(hop?.hint_of(here.node())?);
        place(self.back.hops().next_back()).or_else(|| place(self.onward.hops().next_back()))
    }

    /// The way back, which somebody may keep. It is cloned where it is needed, and not out of line: a route
    /// that is returned through memory on the rare path would lie in memory on the usual one too.
    #[inline(always)]
    fn way_back(&self) -> Route {
        self.shared.set(true);
        self.back.clone()
    }
}

/// A payload together with its routes, in one word; most messages have trivial routes and do without.
#[derive(Debug)]
pub(crate) struct Detour(Boxed<Routes>);

impl Detour {
    /// Packs a payload.
    #[inline]
    pub(crate) fn pack(mut routes: Boxed<Routes>, body: Body) -> Body {
        routes.body = body;
        Self(routes).into_body()
    }

    /// Packs a payload that comes along these routes, which are those of others of its kin.
    #[inline]
    pub(crate) fn along(
        kin: Kin,
        (onward, back): (&Route, &Route),
        hold: Option<Hold>,
        body: Body,
    ) -> Body {
        if let Some(mut routes) = kin.take(onward, back) {
            routes.hold = hold;
            return Self::pack(routes, body);
        }
        Self(Boxed::new(Routes {
            onward: onward.clone(),
            back: back.clone(),
            shared: Cell::new(false),
            hold,
            kin,
            body,
        }))
        .into_body()
    }

    /// Parts a packed payload from its routes, and leaves any other as it is.
    #[inline]
    pub(crate) fn open(body: Body) -> (Option<Boxed<Routes>>, Body) {
        match body.take::<Self>() {
            Ok(Self(mut routes)) => {
                let body = std::mem::replace(&mut routes.body, ().into_body());
                (Some(routes), body)
            }
            Err(body) => (None, body),
        }
    }

    /// The routes of a packed payload.
    pub(crate) fn routes(body: &Body) -> Option<&Routes> {
        body.peek::<Self>().map(|Self(routes)| &**routes)
    }

    /// The payload, seen through its packing.
    fn payload(body: &Body) -> &Body {
        body.peek::<Self>()
            .map_or(body, |Self(routes)| &routes.body)
    }
}

impl Message for Detour {
    fn encode(&self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::not_encodable(
            "a message under way inside a node",
        ))
    }

    fn decode(_bytes: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::not_encodable(
            "a message under way inside a node",
        ))
    }
}

/// Marks the place of a reply of which somebody may have kept the route. No table has so many places.
const SHARED: u32 = 1 << 31;

/// Marks an urgent message where the place of its reply is, whether there is one or not. No table has so many either.
const URGENT: u32 = 1 << 30;

/// Marks a message that was taken by `receive`, where a handler was given one, in the same way.
const RECEIVED: u32 = 1 << 29;

/// What is no part of the place of a reply.
const MARKS: u32 = SHARED | URGENT | RECEIVED;

/// Stands for the place of a reply if there are routes that may lead to one, so that one look tells whether there is
/// either.
const ROUTED: Handle = Handle {
    index: RECEIVED - 1,
    generation: 1,
};

/// What a handler learns about a message besides its payload. If that is a request, whoever has this is to
/// answer it, or is taken at their word that they do not: see [`unanswered`](crate::core::unanswered).
///
/// In two halves of two words, of which the sender's mailbox keeps the one and the receiver's the other: a
/// handler moves it by such halves, and a processor stalls where it loads a half that was just stored
/// word by word. That was 10 ns of 60 for each message (`one_way` on one core).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head {
    sender: Sender,
    pub(crate) towards: Towards,
}

/// Where a message is, and where else it has been and is to go.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Towards {
    pub(crate) to: MailboxRc,
    /// Taken out before it is dropped, so that dropping it here is a look.
    routes: Option<Boxed<Routes>>,
}

impl Towards {
    /// Where in it the pointer lies.
    pub(crate) const POINTER_AT: usize = std::mem::offset_of!(Self, to);

    #[inline]
    pub(crate) fn new(to: MailboxRc, routes: Option<Boxed<Routes>>) -> Self {
        Self { to, routes }
    }

    pub(crate) fn routes(&self) -> Option<&Routes> {
        self.routes.as_deref()
    }

    pub(crate) fn take_routes(&mut self) -> Option<Boxed<Routes>> {
        self.routes.take()
    }
}

impl Drop for Towards {
    #[inline]
    fn drop(&mut self) {
        if let Some(routes) = self.routes.take() {
            drop_routes(routes);
        }
    }
}

/// Of the C calling convention because such a function never unwinds, for which its caller would have
/// to be ready.
#[cold]
#[inline(never)]
extern "C" fn drop_routes(routes: Boxed<Routes>) {
    match routes.kin {
        Kin::NONE => drop(routes),
        _ => keep(routes),
    }
}

impl Head {
    #[inline]
    pub(crate) fn new(sender: Sender, towards: Towards) -> Self {
        Self { sender, towards }
    }

    /// Who the message came from last.
    pub(crate) fn from(&self) -> &MailboxRc {
        &self.sender.from
    }

    /// Who the message is for.
    pub(crate) fn to(&self) -> &MailboxRc {
        &self.towards.to
    }

    #[inline(always)]
    pub(crate) fn return_route(&self) -> Route {
        match &self.towards.routes {
            Some(routes) => routes.way_back(),
            None => self.way_straight_back(),
        }
    }

    /// Back to the reserved place of a request, else to the sender.
    #[inline(always)]
    fn way_straight_back(&self) -> Route {
        let mut reply = self.sender.reply.get();
        if reply.generation == Handle::NONE.generation {
            return self.from().route();
        }
        reply.index |= SHARED;
        self.sender.reply.set(reply);
        Route::from(self.from().reply_hop(self.place().handle))
    }

    /// As [`return_route`](Self::return_route), for one who only looks.
    pub(crate) fn show_return_route(&self) -> Route {
        match (&self.towards.routes, self.place().handle) {
            (Some(routes), _) => routes.back.clone(),
            (None, Handle::NONE) => self.from().route(),
            (None, place) => Route::from(self.from().reply_hop(place)),
        }
    }

    /// Who sent the message first, whoever passed it on.
    pub(crate) fn first_sender(&self) -> &Address {
        let first = self.towards.routes().and_then(|routes| routes.back.last());
        first.unwrap_or(&self.from().address)
    }

    pub(crate) fn onward_route(&self) -> Route {
        match &self.towards.routes {
            Some(routes) => routes.onward.clone(),
            None => self.to().route(),
        }
    }

    /// The message is out of the hands of whoever had this: where it has been and is to go, and who is to
    /// answer it if it is a request.
    pub(crate) fn into_routes(mut self) -> (Boxed<Routes>, Option<Obligation>) {
        let obligation = self.obligation();
        let routes = match self.towards.take_routes() {
            Some(mut routes) => {
                routes.kin = Kin::NONE;
                routes
            }
            None => {
                let routes = Routes::new(self.onward_route(), self.return_route());
                let shared = obligation.as_ref().is_some_and(|it| it.shared);
                routes.shared.set(shared);
                routes
            }
        };
        self.sender.reply.set(Handle::NONE);
        (routes, obligation)
    }

    /// The routes that the message has with it: whoever takes them sees to it that a requester is told.
    pub(crate) fn take_routes(mut self) -> Option<Boxed<Routes>> {
        self.sender.reply.set(Handle::NONE);
        let mut routes = self.towards.take_routes()?;
        routes.kin = Kin::NONE;
        Some(routes)
    }

    /// The message as it was in its mailbox.
    pub(crate) fn into_envelope(mut self, mut body: Body) -> Envelope {
        let mut reply = self.sender.reply.replace(Handle::NONE);
        reply.index &= !RECEIVED;
        let mut origin = Origin::FREE;
        let routes = self.towards.take_routes();
        if routes.is_some() || reply.generation == Handle::NONE.generation {
            reply = Handle {
                index: reply.index & URGENT,
                ..Handle::NONE
            };
        }
        if let Some(routes) = routes {
            body = Detour::pack(routes, body);
            origin.detour = true;
        }
        Envelope {
            sender: Sender::new(self.from().clone(), reply),
            origin,
            body,
        }
    }

    /// The place where a requester waits for the answer, if anybody does: whoever asks sees to it that
    /// they are told.
    pub(crate) fn take_requester(self) -> Option<ReplyTo> {
        let requester = self.requester();
        self.sender.reply.set(Handle::NONE);
        requester
    }

    /// The place where a requester waits for the answer, if anybody does.
    pub(crate) fn requester(&self) -> Option<ReplyTo> {
        if let Some(routes) = self.towards.routes() {
            return routes.requester(self.to().core());
        }
        Some(self.place()).filter(|place| place.handle != Handle::NONE)
    }

    /// Notes that `receive` has taken the message.
    pub(crate) fn mark_received(&self) {
        let mut reply = self.sender.reply.get();
        reply.index |= RECEIVED;
        self.sender.reply.set(reply);
    }

    /// Whether `receive` has taken it.
    pub(crate) fn was_received(&self) -> bool {
        self.sender.reply.get().index & RECEIVED != 0
    }

    /// Writes on a message that is no request by which call of its worker it was taken: a number that is not 0, of which the
    /// lower 29 bits count. A request is told from others by its requester.
    pub(crate) fn set_stamp(&self, call: u32) {
        let mut reply = self.sender.reply.get();
        if reply.generation == Handle::NONE.generation {
            reply.index = reply.index & URGENT | call & (RECEIVED - 1);
            self.sender.reply.set(reply);
        }
    }

    /// What was written on it; 0 if nothing was.
    pub(crate) fn stamp(&self) -> u32 {
        let reply = self.sender.reply.get();
        match reply.generation == Handle::NONE.generation {
            true => reply.index & (RECEIVED - 1),
            false => 0,
        }
    }

    /// Where the answer of a message without routes goes.
    fn place(&self) -> ReplyTo {
        place(self.from().core().index(), self.sender.reply.get())
    }

    fn obligation(&self) -> Option<Obligation> {
        let from = self.from().core().index();
        let holder = self.to().borrowed();
        owed(from, self.sender.reply.get(), holder, self.towards.routes())
    }
}

/// What whoever has a message owes, if it is a request.
fn owed(
    from: u16,
    reply: Handle,
    holder: MailboxRef<'_>,
    routes: Option<&Routes>,
) -> Option<Obligation> {
    let Some(routes) = routes else {
        let requester = place(from, reply);
        return (requester.handle != Handle::NONE).then(|| Obligation {
            requester,
            holder: holder.counted(),
            shared: reply.index & SHARED != 0,
            elsewhere: false,
        });
    };
    let requester = routes.requester(holder.core())?;
    let shared = routes.shared.get();
    // An answer that goes by others could be overtaken by the news that there is none.
    let by_others = shared && routes.back.len() > 1;
    let elsewhere = by_others || routes.asks(holder.core().node()).is_none();
    Some(Obligation {
        requester,
        holder: holder.counted(),
        shared,
        elsewhere,
    })
}

/// Where the answer of a message without routes goes.
fn place(core: u16, mut handle: Handle) -> ReplyTo {
    handle.index &= !MARKS;
    if handle.generation == Handle::NONE.generation {
        handle = Handle::NONE;
    }
    ReplyTo { core, handle }
}

/// Of the C calling convention for the reason that [`drop_routes`] is. It is given what a head holds instead
/// of the head, which so need not be in memory.
#[inline(never)]
extern "C" fn let_go(
    from: u16,
    index: u32,
    generation: u32,
    holder: MailboxRef<'_>,
    routes: Option<&Routes>,
) {
    // True of most requests, also of those that have been answered.
    if index & SHARED != 0 && is_nothing_noted() {
        let index = index & !MARKS;
        let handle = Handle { index, generation };
        return note_first(ReplyTo { core: from, handle });
    }
    let_go_further(from, index, generation, holder, routes);
}

/// As [`let_go`], which hands on what it was given where that is.
#[cold]
#[inline(never)]
extern "C" fn let_go_further(
    from: u16,
    index: u32,
    generation: u32,
    holder: MailboxRef<'_>,
    routes: Option<&Routes>,
) {
    let reply = Handle { index, generation };
    if index & SHARED != 0 && note(place(from, reply)) {
        return;
    }
    guarded("who waits for an answer panicked", None, || {
        drop(owed(from, reply, holder, routes));
    });
}

impl Drop for Head {
    #[inline]
    fn drop(&mut self) {
        let Handle { index, generation } = self.sender.reply.get();
        if generation != Handle::NONE.generation {
            let holder = self.to().borrowed();
            let from = self.from().core().index();
            let_go(from, index, generation, holder, self.towards.routes());
        }
    }
}

impl Envelope {
    /// The envelope, holding the credit that it was sent with.
    pub(crate) fn with_credit_of(mut self, origin: Origin) -> Self {
        self.origin = Origin {
            detour: self.origin.detour,
            ..origin
        };
        self
    }

    /// Whether it was sent as an urgent message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.sender.reply.get().index & URGENT != 0
    }

    /// Parts the envelope into what the handler learns and the payload.
    pub(crate) fn open(self, to: MailboxRc) -> (Head, Body) {
        let (routes, body) = if self.origin.detour {
            Detour::open(self.body)
        } else {
            (None, self.body)
        };
        let mut reply = self.sender.reply.get();
        if routes.as_ref().is_some_and(|routes| routes.may_ask()) {
            reply = Handle {
                index: ROUTED.index | (reply.index & URGENT),
                ..ROUTED
            };
        }
        let head = Head::new(
            Sender::new(self.sender.from, reply),
            Towards::new(to, routes),
        );
        (head, body)
    }

    /// Where the answer is waited for, and by whom, if this is a request.
    pub(crate) fn asker(&self, here: NodeCore) -> Option<(ReplyTo, Address)> {
        if let Some(routes) = self.routes() {
            let last = routes.back.hops().next_back()?;
            let place = ReplyTo::from_hint(last.hint_of(here.node())?)?;
            return Some((place, last.address.clone()));
        }
        let from = &self.sender.from;
        let place = place(from.core().index(), self.sender.reply.get());
        (place.handle != Handle::NONE).then(|| (place, from.address.clone()))
    }

    /// The routes that the message has with it.
    pub(crate) fn routes(&self) -> Option<&Routes> {
        match self.origin.detour {
            true => Detour::routes(&self.body),
            false => None,
        }
    }

    /// Who the message is for, if it has its routes with it.
    pub(crate) fn next(&self) -> Address {
        let next = Detour::routes(&self.body).and_then(|routes| routes.onward.first());
        next.map_or_else(
            || self.sender.from.address.clone(),
            |hop| hop.address.clone(),
        )
    }

    /// The payload's type, seen through a detour.
    pub(crate) fn payload(&self) -> &Body {
        if !self.origin.detour {
            return &self.body;
        }
        Detour::payload(&self.body)
    }
}

const _: () = assert!(
    size_of::<Envelope>() + size_of::<MailboxRc>() == 64,
    "an envelope and its receiver take one cache line"
);
