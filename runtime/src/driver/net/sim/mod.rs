//! The network of a simulation: listeners, streams and datagrams in memory, for all nodes of a run.
//!
//! All nodes share one space of addresses, as programs of one machine do. What is written is on its way for
//! as long as the [`Fabric`] says, and arrives in pieces whose sizes are drawn from the seed, so that nobody
//! comes to rely on writes and reads matching. A direction of a stream keeps its order; a writer that finds no
//! room is told when there is some.

mod datagrams;
mod dial;
mod fabric;
mod loose;
mod mishaps;
mod pipe;

pub(crate) use datagrams::SimSocket;
pub(crate) use dial::SimListener;
pub(crate) use loose::SimLoose;
pub(crate) use pipe::SimStream;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use ringpost_mailbox::pool::PoolLimits;
use slab::Slab;

use self::datagrams::Socket;
use self::dial::Listening;
use self::fabric::{Arrival, Fabric};
use self::loose::Kept;
use self::pipe::Pipe;
use crate::core::io::Readiness;
use crate::driver::rare::RareSeam;
use crate::driver::sim::{Dice, Fate, Fault, Settings};
use crate::time::Time;

/// The first port that is given to who asks for any.
const PORTS_FROM: u16 = 49_152;

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
    fate: Rc<Fate>,
    seed: u64,
    dice: Dice,
    fabric: Fabric,
    next_port: u16,
    next_pipe: u64,
    listeners: Slab<Listening>,
    pipes: Slab<Pipe>,
    sockets: Slab<Socket>,
    /// Streams that were accepted and wait for their core, and how many have so far.
    kept: Vec<Kept>,
    kept_before: u64,
    hosts: Vec<Host>,
    /// The host of each core.
    host_of: Vec<u16>,
    /// What happened, for each core, in order.
    news: Vec<VecDeque<(usize, Readiness)>>,
    /// Cores for which there may be news.
    stirred: Vec<usize>,
}

/// What the network knows of a node.
#[derive(Debug, Clone, Copy)]
struct Host {
    descriptors: usize,
    descriptors_max: usize,
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
const FAILED: Readiness = Readiness {
    readable: true,
    writable: true,
    read_closed: true,
    write_closed: true,
};

impl SimNet {
    /// A network for these cores, each with its host.
    pub(crate) fn new(seed: u64, fate: Rc<Fate>, settings: Settings, host_of: Vec<u16>) -> Self {
        let hosts = host_of
            .iter()
            .max()
            .map_or(0, |last| usize::from(*last) + 1);
        let host = Host {
            descriptors: 0,
            descriptors_max: usize::MAX,
        };
        Self(Rc::new(RefCell::new(Inner {
            fabric: Fabric::new(seed, settings),
            fate,
            seed,
            dice: Dice::new(seed, "network"),
            next_port: PORTS_FROM,
            next_pipe: 0,
            listeners: Slab::new(),
            pipes: Slab::new(),
            sockets: Slab::new(),
            kept: Vec::new(),
            kept_before: 0,
            hosts: vec![host; hosts],
            news: vec![VecDeque::new(); host_of.len()],
            host_of,
            stirred: Vec::new(),
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
        let news = inner.news.get_mut(core);
        news.map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn has_news_for(&self, core: usize) -> bool {
        let inner = self.0.borrow();
        inner.news.get(core).is_some_and(|news| !news.is_empty())
    }

    /// A core for which there is news since this was last asked.
    pub(crate) fn take_stirred(&self) -> Option<usize> {
        self.0.borrow_mut().stirred.pop()
    }

    /// When something arrives next.
    pub(crate) fn next_arrival(&self) -> Option<Time> {
        self.0.borrow().fabric.next()
    }

    /// Has everything arrive that is due.
    pub(crate) fn deliver(&self) {
        let inner = &mut *self.0.borrow_mut();
        inner.close_dropped();
        while let Some(arrival) = inner.fabric.due(inner.fate.now()) {
            match arrival {
                Arrival::Segment { pipe, id, to } => inner.land(pipe, id, to),
                Arrival::Syn { pipe, id } => inner.syn(pipe, id),
                Arrival::Told { pipe, id, refused } => inner.told(pipe, id, refused),
                Arrival::Datagram { to, bytes, from } => inner.land_datagram(to, bytes, from),
            }
        }
    }

    /// How many descriptors a host has open.
    pub(crate) fn descriptors(&self, host: u16) -> usize {
        let inner = &mut *self.0.borrow_mut();
        inner.close_dropped();
        let host = inner.hosts.get(usize::from(host));
        host.map_or(0, |host| host.descriptors)
    }
}

impl Inner {
    fn tell(&mut self, place: Option<Place>, readiness: Readiness) {
        if let Some((core, key)) = place
            && let Some(news) = self.news.get_mut(core)
        {
            news.push_back((key, readiness));
            self.stirred.push(core);
        }
    }

    /// The socket at this place is gone: what was to be told to it is not told to the next one there.
    fn forget(&mut self, place: Option<Place>) {
        if let Some((core, gone)) = place
            && let Some(news) = self.news.get_mut(core)
        {
            news.retain(|(key, _)| *key != gone);
        }
    }

    /// A number from 1 to `max`; every other piece is whole.
    fn draw(&mut self, max: usize) -> usize {
        match self.dice.below(2) {
            0 => max,
            _ => 1 + self.dice.place(max.max(1)),
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

    fn host(&self, core: usize) -> u16 {
        self.host_of.get(core).copied().unwrap_or_default()
    }

    /// Opens a descriptor at this host, which has a limit.
    fn open_descriptor(&mut self, host: u16) -> io::Result<()> {
        let Some(entry) = self.hosts.get_mut(usize::from(host)) else {
            return Ok(());
        };
        if entry.descriptors >= entry.descriptors_max {
            self.fate.struck(Fault::FewDescriptors);
            // EMFILE, which has no kind.
            return Err(io::Error::from_raw_os_error(24));
        }
        entry.descriptors += 1;
        Ok(())
    }

    fn close_descriptor(&mut self, host: u16) {
        if let Some(host) = self.hosts.get_mut(usize::from(host)) {
            host.descriptors = host.descriptors.saturating_sub(1);
        }
    }
}

impl SimPort {
    pub(crate) fn secret(&self) -> [u64; 4] {
        let mut inner = self.net.0.borrow_mut();
        [(); 4].map(|()| inner.dice.roll())
    }

    /// How many free blocks the pool of this core keeps.
    pub(crate) fn pool_limits(&self) -> PoolLimits {
        match self.net.0.borrow().fate.strikes(Fault::EmptyPools) {
            true => PoolLimits { cached_max: [0; 5] },
            false => PoolLimits::default(),
        }
    }

    /// The dice for the rare paths of this core.
    pub(crate) fn rare(&self) -> RareSeam {
        let inner = self.net.0.borrow();
        let name = format!("rare paths of core {}", self.core);
        RareSeam::new(inner.fate.rare_dice(Dice::new(inner.seed, &name)))
    }
}
