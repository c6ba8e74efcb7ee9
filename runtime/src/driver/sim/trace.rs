//! What happens in a simulation, as typed events; a hash over all of them is the identity of the run.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::faults::Fault;
use crate::driver::rare::Rare;
use crate::time::Time;

/// Events that are kept to be shown when a run fails.
const KEPT: usize = 48;

/// Something that has happened. Nodes are counted as they were added to the simulation, and the one of its
/// main function is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A core has taken a turn.
    #[non_exhaustive]
    Turn {
        /// The node.
        node: u16,
        /// The core.
        core: u16,
        /// Messages that the core has handled so far.
        handled: u64,
        /// Messages that it has sent so far, replies included.
        sent: u64,
        /// Messages that it has reported undelivered so far.
        undelivered: u64,
        /// What the core does next.
        next: Next,
    },
    /// A core has stopped sleeping.
    Woken {
        /// The node.
        node: u16,
        /// The core.
        core: u16,
        /// By what.
        by: Waker,
    },
    /// A fault has struck.
    Fault {
        /// Its kind.
        fault: Fault,
    },
    /// A core has taken a path that is rare otherwise.
    Rare {
        /// The path.
        path: Rare,
    },
    /// A connection was decided on.
    Connected {
        /// Who connected.
        from: u16,
        /// Whether it stands.
        stands: bool,
    },
    /// Bytes have arrived.
    Arrived {
        /// At this node.
        node: u16,
        /// So many.
        bytes: u64,
    },
    /// One direction of a connection has ended.
    Ended {
        /// At this node.
        node: u16,
        /// Whether it was reset.
        reset: bool,
    },
    /// A node has been started.
    Started {
        /// The node.
        node: u16,
    },
    /// A node has crashed.
    Crashed {
        /// The node.
        node: u16,
    },
    /// The time of faults is over.
    Healed,
}

/// What a core does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// Takes another turn.
    Busy,
    /// Looks for work.
    Idle,
    /// Sleeps.
    Asleep,
    /// Nothing: it has ended.
    Over,
}

/// What has ended a core's sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Waker {
    /// Another core, or a thread outside.
    Bell,
    /// A socket.
    Socket,
    /// A deadline.
    Time,
    /// Nothing.
    Chance,
}

/// The running hash, and what happened last.
#[derive(Debug)]
pub(crate) struct Trace {
    mixer: Mixer,
    count: u64,
    last: VecDeque<(Time, Event)>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self {
            mixer: Mixer(0xcbf2_9ce4_8422_2325),
            count: 0,
            last: VecDeque::with_capacity(KEPT),
        }
    }

    pub(crate) fn note(&mut self, now: Time, event: Event) {
        self.mixer.write_u64(now.as_nanos());
        event.hash(&mut self.mixer);
        self.count += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((now, event));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.mixer.finish()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What happened last, oldest first.
    pub(crate) fn last(&self) -> Vec<(Duration, Event)> {
        let since_start = |time: Time| time.saturating_since(Time::ZERO);
        let last = self.last.iter();
        last.map(|(time, event)| (since_start(*time), *event))
            .collect()
    }
}

/// A hash that is the same in every build and on every machine, word by word.
#[derive(Debug)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Turn {
                node,
                core,
                handled,
                sent,
                undelivered,
                next,
            } => write!(
                f,
                "turn    {node}/{core} handled {handled}, sent {sent}, undelivered {undelivered}: {next:?}"
            ),
            Event::Woken { node, core, by } => write!(f, "woken   {node}/{core} by {by:?}"),
            Event::Fault { fault } => write!(f, "fault   {fault}"),
            Event::Rare { path } => write!(f, "rare    {path}"),
            Event::Connected { from, stands } => {
                write!(
                    f,
                    "connect by {from}: {}",
                    if *stands { "stands" } else { "refused" }
                )
            }
            Event::Arrived { node, bytes } => write!(f, "bytes   {bytes} at {node}"),
            Event::Ended { node, reset } => {
                write!(
                    f,
                    "end     at {node}{}",
                    if *reset { ", reset" } else { "" }
                )
            }
            Event::Started { node } => write!(f, "started {node}"),
            Event::Crashed { node } => write!(f, "crashed {node}"),
            Event::Healed => f.write_str("healed"),
        }
    }
}
