//! Connections over Unix sockets.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ringpost_router::Address;

use crate::UDS;
use crate::context::Context;
use crate::driver::net::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::listener::{Listening, listen};
use crate::transport::{UnixConnectionOptions, UnixListenerOptions, open, turn_on};

/// Messages between nodes of one machine, over Unix sockets.
///
/// All is as with a [`TcpTransport`](crate::TcpTransport), which it shares its frames, credits, access rules and
/// limits with; addresses are of type [`UDS`](crate::UDS), and their names are paths. Other than ports, those
/// have owners: who may not write to the socket's file cannot connect.
///
/// The file is made with the listener, and removed with it. One that a killed process has left behind is
/// replaced by the next listener at its path; where somebody still answers, or the file is no socket, it is left
/// alone and listening fails. Where there are no Unix sockets, as on Windows, connecting and listening fail, and the
/// error says so.
///
/// ```
/// use ringpost::{Context, Result, Route, Routed, UDS, UnixListenerOptions, UnixTransport, Worker};
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
///     let unix = UnixTransport::create(&ctx).await?;
///     let path = std::env::temp_dir().join(format!("echoer-{}.sock", std::process::id()));
///     let listener = unix.listen(&path, UnixListenerOptions::new().expose("echoer")).await?;
///
///     // Another node would do the same with the path of this one.
///     let route = Route::new().append_t(UDS, listener.address()).append("echoer");
///     let reply: String = ctx.request(route, "Hello!".to_string()).await?;
///     assert_eq!(reply, "Hello!");
///     ctx.stop().await
/// })
/// # }
/// ```
pub struct UnixTransport {
    ctx: Context,
}

impl UnixTransport {
    /// Lets the node send to addresses of type UDS: each is connected to on first use, with
    /// [`UnixConnectionOptions::new`]. Calling it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`].
    ///
    /// # Cancellation
    /// Dropped before it is done, some cores may connect and others not; it can be called again.
    pub async fn create(ctx: &Context) -> Result<Self> {
        let ctx = turn_on(ctx, UDS).await?;
        Ok(Self { ctx })
    }

    /// Accepts connections at this path.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]: somebody listens there, a file that is no socket is there, or none may be made there; a path
    /// that is no UTF-8, as no route could name it; a system without Unix sockets.
    ///
    /// # Cancellation
    /// Dropped before it is done, it leaves nobody listening.
    pub async fn listen(
        &self,
        path: impl AsRef<Path>,
        options: UnixListenerOptions,
    ) -> Result<UnixListener> {
        let path = path.as_ref();
        let address = name_of(path)?;
        let terms = Arc::new(options.terms);
        let listening = listen(&self.ctx, Endpoint::Unix(path.into()), terms).await?;
        Ok(UnixListener { address, listening })
    }

    /// Connects to a node, waits until the connection stands, and returns the address to begin routes with.
    /// Where there is a connection to that path already, or one is being opened, it is shared, and keeps
    /// its options. With [`UnixConnectionOptions::reconnect`] attempts are made until one succeeds.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`]: nobody listens there, or this process may not write to the file.
    /// [`ErrorKind::Io`]: the path is no UTF-8.
    ///
    /// # Cancellation
    /// The connection is opened all the same.
    pub async fn connect(
        &self,
        path: impl AsRef<Path>,
        options: UnixConnectionOptions,
    ) -> Result<Address> {
        let address = Address::new(UDS, name_of(path.as_ref())?);
        open(&self.ctx, &address, options.terms).await?;
        Ok(address)
    }

    /// Ends a connection, as [`TcpTransport::disconnect`](crate::TcpTransport::disconnect) does.
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

impl fmt::Debug for UnixTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixTransport").finish_non_exhaustive()
    }
}

/// What accepts connections at one path. It goes on until it is [stopped](Self::stop) or the node ends,
/// also when this is dropped.
#[derive(Clone)]
pub struct UnixListener {
    address: String,
    listening: Listening,
}

impl UnixListener {
    /// The path, as routes name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Accepts no more connections, and removes the socket's file. The connections that there are stay. Stopping it
    /// again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`].
    ///
    /// # Cancellation
    /// Once polled, it is stopped whether or not the future is kept.
    pub async fn stop(&self, ctx: &Context) -> Result<()> {
        self.listening.stop(ctx).await
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixListener({})", self.address)
    }
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.to_str().map(str::to_owned);
    name.ok_or_else(|| {
        let shown = path.display();
        Error::new(ErrorKind::Io(format!(
            "the path {shown} is no UTF-8, so no address has its name"
        )))
    })
}
