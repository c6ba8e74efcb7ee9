//! The network of a simulation: listeners, streams and datagrams in memory, for all nodes of a run.
//!
//! All nodes share one space of addresses, as programs of one machine do. What is written arrives when its
//! reader has its next turn, in pieces whose sizes are drawn from the seed, so that nobody comes to rely
//! on writes and reads matching. A stream holds [`PIPE_BYTES`] each way; a writer that finds no room is
//! told when there is some.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;

use slab::Slab;

use crate::core::io::Readiness;
use crate::net::ListenOptions;

/// Bytes that one direction of a stream holds.
const PIPE_BYTES: usize = 64 * 1024;
/// The first port that is given to who asks for any.
const PORTS_FROM: u16 = 49_152;
/// Datagrams that wait at one socket; more are lost, as in the field.
const DATAGRAMS_MAX: usize = 256;

/// The network of one run.
#[derive(Clone)]
pub(crate) struct SimNet(Rc<RefCell<Inner>>);

/// The network as one core sees it.
#[derive(Clone)]
pub(crate) struct SimPort {
    net: SimNet,
    core: usize,
}

/// A socket's place: the core among all cores of the run, and the key there.
type Place = (usize, usize);

struct Inner {
    dice: u64,
    next_port: u16,
    listeners: Slab<Listening>,
    pipes: Slab<Pipe>,
    sockets: Slab<Socket>,
    /// What happened, for each core, in order.
    news: Vec<VecDeque<(usize, Readiness)>>,
}

struct Listening {
    address: SocketAddr,
    place: Place,
    backlog: VecDeque<(usize, SocketAddr)>,
    backlog_max: usize,
}

/// A connection: who connected has side 0.
struct Pipe {
    sides: [Side; 2],
}

/// One end of a connection, and what is on its way to it.
struct Side {
    place: Option<Place>,
    arrived: VecDeque<u8>,
    /// Nothing more will arrive.
    ended: bool,
    gone: bool,
    /// A writer at the other side found no room.
    stopped_writer: bool,
}

struct Socket {
    address: SocketAddr,
    place: Place,
    arrived: VecDeque<(Vec<u8>, SocketAddr)>,
}

pub(crate) struct SimListener {
    net: SimNet,
    at: usize,
    address: SocketAddr,
}

pub(crate) struct SimStream {
    net: SimNet,
    /// The pipe, unless nobody listened.
    at: Option<usize>,
    side: usize,
    local: SocketAddr,
    peer: SocketAddr,
}

pub(crate) struct SimSocket {
    net: SimNet,
    at: usize,
    address: SocketAddr,
}

const READABLE: Readiness = Readiness {
    readable: true,
    writable: false,
    read_closed: false,
    write_closed: false,
};
const WRITABLE: Readiness = Readiness {
    readable: false,
    writable: true,
    read_closed: false,
    write_closed: false,
};
const ENDED: Readiness = Readiness {
    readable: true,
    writable: true,
    read_closed: true,
    write_closed: false,
};

impl SimNet {
    /// A network for so many cores.
    pub(crate) fn new(seed: u64, cores: usize) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            dice: seed.rotate_left(32) | 1,
            next_port: PORTS_FROM,
            listeners: Slab::new(),
            pipes: Slab::new(),
            sockets: Slab::new(),
            news: vec![VecDeque::new(); cores],
        })))
    }

    pub(crate) fn port(&self, core: usize) -> SimPort {
        SimPort {
            net: self.clone(),
            core,
        }
    }

    /// What has happened at the sockets of this core since the last time.
    pub(crate) fn take_news(&self, core: usize) -> VecDeque<(usize, Readiness)> {
        let mut inner = self.0.borrow_mut();
        inner
            .news
            .get_mut(core)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    pub(crate) fn has_news(&self) -> bool {
        self.0.borrow().news.iter().any(|news| !news.is_empty())
    }
}

impl Inner {
    fn tell(&mut self, place: Option<Place>, readiness: Readiness) {
        if let Some((core, key)) = place
            && let Some(news) = self.news.get_mut(core)
        {
            news.push_back((key, readiness));
        }
    }

    /// A number from 1 to `max`.
    fn draw(&mut self, max: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        // Every other piece is whole.
        match self.dice.is_multiple_of(2) {
            true => max,
            false => 1 + (self.dice >> 8) as usize % max.max(1),
        }
    }

    fn any_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(PORTS_FROM);
        port
    }

    fn with_port(&mut self, mut address: SocketAddr) -> SocketAddr {
        if address.port() == 0 {
            address.set_port(self.any_port());
        }
        address
    }

    /// Who listens there; one of several, drawn, if several cores do.
    fn listener(&mut self, address: SocketAddr) -> Option<usize> {
        let fits = |listening: &Listening| {
            let own = listening.address;
            own == address || (own.ip().is_unspecified() && own.port() == address.port())
        };
        let all = self
            .listeners
            .iter()
            .filter(|(_, listening)| fits(listening));
        let all: Vec<usize> = all.map(|(at, _)| at).collect();
        let drawn = self.draw(all.len().max(1));
        all.get(drawn - 1).copied()
    }

    /// Ends one side of a pipe: the other reads what has arrived, and then the end.
    fn close(&mut self, at: usize, side: usize) {
        let Some(pipe) = self.pipes.get_mut(at) else {
            return;
        };
        pipe.sides[side].gone = true;
        pipe.sides[side].place = None;
        pipe.sides[side].arrived.clear();
        pipe.sides[1 - side].ended = true;
        let (place, gone) = (pipe.sides[1 - side].place, pipe.sides[1 - side].gone);
        if gone {
            self.pipes.remove(at);
        } else {
            self.tell(place, ENDED);
        }
    }
}

impl SimPort {
    pub(crate) fn secret(&self) -> [u64; 4] {
        let mut inner = self.net.0.borrow_mut();
        [(); 4].map(|()| {
            inner.draw(1);
            inner.dice
        })
    }

    pub(crate) fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
        key: usize,
    ) -> io::Result<SimListener> {
        let mut inner = self.net.0.borrow_mut();
        let address = inner.with_port(address);
        let taken = |other: &Listening| other.address == address;
        if !options.shared && inner.listeners.iter().any(|(_, other)| taken(other)) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let at = inner.listeners.insert(Listening {
            address,
            place: (self.core, key),
            backlog: VecDeque::new(),
            backlog_max: options.backlog as usize,
        });
        Ok(SimListener {
            net: self.net.clone(),
            at,
            address,
        })
    }

    pub(crate) fn connect(&self, peer: SocketAddr, key: usize) -> io::Result<SimStream> {
        let mut inner = self.net.0.borrow_mut();
        let place = (self.core, key);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let local = inner.with_port(any);
        let listener = inner.listener(peer);
        let has_room = |at: &usize| {
            let listening = inner.listeners.get(*at);
            listening.is_some_and(|one| one.backlog.len() < one.backlog_max)
        };
        let at = listener.filter(has_room).map(|listener| {
            let side = |place| Side {
                place,
                arrived: VecDeque::new(),
                ended: false,
                gone: false,
                stopped_writer: false,
            };
            let sides = [side(Some(place)), side(None)];
            let at = inner.pipes.insert(Pipe { sides });
            let listening = &mut inner.listeners[listener];
            listening.backlog.push_back((at, local));
            let there = listening.place;
            inner.tell(Some(there), READABLE);
            at
        });
        inner.tell(Some(place), WRITABLE);
        Ok(SimStream {
            net: self.net.clone(),
            at,
            side: 0,
            local,
            peer,
        })
    }

    pub(crate) fn bind(&self, address: SocketAddr, key: usize) -> io::Result<SimSocket> {
        let mut inner = self.net.0.borrow_mut();
        let address = inner.with_port(address);
        if inner
            .sockets
            .iter()
            .any(|(_, other)| other.address == address)
        {
            return Err(ErrorKind::AddrInUse.into());
        }
        let place = (self.core, key);
        let arrived = VecDeque::new();
        let at = inner.sockets.insert(Socket {
            address,
            place,
            arrived,
        });
        inner.tell(Some(place), WRITABLE);
        Ok(SimSocket {
            net: self.net.clone(),
            at,
            address,
        })
    }
}

impl SimListener {
    pub(crate) fn accept(&mut self) -> io::Result<(SimStream, SocketAddr)> {
        let mut inner = self.net.0.borrow_mut();
        let next = inner.listeners.get_mut(self.at);
        let next = next.and_then(|listening| listening.backlog.pop_front());
        let (at, peer) = next.ok_or(ErrorKind::WouldBlock)?;
        let stream = SimStream {
            net: self.net.clone(),
            at: Some(at),
            side: 1,
            local: self.address,
            peer,
        };
        Ok((stream, peer))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut inner = self.net.0.borrow_mut();
        let Some(listening) = inner.listeners.try_remove(self.at) else {
            return;
        };
        // Who waited to be accepted finds the connection ended.
        for (at, _) in listening.backlog {
            inner.close(at, 1);
        }
    }
}

impl SimStream {
    pub(crate) fn adopt(&mut self, port: &SimPort, key: usize) {
        let mut inner = self.net.0.borrow_mut();
        let Some(pipe) = self.at.and_then(|at| inner.pipes.get_mut(at)) else {
            return;
        };
        let side = &mut pipe.sides[self.side];
        side.place = Some((port.core, key));
        let (place, has_ended) = (side.place, side.ended);
        if has_ended {
            // That was said when there was nobody here to hear it.
            inner.tell(place, ENDED);
        }
    }

    pub(crate) fn check_connected(&self) -> io::Result<()> {
        match self.at {
            Some(_) => Ok(()),
            None => Err(ErrorKind::ConnectionRefused.into()),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let at = self.at.ok_or(ErrorKind::NotConnected)?;
        let Some(pipe) = inner.pipes.get(at) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let most = pipe.sides[self.side].arrived.len().min(into.len());
        if most == 0 {
            let ended = pipe.sides[self.side].ended || into.is_empty();
            return if ended {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let count = inner.draw(most);
        let pipe = &mut inner.pipes[at];
        let own = &mut pipe.sides[self.side];
        let mut into = &mut into[..count];
        let (front, back) = own.arrived.as_slices();
        for part in [front, back] {
            let some = part.len().min(into.len());
            let (here, rest) = into.split_at_mut(some);
            here.copy_from_slice(&part[..some]);
            into = rest;
        }
        own.arrived.drain(..count);
        // A short read looks like the last one; the rest is news.
        let rest = !own.arrived.is_empty();
        let writer = std::mem::take(&mut own.stopped_writer);
        let (own, other) = (own.place, pipe.sides[1 - self.side].place);
        if rest {
            inner.tell(own, READABLE);
        }
        if writer {
            inner.tell(other, WRITABLE);
        }
        Ok(count)
    }

    pub(crate) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let at = self.at.ok_or(ErrorKind::NotConnected)?;
        let Some(pipe) = inner.pipes.get_mut(at) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let there = &mut pipe.sides[1 - self.side];
        if there.gone || there.ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = PIPE_BYTES.saturating_sub(there.arrived.len());
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        if room == 0 && whole > 0 {
            there.stopped_writer = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if whole == 0 {
            return Ok(0);
        }
        let count = inner.draw(whole.min(room));
        let there = &mut inner.pipes[at].sides[1 - self.side];
        let mut left = count;
        for part in parts {
            let some = part.len().min(left);
            there.arrived.extend(&part[..some]);
            left -= some;
        }
        let other = there.place;
        if count == room {
            there.stopped_writer = true;
        } else if count < whole {
            // A short write looks like one that found no more room.
            let own = inner.pipes[at].sides[self.side].place;
            inner.tell(own, WRITABLE);
        }
        inner.tell(other, READABLE);
        Ok(count)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) {
        let inner = &mut *self.net.0.borrow_mut();
        let Some(pipe) = self.at.and_then(|at| inner.pipes.get_mut(at)) else {
            return;
        };
        if how != Shutdown::Write {
            pipe.sides[self.side].ended = true;
        }
        if how != Shutdown::Read {
            let there = &mut pipe.sides[1 - self.side];
            there.ended = true;
            let place = there.place;
            inner.tell(place, ENDED);
        }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.net.0.borrow_mut().close(at, self.side);
        }
    }
}

impl SimSocket {
    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let receiver = inner
            .sockets
            .iter_mut()
            .find(|(_, other)| other.address == to);
        let place = receiver.and_then(|(_, socket)| {
            let room = socket.arrived.len() < DATAGRAMS_MAX;
            room.then(|| {
                socket.arrived.push_back((bytes.to_vec(), self.address));
                socket.place
            })
        });
        inner.tell(place, READABLE);
        Ok(bytes.len())
    }

    pub(crate) fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let inner = &mut *self.net.0.borrow_mut();
        let next = inner.sockets.get_mut(self.at);
        let next = next.and_then(|socket| socket.arrived.pop_front());
        let (bytes, from) = next.ok_or(ErrorKind::WouldBlock)?;
        let count = bytes.len().min(into.len());
        for (to, byte) in into.iter_mut().zip(bytes) {
            *to = byte;
        }
        Ok((count, from))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        let socket = self.net.0.borrow_mut().sockets.try_remove(self.at);
        drop(socket);
    }
}
