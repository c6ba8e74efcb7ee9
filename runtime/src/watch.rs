//! What is told of a worker that has ended.

use std::fmt;

use ringpost_router::{Address, local_message};

/// A worker that was watched has ended: the message that [`Context::watch`](crate::Context::watch) brings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Whom the watch was on.
    pub address: Address,
    /// Why it has ended.
    pub reason: EndReason,
}

local_message!(Ended);

/// Why a worker has ended. Open: later versions add reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// It was stopped, by itself or by somebody else; a context was dropped.
    Stopped,
    /// It panicked.
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// It failed without a panic: its `initialize` returned an error.
    Failed {
        /// The error.
        error: String,
    },
    /// Nobody had the address when the watch was to begin.
    NotFound,
    /// The connection to it is lost. It may go on or not.
    Disconnected {
        /// What ended the connection.
        reason: String,
    },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has ended: {}", self.address, self.reason)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was stopped"),
            Self::Panicked { message } => write!(f, "it panicked: {message}"),
            Self::Failed { error } => write!(f, "it failed: {error}"),
            Self::NotFound => f.write_str("there was nobody"),
            Self::Disconnected { reason } => write!(f, "the connection is lost: {reason}"),
        }
    }
}

/// A watch, by which it can be [given up](crate::Context::unwatch). Dropping this leaves the watch as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watch {
    pub(crate) id: u64,
}
