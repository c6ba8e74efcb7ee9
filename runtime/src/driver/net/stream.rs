//! One end of a connection, whatever it runs over.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;

use super::Endpoint;
use super::sim::SimStream;
use super::system;
#[cfg(unix)]
use super::unix;
use crate::net::Keepalive;

/// One end of a connection.
pub(crate) enum Stream {
    System(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    Sim(SimStream),
}

impl Stream {
    /// Whether a connection that was begun stands: an error if it failed, and
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if that is not decided.
    pub(crate) fn check_connected(&self) -> io::Result<()> {
        match self {
            Self::System(stream) => system::check_connected(stream),
            // It stands at once, or does not begin.
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error()?.map_or(Ok(()), Err),
            Self::Sim(stream) => stream.check_connected(),
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::System(stream) => stream.read(into),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(into),
            Self::Sim(stream) => stream.read(into),
        }
    }

    pub(crate) fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Self::System(stream) => stream.read_vectored(into),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read_vectored(into),
            Self::Sim(stream) => match into.iter_mut().find(|part| !part.is_empty()) {
                Some(part) => stream.read(part),
                None => Ok(0),
            },
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::System(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
            Self::Sim(stream) => stream.write(&[IoSlice::new(bytes)]),
        }
    }

    pub(crate) fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::System(stream) => stream.write_vectored(parts),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_vectored(parts),
            Self::Sim(stream) => stream.write(parts),
        }
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::System(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(how),
            Self::Sim(stream) => stream.shutdown(how),
        }
    }

    pub(crate) fn local(&self) -> io::Result<Endpoint> {
        match self {
            Self::System(stream) => stream.local_addr().map(Endpoint::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => Ok(unix::endpoint(&stream.local_addr()?)),
            Self::Sim(stream) => Ok(stream.local()),
        }
    }

    pub(crate) fn peer(&self) -> io::Result<Endpoint> {
        match self {
            Self::System(stream) => stream.peer_addr().map(Endpoint::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => Ok(unix::endpoint(&stream.peer_addr()?)),
            Self::Sim(stream) => Ok(stream.peer()),
        }
    }

    /// Whether small writes leave at once; but for TCP there is no other way.
    pub(crate) fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Self::System(stream) => stream.set_nodelay(nodelay),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            Self::Sim(stream) => stream.set_option(),
        }
    }

    /// Has the system probe a silent peer; within one machine, and in a simulation, peers do not vanish.
    pub(crate) fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        match self {
            Self::System(stream) => system::set_keepalive(stream, keepalive),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            Self::Sim(stream) => stream.set_option(),
        }
    }
}
