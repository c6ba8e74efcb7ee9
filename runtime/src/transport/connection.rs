//! A connection as the node sees it: a worker whose messages leave on the wire.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};

use ringpost_mailbox::buf::Buf;
use ringpost_router::wire::{Note, Outlet, Refusal};
use ringpost_router::{Address, Aliases, Any, CodecError, Hop, Message, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::envelope::{ReplyTo, Routes};
use crate::error::{Error, ErrorKind, Reason, Result, Undelivered};
use crate::net::TcpStream;
use crate::routed::Routed;
use crate::task::Wake;
use crate::task::panics::into_text;
use crate::task::raw::MailboxRc;
use crate::transport::{Terms, pump};
use crate::worker::Worker;

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
    /// The task that reads and writes.
    pub(super) pump: RefCell<Wake>,
    /// Whether that task knows already that there is something to write.
    pub(super) noticed: Cell<bool>,
    /// Who waits until less is to be written.
    pub(super) waiting: RefCell<Wake>,
    /// Nothing more is to be sent.
    pub(super) ending: Cell<bool>,
    /// Whether the peer understands notes.
    pub(super) has_notes: Cell<bool>,
    /// Who is told that the connection stands.
    openers: RefCell<Vec<ReplyTo>>,
    is_open: Cell<bool>,
}

/// The worker.
pub(crate) struct Carrier {
    connection: Rc<Connection>,
    accepted: Option<(TcpStream, Rc<()>)>,
}

impl Connection {
    pub(super) fn new(core: &Rc<Core>, name: Address, terms: Arc<Terms>) -> Rc<Self> {
        let keys = core.io.network.secret();
        let aliases = Aliases::new(keys, terms.limits.return_routes_max);
        let mut outlet = Outlet::new(terms.limits.frame);
        outlet.open();
        let connection = Self {
            core: Rc::clone(core),
            name,
            terms,
            outlet: RefCell::new(outlet),
            encoded: RefCell::default(),
            aliases: RefCell::new(aliases),
            named_last: RefCell::default(),
            pump: RefCell::new(Wake::Nobody),
            noticed: Cell::new(false),
            waiting: RefCell::new(Wake::Nobody),
            ending: Cell::new(false),
            has_notes: Cell::new(false),
            openers: RefCell::default(),
            is_open: Cell::new(false),
        };
        connection.tell(&Note::Hello { frames: 0 });
        Rc::new(connection)
    }

    /// The connection stands: whoever asked is told.
    pub(super) fn opened(&self) {
        self.is_open.set(true);
        for to in self.openers.take() {
            self.core.answer(to, Ok(().into_body()));
        }
    }

    /// Puts a note among the frames.
    pub(super) fn tell(&self, note: &Note) {
        let payload = note.encode();
        let mut outlet = self.outlet.borrow_mut();
        let put = outlet.push_copy([].iter(), [].iter(), &payload);
        drop(outlet);
        if let Err(error) = put {
            tracing::debug!(%error, "a note to the peer was left out");
        }
        self.notice();
    }

    /// Has what is queued written in the next turn, with all else of this turn.
    fn notice(&self) {
        if !self.noticed.replace(true) {
            self.core.io.put_off(self.pump.borrow().clone());
        }
    }

    /// Puts a message among the frames to be written.
    fn send(&self, message: Routed<Any>) {
        if !message.has_routes() {
            return self.send_further(message);
        }
        // A request is the peer's from here on; who asked is told below if it does not get there.
        let (routes, message) = message.into_parts();
        let Some(routes) = routes else { return };
        let type_name = message.type_name();
        if routes.onward.len() < 2 {
            return self.lose(&routes, type_name, Reason::NotFound, None);
        }
        let back = self.name_back(&routes.back);
        let onward = routes.onward.iter().skip(1);
        match self.put(onward, back.as_slice().iter(), message) {
            Ok(()) => self.notice(),
            Err(cause) => {
                let kind = ErrorKind::Codec(cause);
                self.lose(&routes, type_name, Reason::Unencodable, Some(kind));
            }
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
        if message.peek::<Bounce>().is_none() {
            return self.lose(&routes, type_name, Reason::NotFound, None);
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

    /// Reports a message that does not leave, and tells its requester.
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
            self.tell(&Note::Refused {
                sender,
                address,
                refusal,
            });
        }
    }

    /// Whether less is queued than the limits say.
    pub(super) fn has_room(&self) -> bool {
        let (limits, outlet) = (&self.terms.limits, self.outlet.borrow());
        outlet.bytes() < limits.queued_bytes_max && outlet.frames() < limits.queued_frames_max
    }

    fn poll_until(&self, done: impl Fn(&Self) -> bool, polling: &Polling<'_>) -> Poll<()> {
        if done(self) {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = self.core.tasks.register(polling);
        Poll::Pending
    }

    /// The connection has ended: whoever waited for it is told.
    pub(super) fn ended(&self, mailbox: &MailboxRc, reason: &str) {
        self.ending.set(true);
        let address = self.name.clone();
        let kind = || ErrorKind::Disconnected {
            address: address.clone(),
            reason: reason.to_owned(),
        };
        for to in self.openers.take() {
            self.core.answer(to, Err(Error::new(kind())));
        }
        let nothing = Outlet::new(self.terms.limits.frame);
        let frames = self.outlet.replace(nothing).frames();
        // The first that is left is the node's own, where the peer never took it.
        for _ in usize::from(!self.is_open.get())..frames {
            self.core.report(&Undelivered {
                to: address.clone(),
                from: address.clone(),
                type_name: "an encoded message",
                expected: None,
                reason: Reason::Disconnected,
            });
        }
        for route in self.aliases.borrow_mut().take_waiting() {
            let hint = route.first().and_then(Hop::hint);
            self.core.refuse(hint.and_then(ReplyTo::from_hint), kind());
        }
        self.core.close(mailbox, Reason::Disconnected);
    }
}

/// Encodes a message, which its own code does: should it panic, the connection goes on.
fn encode(message: &Any, payload: &mut Vec<u8>) -> Result<(), String> {
    let encoded = catch_unwind(AssertUnwindSafe(|| message.encode(payload)));
    encoded
        .map_err(into_text)?
        .map_err(|error| error.to_string())
}

impl Worker for Carrier {
    type Message = Any;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        // The workers that still send while the node ends come first.
        ctx.core.exempt.borrow_mut().push(ctx.mailbox.clone());
        let mine = Context::of_worker(Rc::clone(&ctx.core), ctx.mailbox.clone());
        let pump = pump::run(mine, Rc::clone(&self.connection), self.accepted.take());
        ctx.spawn(pump);
        Ok(())
    }

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let connection = &self.connection;
        connection.send(msg);
        poll_fn(|polling| connection.poll_until(Connection::has_room, polling)).await;
        Ok(())
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        let written = |connection: &Connection| connection.outlet.borrow().is_empty();
        let connection = &self.connection;
        poll_fn(|polling| connection.poll_until(written, polling)).await;
        Ok(())
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.connection.ending.set(true);
        let pump = self.connection.pump.replace(Wake::Nobody);
        self.connection.core.wake(&pump);
    }
}

/// Tells a connection that a message which it brought was not taken, for its peer.
struct Bounce {
    sender: Address,
    address: Address,
    refusal: Refusal,
}

ringpost_router::local_message!(Bounce);

/// Tells the peer from which a message came that nobody took it. What came from a peer has hops of which
/// this node knows nothing at the end of its return route, and the connection before them. Where that has
/// no room now, the peer is left to its deadline.
#[cold]
pub(crate) fn bounce(
    core: &Rc<Core>,
    routes: Option<&Routes>,
    address: &Address,
    refusal: Refusal,
) {
    let Some(back) = routes.map(|routes| &routes.back) else {
        return;
    };
    let mut hops = back.hops().rev();
    let mut sender = None;
    let connection = loop {
        match hops.next() {
            Some(hop) if hop.is_unseen() => sender = Some(hop),
            other => break other,
        }
    };
    if let (Some(connection), Some(sender)) = (connection, sender) {
        let bounce = Bounce {
            sender: sender.address.clone(),
            address: address.clone(),
            refusal,
        };
        let mut out = Outgoing::new(Route::from(connection.clone()), bounce);
        // Whoever cannot take it has ended, or has much to do.
        let _ = core.attempt(&core.outside, &mut out);
    }
}

/// Starts the worker of a connection on this core.
pub(super) fn start(
    core: &Rc<Core>,
    address: Address,
    connection: Rc<Connection>,
    accepted: Option<(TcpStream, Rc<()>)>,
) -> Result<(), ErrorKind> {
    let carrier = move || Carrier {
        connection,
        accepted,
    };
    core.start_carrier(address, carrier)
}

/// Starts to connect to a TCP address whose home is this core. `None` if nothing can be started now.
#[cold]
pub(crate) fn dial(core: &Rc<Core>, address: &Address) -> Option<MailboxRc> {
    let terms = core.tcp.borrow().clone()?;
    let connection = Connection::new(core, address.clone(), terms);
    start(core, address.clone(), connection, None).ok()?;
    core.named(address)
}

/// Connects with these options, unless there is a connection, and answers when it stands.
pub(super) fn open(core: &Rc<Core>, address: Address, terms: Arc<Terms>, to: ReplyTo) {
    if core.named(&address).is_some() {
        return core.answer(to, Ok(().into_body()));
    }
    let connection = Connection::new(core, address.clone(), terms);
    connection.openers.borrow_mut().push(to);
    if let Err(kind) = start(core, address, Rc::clone(&connection), None) {
        for to in connection.openers.take() {
            core.answer(to, Err(Error::new(kind.clone())));
        }
    }
}
