//! The kernel's poll of one core: where it sleeps, and where it learns of its sockets.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use crate::core::Core;
use crate::core::io::Readiness;
use crate::driver::stderr::failure;

/// The token of the core's bell. Sockets have their keys, which count from 0.
pub(super) const BELL: Token = Token(usize::MAX);

/// Reports taken from the kernel at one time; more are taken the next time.
const EVENTS_MAX: usize = 256;

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
    pub(super) fn new() -> io::Result<Self> {
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
    pub(super) fn hear(&mut self) -> bool {
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
