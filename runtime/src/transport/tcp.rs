//! Connections over TCP.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ringpost_router::Address;

use crate::TCP;
use crate::context::Context;
use crate::driver::net::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::net::resolve;
use crate::transport::listener::{Listening, listen};
use crate::transport::{TcpConnectionOptions, TcpListenerOptions, failed, open, turn_on};

/// TCP between this node and others.
///
/// ```
/// use ringpost::{Context, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker};
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
///     let tcp = TcpTransport::create(&ctx).await?;
///     let options = TcpListenerOptions::new().expose("echoer");
///     let listener = tcp.listen("127.0.0.1:0", options).await?;
///
///     // Another node would do the same with the address of this one.
///     let route = Route::new().append_t(TCP, listener.address()).append("echoer");
///     let reply: String = ctx.request(route, "Hello!".to_string()).await?;
///     assert_eq!(reply, "Hello!");
///     ctx.stop().await
/// })
/// # }
/// ```
pub struct TcpTransport {
    ctx: Context,
}

impl TcpTransport {
    /// Lets the node send to TCP addresses: each is connected to on first use, with
    /// [`TcpConnectionOptions::new`]. Calling it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`].
    ///
    /// # Cancellation
    /// Dropped before it is done, some cores may connect and others not; it can be called again.
    pub async fn create(ctx: &Context) -> Result<Self> {
        let ctx = turn_on(ctx, TCP).await?;
        Ok(Self { ctx })
    }

    /// Accepts connections at this address, on every core where the system lets cores share an address.
    /// Port 0 lets the system choose one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]: the address is taken, or is none of this machine's.
    ///
    /// # Cancellation
    /// Dropped before it is done, it leaves nobody listening.
    pub async fn listen(
        &self,
        address: impl AsRef<str>,
        options: TcpListenerOptions,
    ) -> Result<TcpListener> {
        let address = first_of(&self.ctx, address.as_ref()).await?;
        let terms = Arc::new(options.terms);
        let listening = listen(&self.ctx, Endpoint::Tcp(address), terms).await?;
        let address = match listening.at {
            Endpoint::Tcp(chosen) => chosen,
            Endpoint::Unix(_) => address,
        };
        Ok(TcpListener { address, listening })
    }

    /// Connects to a node, waits until the connection stands, and returns the address to begin routes with.
    /// Where there is a connection to that address already, or one is being opened, it is shared, and keeps
    /// its options. With [`TcpConnectionOptions::reconnect`] attempts are made until one succeeds.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`]: nobody listens there, or it cannot be reached.
    ///
    /// # Cancellation
    /// The connection is opened all the same.
    pub async fn connect(
        &self,
        peer: impl AsRef<str>,
        options: TcpConnectionOptions,
    ) -> Result<Address> {
        let address = Address::new(TCP, normal(peer.as_ref()));
        open(&self.ctx, &address, options.terms).await?;
        Ok(address)
    }

    /// Ends a connection: that to a TCP address, or one that a listener accepted, which is the first address of
    /// the return routes of its messages. What was sent to it before is written, for at most
    /// [`DRAIN_TIMEOUT`](crate::DRAIN_TIMEOUT) or what the node was built with. A message to a TCP address opens a connection again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such connection.
    ///
    /// # Cancellation
    /// Once polled, the connection ends whether or not the future is kept.
    pub async fn disconnect(&self, address: impl Into<Address>) -> Result<()> {
        self.ctx.stop_worker(address).await
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport").finish_non_exhaustive()
    }
}

/// What accepts connections at one address. It goes on until it is [stopped](Self::stop) or the node ends,
/// also when this is dropped.
#[derive(Clone)]
pub struct TcpListener {
    address: SocketAddr,
    listening: Listening,
}

impl TcpListener {
    /// The address, as routes name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Accepts no more connections, on any core, and frees the address. The connections that there are stay.
    /// Stopping it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`].
    ///
    /// # Cancellation
    /// Once polled, it is stopped whether or not the future is kept.
    pub async fn stop(&self, ctx: &Context) -> Result<()> {
        self.listening.stop(ctx).await
    }

    /// The address with the port that the system has chosen.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpListener({})", self.address)
    }
}

/// `4000` and `:4000` are ports of this machine.
pub(super) fn normal(peer: &str) -> String {
    match peer.strip_prefix(':').unwrap_or(peer) {
        port if port.parse::<u16>().is_ok() => format!("127.0.0.1:{port}"),
        _ => peer.to_owned(),
    }
}

pub(super) async fn first_of(ctx: &Context, name: &str) -> Result<SocketAddr> {
    let found = resolve(ctx, &normal(name)).await;
    let found = found.map_err(|error| failed("find", &name, &error))?;
    let none = || Error::new(ErrorKind::Io(format!("{name} has no address")));
    found.into_iter().next().ok_or_else(none)
}
