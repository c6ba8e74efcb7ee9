//! Services for `--spawn-echo`.

mod files;
mod raw;
mod routed;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use ringpost::Route;

use raw::RawEcho;
use routed::RoutedEcho;

use crate::error::StartError;
use crate::target::Target;

/// A service that runs until it is dropped.
#[derive(Debug)]
pub(crate) enum Spawned {
    Raw(RawEcho),
    Routed(RoutedEcho),
}

impl Spawned {
    /// Starts the service that a target names, on so many cores where it can use them.
    ///
    /// # Errors
    /// When nobody can listen at the target's address, or the target names more than one worker.
    pub(crate) fn start(target: &Target, cores: usize) -> Result<Self, StartError> {
        match target {
            // What sends back bytes sends back frames.
            Target::Raw { server } | Target::Framed { server } => {
                let started = first_of(server).and_then(RawEcho::start);
                Ok(Self::Raw(started.map_err(|source| listen(server, source))?))
            }
            Target::Tcp { server, route } => {
                let worker = worker_of(route)?;
                let started = RoutedEcho::start(server, worker, cores);
                let failed = |error: ringpost::Error| listen(server, io::Error::other(error));
                Ok(Self::Routed(started.map_err(failed)?))
            }
            Target::Local => Err(StartError::Choice(
                "local:// has its workers in this process already".into(),
            )),
        }
    }

    /// Why it takes no more connections, when that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        match self {
            Self::Raw(echo) => echo.failure(),
            // A node does not tell.
            Self::Routed(_) => None,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Raw(echo) => echo.address(),
            Self::Routed(echo) => echo.address(),
        }
    }
}

/// Open files of a process besides connections, and of each loop of its client and its service: some to spare.
const FILES: usize = 16;
const FILES_OF_CPU: usize = 4;

/// Sees that this process may have the files for both ends of so many connections, where the system says so.
///
/// # Errors
/// Too low a limit. Connections that nobody can accept would only be seen as messages without replies.
pub(crate) fn check_files(connections: usize) -> Result<(), StartError> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    match files::limit() {
        Some(limit) => check_limit(connections, FILES + cpus * FILES_OF_CPU, limit),
        None => Ok(()),
    }
}

fn check_limit(connections: usize, others: usize, limit: usize) -> Result<(), StartError> {
    let needed = connections.saturating_mul(2).saturating_add(others);
    if needed <= limit {
        return Ok(());
    }
    Err(StartError::Choice(format!(
        "--spawn-echo takes two open files for each connection, {needed} in all with {others} for itself, and this process may \
         have {limit} open files: allow more (ulimit -n), or use fewer connections (-c)"
    )))
}

fn listen(server: &str, source: io::Error) -> StartError {
    StartError::Listen {
        server: server.to_owned(),
        source,
    }
}

fn first_of(server: &str) -> io::Result<SocketAddr> {
    let mut addresses = server.to_socket_addrs()?;
    let none = || io::Error::other("the name has no address");
    addresses.next().ok_or_else(none)
}

/// The one worker that a route names.
fn worker_of(route: &Route) -> Result<ringpost::Address, StartError> {
    match route.only() {
        Some(hop) if hop.address.is_local() => Ok(hop.address.clone()),
        _ => Err(StartError::Choice(
            "--spawn-echo starts one worker; write tcp://HOST:PORT/WORKER".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_just_under_the_limit_of_files_is_too_much() {
        assert!(check_limit(116, 24, 256).is_ok());
        for connections in [117, 127, 128, usize::MAX] {
            let error = check_limit(connections, 24, 256).unwrap_err().to_string();
            assert!(error.contains("256 open files"), "{error}");
        }
    }
}
