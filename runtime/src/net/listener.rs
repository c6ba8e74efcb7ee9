//! Accepting connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as Polling, Poll, ready};

use crate::context::Context;
use crate::core::io::Direction;
use crate::driver::net::{Endpoint, Forget, Listener, Loose};
use crate::net::duplex::Duplex;
use crate::net::source::Place;
use crate::net::stream::tcp;
use crate::net::{Detached, ListenOptions, TcpStream};

/// What accepts connections on one core, whatever they run over.
pub(crate) struct Doorway {
    listener: Listener,
    place: Place,
}

impl Doorway {
    pub(crate) fn open(ctx: &Context, at: &Endpoint, options: &ListenOptions) -> io::Result<Self> {
        let place = Place::new(&ctx.core, true);
        let listener = ctx.core.io.network.listen(at, options, place.key)?;
        Ok(Self { listener, place })
    }

    pub(crate) fn local(&self) -> io::Result<Endpoint> {
        self.listener.local()
    }

    pub(crate) fn poll_accept(
        &mut self,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<(Duplex, Endpoint)>> {
        let (loose, peer) = ready!(self.poll_accept_loose(polling))?;
        let stream = Duplex::attach(&self.place.core, loose)?;
        Poll::Ready(Ok((stream, peer)))
    }

    /// As [`poll_accept`](Self::poll_accept), for whatever core.
    pub(crate) fn poll_accept_loose(
        &mut self,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<(Loose, Endpoint)>> {
        let listener = &mut self.listener;
        self.place
            .poll_try(Direction::Read, polling, || listener.accept())
    }

    pub(super) fn core(&self) -> u16 {
        self.place.core.id
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        let network = &self.place.core.io.network;
        network.forget(Forget::Listener(&mut self.listener));
    }
}

/// A socket that accepts connections, on one core.
///
/// To accept on every core of a node, listen on each with [`ListenOptions::shared`], or listen on one and hand over what
/// it [accepts for others](Self::accept_detached).
pub struct TcpListener(Doorway);

impl TcpListener {
    /// Listens at this address, on the core of `ctx`. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// Of the system: the address is taken or not to be had.
    pub fn bind(ctx: &Context, address: SocketAddr, options: &ListenOptions) -> io::Result<Self> {
        Doorway::open(ctx, &Endpoint::Tcp(address), options).map(Self)
    }

    /// The address at which this listens.
    ///
    /// # Errors
    /// Of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        tcp(self.0.local()?)
    }

    /// Waits for the next connection; it belongs to this core.
    ///
    /// # Errors
    /// Of the system: too many open files, or a connection that was gone already. Wait a while before
    /// trying again, as the former may last.
    ///
    /// # Cancellation
    /// Dropping it loses no connection.
    pub fn accept(&mut self) -> Accept<'_> {
        Accept(self)
    }

    /// As [`accept`](Self::accept), for futures that poll.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(
        &mut self,
        polling: &mut Polling<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, peer) = ready!(self.0.poll_accept(polling))?;
        Poll::Ready(Ok((TcpStream(stream), tcp(peer)?)))
    }

    /// Waits for the next connection, which no core has yet: [`TcpStream::attach`] gives it to one.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    ///
    /// # Cancellation
    /// Dropping it loses no connection.
    pub async fn accept_detached(&mut self) -> io::Result<(Detached<TcpStream>, SocketAddr)> {
        let accepted = poll_fn(|polling| self.0.poll_accept_loose(polling)).await;
        let (loose, peer) = accepted?;
        Ok((Detached::new(loose), tcp(peer)?))
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("address", &self.local_addr().ok())
            .field("core", &self.0.core())
            .finish_non_exhaustive()
    }
}

/// Waits for a connection; made by [`TcpListener::accept`].
#[derive(Debug)]
#[must_use = "nothing is accepted until this is awaited"]
pub struct Accept<'a>(&'a mut TcpListener);

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Self::Output> {
        self.0.poll_accept(polling)
    }
}
