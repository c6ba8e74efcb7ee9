//! Connections within one machine, by sockets in its file system.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use crate::context::Context;
use crate::driver::net::Endpoint;
use crate::net::duplex::Duplex;
use crate::net::listener::Doorway;
use crate::net::methods::stream_methods;
use crate::net::{Detached, ListenOptions};

/// A connection of one core over a Unix socket. All else is as with a [`TcpStream`](crate::net::TcpStream).
pub struct UnixStream(Duplex);

stream_methods!(UnixStream);

impl UnixStream {
    /// Connects to the socket at this path, on the core of `ctx`. Waits while the listener has no room for one
    /// more to wait.
    ///
    /// # Errors
    /// Of the system: nothing is there, nobody listens, or not everybody may write to the file.
    /// [`Unsupported`](io::ErrorKind::Unsupported) where there are no Unix sockets.
    ///
    /// # Cancellation
    /// Dropped before it is done, the connection is given up.
    pub async fn connect(ctx: &Context, path: impl AsRef<Path>) -> io::Result<Self> {
        let to = Endpoint::Unix(path.as_ref().into());
        Duplex::connect(ctx, &to).await.map(Self)
    }

    /// Gives a connection that was [accepted](UnixListener::accept_detached) on another core to that of `ctx`, where it
    /// stays.
    ///
    /// # Errors
    /// As [`TcpStream::attach`](crate::net::TcpStream::attach).
    pub fn attach(ctx: &Context, accepted: Detached<Self>) -> io::Result<Self> {
        accepted.attach(&ctx.core).map(Self)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("core", &self.0.core())
            .finish_non_exhaustive()
    }
}

/// A Unix socket that accepts connections, on one core.
///
/// Its file is made with it, by the rights that the process gives to new files, and removed with it. A
/// process that is killed leaves the file behind; whoever listens at the path next takes its place, if nobody
/// answers there. A socket at which somebody answers, and a file that is no socket, are left alone.
///
/// ```
/// use ringpost::Context;
/// use ringpost::net::{ListenOptions, UnixListener, UnixStream};
///
/// # fn main() -> ringpost::Result<()> {
/// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
/// let path = std::env::temp_dir().join(format!("ringpost-{}.sock", std::process::id()));
/// let mut listener = UnixListener::bind(&ctx, &path, &ListenOptions::default())?;
/// let mut client = UnixStream::connect(&ctx, &path).await?;
/// let mut server = listener.accept().await?;
///
/// client.write_all(b"next door").await?;
/// let mut bytes = [0; 9];
/// server.read_exact(&mut bytes).await?;
/// assert_eq!(&bytes, b"next door");
///
/// drop(listener);
/// assert!(!path.exists());
/// # ctx.stop().await
/// # })
/// # }
/// ```
pub struct UnixListener(Doorway);

impl UnixListener {
    /// Listens at this path, on the core of `ctx`.
    ///
    /// # Errors
    /// Of the system: [`AddrInUse`](io::ErrorKind::AddrInUse) where somebody listens or a file is in the way.
    /// [`Unsupported`](io::ErrorKind::Unsupported) where there are no Unix sockets, and with
    /// [`ListenOptions::shared`]: one socket alone listens at a path.
    pub fn bind(
        ctx: &Context,
        path: impl AsRef<Path>,
        options: &ListenOptions,
    ) -> io::Result<Self> {
        let at = Endpoint::Unix(path.as_ref().into());
        Doorway::open(ctx, &at, options).map(Self)
    }

    /// The path at which this listens.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn path(&self) -> io::Result<PathBuf> {
        match self.0.local()? {
            Endpoint::Unix(path) => Ok(path.to_path_buf()),
            Endpoint::Tcp(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Waits for the next connection; it belongs to this core.
    ///
    /// # Errors
    /// As [`TcpListener::accept`](crate::net::TcpListener::accept).
    ///
    /// # Cancellation
    /// Dropping it loses no connection.
    pub async fn accept(&mut self) -> io::Result<UnixStream> {
        poll_fn(|polling| self.poll_accept(polling)).await
    }

    /// As [`accept`](Self::accept), for futures that poll.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&mut self, polling: &mut Polling<'_>) -> Poll<io::Result<UnixStream>> {
        let (stream, _) = ready!(self.0.poll_accept(polling))?;
        Poll::Ready(Ok(UnixStream(stream)))
    }

    /// Waits for the next connection, which no core has yet: [`UnixStream::attach`] gives it to one.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    ///
    /// # Cancellation
    /// Dropping it loses no connection.
    pub async fn accept_detached(&mut self) -> io::Result<Detached<UnixStream>> {
        let (loose, _) = poll_fn(|polling| self.0.poll_accept_loose(polling)).await?;
        Ok(Detached::new(loose))
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("path", &self.path().ok())
            .field("core", &self.0.core())
            .finish_non_exhaustive()
    }
}
