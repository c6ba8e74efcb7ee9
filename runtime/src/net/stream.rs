//! TCP connections.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use crate::context::Context;
use crate::driver::net::Endpoint;
use crate::net::duplex::Duplex;
use crate::net::methods::stream_methods;
use crate::net::{Detached, Keepalive};

/// A TCP connection of one core.
///
/// Reading and writing may go on at the same time. A write waits when the peer does not read and the
/// system's buffers are full; a read waits for bytes. Both may be given a time limit, which counts anew
/// for each operation. Dropping the stream closes the connection.
pub struct TcpStream(pub(super) Duplex);

stream_methods!(TcpStream);

impl TcpStream {
    /// Connects, on the core of `ctx`. Waits as long as the system does, which can be minutes.
    ///
    /// # Errors
    /// Of the system: refused, unreachable.
    ///
    /// # Cancellation
    /// Dropped before it is done, the connection is given up.
    pub async fn connect(ctx: &Context, address: SocketAddr) -> io::Result<Self> {
        Duplex::connect(ctx, &Endpoint::Tcp(address))
            .await
            .map(Self)
    }

    /// As [`connect`](Self::connect), for at most so long.
    ///
    /// # Errors
    /// Also [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// # Cancellation
    /// As [`connect`](Self::connect).
    pub async fn connect_within(
        ctx: &Context,
        address: SocketAddr,
        timeout: Duration,
    ) -> io::Result<Self> {
        let to = Endpoint::Tcp(address);
        Duplex::connect_within(ctx, &to, timeout).await.map(Self)
    }

    /// Gives a connection that was [accepted](crate::net::TcpListener::accept_detached) on another core to that of
    /// `ctx`, where it stays.
    ///
    /// # Errors
    /// Of the system; [`Unsupported`](io::ErrorKind::Unsupported) or [`NotFound`](io::ErrorKind::NotFound) if it comes
    /// from another simulation, or from outside of this one.
    pub fn attach(ctx: &Context, accepted: Detached<Self>) -> io::Result<Self> {
        accepted.attach(&ctx.core).map(Self)
    }

    /// Whether small writes leave at once and not when more has come or the peer has answered.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.socket().set_nodelay(nodelay)
    }

    /// Has the system probe a silent peer, so that one that is gone is noticed.
    ///
    /// # Errors
    /// Of the system.
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        self.0.socket().set_keepalive(keepalive)
    }

    /// The address at this end.
    ///
    /// # Errors
    /// Of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        tcp(self.0.socket().local()?)
    }

    /// The address at the other end.
    ///
    /// # Errors
    /// Of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        tcp(self.0.socket().peer()?)
    }
}

/// The address of a TCP socket.
pub(super) fn tcp(endpoint: Endpoint) -> io::Result<SocketAddr> {
    match endpoint {
        Endpoint::Tcp(address) => Ok(address),
        Endpoint::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .field("core", &self.0.core())
            .finish_non_exhaustive()
    }
}
