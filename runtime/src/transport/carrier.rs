//! A connection as other workers see it: a worker of the name that routes begin with.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use ringpost_router::wire::Refusal;
use ringpost_router::{Address, Any, Body, Handle, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::envelope::{Detour, ReplyTo, Routes};
use crate::error::{Error, ErrorKind, Result};
use crate::mailbox::{State, Stop};
use crate::net::Duplex;
use crate::routed::Routed;
use crate::task::Wake;
use crate::task::raw::MailboxRc;
use crate::transport::Terms;
use crate::transport::connect;
use crate::transport::connection::Connection;
use crate::transport::covers::leads_back;
use crate::transport::passing::Passing;
use crate::transport::udp::Peer;
use crate::worker::Worker;

/// What a connection runs over that it did not open.
pub(super) enum Line {
    /// A stream that was accepted, and what counts it among those of its listener.
    Stream(Box<Duplex>, Rc<()>),
    /// Datagrams.
    Datagrams(Rc<Peer>),
}

/// The worker.
pub(crate) struct Carrier {
    connection: Rc<Connection>,
    accepted: Option<Line>,
    /// Its place in the table of its core, once it has begun.
    place: Handle,
}

impl Worker for Carrier {
    type Message = Any;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        // The workers that still send while the node ends come first.
        let handle = ctx.mailbox.handle();
        ctx.core.exempt.borrow_mut().insert(handle);
        ctx.core
            .transports
            .note_carried(&ctx.mailbox, &self.connection);
        self.place = handle;
        let mine = Context::of_worker(Rc::clone(&ctx.core), ctx.mailbox.clone());
        let task = connect::run(mine, Rc::clone(&self.connection), self.accepted.take());
        ctx.spawn(task);
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let connection = &self.connection;
        let Some(msg) = connection.send_covered(msg) else {
            return Ok(());
        };
        let mut held = Held {
            connection,
            message: Some(msg),
        };
        if !connection.takes_messages() {
            let is_over = |it: &Connection| it.takes_messages() || held.is_covered();
            Passing::until(is_over, ctx, connection).await;
        }
        if held.lacks_credit() && !held.is_covered() {
            let _awaits = connection.await_credit();
            let is_over = |it: &Connection| it.has_credit() || held.is_covered();
            Passing::until(is_over, ctx, connection).await;
        }
        held.send();
        if !connection.has_room() {
            Passing::until(Connection::has_room, ctx, connection).await;
        }
        Ok(())
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        let connection = &self.connection;
        poll_fn(|polling| connection.poll_until(Connection::is_written, polling)).await;
        Ok(())
    }
}

/// A message that waits to be sent. If the connection ends before, it is reported.
struct Held<'a> {
    connection: &'a Connection,
    message: Option<Routed<Any>>,
}

impl Held<'_> {
    fn lacks_credit(&self) -> bool {
        !self.connection.has_credit() && self.message.as_ref().is_some_and(Connection::needs_credit)
    }

    /// Whether it is covered by now: then those that come behind it from its sender may be too, and it goes before them.
    fn is_covered(&self) -> bool {
        let message = self.message.as_ref();
        message.is_some_and(|message| self.connection.is_covered(message))
    }

    fn send(&mut self) {
        let message = self.message.take();
        if let Some(message) = message.and_then(|message| self.connection.send_covered(message)) {
            self.connection.send(message);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.connection.drop_message(message);
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .core
            .transports
            .forget_carried(connection, self.place);
        self.connection.ending.set(true);
        let pump = self.connection.pump.replace(Wake::Nobody);
        self.connection.core.wake(&pump);
    }
}

/// Sends a message over a connection without its worker, if that would send it next anyway. Gives the payload back if
/// there is no connection at the first hop, or something is before the message.
#[inline]
pub(crate) fn send_straight(
    core: &Core,
    to: &MailboxRc,
    from: &MailboxRc,
    route: &Route,
    body: Body,
) -> Result<(), Body> {
    let carried = core.transports.carried_by(to.handle());
    // Not while the table is looked at: what is encoded is code of the user's.
    let connection = carried.map(|carried| Rc::clone(&carried.1));
    match connection.filter(|_| is_next(to)) {
        Some(connection) => connection.send_straight(from, route, body),
        None => Err(body),
    }
}

/// As [`send_straight`], for bytes that take the way of the frame before them, where nothing is to be looked up.
#[inline(never)]
pub(crate) fn send_alike(
    core: &Core,
    from: &MailboxRc,
    route: &Route,
    body: Body,
) -> Result<(), Body> {
    let place = route.first().and_then(|first| first.worker_on(core.here));
    match place.and_then(|place| core.transports.carried_by(place)) {
        Some(carried) if is_next(&carried.0) => carried.1.send_alike(from, route, body),
        _ => Err(body),
    }
}

/// Whether a message for which this worker has no room is put into its mailbox all the same: it carries a connection, and
/// the message is covered by one of its peer's. None passes another of the same sender that waits.
#[cold]
pub(crate) fn goes_ahead(core: &Core, to: &MailboxRc, from: &MailboxRc, out: &Outgoing) -> bool {
    let routes = out.body.as_ref().and_then(Detour::routes);
    let leads_back = routes.is_some_and(|routes| leads_back(&routes.onward));
    let Some(carried) = core.transports.carried_by(to.handle()) else {
        return false;
    };
    leads_back && !to.has_sender(from) && carried.1.covers.go_ahead(&from.address)
}

/// Whether a message that is sent to this worker now would be the next that it handles.
#[inline]
fn is_next(to: &MailboxRc) -> bool {
    to.state.get() == State::Idle && to.queued() == 0 && to.stop.get() == Stop::No
}

/// Tells a connection that a message which it brought was not taken, for its peer.
pub(super) struct Bounce {
    pub(super) sender: Address,
    pub(super) address: Address,
    pub(super) refusal: Refusal,
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
        // What a thread outside has sent, and a worker passed on, has such a route, too.
        if !core.transports.may_carry(connection, core.here) {
            return;
        }
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
    accepted: Option<Line>,
) -> Result<(), ErrorKind> {
    let carrier = move || Carrier {
        connection,
        accepted,
        place: Handle::NONE,
    };
    core.start_carrier(address, carrier)
}

/// Starts to connect to an address whose home is this core. `None` if nothing can be started now.
#[cold]
pub(crate) fn dial(core: &Rc<Core>, address: &Address) -> Option<MailboxRc> {
    let terms = core.transports.terms(address.transport())?;
    begin(core, address, terms).ok()?;
    core.named(address)
}

fn begin(
    core: &Rc<Core>,
    address: &Address,
    terms: Arc<Terms>,
) -> Result<Rc<Connection>, ErrorKind> {
    let connection = Connection::new(core, address.clone(), terms);
    start(core, address.clone(), Rc::clone(&connection), None)?;
    core.transports.note_dialed(&connection);
    Ok(connection)
}

/// Connects with these options, unless there is a connection, and answers when it stands.
pub(super) fn open(core: &Rc<Core>, address: &Address, terms: Arc<Terms>, to: ReplyTo) {
    let there = core
        .transports
        .dialed(address)
        .map_or_else(|| begin(core, address, terms), Ok);
    match there {
        Ok(connection) => connection.tell_when_open(to),
        Err(kind) => core.answer(to, Err(Error::new(kind))),
    }
}
