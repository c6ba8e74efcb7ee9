//! Sockets on the cores of a node.
//!
//! A socket belongs to the core of the [`Context`] with which it was opened or accepted, and stays there;
//! its futures are woken when the kernel reports that there is something to do. The streams implement the
//! traits of `futures-io`, so that protocols written against these run on ringpost.
//!
//! In a [simulation](crate::sim) the same calls lead to a network in memory, under virtual time.
//!
//! ```
//! use ringpost::Context;
//! use ringpost::net::{ListenOptions, TcpListener, TcpStream};
//!
//! # fn main() -> ringpost::Result<()> {
//! ringpost::Node::builder().cores(1).run(async |ctx: Context| {
//!     let any = "127.0.0.1:0".parse()?;
//!     let mut listener = TcpListener::bind(&ctx, any, &ListenOptions::default())?;
//!     let mut client = TcpStream::connect(&ctx, listener.local_addr()?).await?;
//!     let (mut server, _) = listener.accept().await?;
//!
//!     client.write_all(b"over there").await?;
//!     let mut bytes = [0; 10];
//!     server.read_exact(&mut bytes).await?;
//!     assert_eq!(&bytes, b"over there");
//!     ctx.stop().await
//! })
//! # }
//! ```

mod deadline;
mod detached;
mod duplex;
mod listener;
mod methods;
mod pooled;
mod source;
mod stream;
mod udp;
mod unix;

pub use detached::Detached;
pub use listener::{Accept, TcpListener};
pub use stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};

pub(crate) use duplex::Duplex;
pub(crate) use listener::Doorway;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::context::Context;
use crate::driver::net::{Network, lookup};

/// How to listen.
///
/// ```
/// use ringpost::net::ListenOptions;
/// let options = ListenOptions::default().shared(true);
/// assert_eq!(options.backlog, 1024);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Whether other sockets that say so too may listen at the same address; the kernel then spreads what
    /// comes over all of them (`SO_REUSEPORT`). So each core of a node can accept for itself. Default no.
    pub shared: bool,
    /// Connections that wait to be accepted; the system may allow fewer. Default 1,024.
    pub backlog: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            shared: false,
            backlog: 1024,
        }
    }
}

impl ListenOptions {
    /// The same options, [shared](Self::shared) or not.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// The same options with room for so many connections that wait.
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }
}

/// When the system probes a peer that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How long the peer is silent before the first probe.
    pub idle: Duration,
    /// How long between two probes. How many go unanswered before the connection fails is the system's
    /// choice.
    pub interval: Duration,
}

/// The addresses of a name like `host:port`. An address as such needs no looking up.
///
/// The system's resolver blocks, so it runs on a thread of its own; at most 16 look-ups of a process are
/// under way at one time. In a simulation there are no names but addresses.
///
/// # Errors
/// Of the system; [`ResourceBusy`](io::ErrorKind::ResourceBusy) when too many names are being looked up.
///
/// # Cancellation
/// Dropped before it is done, the look-up ends in vain.
pub async fn resolve(ctx: &Context, name: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    match &ctx.core.io.network {
        Network::System(_) => {}
        Network::Sim(_) => return Err(io::ErrorKind::NotFound.into()),
    }
    let answered = lookup::begin(name.to_owned())?.await;
    let lost = |_| io::Error::other("the look-up of a name was lost");
    answered.map_err(lost)?
}
