//! Handlers that hold their core.

use std::fmt;
use std::time::Duration;

use ringpost_router::Address;

/// A handler, or a spawned future, that has not come back to its core's loop for long. Everything else on that
/// core waits for it.
///
/// What takes long belongs into [`spawn_blocking`](crate::Context::spawn_blocking); a long computation can let others
/// have their turns with [`yield_now`](crate::Context::yield_now).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The core that is held.
    pub core: usize,
    /// The worker whose handler runs; none if it is a spawned future, or the main function.
    pub worker: Option<Address>,
    /// The type of the worker.
    pub worker_type: &'static str,
    /// The type of its messages.
    pub message_type: &'static str,
    /// For how long at least, so far. It is told again each time this has doubled.
    pub held: Duration,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            core,
            worker,
            worker_type,
            message_type,
            held,
        } = self;
        match worker {
            Some(worker) => write!(
                f,
                "a handler of {worker} (a {worker_type}, for a {message_type}) has held core {core} for {held:?}"
            ),
            None => write!(f, "a spawned future has held core {core} for {held:?}"),
        }
    }
}
