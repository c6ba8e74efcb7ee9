//! Why a run could not begin.

use std::io;
use std::time::Duration;

use ringpost_router::wire::WireError;

/// Why a run could not begin. Nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot find {server}: {source}")]
    Resolve { server: String, source: io::Error },
    #[error(
        "nothing listens at {server}: connection refused. Start the server first, or let --spawn-echo start one here"
    )]
    Refused { server: String },
    #[error("{server} refused connection {number} of {connections}: {source}")]
    RefusedLater {
        server: String,
        number: usize,
        connections: usize,
        source: io::Error,
    },
    #[error(
        "no answer from {server} within {timeout:?}: it is down, unreachable, or busy (--connect-timeout waits longer)"
    )]
    Timeout { server: String, timeout: Duration },
    #[error(
        "too many open files after {connections} connections; allow more (ulimit -n), or use fewer (-c)"
    )]
    FilesMax { connections: usize },
    #[error("cannot connect to {server}: {source}")]
    Connect { server: String, source: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    #[error("the system's poll fails: {0}")]
    Poll(io::Error),
    #[error("such messages cannot be sent: {0}")]
    Frame(#[from] WireError),
    #[error("cannot listen at {server} for --spawn-echo: {source}")]
    Listen { server: String, source: io::Error },
    #[error("the node: {0}")]
    Node(#[from] ringpost::Error),
    #[error("cannot write {name}: {source}")]
    Write { name: String, source: io::Error },
    #[error(
        "the service of --spawn-echo takes no more connections: {0}. It shares this process's limit of open files with the \
         client: allow more (ulimit -n), or use fewer connections (-c)"
    )]
    Echo(String),
    #[error("ended at the user's wish")]
    Ended,
    #[error("{0}")]
    Choice(String),
}
