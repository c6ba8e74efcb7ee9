//! Accepting connections of other nodes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::{Error, Result};
use crate::net::{self, ListenOptions, TcpStream};
use crate::transport::Terms;
use crate::transport::carrier::start;
use crate::transport::connection::Connection;
use crate::transport::registry::Accepting;

/// How long to wait when the system has no more descriptors for connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What accepts connections at one address. It goes on until it is [stopped](Self::stop) or the node ends,
/// also when this is dropped.
#[derive(Clone)]
pub struct TcpListener {
    address: SocketAddr,
    id: u64,
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
    /// [`ErrorKind::Stopping`](crate::ErrorKind::Stopping).
    pub async fn stop(&self, ctx: &Context) -> Result<()> {
        let id = self.id;
        for core in 0..ctx.core.cores() {
            let stop = move |core: &Rc<Core>, to| core.tcp.stop_listener(core, id, to);
            ctx.call(core, stop).await?;
        }
        Ok(())
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

pub(super) async fn listen(
    ctx: &Context,
    asked: SocketAddr,
    terms: Arc<Terms>,
) -> Result<TcpListener> {
    // Sockets that share an address do not notice others that do: this one does.
    let alone = ListenOptions::default();
    let probe = net::TcpListener::bind(ctx, asked, &alone)?;
    let address = probe.local_addr()?;
    let listener = TcpListener {
        address,
        id: ctx.core.random(),
    };
    let id = listener.id;
    let cores = ctx.core.cores();
    let here = ctx.core.id;
    if cores == 1 || !cfg!(unix) {
        begin(&ctx.core, probe, terms, id)?;
        return Ok(listener);
    }
    drop(probe);
    let mut others: Vec<u16> = (0..cores).collect();
    others.retain(|core| *core != here);
    begin(&ctx.core, bind(&ctx.core, address)?, Arc::clone(&terms), id)?;
    for core in others {
        let terms = Arc::clone(&terms);
        let work = move |core: &Rc<Core>, to: ReplyTo| {
            let begun = bind(core, address).and_then(|listener| begin(core, listener, terms, id));
            core.answer(to, begun.map(|()| ().into_body()));
        };
        if let Err(error) = ctx.call(core, work).await {
            // An address is listened at on every core or on none.
            let _ = listener.stop(ctx).await;
            return Err(error);
        }
    }
    Ok(listener)
}

fn bind(core: &Rc<Core>, address: SocketAddr) -> Result<net::TcpListener> {
    let ctx = Context::of_outside(core);
    let shared = ListenOptions::default().shared(true);
    Ok(net::TcpListener::bind(&ctx, address, &shared)?)
}

fn begin(core: &Rc<Core>, listener: net::TcpListener, terms: Arc<Terms>, id: u64) -> Result<()> {
    let ctx = Context::detached_at(core, core.random_address())?;
    let accepting = core.tcp.note_listener(id);
    let task = async move {
        accept_all(&ctx, listener, terms, accepting).await;
        ctx.core.tcp.listener_ended(&ctx.core, id);
    };
    core.tasks.spawn(Box::pin(task));
    Ok(())
}

/// Accepts until told otherwise. The socket is closed when this returns.
async fn accept_all(
    ctx: &Context,
    mut listener: net::TcpListener,
    terms: Arc<Terms>,
    accepting: Rc<Accepting>,
) {
    let open = Rc::new(());
    while let Some(accepted) = next(ctx, &mut listener, &accepting).await {
        match accepted {
            Ok((stream, peer)) if Rc::strong_count(&open) > terms.limits.connections_max => {
                ctx.core.tally().transport.refused.add(1);
                tracing::warn!(%peer, "a connection was refused: there are as many as are allowed");
                drop(stream);
            }
            Ok((stream, peer)) => {
                let guard = Rc::clone(&open);
                if let Err(error) = admit(&ctx.core, stream, &terms, guard) {
                    ctx.core.tally().transport.refused.add(1);
                    tracing::warn!(%peer, %error, "a connection was refused");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                ctx.sleep(PAUSE).await;
            }
        }
    }
}

/// The next connection; `None` if the listener is to end.
async fn next(
    ctx: &Context,
    listener: &mut net::TcpListener,
    accepting: &Accepting,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    poll_fn(|polling| {
        if accepting.is_over.get() {
            return Poll::Ready(None);
        }
        accepting.task.replace(ctx.core.tasks.register(polling));
        listener.poll_accept(polling).map(Some)
    })
    .await
}

fn admit(core: &Rc<Core>, stream: TcpStream, terms: &Arc<Terms>, guard: Rc<()>) -> Result<()> {
    let address = local_name(core);
    let connection = Connection::new(core, address.clone(), Arc::clone(terms));
    start(core, address, connection, Some((stream, guard))).map_err(Error::new)
}

/// A name whose home is this core, so that all cores find the connection by it.
fn local_name(core: &Core) -> Address {
    loop {
        let address = core.random_address();
        if core.placement.home(&address) == core.id {
            return address;
        }
    }
}
