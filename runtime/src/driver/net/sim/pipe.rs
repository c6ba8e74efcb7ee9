//! Streams: two directions of bytes, each in order.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;

use super::fabric::Arrival;
use super::{ENDED, FAILED, Inner, Place, READABLE, SimNet, SimPort, WRITABLE};
use crate::core::io::Readiness;
use crate::driver::net::Endpoint;
use crate::driver::sim::{Event, Fault, Settings, SystemCall};
use crate::time::Time;

/// A connection: who connected has side 0.
pub(super) struct Pipe {
    id: u64,
    pub(super) sides: [Side; 2],
    pub(super) dialing: Dialing,
    /// Who connects from where to where, until that has arrived.
    pub(super) dialer: Option<(Endpoint, Endpoint)>,
    /// Nothing arrives any more, either way.
    hole: bool,
    bytes_per_second: Option<u64>,
    buffer: usize,
}

/// How far the connecting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialing {
    Waiting,
    Stands,
    Refused,
}

/// One end of a connection, and what is on its way to it.
pub(super) struct Side {
    pub(super) place: Option<Place>,
    pub(super) host: u16,
    arrived: VecDeque<u8>,
    flight: VecDeque<(Time, Freight)>,
    /// How many bytes are in flight.
    flying: usize,
    /// When the last of them arrives.
    last: Time,
    /// Nothing more will arrive.
    ended: bool,
    /// The other side has said that it writes no more.
    closing: bool,
    /// This side has said that it reads no more.
    deaf: bool,
    failed: bool,
    pub(super) gone: bool,
    /// A writer at the other side found no room.
    stopped_writer: bool,
}

enum Freight {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// One end of a stream, as its owner has it.
pub(crate) struct SimStream {
    pub(super) net: SimNet,
    pub(super) at: usize,
    pub(super) id: u64,
    pub(super) side: usize,
    pub(super) host: u16,
    pub(super) local: Endpoint,
    pub(super) peer: Endpoint,
}

impl Side {
    pub(super) fn new(place: Option<Place>, host: u16) -> Self {
        Self {
            place,
            host,
            arrived: VecDeque::new(),
            flight: VecDeque::new(),
            flying: 0,
            last: Time::ZERO,
            ended: false,
            closing: false,
            deaf: false,
            failed: false,
            gone: false,
            stopped_writer: false,
        }
    }
}

impl Pipe {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn touches(&self, host: u16) -> bool {
        self.sides.iter().any(|side| side.host == host)
    }

    pub(super) fn is_hole(&self) -> bool {
        self.hole
    }

    /// From now on nothing arrives.
    pub(super) fn swallow(&mut self) {
        self.hole = true;
    }

    pub(super) fn heal(&mut self, settings: &Settings) {
        self.bytes_per_second = settings.bytes_per_second;
        self.buffer = settings.buffer;
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.sides.iter().filter_map(|side| side.place)
    }

    pub(super) fn sides_with_flight(&self) -> impl Iterator<Item = usize> + use<> {
        let has = [0, 1].map(|to| !self.sides[to].flight.is_empty());
        (0..2).filter(move |to| has[*to])
    }
}

impl Inner {
    /// A new pipe of which one end is at this place.
    pub(super) fn add_pipe(&mut self, place: Place, host: u16, other: u16) -> (usize, u64) {
        let settings = self.fabric.settings();
        let fate = &self.fate;
        let mut pipe = Pipe {
            id: self.next_pipe,
            sides: [Side::new(Some(place), host), Side::new(None, other)],
            dialing: Dialing::Waiting,
            dialer: None,
            hole: false,
            bytes_per_second: settings.bytes_per_second,
            buffer: settings.buffer,
        };
        self.next_pipe += 1;
        if fate.strikes(Fault::Narrow) {
            let narrow = fate.roll(Fault::Narrow, |dice| dice.magnitude(20_000, 10_000_000));
            pipe.bytes_per_second = Some(narrow);
        }
        if fate.strikes(Fault::SmallBuffers) {
            // It is at most a few hundred.
            pipe.buffer = fate.roll(Fault::SmallBuffers, |dice| dice.magnitude(1, 512)) as usize;
        }
        if fate.strikes(Fault::SlowReceiver) {
            pipe.buffer = 1 + pipe.buffer.min(15);
            pipe.bytes_per_second = Some(20_000);
        }
        let id = pipe.id;
        (self.pipes.insert(pipe), id)
    }

    pub(super) fn pipe(&mut self, at: usize, id: u64) -> Option<&mut Pipe> {
        self.pipes.get_mut(at).filter(|pipe| pipe.id == id)
    }

    /// Sends something to one side of a pipe. It arrives at once where nothing takes time.
    fn send(&mut self, at: usize, to: usize, freight: Freight) {
        let Some(pipe) = self.pipes.get_mut(at) else {
            return;
        };
        let (from_host, to_host) = (pipe.sides[1 - to].host, pipe.sides[to].host);
        let bytes = match &freight {
            Freight::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let delay = self.fabric.delay(&self.fate, from_host, to_host);
        let sending = pipe.bytes_per_second.map_or(0, |rate| {
            (bytes as u64).saturating_mul(1_000_000_000) / rate
        });
        let now = self.fate.now();
        let is_cut = self.fabric.is_cut(from_host, to_host) || pipe.hole;
        let side = &mut pipe.sides[to];
        let earliest = now.saturating_add(std::time::Duration::from_nanos(delay));
        let after = side.last.max(earliest);
        let due = after.saturating_add(std::time::Duration::from_nanos(sending));
        if due <= now && side.flight.is_empty() && !is_cut {
            return self.arrive(at, to, freight);
        }
        side.last = due;
        side.flying += bytes;
        side.flight.push_back((due, freight));
        let (id, to) = (pipe.id, to as u8);
        self.fabric
            .schedule(due, Arrival::Segment { pipe: at, id, to });
    }

    /// What is due of a pipe arrives, unless something is in the way.
    pub(super) fn land(&mut self, at: usize, id: u64, to: u8) {
        let to = usize::from(to);
        let now = self.fate.now();
        loop {
            let Some(pipe) = self.pipes.get_mut(at).filter(|pipe| pipe.id == id) else {
                return;
            };
            let is_cut = self
                .fabric
                .is_cut(pipe.sides[1 - to].host, pipe.sides[to].host);
            let side = &mut pipe.sides[to];
            if is_cut || pipe.hole || side.flight.front().is_none_or(|(due, _)| *due > now) {
                return;
            }
            let Some((_, freight)) = side.flight.pop_front() else {
                return;
            };
            if let Freight::Bytes(bytes) = &freight {
                side.flying -= bytes.len();
            }
            self.arrive(at, to, freight);
        }
    }

    fn arrive(&mut self, at: usize, to: usize, freight: Freight) {
        let Some(pipe) = self.pipes.get_mut(at) else {
            return;
        };
        let side = &mut pipe.sides[to];
        let (place, node) = (side.place, side.host);
        match freight {
            // Nobody is there any more, and who wrote it hears of that.
            Freight::Bytes(_) if side.gone => self.send(at, 1 - to, Freight::Reset),
            Freight::Bytes(_) if side.failed => {}
            Freight::Bytes(bytes) => {
                side.arrived.extend(&bytes);
                let bytes = bytes.len() as u64;
                self.fate.note(Event::Arrived { node, bytes });
                self.tell(place, READABLE);
            }
            Freight::End => {
                side.ended = true;
                self.fate.note(Event::Ended { node, reset: false });
                self.tell(place, ENDED);
            }
            Freight::Reset => self.fail(at, to),
        }
    }

    /// One side learns that the connection is broken.
    fn fail(&mut self, at: usize, to: usize) {
        let side = &mut self.pipes[at].sides[to];
        if side.gone || std::mem::replace(&mut side.failed, true) {
            return;
        }
        side.ended = true;
        side.arrived.clear();
        let (place, node) = (side.place, side.host);
        self.fate.note(Event::Ended { node, reset: true });
        self.tell(place, FAILED);
    }

    /// Breaks a connection for both sides.
    pub(super) fn reset(&mut self, at: usize) {
        for to in 0..2 {
            let side = &mut self.pipes[at].sides[to];
            side.flight.clear();
            side.flying = 0;
            self.fail(at, to);
        }
        self.pipes[at].hole = false;
    }

    /// Ends one side of a pipe: the other reads what was sent, and then the end.
    pub(super) fn close(&mut self, at: usize, side: usize) {
        let Some(pipe) = self.pipes.get_mut(at) else {
            return;
        };
        let own = &mut pipe.sides[side];
        own.gone = true;
        let place = own.place.take();
        own.arrived.clear();
        own.flight.clear();
        own.flying = 0;
        self.forget(place);
        let other = &mut self.pipes[at].sides[1 - side];
        if other.gone {
            self.pipes.remove(at);
            return;
        }
        // Whoever waits to write has an error coming.
        let place = other.place;
        if !std::mem::replace(&mut other.closing, true) {
            self.send(at, 1 - side, Freight::End);
        }
        self.tell(place, WRITABLE);
    }
}

impl SimStream {
    pub(crate) fn adopt(&mut self, port: &SimPort, key: usize) -> io::Result<()> {
        let mut inner = self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Register)?;
        let own = self.side;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Ok(());
        };
        let side = &mut pipe.sides[own];
        side.place = Some((port.core, key));
        let (place, has_ended) = (side.place, side.ended);
        if has_ended {
            // That was said when there was nobody here to hear it.
            inner.tell(place, ENDED);
        }
        Ok(())
    }

    pub(crate) fn check_connected(&self) -> io::Result<()> {
        let inner = &mut *self.net.0.borrow_mut();
        self.befallen(inner, SystemCall::Connected, WRITABLE)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::ConnectionReset.into());
        };
        match pipe.dialing {
            Dialing::Refused => Err(ErrorKind::ConnectionRefused.into()),
            _ if pipe.sides[self.side].failed => Err(ErrorKind::ConnectionReset.into()),
            Dialing::Stands => Ok(()),
            Dialing::Waiting => Err(ErrorKind::WouldBlock.into()),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let one_byte = self.befallen(inner, SystemCall::Read, READABLE)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::NotConnected.into());
        };
        let own = &mut pipe.sides[self.side];
        if own.failed {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let place = own.place;
        let most = own.arrived.len().min(into.len());
        if most == 0 {
            return match own.ended || into.is_empty() {
                true => Ok(0),
                false => Err(ErrorKind::WouldBlock.into()),
            };
        }
        if let Some(error) = inner.whim() {
            inner.tell(place, READABLE);
            return Err(error);
        }
        // A kernel hands out all that there is, and a write that arrives meanwhile is a read of its own; so what
        // is read is short only where the faults say so.
        let count = match most > 1 && inner.fate.strikes(Fault::ShortRead) {
            _ if one_byte => 1,
            true => inner.few(most, Fault::ShortRead),
            false => most,
        };
        let pipe = &mut inner.pipes[self.at];
        let own = &mut pipe.sides[self.side];
        take(&mut own.arrived, &mut into[..count]);
        // A short read looks like the last one; the rest is news.
        let rest = !own.arrived.is_empty();
        let writer = std::mem::take(&mut own.stopped_writer);
        let other = pipe.sides[1 - self.side].place;
        if rest {
            inner.tell(place, READABLE);
        }
        if writer {
            inner.tell(other, WRITABLE);
        }
        Ok(count)
    }

    pub(crate) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let inner = &mut *self.net.0.borrow_mut();
        let one_byte = self.befallen(inner, SystemCall::Write, WRITABLE)?;
        let there = 1 - self.side;
        // Where things take time, it takes some until a writer hears that nobody reads any more.
        let is_near = inner.fabric.settings().latency_nanos == (0, 0);
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let own = &pipe.sides[self.side];
        if own.failed {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let place = own.place;
        let side = &mut pipe.sides[there];
        if side.closing || side.deaf || side.gone && is_near {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = pipe.buffer.saturating_sub(side.arrived.len() + side.flying);
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        if room == 0 && whole > 0 {
            side.stopped_writer = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if whole == 0 {
            return Ok(0);
        }
        if let Some(error) = inner.whim() {
            inner.tell(place, WRITABLE);
            return Err(error);
        }
        let most = whole.min(room);
        let count = match most > 1 && inner.fate.strikes(Fault::ShortWrite) {
            _ if one_byte => 1,
            true => inner.few(most, Fault::ShortWrite),
            false => inner.draw(most),
        };
        let mut bytes = Vec::with_capacity(count);
        for part in parts {
            let some = part.len().min(count - bytes.len());
            bytes.extend_from_slice(&part[..some]);
        }
        if count == room {
            inner.pipes[self.at].sides[there].stopped_writer = true;
        } else if count < whole {
            // A short write looks like one that found no more room.
            inner.tell(place, WRITABLE);
        }
        inner.send(self.at, there, Freight::Bytes(bytes));
        inner.mishap(self.at, there);
        Ok(count)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let inner = &mut *self.net.0.borrow_mut();
        inner.fate.attempt(SystemCall::Shutdown)?;
        let Some(pipe) = inner.pipe(self.at, self.id) else {
            return Ok(());
        };
        if how != Shutdown::Write {
            let own = &mut pipe.sides[self.side];
            (own.ended, own.deaf) = (true, true);
        }
        if how != Shutdown::Read && !std::mem::replace(&mut pipe.sides[1 - self.side].closing, true)
        {
            inner.send(self.at, 1 - self.side, Freight::End);
        }
        Ok(())
    }

    /// An option is set, none of which means anything here.
    pub(crate) fn set_option(&self) -> io::Result<()> {
        self.net.0.borrow().fate.attempt(SystemCall::SetOption)
    }

    /// What befalls a call that was planned to fail: an error, after which the socket is ready again, or that it moves
    /// one byte.
    fn befallen(&self, inner: &mut Inner, call: SystemCall, news: Readiness) -> io::Result<bool> {
        let Some(fault) = inner.fate.call(call) else {
            return Ok(false);
        };
        let Some(error) = fault.error() else {
            return Ok(true);
        };
        let pipe = inner.pipe(self.at, self.id);
        let place = pipe.and_then(|pipe| pipe.sides[self.side].place);
        inner.tell(place, news);
        Err(error)
    }

    pub(crate) fn local(&self) -> Endpoint {
        self.local.clone()
    }

    pub(crate) fn peer(&self) -> Endpoint {
        self.peer.clone()
    }
}

impl Inner {
    /// What a call may say although it could do what it was asked.
    fn whim(&mut self) -> Option<io::Error> {
        if self.fate.strikes(Fault::NotYet) {
            return Some(ErrorKind::WouldBlock.into());
        }
        let interrupted = self.fate.strikes(Fault::Interrupt);
        interrupted.then(|| ErrorKind::Interrupted.into())
    }

    /// How many of so many bytes a call moves that is short by a fault.
    fn few(&self, most: usize, fault: Fault) -> usize {
        1 + self.fate.roll(fault, |dice| dice.place(most.min(16)))
    }

    /// What may befall a connection over which something was just sent to this side.
    fn mishap(&mut self, at: usize, to: usize) {
        if self.fate.strikes(Fault::Reset) {
            self.reset(at);
        } else if self.fate.strikes(Fault::Blackhole) {
            self.pipes[at].hole = true;
        } else if self.fate.strikes(Fault::HalfClose)
            && !std::mem::replace(&mut self.pipes[at].sides[to].closing, true)
        {
            self.send(at, to, Freight::End);
        }
    }
}

/// Moves as many bytes as there is room for.
fn take(from: &mut VecDeque<u8>, mut into: &mut [u8]) {
    let count = into.len();
    let (front, back) = from.as_slices();
    for part in [front, back] {
        let some = part.len().min(into.len());
        let (here, rest) = into.split_at_mut(some);
        here.copy_from_slice(&part[..some]);
        into = rest;
    }
    from.drain(..count);
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let inner = &mut *self.net.0.borrow_mut();
        inner.close_descriptor(self.host);
        if inner.pipe(self.at, self.id).is_some() {
            inner.close(self.at, self.side);
        }
    }
}
