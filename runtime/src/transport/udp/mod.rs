//! Messages as datagrams.

mod exchange;
mod hub;

pub(super) use exchange::{carry, dial};
pub(super) use hub::Peer;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ringpost_router::Address;

use crate::UDP;
use crate::context::Context;
use crate::error::Result;
use crate::net::UdpSocket;
use crate::transport::listener::stop;
use crate::transport::tcp::{first_of, normal};
use crate::transport::{UdpConnectionOptions, UdpListenerOptions, failed, open, turn_on};

use self::hub::Hub;

/// Messages between nodes as datagrams: one each.
///
/// Routes, access rules and replies are as with a [`TcpTransport`](crate::TcpTransport); addresses are of type
/// [`UDP`](crate::UDP), and named by host and port. What is promised is less:
///
/// - A message arrives once or not at all, and its sender is not told when it is lost: on the way, or where its receiver has
///   no room, where it is reported and counted. A request whose message or reply is lost ends with its deadline.
///   (A duplicate is told from what is new as long as the peer is known; it would have to come later than
///   [`UdpLimits::idle`](crate::transport::UdpLimits::idle).)
/// - Messages arrive in any order, and those that are late by more than 128 are dropped.
/// - There are no credits: who sends much to a slow worker loses messages rather than wait.
/// - A message has to fit into one datagram; a longer one fails with [`ErrorKind::Codec`], which names the limit.
/// - Nothing connects, and nobody is known to be there. Peers are remembered from their first message until
///   [`idle`](crate::transport::UdpLimits::idle) has passed, at most
///   [`peers_max`](crate::transport::UdpLimits::peers_max) of them.
/// - Nobody tells of the end of a worker: who watches one beyond hears when the peer is forgotten.
/// - The sender of a datagram can be forged, so access rules say what anybody may do. Replies cannot be forged by who
///   does not see the traffic: return addresses, and the names of this node's workers that are not exposed, travel as
///   names that cannot be guessed.
///
/// The format is of ringpost's own ([`ringpost_router::wire::Datagram`]). One core, that of the context which
/// listens, reads the datagrams of a listener, and keeps its peers.
///
/// ```
/// use ringpost::{Context, Result, Route, Routed, UDP, UdpListenerOptions, UdpTransport, Worker};
///
/// struct Echoer;
///
/// impl Worker for Echoer {
///     type Message = String;
///     type Context = Context;
///
///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
///         ctx.send_message(msg.reply(), msg.take()).await
///     }
/// }
///
/// # fn main() -> Result<()> {
/// ringpost::Node::builder().cores(1).run(async |ctx: Context| {
///     ctx.start_worker("echoer", Echoer).await?;
///     let udp = UdpTransport::create(&ctx).await?;
///     let options = UdpListenerOptions::new().expose("echoer");
///     let listener = udp.listen("127.0.0.1:0", options).await?;
///
///     // Another node would do the same with the address of this one.
///     let route = Route::new().append_t(UDP, listener.address()).append("echoer");
///     let reply: String = ctx.request(route, "Hello!".to_string()).await?;
///     assert_eq!(reply, "Hello!");
///     ctx.stop().await
/// })
/// # }
/// ```
///
/// [`ErrorKind::Codec`]: crate::ErrorKind::Codec
pub struct UdpTransport {
    ctx: Context,
}

impl UdpTransport {
    /// Lets the node send to UDP addresses: each gets a socket on first use, with [`UdpConnectionOptions::new`].
    /// Calling it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`](crate::ErrorKind::Stopping).
    ///
    /// # Cancellation
    /// Dropped before it is done, some cores may send and others not; it can be called again.
    pub async fn create(ctx: &Context) -> Result<Self> {
        let ctx = turn_on(ctx, UDP).await?;
        Ok(Self { ctx })
    }

    /// Takes datagrams at this address, on the core of the context that the transport was made with. Port 0 lets the
    /// system choose one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io): the address is taken, or is none of this machine's.
    ///
    /// # Cancellation
    /// Dropped before it is done, it leaves nobody listening.
    pub async fn listen(
        &self,
        address: impl AsRef<str>,
        options: UdpListenerOptions,
    ) -> Result<UdpListener> {
        let address = first_of(&self.ctx, address.as_ref()).await?;
        let socket = UdpSocket::bind(&self.ctx, address);
        let socket = socket.map_err(|error| failed("listen at", &address, &error))?;
        let address = socket.local_addr()?;
        let id = Hub::listen(&self.ctx.core, socket, Arc::new(options.terms))?;
        Ok(UdpListener { address, id })
    }

    /// Opens a socket for a peer, with these options, and returns the address to begin routes with. Where there is one
    /// for that peer already, it is shared, and keeps its options. Whether the peer is there, nobody says.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected): the peer's name has no address, or no socket is to be
    /// had.
    ///
    /// # Cancellation
    /// The socket is opened all the same.
    pub async fn connect(
        &self,
        peer: impl AsRef<str>,
        options: UdpConnectionOptions,
    ) -> Result<Address> {
        let address = Address::new(UDP, normal(peer.as_ref()));
        open(&self.ctx, &address, options.terms).await?;
        Ok(address)
    }

    /// Closes the socket for a peer, or forgets one of a listener, as
    /// [`TcpTransport::disconnect`](crate::TcpTransport::disconnect) does. What the peer sends to a listener makes it
    /// known again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no such peer.
    ///
    /// # Cancellation
    /// Once polled, the peer is forgotten whether or not the future is kept.
    pub async fn disconnect(&self, address: impl Into<Address>) -> Result<()> {
        self.ctx.stop_worker(address).await
    }
}

impl fmt::Debug for UdpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpTransport").finish_non_exhaustive()
    }
}

/// What takes datagrams at one address. It goes on until it is [stopped](Self::stop) or the node ends, also when this
/// is dropped.
#[derive(Clone)]
pub struct UdpListener {
    address: SocketAddr,
    id: u64,
}

impl UdpListener {
    /// The address, as routes name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Closes the socket, frees the address and forgets the peers: without the socket there is no way to them. Stopping
    /// it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`](crate::ErrorKind::Stopping).
    ///
    /// # Cancellation
    /// Once polled, it is stopped whether or not the future is kept.
    pub async fn stop(&self, ctx: &Context) -> Result<()> {
        stop(ctx, self.id).await
    }

    /// The address with the port that the system has chosen.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for UdpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UdpListener({})", self.address)
    }
}
