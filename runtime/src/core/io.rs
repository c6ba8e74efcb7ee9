//! The sockets of a core: what is known of their readiness, and who waits for it.
//!
//! The kernel reports edges: that something has become readable, once. So readiness is kept here from the
//! report until an attempt finds nothing left, and whoever wants to read tries first as long as it is
//! kept. A socket that always has more is put off to the next turn after a while, lest its task keep the
//! others of the core waiting.

use std::cell::{Cell, RefCell};
use std::task::{Context as Polling, Poll};

use slab::Slab;

use crate::core::Core;
use crate::driver::net::Network;
use crate::driver::rare::Rare;
use crate::task::Wake;

/// Bytes that are read before what they bring is dealt with and the answers are written. What is under way then lies in the
/// caches of the core still.
const TAKEN_BYTES_MAX: usize = 512 * 1024;

/// Attempts on one socket within a turn, before the others of the core get theirs.
const ATTEMPTS_PER_TURN: u32 = 32;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What the kernel reported of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Nothing more will come; stays as it is.
    pub(crate) read_closed: bool,
    /// Nothing more can be written; stays as it is.
    pub(crate) write_closed: bool,
}

/// A socket as its core knows it.
struct Source {
    readiness: Readiness,
    reader: Wake,
    writer: Wake,
    /// The turn in which it was last used, and how often.
    turn: u64,
    attempts: u32,
}

/// The sockets of one core.
pub(crate) struct Io {
    pub(crate) network: Network,
    sources: RefCell<Slab<Source>>,
    count: Cell<usize>,
    /// Who goes on in the next turn.
    put_off: RefCell<Vec<Wake>>,
    /// Who has something to write, and goes on before others.
    writers: RefCell<Vec<Wake>>,
    /// Bytes read since the writers went on.
    taken: Cell<usize>,
}

impl Io {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            sources: RefCell::default(),
            count: Cell::new(0),
            put_off: RefCell::default(),
            writers: RefCell::default(),
            taken: Cell::new(0),
        }
    }

    /// Whether there is any socket, so that the kernel has to be asked.
    #[inline]
    pub(crate) fn has_sources(&self) -> bool {
        self.count.get() > 0
    }

    /// How many sockets there are.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// A place for a socket, under the key that it is to be registered with. It counts as ready, so that
    /// the first attempt is made without waiting, unless it has to be connected first.
    pub(crate) fn add(&self, connected: bool) -> usize {
        self.count.set(self.count.get() + 1);
        self.sources.borrow_mut().insert(Source {
            readiness: Readiness {
                readable: connected,
                writable: connected,
                ..Readiness::default()
            },
            reader: Wake::Nobody,
            writer: Wake::Nobody,
            turn: 0,
            attempts: 0,
        })
    }

    /// Frees the place of a socket.
    pub(crate) fn remove(&self, key: usize) {
        let source = self.sources.borrow_mut().try_remove(key);
        if source.is_some() {
            self.count.set(self.count.get() - 1);
        }
        // Dropped here, with nothing borrowed: a waker may run code of its own.
        drop(source);
    }

    /// Takes a report of the kernel in. Reports for sockets that are gone are passed over, and one that
    /// meets a later user of the same key costs that one a needless attempt.
    pub(crate) fn report(&self, core: &Core, key: usize, news: Readiness) {
        let mut wakes = [Wake::Nobody, Wake::Nobody];
        if let Some(source) = self.sources.borrow_mut().get_mut(key) {
            let old = source.readiness;
            source.readiness = Readiness {
                readable: old.readable || news.readable || news.read_closed,
                writable: old.writable || news.writable || news.write_closed,
                read_closed: old.read_closed || news.read_closed,
                write_closed: old.write_closed || news.write_closed,
            };
            if source.readiness.readable {
                wakes[0] = std::mem::replace(&mut source.reader, Wake::Nobody);
            }
            if source.readiness.writable {
                wakes[1] = std::mem::replace(&mut source.writer, Wake::Nobody);
            }
        }
        wakes.iter().for_each(|wake| core.wake(wake));
    }

    /// Whether an attempt may be made now; if not, the task is woken when it may.
    pub(crate) fn poll_ready(
        &self,
        core: &Core,
        key: usize,
        direction: Direction,
        polling: &Polling<'_>,
    ) -> Poll<()> {
        let turn = core.tally().turns.value();
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key) else {
            return Poll::Ready(());
        };
        let ready = match direction {
            Direction::Read => source.readiness.readable,
            Direction::Write => source.readiness.writable,
        };
        if !ready {
            let waiting = match direction {
                Direction::Read => &mut source.reader,
                Direction::Write => &mut source.writer,
            };
            let before = std::mem::replace(waiting, core.tasks.register(polling));
            drop(sources);
            drop(before);
            return Poll::Pending;
        }
        if source.turn != turn {
            (source.turn, source.attempts) = (turn, 0);
        }
        if source.attempts >= ATTEMPTS_PER_TURN || core.rare.takes(Rare::PutOff) {
            drop(sources);
            self.put_off.borrow_mut().push(core.tasks.register(polling));
            return Poll::Pending;
        }
        source.attempts += 1;
        Poll::Ready(())
    }

    /// Whether an attempt may be of use, as far as is known.
    pub(crate) fn is_readable(&self, key: usize) -> bool {
        let sources = self.sources.borrow();
        sources.get(key).is_some_and(|it| it.readiness.readable)
    }

    /// Ready once nothing more will come than is there, though nothing is read.
    pub(crate) fn poll_read_closed(
        &self,
        core: &Core,
        key: usize,
        polling: &Polling<'_>,
    ) -> Poll<()> {
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(key) else {
            return Poll::Ready(());
        };
        if source.readiness.read_closed {
            return Poll::Ready(());
        }
        let before = std::mem::replace(&mut source.reader, core.tasks.register(polling));
        drop(sources);
        drop(before);
        Poll::Pending
    }

    /// An attempt found nothing left: the next report is waited for. Where the end has come, there will
    /// be none, and every attempt tells.
    pub(crate) fn clear(&self, key: usize, direction: Direction) {
        if let Some(source) = self.sources.borrow_mut().get_mut(key) {
            let readiness = &mut source.readiness;
            match direction {
                Direction::Read => readiness.readable = readiness.read_closed,
                Direction::Write => readiness.writable = readiness.write_closed,
            }
        }
    }

    /// Has a task go on in the next turn.
    pub(crate) fn put_off(&self, wake: Wake) {
        self.put_off.borrow_mut().push(wake);
    }

    /// Has a task go on before others, in the next turn or when enough was read.
    pub(crate) fn put_first(&self, wake: Wake) {
        self.writers.borrow_mut().push(wake);
    }

    /// Notes that so many bytes were read, of which there may be answers to write.
    pub(crate) fn note_taken(&self, bytes: usize) {
        self.taken.set(self.taken.get().saturating_add(bytes));
    }

    /// Whether as much was read as is to be dealt with before more is.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.taken.get() >= TAKEN_BYTES_MAX
    }

    /// Whether somebody was put off to the next turn.
    #[inline]
    pub(crate) fn has_put_off(&self) -> bool {
        !self.put_off.borrow().is_empty() || !self.writers.borrow().is_empty()
    }

    /// Whether somebody is to go on in the next turn who has had a share of this one.
    #[inline]
    pub(crate) fn has_unfinished(&self) -> bool {
        !self.put_off.borrow().is_empty()
    }

    /// Wakes those who were put off, those with something to write before all others. Returns how many.
    #[inline]
    pub(crate) fn resume(&self, core: &Core) -> u32 {
        if self.has_put_off() {
            return self.resume_all(core);
        }
        self.taken.set(0);
        0
    }

    #[inline(never)]
    fn resume_all(&self, core: &Core) -> u32 {
        let first = self.resume_writers(core);
        if self.put_off.borrow().is_empty() {
            return first;
        }
        let waiting = std::mem::take(&mut *self.put_off.borrow_mut());
        waiting.iter().for_each(|wake| core.wake(wake));
        first.saturating_add(u32::try_from(waiting.len()).unwrap_or(u32::MAX))
    }

    /// Wakes those with something to write, before all others. Returns how many.
    pub(crate) fn resume_writers(&self, core: &Core) -> u32 {
        self.taken.set(0);
        if self.writers.borrow().is_empty() {
            return 0;
        }
        let writers = std::mem::take(&mut *self.writers.borrow_mut());
        writers.iter().rev().for_each(|wake| core.wake_first(wake));
        u32::try_from(writers.len()).unwrap_or(u32::MAX)
    }
}
