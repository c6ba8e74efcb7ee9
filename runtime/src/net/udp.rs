//! Datagrams.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context as Polling, Poll};

use crate::context::Context;
use crate::core::io::Direction;
use crate::driver::net::{Datagrams, Forget};
use crate::net::source::Place;

/// A UDP socket of one core.
///
/// ```
/// use ringpost::{Context, net::UdpSocket};
///
/// # fn main() -> ringpost::Result<()> {
/// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
/// let one = UdpSocket::bind(&ctx, "127.0.0.1:0".parse()?)?;
/// let two = UdpSocket::bind(&ctx, "127.0.0.1:0".parse()?)?;
/// one.send_to(b"hello", two.local_addr()?).await?;
///
/// let mut bytes = [0; 16];
/// let (count, from) = two.recv_from(&mut bytes).await?;
/// assert_eq!((&bytes[..count], from), (&b"hello"[..], one.local_addr()?));
/// # ctx.stop().await
/// # })
/// # }
/// ```
pub struct UdpSocket {
    socket: Datagrams,
    place: Place,
}

impl UdpSocket {
    /// Opens a socket at this address, on the core of `ctx`. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// Of the system: the address is taken or not to be had.
    pub fn bind(ctx: &Context, address: SocketAddr) -> io::Result<Self> {
        let place = Place::new(&ctx.core, true);
        let socket = ctx.core.io.network.bind(address, place.key)?;
        Ok(Self { socket, place })
    }

    /// Sends one datagram, once the system has room for it. Whether it arrives, nobody says.
    ///
    /// # Errors
    /// Of the system: too long, or no way to there.
    ///
    /// # Cancellation
    /// Dropped before it is done, nothing is sent.
    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        let attempt = || self.socket.send_to(bytes, to);
        poll_fn(|polling| self.place.poll_try(Direction::Write, polling, attempt)).await
    }

    /// Waits for a datagram: how long it is, and who sent it. What does not fit into `buf` is lost.
    ///
    /// # Errors
    /// Of the system.
    ///
    /// # Cancellation
    /// Dropping it loses no datagram.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|polling| self.poll_recv_from(polling, buf)).await
    }

    pub(crate) fn poll_recv_from(
        &self,
        polling: &Polling<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let attempt = || self.socket.recv_from(buf);
        self.place.poll_try(Direction::Read, polling, attempt)
    }

    /// Sends one datagram now, or fails: several tasks that share a socket cannot all wait for it.
    pub(crate) fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.send_to(bytes, to)
    }

    /// The address of this socket.
    ///
    /// # Errors
    /// Of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let network = &self.place.core.io.network;
        network.forget(Forget::Datagrams(&mut self.socket));
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("address", &self.local_addr().ok())
            .field("core", &self.place.core.id)
            .finish_non_exhaustive()
    }
}
