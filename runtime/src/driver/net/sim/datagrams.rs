//! Datagrams: each arrives whole, or not at all.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::fabric::Arrival;
use super::{Inner, Place, READABLE, SimNet, SimPort, WRITABLE};
use crate::core::io::Readiness;
use crate::driver::sim::{Fault, SystemCall};

/// Datagrams that wait at one socket; more are lost, as in the field.
const DATAGRAMS_MAX: usize = 256;

pub(super) struct Socket {
    address: SocketAddr,
    place: Place,
    host: u16,
    arrived: VecDeque<(Vec<u8>, SocketAddr)>,
}

pub(crate) struct SimSocket {
    net: SimNet,
    at: usize,
    host: u16,
    address: SocketAddr,
}

impl SimPort {
    pub(crate) fn bind(&self, address: SocketAddr, key: usize) -> io::Result<SimSocket> {
        let mut inner = self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Bind)?;
        let address = inner.with_port(address);
        if inner
            .sockets
            .iter()
            .any(|(_, other)| other.address == address)
        {
            return Err(ErrorKind::AddrInUse.into());
        }
        let host = inner.host(self.core);
        inner.open_descriptor(host)?;
        let place = (self.core, key);
        let at = inner.sockets.insert(Socket {
            address,
            place,
            host,
            arrived: VecDeque::new(),
        });
        inner.tell(Some(place), WRITABLE);
        Ok(SimSocket {
            net: self.net.clone(),
            at,
            host,
            address,
        })
    }
}

impl Socket {
    fn hears(&self, to: SocketAddr) -> bool {
        let own = self.address;
        own == to || own.ip().is_unspecified() && own.port() == to.port()
    }
}

impl Inner {
    pub(super) fn land_datagram(&mut self, to: SocketAddr, bytes: Vec<u8>, from: SocketAddr) {
        let mut sockets = self.sockets.iter_mut();
        let Some((_, socket)) = sockets.find(|(_, socket)| socket.hears(to)) else {
            return;
        };
        if socket.arrived.len() < DATAGRAMS_MAX {
            socket.arrived.push_back((bytes, from));
            let place = socket.place;
            self.tell(Some(place), READABLE);
        }
    }

    fn send_datagram(&mut self, host: u16, to: SocketAddr, bytes: &[u8], from: SocketAddr) {
        let there = self.sockets.iter().find(|(_, socket)| socket.hears(to));
        let Some((_, socket)) = there else {
            return;
        };
        let there = socket.host;
        if self.fabric.is_cut(host, there) || self.fate.strikes(Fault::DatagramLost) {
            return;
        }
        let copies = 1 + usize::from(self.fate.strikes(Fault::DatagramTwice));
        for _ in 0..copies {
            let mut nanos = self.fabric.delay(&self.fate, host, there);
            if self.fate.strikes(Fault::DatagramLate) {
                nanos += self.fate.nanos(Fault::DatagramLate, 1_000, 10_000_000);
            }
            let bytes = bytes.to_vec();
            if nanos == 0 {
                self.land_datagram(to, bytes, from);
                continue;
            }
            let due = self.fate.now().saturating_add(Duration::from_nanos(nanos));
            self.fabric
                .schedule(due, Arrival::Datagram { to, bytes, from });
        }
    }
}

impl Inner {
    /// A call on a socket, which may fail; then the socket is ready again.
    fn try_call(&mut self, call: SystemCall, at: usize, news: Readiness) -> io::Result<()> {
        self.fate.attempt(call).inspect_err(|_| {
            let place = self.sockets.get(at).map(|socket| socket.place);
            self.tell(place, news);
        })
    }
}

impl SimSocket {
    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        inner.try_call(SystemCall::SendTo, self.at, WRITABLE)?;
        inner.send_datagram(self.host, to, bytes, self.address);
        Ok(bytes.len())
    }

    pub(crate) fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let inner = &mut *self.net.0.borrow_mut();
        inner.try_call(SystemCall::RecvFrom, self.at, READABLE)?;
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
        let inner = &mut *self.net.0.borrow_mut();
        inner.close_descriptor(self.host);
        if let Some(socket) = inner.sockets.try_remove(self.at) {
            inner.forget(Some(socket.place));
        }
    }
}
