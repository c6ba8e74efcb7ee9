//! What the loop of a core asks of the system: the kernel's poll, where it sleeps and learns of its sockets,
//! and the clock.

#![allow(
    clippy::disallowed_methods,
    reason = "the one place where the clock is read"
)]

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};

use crate::core::Core;
use crate::core::io::Readiness;
use crate::driver::stderr::failure;
use crate::node::shared::Bell;
use crate::time::Time;

/// The token of the core's bell. Sockets have their keys, which count from 0.
const BELL: Token = Token(usize::MAX);

/// Reports taken from the kernel at one time; more are taken the next time.
const EVENTS_MAX: usize = 256;
/// Bounds of the time that an idle loop spins before it sleeps.
const SPIN_MIN: Duration = Duration::from_micros(5);
const SPIN_MAX: Duration = Duration::from_micros(50);
/// Spinning pays for about as long as a sleep and its wake-up take, which is some twenty times what
/// ringing a bell costs when nobody sleeps.
const SPIN_BELLS: u32 = 20;

struct MioBell(Waker);

impl Bell for MioBell {
    fn ring(&self) {
        if let Err(error) = self.0.wake() {
            // The sleeper will look by itself when its time is over.
            failure("a sleeping core could not be woken", None, Some(&error));
        }
    }
}

/// A core's poll, and what ends its waiting.
pub(super) fn bell_and_kernel(_: &Clock) -> io::Result<(Box<dyn Bell>, Kernel)> {
    let kernel = Kernel::new()?;
    let bell = MioBell(Waker::new(&kernel.registry, BELL)?);
    Ok((Box::new(bell), kernel))
}

/// What a core asks the kernel by.
pub(super) struct Kernel {
    /// Where sockets are registered.
    pub(super) registry: Registry,
    pub(super) poll: SocketPoll,
}

/// The poll, with room for its reports.
pub(super) struct SocketPoll {
    poll: Poll,
    events: Events,
}

impl Kernel {
    /// # Errors
    /// Of the system: no descriptors.
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let events = Events::with_capacity(EVENTS_MAX);
        Ok(Self {
            registry,
            poll: SocketPoll { poll, events },
        })
    }
}

impl SocketPoll {
    /// Asks what has happened at the core's sockets, if it has any. Whether the kernel was asked.
    pub(super) fn look(&mut self, core: &Core) -> bool {
        if !core.io.has_sources() {
            return false;
        }
        self.wait(core, Duration::ZERO);
        true
    }

    /// Waits for the bell or a socket, for at most so long.
    pub(super) fn wait(&mut self, core: &Core, wait: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(wait)) {
            if error.kind() != io::ErrorKind::Interrupted {
                failure("polling the kernel failed", None, Some(&error));
            }
            return;
        }
        for event in &self.events {
            if event.token() != BELL {
                core.io.report(core, event.token().0, readiness(event));
            }
        }
    }

    /// Hears the bell, where no core runs yet. False if that failed.
    fn hear(&mut self) -> bool {
        self.poll
            .poll(&mut self.events, Some(Duration::ZERO))
            .is_ok()
    }
}

/// An error is for whoever tries next: both ways are ready, for good.
fn readiness(event: &Event) -> Readiness {
    Readiness {
        readable: event.is_readable(),
        writable: event.is_writable(),
        read_closed: event.is_read_closed() || event.is_error(),
        write_closed: event.is_write_closed() || event.is_error(),
    }
}

/// How long to spin: measured from what it costs to ring a bell and hear it.
pub(super) fn calibrate(bell: &dyn Bell, kernel: &mut Kernel) -> Duration {
    let start = Instant::now();
    for _ in 0..SPIN_BELLS {
        bell.ring();
        if !kernel.poll.hear() {
            return SPIN_MAX;
        }
    }
    start.elapsed().clamp(SPIN_MIN, SPIN_MAX)
}

/// The time since the node's start.
#[derive(Debug, Clone)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(&self) -> Time {
        Time::ZERO.saturating_add(self.0.elapsed())
    }
}
