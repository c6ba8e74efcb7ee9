//! The place of a socket among those of its core.

use std::io;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use crate::core::Core;
use crate::core::io::Direction;

/// A key among the sockets of a core, freed when dropped.
pub(crate) struct Place {
    pub(crate) core: Rc<Core>,
    pub(crate) key: usize,
}

impl Place {
    /// A place for a socket that is there already, or one that is yet to be connected.
    pub(crate) fn new(core: &Rc<Core>, connected: bool) -> Self {
        Self {
            core: Rc::clone(core),
            key: core.io.add(connected),
        }
    }

    /// Tries, and tries again when the kernel says that it is of use. A result is passed on, but for that
    /// of an attempt that would have blocked or was interrupted.
    pub(crate) fn poll_try<R>(
        &self,
        direction: Direction,
        polling: &Polling<'_>,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            if self
                .core
                .io
                .poll_ready(&self.core, self.key, direction, polling)
                .is_pending()
            {
                return Poll::Pending;
            }
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.core.io.clear(self.key, direction);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Notes that an attempt has moved `moved` bytes of `wanted`: fewer may mean that nothing is left.
    pub(crate) fn note_moved(&self, direction: Direction, moved: usize, wanted: usize) {
        if moved > 0 && moved < wanted && self.core.io.network.short_means_drained() {
            self.core.io.clear(self.key, direction);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.io.remove(self.key);
    }
}
