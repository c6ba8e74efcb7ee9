//! How long an operation may wait.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use crate::context::sleep::Sleep;
use crate::core::Core;

/// The time allowed to an operation, and the timer of the one that waits now.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    timeout: Option<Duration>,
    running: Option<Sleep>,
}

impl Deadline {
    /// Operations that begin from now on may wait so long.
    pub(super) fn set(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        self.running = None;
    }

    /// The operation has ended, or another begins.
    pub(super) fn end(&mut self) {
        self.running = None;
    }

    /// The operation waits. Ready when it has waited too long.
    pub(super) fn poll(&mut self, core: &Rc<Core>, polling: &mut Polling<'_>) -> Poll<io::Error> {
        let Some(timeout) = self.timeout else {
            return Poll::Pending;
        };
        let running = self
            .running
            .get_or_insert_with(|| Sleep::new(Rc::clone(core), timeout));
        match Pin::new(running).poll(polling) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.running = None;
                Poll::Ready(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("nothing moved for {timeout:?}"),
                ))
            }
        }
    }
}
