//! What lies between hosts: how long things take, and what does not arrive.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;

use crate::driver::sim::{Dice, Fate, Fault, Settings};
use crate::time::Time;

/// Something that is on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arrival {
    /// The next segments of a pipe to one of its sides.
    Segment { pipe: usize, id: u64, to: u8 },
    /// The wish to connect.
    Syn { pipe: usize, id: u64 },
    /// Whether the wish was refused.
    Told { pipe: usize, id: u64, refused: bool },
    /// A datagram.
    Datagram {
        to: SocketAddr,
        bytes: Vec<u8>,
        from: SocketAddr,
    },
}

/// The way between hosts.
pub(super) struct Fabric {
    settings: Settings,
    dice: Dice,
    /// In the order of time, and then as they were scheduled.
    queue: BinaryHeap<Reverse<(Time, u64, Arrival)>>,
    scheduled: u64,
    cuts: BTreeSet<(u16, u16)>,
    clogs: BTreeMap<(u16, u16), (Time, u64)>,
}

impl Fabric {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        Self {
            settings,
            dice: Dice::new(seed, "fabric"),
            queue: BinaryHeap::new(),
            scheduled: 0,
            cuts: BTreeSet::new(),
            clogs: BTreeMap::new(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    pub(super) fn schedule(&mut self, at: Time, arrival: Arrival) {
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, arrival)));
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// What has arrived by now, one after the other.
    pub(super) fn due(&mut self, now: Time) -> Option<Arrival> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse((_, _, arrival))| arrival)
    }

    /// How many nanoseconds something takes from one host to another.
    pub(super) fn delay(&mut self, fate: &Fate, from: u16, to: u16) -> u64 {
        let (least, most) = self.settings.latency_nanos;
        let mut nanos = least;
        if most > least {
            nanos += self.dice.below(most - least + 1);
        }
        if from != to && fate.strikes(Fault::Jitter) {
            nanos += fate.nanos(Fault::Jitter, 1_000, 5_000_000);
        }
        if let Some((until, extra)) = self.clogs.get(&(from, to))
            && *until > fate.now()
        {
            nanos += extra;
        }
        nanos
    }

    pub(super) fn is_cut(&self, from: u16, to: u16) -> bool {
        self.cuts.contains(&(from, to))
    }

    pub(super) fn cut(&mut self, from: u16, to: u16) {
        self.cuts.insert((from, to));
    }

    pub(super) fn join(&mut self, from: u16, to: u16) {
        self.cuts.remove(&(from, to));
    }

    pub(super) fn clog(&mut self, from: u16, to: u16, until: Time, nanos: u64) {
        self.clogs.insert((from, to), (until, nanos));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.clogs.clear();
    }
}
