//! Sending datagrams to one peer, and delivering what comes from there.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost_mailbox::buf::Buf;
use ringpost_router::wire::{Datagram, Frame, Incoming, Note};

use crate::context::Context;
use crate::net::UdpSocket;
use crate::time::Time;
use crate::transport::arrivals::Arrivals;
use crate::transport::connect::addresses;
use crate::transport::connection::Connection;
use crate::transport::end::End;
use crate::transport::timer::Timer;
use crate::transport::udp::hub::{Hub, Peer};

/// Datagrams each way before the other tasks of the core get their turn.
const DATAGRAMS_PER_POLL: usize = 64;
/// How long to wait when the system has no room for a datagram. Those who share a socket cannot all be told.
const PAUSE: Duration = Duration::from_millis(1);

/// Opens a socket for the peer that a connection is named by, and exchanges datagrams with it.
pub(crate) async fn dial(ctx: &Context, connection: &Rc<Connection>) -> End {
    match open(ctx, connection).await {
        Ok(peer) => carry(ctx, connection, &peer).await,
        Err(end) => {
            ctx.core.tally().transport.connects_failed.add(1);
            end
        }
    }
}

async fn open(ctx: &Context, connection: &Rc<Connection>) -> Result<Rc<Peer>, End> {
    let found = addresses(ctx, connection).await?;
    let none = || End::Lost("it has no address".to_owned());
    let address = found.into_iter().next().ok_or_else(none)?;
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(ctx, any)?;
    Hub::dial(&ctx.core, socket, &connection.terms, address)
        .map_err(|error| End::Lost(error.to_string()))
}

/// Exchanges datagrams with a peer until nothing comes or goes, or this node ends it.
pub(crate) async fn carry(ctx: &Context, connection: &Rc<Connection>, peer: &Rc<Peer>) -> End {
    connection.opened();
    let mut exchange = Exchange {
        ctx,
        connection: Rc::clone(connection),
        peer: Rc::clone(peer),
        arrivals: Arrivals::new(ctx, Rc::clone(connection)),
        last_moved: ctx.core.now.get(),
        sent: 0,
        unsent: Vec::new(),
        unsent_of_queue: 0,
        timer: Timer::default(),
    };
    let end = poll_fn(|polling| exchange.poll(polling)).await;
    peer.leave();
    tracing::debug!(connection = %connection.name, %end, "a connection ended");
    end
}

struct Exchange<'a> {
    ctx: &'a Context,
    connection: Rc<Connection>,
    peer: Rc<Peer>,
    arrivals: Arrivals<'a>,
    /// When something last came or went.
    last_moved: Time,
    /// How many datagrams were sent, which is the number of the last one.
    sent: u64,
    /// A datagram for which the system has no room yet; and how much of the queue it is, where it stays till then.
    unsent: Vec<u8>,
    unsent_of_queue: usize,
    timer: Timer,
}

impl Exchange<'_> {
    fn poll(&mut self, polling: &mut Polling<'_>) -> Poll<End> {
        match self.step(polling) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }

    fn step(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let core = &self.ctx.core;
        *self.connection.pump.borrow_mut() = core.tasks.register(polling);
        *self.peer.task.borrow_mut() = core.tasks.register(polling);
        self.connection.noticed.set(false);
        let sends_more = self.write();
        if self.connection.ending.get() || self.peer.is_closed() {
            return Err(End::Own);
        }
        let reads_more = self.read(polling)?;
        if sends_more || reads_more {
            let own = self.ctx.core.tasks.register(polling);
            self.ctx.core.io.put_off(own);
        }
        if self.peer.is_heard.take() {
            self.last_moved = self.ctx.core.now.get();
        }
        self.check_deadlines(polling)
    }

    /// Sends what is queued, as far as there is room. Whether there is more to do right away.
    fn write(&mut self) -> bool {
        let mut count = 0;
        while self.has_unsent() {
            if count == DATAGRAMS_PER_POLL {
                return true;
            }
            count += 1;
            match self.peer.send(&self.unsent) {
                None => break,
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Some(Err(error)) => self.lose(&error),
                Some(Ok(bytes)) => {
                    let tally = &self.ctx.core.tally().transport;
                    tally.frames_written.add(1);
                    tally.bytes_written.add(bytes as u64);
                    let messages = usize::from(self.leave_queue());
                    let mut allowance = self.connection.allowance.borrow_mut();
                    allowance.note_written(messages);
                }
            }
            self.last_moved = self.ctx.core.now.get();
            self.unsent.clear();
        }
        if self.connection.has_room() {
            self.connection.wake_waiting();
        }
        false
    }

    /// Whether there is a datagram to send.
    fn has_unsent(&mut self) -> bool {
        if self.unsent.is_empty() {
            let number = self.sent.saturating_add(1);
            let head = Datagram::head(self.peer.session, number);
            self.unsent.extend_from_slice(&head);
            let outlet = self.connection.outlet.borrow();
            self.unsent_of_queue = outlet.copy_frame(&mut self.unsent);
            match self.unsent_of_queue {
                0 => self.unsent.clear(),
                _ => self.sent = number,
            }
        }
        !self.unsent.is_empty()
    }

    /// The datagram leaves the queue. Whether it was a message.
    fn leave_queue(&self) -> bool {
        let mut outlet = self.connection.outlet.borrow_mut();
        let before = outlet.messages();
        outlet.advance(self.unsent_of_queue);
        outlet.messages() < before
    }

    /// The system does not send this datagram.
    #[cold]
    fn lose(&self, error: &io::Error) {
        let connection = &self.connection;
        tracing::debug!(connection = %connection.name, %error, "a datagram cannot be sent");
        if self.leave_queue() {
            connection.lose_queued();
        }
    }

    /// Delivers what has come. Whether there is more to do right away.
    fn read(&mut self, polling: &mut Polling<'_>) -> Result<bool, End> {
        self.arrivals.poll_waiting(polling);
        for _ in 0..DATAGRAMS_PER_POLL {
            let Some(body) = self.peer.take_arrived() else {
                return Ok(false);
            };
            let tally = &self.ctx.core.tally().transport;
            match self.incoming(body) {
                Some(incoming) => {
                    tally.frames_read.add(1);
                    self.arrivals.deliver(incoming, polling)?;
                }
                None => tally.datagrams_dropped.add(1),
            }
        }
        Ok(!self.peer.is_silent())
    }

    /// The message of a datagram; `None` if there is none that can be taken. Of notes only refusals mean anything here.
    fn incoming(&self, body: Buf) -> Option<Incoming> {
        if self.ctx.core.pool.is_short() {
            self.ctx.core.tally().memory_refused.add(1);
            return None;
        }
        let frame = Frame::decode(&body, &self.connection.terms.limits.frame).ok()?;
        let is_refusal = || matches!(Note::decode(frame.payload), Some(Note::Refused { .. }));
        if frame.is_heartbeat() && !is_refusal() {
            return None;
        }
        let payload = frame.payload_range(&body)?;
        let (onward, return_route) = (Some(frame.onward), Some(frame.return_route));
        Some(Incoming {
            onward,
            return_route,
            payload: body.slice(payload),
        })
    }

    /// When to look again whatever happens: for room to send, or for the end.
    fn due(&self) -> (Time, Option<Duration>) {
        let now = self.ctx.core.now.get();
        let idle = self.connection.terms.datagrams.as_ref();
        let idle = idle.map(|limits| limits.idle).unwrap_or_default();
        match self.unsent.is_empty() {
            true => (self.last_moved.saturating_add(idle), Some(idle)),
            false => (now.saturating_add(PAUSE), None),
        }
    }

    fn check_deadlines(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let core = &self.ctx.core;
        loop {
            let (due, idle) = self.due();
            if let Some(idle) = idle.filter(|_| core.now.get() >= due) {
                return Err(End::Lost(format!(
                    "nothing came or went for {idle:?} (idle)"
                )));
            }
            if self.timer.poll(core, due, polling).is_pending() {
                return Ok(());
            }
            if idle.is_none() {
                // There may be room now.
                core.io.put_off(core.tasks.register(polling));
                return Ok(());
            }
        }
    }
}
