//! Listening, and how a connection comes to stand.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::fabric::Arrival;
use super::pipe::{Dialing, SimStream};
use super::{Inner, Place, READABLE, SimNet, SimPort, WRITABLE};
use crate::driver::net::Endpoint;
use crate::driver::sim::{Event, Fault, SystemCall};
use crate::net::ListenOptions;

/// When the wish to connect is sent again that did not arrive.
const RETRY: Duration = Duration::from_millis(100);

pub(super) struct Listening {
    address: Endpoint,
    place: Place,
    host: u16,
    /// Pipes that wait to be accepted, and who connected them.
    backlog: VecDeque<(usize, u64, Endpoint)>,
    backlog_max: usize,
}

pub(crate) struct SimListener {
    pub(super) net: SimNet,
    at: usize,
    pub(super) host: u16,
    pub(super) address: Endpoint,
}

impl SimPort {
    pub(crate) fn listen(
        &self,
        at: &Endpoint,
        options: &ListenOptions,
        key: usize,
    ) -> io::Result<SimListener> {
        let mut inner = self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Listen)?;
        let address = match at {
            Endpoint::Tcp(address) => Endpoint::Tcp(inner.with_port(*address)),
            Endpoint::Unix(_) if options.shared => return Err(ErrorKind::Unsupported.into()),
            Endpoint::Unix(_) => at.clone(),
        };
        let taken = |other: &Listening| other.address == address;
        if !options.shared && inner.listeners.iter().any(|(_, other)| taken(other)) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let host = inner.host(self.core);
        inner.open_descriptor(host)?;
        let at = inner.listeners.insert(Listening {
            address: address.clone(),
            place: (self.core, key),
            host,
            backlog: VecDeque::new(),
            backlog_max: options.backlog as usize,
        });
        Ok(SimListener {
            net: self.net.clone(),
            at,
            host,
            address,
        })
    }

    pub(crate) fn connect(&self, peer: &Endpoint, key: usize) -> io::Result<SimStream> {
        let inner = &mut *self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Connect)?;
        let host = inner.host(self.core);
        inner.open_descriptor(host)?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let local = match peer {
            Endpoint::Tcp(_) => Endpoint::Tcp(inner.with_port(any)),
            Endpoint::Unix(_) => Endpoint::unnamed(),
        };
        let there = inner.listeners.iter().find(|(_, one)| one.hears(peer));
        // Where nobody listens, this host says so.
        let there = there.map_or(host, |(_, one)| one.host);
        let (at, id) = inner.add_pipe((self.core, key), host, there);
        let mut nanos = inner.fabric.delay(&inner.fate, host, there);
        if inner.fate.strikes(Fault::LateConnect) {
            nanos += inner
                .fate
                .nanos(Fault::LateConnect, 1_000_000, 1_000_000_000);
        }
        inner.schedule_syn(at, id, (local.clone(), peer.clone()), nanos);
        Ok(SimStream {
            net: self.net.clone(),
            at,
            id,
            side: 0,
            host,
            local,
            peer: peer.clone(),
        })
    }
}

impl Listening {
    fn hears(&self, peer: &Endpoint) -> bool {
        match (&self.address, peer) {
            (Endpoint::Tcp(own), Endpoint::Tcp(peer)) if own.ip().is_unspecified() => {
                own.port() == peer.port()
            }
            (own, peer) => own == peer,
        }
    }
}

impl Inner {
    /// Sends the wish to connect from one address to another.
    fn schedule_syn(&mut self, at: usize, id: u64, way: (Endpoint, Endpoint), nanos: u64) {
        if let Some(pipe) = self.pipe(at, id) {
            pipe.dialer = Some(way);
        }
        if nanos == 0 {
            return self.syn(at, id);
        }
        let due = self.fate.now().saturating_add(Duration::from_nanos(nanos));
        self.fabric.schedule(due, Arrival::Syn { pipe: at, id });
    }

    /// The wish to connect arrives, or comes again later.
    pub(super) fn syn(&mut self, at: usize, id: u64) {
        let Some(pipe) = self.pipe(at, id) else {
            return;
        };
        let Some((local, peer)) = pipe.dialer.take() else {
            return;
        };
        let (from, to) = (pipe.sides[0].host, pipe.sides[1].host);
        if pipe.sides[0].gone {
            // It was given up meanwhile.
            self.pipes.remove(at);
            return;
        }
        if self.fabric.is_cut(from, to) || self.fabric.is_cut(to, from) || self.pipes[at].is_hole()
        {
            return self.schedule_syn(at, id, (local, peer), RETRY.as_nanos() as u64);
        }
        let listener = self
            .listener(&peer)
            .filter(|_| !self.fate.strikes(Fault::Refuse));
        let has_room = |one: &Listening| one.backlog.len() < one.backlog_max;
        let listener = listener.filter(|one| self.listeners.get(*one).is_some_and(has_room));
        let refused = listener.is_none();
        if let Some(listener) = listener {
            let listening = &mut self.listeners[listener];
            listening.backlog.push_back((at, id, local));
            let (place, host) = (listening.place, listening.host);
            self.pipes[at].sides[1].host = host;
            self.tell(Some(place), READABLE);
        }
        match self.fabric.delay(&self.fate, to, from) {
            0 => self.told(at, id, refused),
            nanos => {
                let due = self.fate.now().saturating_add(Duration::from_nanos(nanos));
                let pipe = at;
                self.fabric
                    .schedule(due, Arrival::Told { pipe, id, refused });
            }
        }
    }

    /// Who connected hears of it.
    pub(super) fn told(&mut self, at: usize, id: u64, refused: bool) {
        let Some(pipe) = self.pipe(at, id) else {
            return;
        };
        pipe.dialing = match refused {
            true => Dialing::Refused,
            false => Dialing::Stands,
        };
        // Nobody accepts what was refused.
        pipe.sides[1].gone |= refused;
        let (place, from) = (pipe.sides[0].place, pipe.sides[0].host);
        if refused && pipe.sides[0].gone {
            self.pipes.remove(at);
        }
        self.fate.note(Event::Connected {
            from,
            stands: !refused,
        });
        self.tell(place, WRITABLE);
    }

    /// Who listens there; one of several, drawn, if several cores do.
    fn listener(&mut self, address: &Endpoint) -> Option<usize> {
        let all = self.listeners.iter().filter(|(_, one)| one.hears(address));
        let all: Vec<usize> = all.map(|(at, _)| at).collect();
        let drawn = self.dice.place(all.len());
        all.get(drawn).copied()
    }
}

impl SimListener {
    /// The next pipe that waits to be accepted, and who connected it.
    pub(super) fn accept_pipe(&mut self) -> io::Result<(usize, u64, Endpoint)> {
        let inner = &mut *self.net.0.borrow_mut();
        if let Err(error) = inner.fate.attempt(SystemCall::Accept) {
            let place = inner.listeners.get(self.at).map(|one| one.place);
            inner.tell(place, READABLE);
            return Err(error);
        }
        loop {
            let next = inner.listeners.get_mut(self.at);
            let next = next.and_then(|listening| listening.backlog.pop_front());
            let (at, id, peer) = next.ok_or(ErrorKind::WouldBlock)?;
            if inner.pipe(at, id).is_none() {
                continue;
            }
            if inner.fate.strikes(Fault::AcceptFails) {
                inner.close(at, 1);
                return Err(ErrorKind::ConnectionAborted.into());
            }
            if let Err(error) = inner.open_descriptor(self.host) {
                // It stays where it is.
                let listening = &mut inner.listeners[self.at];
                listening.backlog.push_front((at, id, peer));
                return Err(error);
            }
            return Ok((at, id, peer));
        }
    }

    pub(crate) fn local(&self) -> Endpoint {
        self.address.clone()
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let inner = &mut *self.net.0.borrow_mut();
        inner.close_descriptor(self.host);
        let Some(listening) = inner.listeners.try_remove(self.at) else {
            return;
        };
        inner.forget(Some(listening.place));
        // Who waited to be accepted finds the connection ended.
        for (at, id, _) in listening.backlog {
            if inner.pipe(at, id).is_some() {
                inner.close(at, 1);
            }
        }
    }
}
