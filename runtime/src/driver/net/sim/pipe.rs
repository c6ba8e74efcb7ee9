//! Streams: two directions of bytes, each in order.

mod stream;

use std::collections::VecDeque;

use super::fabric::Arrival;
use super::{ENDED, FAILED, Inner, Place, READABLE, WRITABLE};
use crate::driver::net::Endpoint;
use crate::driver::sim::{Event, Fault, Settings};
use crate::time::Time;

pub(crate) use self::stream::SimStream;

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
