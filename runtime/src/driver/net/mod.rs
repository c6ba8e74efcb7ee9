//! Where sockets come from: the operating system, by way of mio, or the network of a simulation.
//!
//! A socket belongs to one core and is known there by its key, which is the place where its readiness is
//! kept ([`Io`](crate::core::io::Io)). Nothing here waits: what cannot be done now is
//! [`WouldBlock`](io::ErrorKind::WouldBlock), and the driver says when to try again.

pub(crate) mod lookup;
pub(crate) mod sim;
mod stream;
pub(crate) mod system;
mod unix;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mio::Registry;
use ringpost_mailbox::pool::PoolLimits;

use crate::driver::rare::RareSeam;
use crate::net::ListenOptions;

use self::sim::{SimListener, SimLoose, SimPort, SimSocket};

pub(crate) use self::stream::Stream;

/// The network as one core sees it.
pub(crate) enum Network {
    /// The operating system's; the registry is of the poll in which the core sleeps.
    System(Registry),
    /// The simulation's.
    Sim(SimPort),
}

/// Where a connection is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// The path of a Unix socket; an empty one is that of a peer which has none.
    Unix(Arc<Path>),
}

/// A listening socket.
pub(crate) enum Listener {
    System(mio::net::TcpListener),
    #[cfg(unix)]
    Unix(unix::SocketFile),
    Sim(SimListener),
}

/// A stream that was accepted and that no core has yet. It can go to any.
pub(crate) enum Loose {
    System(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    Sim(SimLoose),
}

/// A socket for datagrams.
pub(crate) enum Datagrams {
    System(mio::net::UdpSocket),
    Sim(SimSocket),
}

impl Network {
    /// Listens, under the key at which readiness is to be reported.
    pub(crate) fn listen(
        &self,
        at: &Endpoint,
        options: &ListenOptions,
        key: usize,
    ) -> io::Result<Listener> {
        match (self, at) {
            (Self::System(registry), Endpoint::Tcp(address)) => {
                system::listen(registry, *address, options, key).map(Listener::System)
            }
            (Self::System(registry), Endpoint::Unix(path)) => {
                unix::listen(registry, path, options, key)
            }
            (Self::Sim(port), _) => port.listen(at, options, key).map(Listener::Sim),
        }
    }

    /// Begins to connect; the stream is writable when that is decided.
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) says to begin again later.
    pub(crate) fn connect(&self, to: &Endpoint, key: usize) -> io::Result<Stream> {
        match (self, to) {
            (Self::System(registry), Endpoint::Tcp(address)) => {
                system::connect(registry, *address, key).map(Stream::System)
            }
            (Self::System(registry), Endpoint::Unix(path)) => unix::connect(registry, path, key),
            (Self::Sim(port), _) => port.connect(to, key).map(Stream::Sim),
        }
    }

    /// Opens a socket for datagrams.
    pub(crate) fn bind(&self, address: SocketAddr, key: usize) -> io::Result<Datagrams> {
        match self {
            Self::System(registry) => system::bind(registry, address, key).map(Datagrams::System),
            Self::Sim(port) => port.bind(address, key).map(Datagrams::Sim),
        }
    }

    /// Keys that nobody outside can guess; in a simulation they follow from the seed.
    pub(crate) fn secret(&self) -> [u64; 4] {
        match self {
            Self::System(_) => {
                // The keys of the standard library's hash are of the system's randomness.
                let random = RandomState::new();
                [0u64, 1, 2, 3].map(|number| random.hash_one(number))
            }
            Self::Sim(port) => port.secret(),
        }
    }

    /// What decides on rare paths for the core of this network; only a simulation takes any.
    pub(crate) fn rare(&self) -> RareSeam {
        match self {
            Self::System(_) => RareSeam::NONE,
            Self::Sim(port) => port.rare(),
        }
    }

    /// How many free blocks the core of this network keeps.
    pub(crate) fn pool_limits(&self) -> PoolLimits {
        match self {
            Self::System(_) => PoolLimits::default(),
            Self::Sim(port) => port.pool_limits(),
        }
    }

    /// Gives a stream to the core of this network; it is still to be [adopted](Self::adopt).
    pub(crate) fn take(&self, loose: Loose) -> io::Result<Stream> {
        match (self, loose) {
            (Self::System(_), Loose::System(stream)) => Ok(Stream::System(stream)),
            #[cfg(unix)]
            (Self::System(_), Loose::Unix(stream)) => Ok(Stream::Unix(stream)),
            (Self::Sim(port), Loose::Sim(loose)) => port.take(&loose).map(Stream::Sim),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Has the readiness of an accepted stream reported under this key.
    pub(crate) fn adopt(&self, stream: &mut Stream, key: usize) -> io::Result<()> {
        match (self, stream) {
            (Self::System(registry), Stream::System(stream)) => {
                system::register(registry, stream, key)
            }
            #[cfg(unix)]
            (Self::System(registry), Stream::Unix(stream)) => {
                system::register(registry, stream, key)
            }
            (Self::Sim(port), Stream::Sim(stream)) => stream.adopt(port, key),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Reports the readiness of this socket no more.
    pub(crate) fn forget(&self, source: Forget<'_>) {
        let Self::System(registry) = self else { return };
        let result = match source {
            Forget::Listener(Listener::System(listener)) => registry.deregister(listener),
            #[cfg(unix)]
            Forget::Listener(Listener::Unix(file)) => registry.deregister(file.socket()),
            Forget::Stream(Stream::System(stream)) => registry.deregister(stream),
            #[cfg(unix)]
            Forget::Stream(Stream::Unix(stream)) => registry.deregister(stream),
            Forget::Datagrams(Datagrams::System(socket)) => registry.deregister(socket),
            _ => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a socket could not be deregistered before it was closed");
        }
    }

    /// Whether the last attempt on a stream having moved less than it was asked to says that there is no
    /// more. With mio's other backends only an attempt that would block says so.
    pub(crate) fn short_means_drained(&self) -> bool {
        cfg!(unix) || matches!(self, Self::Sim(_))
    }
}

/// What is to be forgotten.
pub(crate) enum Forget<'a> {
    Listener(&'a mut Listener),
    Stream(&'a mut Stream),
    Datagrams(&'a mut Datagrams),
}

impl Endpoint {
    /// Of a socket without a name.
    pub(crate) fn unnamed() -> Self {
        Self::Unix(Path::new("").into())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) if path.as_os_str().is_empty() => {
                f.write_str("a socket without a name")
            }
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Listener {
    /// Accepts a connection, for whatever core.
    pub(crate) fn accept(&mut self) -> io::Result<(Loose, Endpoint)> {
        match self {
            Self::System(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Loose::System(stream), Endpoint::Tcp(peer)))
            }
            #[cfg(unix)]
            Self::Unix(file) => Ok((Loose::Unix(file.accept()?), Endpoint::unnamed())),
            Self::Sim(listener) => {
                let (loose, peer) = listener.accept()?;
                Ok((Loose::Sim(loose), peer))
            }
        }
    }

    pub(crate) fn local(&self) -> io::Result<Endpoint> {
        match self {
            Self::System(listener) => listener.local_addr().map(Endpoint::Tcp),
            #[cfg(unix)]
            Self::Unix(file) => Ok(Endpoint::Unix(Arc::clone(file.path()))),
            Self::Sim(listener) => Ok(listener.local()),
        }
    }
}

impl Datagrams {
    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        match self {
            Self::System(socket) => socket.send_to(bytes, to),
            Self::Sim(socket) => socket.send_to(bytes, to),
        }
    }

    pub(crate) fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::System(socket) => socket.recv_from(into),
            Self::Sim(socket) => socket.recv_from(into),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::System(socket) => socket.local_addr(),
            Self::Sim(socket) => Ok(socket.local_addr()),
        }
    }
}
