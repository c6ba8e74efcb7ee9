//! The task that reads and writes one connection.

use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost_mailbox::buf::Buf;
use ringpost_router::wire::{Incoming, Intake, Note, Refusal};
use ringpost_router::{Address, Encoded, Handle, Hop, Message, Route};

use crate::context::Context;
use crate::context::send::Sending;
use crate::context::sleep::Sleep;
use crate::core::deliver::{Attempt, Outgoing};
use crate::envelope::{ReplyTo, Routes};
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::net::{Keepalive, TcpStream, resolve};
use crate::task::Wake;
use crate::task::raw::MailboxRc;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::{Terms, named, normal};

/// Parts of one vectored write.
const PARTS: usize = 64;
/// Reads before the other tasks of the core get their turn.
const READS_PER_POLL: usize = 4;
/// How long to wait for one address of a peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
};

/// Connects if need be, and carries messages until the connection ends.
pub(super) async fn run(
    ctx: Context,
    connection: Rc<Connection>,
    accepted: Option<(TcpStream, Rc<()>)>,
) {
    let (stream, guard) = match accepted {
        Some((stream, guard)) => (Ok(stream), Some(guard)),
        None => (connect(&ctx, &connection).await, None),
    };
    let reason = match stream {
        Ok(stream) => {
            set_options(&stream);
            connection.opened();
            let mut pump = Pump::new(&ctx, Rc::clone(&connection), stream);
            poll_fn(|polling| pump.poll(polling)).await
        }
        Err(reason) => reason,
    };
    tracing::debug!(connection = %connection.name, reason, "a connection ended");
    drop(guard);
    connection.ended(&ctx.mailbox, &reason);
}

/// Speed and an early end of dead connections are wished for, not needed.
fn set_options(stream: &TcpStream) {
    let set = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_keepalive(Some(KEEPALIVE)));
    if let Err(error) = set {
        tracing::debug!(%error, "an option of a connection could not be set");
    }
}

async fn connect(ctx: &Context, connection: &Connection) -> Result<TcpStream, String> {
    let Some(name) = connection.name.as_str() else {
        return Err("its name is no text".to_owned());
    };
    let found: Vec<SocketAddr> = resolve(ctx, &normal(name))
        .await
        .map_err(|error| named(&error))?;
    let mut last = "it has no address".to_owned();
    for address in found {
        match TcpStream::connect_within(ctx, address, CONNECT_TIMEOUT).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = named(&error),
        }
    }
    Err(last)
}

struct Pump<'a> {
    ctx: &'a Context,
    connection: Rc<Connection>,
    stream: TcpStream,
    intake: Intake,
    way: Way,
    /// A message that waits for room at its receiver; nothing is read meanwhile.
    blocked: Option<Sending>,
    heartbeats: u32,
    opened: Time,
    last_read: Time,
    last_write: Time,
    frame_begun: Option<Time>,
    timer: Option<(Time, Sleep)>,
}

/// The way of the message that came last, which is that of the next one too, as a rule.
#[derive(Default)]
struct Way {
    onward: Route,
    /// The way back, this connection in front.
    back: Route,
    /// Whom the peer is told of if nobody takes the message.
    sender: Option<Address>,
    /// Whether the onward route is an exposed worker, now and for good.
    is_plain: bool,
}

impl Way {
    #[inline]
    fn follow(&mut self, incoming: &Incoming, terms: &Terms, connection: &MailboxRc) {
        if incoming.onward.is_some() || incoming.return_route.is_some() {
            self.change(incoming, terms, connection);
        }
    }

    fn change(&mut self, incoming: &Incoming, terms: &Terms, connection: &MailboxRc) {
        if let Some(onward) = &incoming.onward {
            self.onward.clone_from(onward);
        }
        if let Some(back) = &incoming.return_route {
            self.sender = back.first().map(|hop| hop.address.clone());
            self.back.clone_from(back);
            self.back.push_front(connection.hop());
        }
        let exposed = |hop: &Hop| terms.always_exposes(&hop.address);
        self.is_plain = self.onward.only().is_some_and(exposed) && self.back.check().is_ok();
    }
}

impl<'a> Pump<'a> {
    fn new(ctx: &'a Context, connection: Rc<Connection>, stream: TcpStream) -> Self {
        let now = ctx.core.now.get();
        let intake = Intake::new(connection.terms.limits.frame);
        Self {
            ctx,
            connection,
            stream,
            intake,
            way: Way::default(),
            blocked: None,
            heartbeats: 0,
            opened: now,
            last_read: now,
            last_write: now,
            frame_begun: None,
            timer: None,
        }
    }

    /// Does what can be done now. Ready with the reason when the connection has ended.
    fn poll(&mut self, polling: &mut Polling<'_>) -> Poll<String> {
        let connection = Rc::clone(&self.connection);
        *connection.pump.borrow_mut() = self.ctx.core.tasks.register(polling);
        // Replies to what is read now leave in the next turn; what is queued leaves before.
        connection.noticed.set(false);
        if let Err(reason) = self.write(polling) {
            return Poll::Ready(reason);
        }
        if connection.ending.get() && connection.outlet.borrow().is_empty() {
            return Poll::Ready("this node has ended it".to_owned());
        }
        match self.read(polling) {
            Err(reason) => return Poll::Ready(reason),
            Ok(true) => {
                let own = self.ctx.core.tasks.register(polling);
                self.ctx.core.io.put_off(own);
            }
            Ok(false) => self.intake.rest(),
        }
        self.poll_deadline(polling)
    }

    fn write(&mut self, polling: &mut Polling<'_>) -> Result<(), String> {
        let connection = &self.connection;
        while !connection.outlet.borrow().is_empty() {
            let mut outlet = connection.outlet.borrow_mut();
            let mut parts = [IoSlice::new(&[]); PARTS];
            let count = outlet.parts(&mut parts);
            let parts = parts.get(..count).unwrap_or_default();
            match self.stream.poll_write_parts(polling, parts) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => outlet.advance(count),
                Poll::Ready(Err(error)) => return Err(named(&error)),
            }
            self.last_write = self.ctx.core.now.get();
        }
        if connection.has_room() || connection.outlet.borrow().is_empty() {
            let waiting = connection.waiting.replace(Wake::Nobody);
            self.ctx.core.wake(&waiting);
        }
        Ok(())
    }

    /// Reads and delivers. Whether there is more to do right away.
    fn read(&mut self, polling: &mut Polling<'_>) -> Result<bool, String> {
        for _ in 0..READS_PER_POLL {
            if !self.deliver_all(polling)? {
                return Ok(false);
            }
            let room = self.intake.room();
            match self.stream.poll_read_into(polling, room) {
                Poll::Pending => {
                    self.note_progress();
                    return Ok(false);
                }
                Poll::Ready(Ok(0)) => return Err("the peer has closed it".to_owned()),
                Poll::Ready(Ok(count)) => self.intake.commit(count),
                Poll::Ready(Err(error)) => return Err(named(&error)),
            }
            self.last_read = self.ctx.core.now.get();
        }
        self.deliver_all(polling)
    }

    /// Delivers what has arrived. False if a receiver has no room.
    fn deliver_all(&mut self, polling: &mut Polling<'_>) -> Result<bool, String> {
        loop {
            if let Some(blocked) = &mut self.blocked {
                match blocked.poll(self.ctx, Handle::NONE, polling) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(sent) => {
                        self.blocked = None;
                        if let Err(error) = sent {
                            self.lost(&error, None);
                        }
                    }
                }
            }
            match self.intake.next() {
                Ok(Some(incoming)) => {
                    self.frame_begun = None;
                    self.deliver(incoming)?;
                }
                Ok(None) => return Ok(true),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn deliver(&mut self, incoming: Incoming) -> Result<(), String> {
        self.way
            .follow(&incoming, &self.connection.terms, &self.ctx.mailbox);
        let Incoming { payload, .. } = incoming;
        let Some(first) = self.way.onward.first() else {
            return self.take_note(&payload);
        };
        self.heartbeats = 0;
        if self.way.is_plain
            && let Some(to) = self.ctx.core.receiver_at(first)
        {
            let routes = Routes::new(self.way.onward.clone(), self.way.back.clone());
            let body = Encoded(payload).into_body();
            self.ctx
                .core
                .enqueue_along(to, &self.ctx.mailbox, routes, body);
            return Ok(());
        }
        self.deliver_further(payload);
        Ok(())
    }

    /// What cannot simply be put into the queue of its receiver.
    fn deliver_further(&mut self, payload: Buf) {
        let core = &self.ctx.core;
        let mut onward = self.way.onward.clone();
        let known = onward
            .first()
            .and_then(|first| self.connection.route_of(&first.address));
        if let Some(route) = &known {
            onward.pop_front();
            if onward.is_empty()
                && let Some(reply) = route
                    .only()
                    .and_then(Hop::hint)
                    .and_then(ReplyTo::from_hint)
            {
                core.tally().replies.add(1);
                core.answer(reply, Ok(Encoded(payload).into_body()));
                return;
            }
        }
        if let Some(denied) = self.connection.terms.denied(&onward) {
            let denied = denied.clone();
            core.report(&Undelivered {
                to: denied.clone(),
                from: self.connection.name.clone(),
                type_name: "an encoded message",
                reason: Reason::Refused,
            });
            self.connection
                .refuse(self.way.sender.clone(), denied, Refusal::Denied);
            return;
        }
        let onward = known.unwrap_or_default().append_route(onward);
        self.send_on(onward, payload);
    }

    fn send_on(&mut self, onward: Route, payload: Buf) {
        let core = &self.ctx.core;
        let mut out = Outgoing::along(Route::new());
        let routes = Routes::new(onward, self.way.back.clone());
        core.wrap_with(routes, Encoded(payload).into_body(), &mut out);
        match core.attempt(&self.ctx.mailbox, &mut out) {
            Attempt::Sent => {}
            Attempt::Failed(error) => self.lost(&error, self.way.sender.clone()),
            Attempt::Blocked(_) | Attempt::Misgranted => self.blocked = Some(Sending::of(out)),
        }
    }

    /// Reports a message that could not be sent on, and tells the peer.
    fn lost(&self, error: &Error, sender: Option<Address>) {
        let (to, reason) = match error.kind() {
            ErrorKind::NotFound { address } => (address.clone(), Reason::NotFound),
            ErrorKind::NoTransport { address } => (address.clone(), Reason::NoTransport),
            _ => (self.connection.name.clone(), Reason::Refused),
        };
        self.ctx.core.report(&Undelivered {
            to: to.clone(),
            from: self.connection.name.clone(),
            type_name: "an encoded message",
            reason,
        });
        self.connection.refuse(sender, to, Refusal::Gone);
    }

    /// A frame without a route: a note of a node of this make, or a sign of life.
    fn take_note(&mut self, payload: &[u8]) -> Result<(), String> {
        self.heartbeats = self.heartbeats.saturating_add(1);
        let most = self.connection.terms.limits.heartbeats_max;
        if self.heartbeats > most {
            return Err(format!(
                "the peer sent more than {most} frames without a message"
            ));
        }
        match Note::decode(payload) {
            Some(Note::Hello { .. }) => self.connection.has_notes.set(true),
            Some(Note::Refused {
                sender,
                address,
                refusal,
            }) => {
                self.heartbeats = 0;
                let known = self.connection.route_of(&sender);
                // Only what was sent from here can have been refused.
                if let Some(route) = known {
                    self.was_refused(&route, address, refusal);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn was_refused(&self, route: &Route, address: Address, refusal: Refusal) {
        let core = &self.ctx.core;
        core.report(&Undelivered {
            to: address.clone(),
            from: route.last().unwrap_or(&self.connection.name).clone(),
            type_name: "an encoded message",
            reason: Reason::Refused,
        });
        let requester = route
            .only()
            .and_then(Hop::hint)
            .and_then(ReplyTo::from_hint);
        let kind = match refusal {
            Refusal::Denied => ErrorKind::Refused { address },
            _ => ErrorKind::NotFound { address },
        };
        core.refuse(requester, kind);
    }

    /// Nothing more has come: a frame that is not whole has to go on.
    fn note_progress(&mut self) {
        if self.intake.held() == 0 {
            self.frame_begun = None;
        } else {
            self.frame_begun.get_or_insert(self.last_read);
        }
    }

    /// When the connection ends if nothing moves, and why.
    fn due(&self) -> Option<(Time, &'static str)> {
        let limits = &self.connection.terms.limits;
        let mut due: Option<(Time, &'static str)> = None;
        let mut add = |time: Time, reason| {
            if due.is_none_or(|(other, _)| time < other) {
                due = Some((time, reason));
            }
        };
        if !self.intake.is_open() {
            let time = self.opened.saturating_add(limits.handshake);
            add(time, "the peer did not begin in time");
        }
        if let (Some(begun), None) = (self.frame_begun, &self.blocked) {
            let rate = f64::from(limits.frame_bytes_per_second_min.max(1));
            let allowed = Duration::from_secs_f64(self.intake.held() as f64 / rate);
            let time = begun.saturating_add(limits.frame_grace.saturating_add(allowed));
            add(time, "the peer was too slow with a frame it had begun");
        }
        if let (Some(idle), None) = (limits.idle, &self.blocked) {
            let time = self.last_read.saturating_add(idle);
            add(time, "nothing came for as long as is allowed");
        }
        if !self.connection.outlet.borrow().is_empty() {
            let time = self.last_write.saturating_add(limits.stall);
            add(time, "the peer did not read for as long as is allowed");
        }
        due
    }

    fn poll_deadline(&mut self, polling: &mut Polling<'_>) -> Poll<String> {
        let core = Rc::clone(&self.ctx.core);
        while let Some((due, reason)) = self.due() {
            let now = core.now.get();
            if now >= due {
                return Poll::Ready(reason.to_owned());
            }
            // A timer that fires early finds out that there is more time.
            if self.timer.as_ref().is_none_or(|(time, _)| *time > due) {
                let sleep = Sleep::new(Rc::clone(&core), due.saturating_since(now));
                self.timer = Some((due, sleep));
            }
            let Some((_, sleep)) = &mut self.timer else {
                return Poll::Pending;
            };
            if Pin::new(sleep).poll(polling).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
        Poll::Pending
    }
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        if let Some(blocked) = &mut self.blocked {
            blocked.cancel(&self.ctx.core);
            let route = blocked.route().cloned().unwrap_or_default();
            let to = route.last().unwrap_or(&self.connection.name).clone();
            self.ctx.core.report(&Undelivered {
                to,
                from: self.connection.name.clone(),
                type_name: "an encoded message",
                reason: Reason::Disconnected,
            });
        }
    }
}
