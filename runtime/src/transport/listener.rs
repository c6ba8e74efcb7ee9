//! Accepting connections of other nodes.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::{Error, Result};
use crate::net::{self, ListenOptions, TcpStream};
use crate::transport::Terms;
use crate::transport::connection::{Connection, start};

/// How long to wait when the system has no more descriptors for connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What accepts connections at one address. It goes on until the node ends.
#[derive(Clone)]
pub struct TcpListener {
    address: SocketAddr,
}

impl TcpListener {
    /// The address, as routes name it.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
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
    let cores = ctx.core.cores();
    let here = ctx.core.id;
    if cores == 1 || !cfg!(unix) {
        begin(&ctx.core, probe, terms)?;
        return Ok(TcpListener { address });
    }
    drop(probe);
    let mut others: Vec<u16> = (0..cores).collect();
    others.retain(|core| *core != here);
    begin(&ctx.core, bind(&ctx.core, address)?, Arc::clone(&terms))?;
    for core in others {
        let terms = Arc::clone(&terms);
        let work = move |core: &Rc<Core>, to: ReplyTo| {
            let begun = bind(core, address).and_then(|listener| begin(core, listener, terms));
            core.answer(to, begun.map(|()| ().into_body()));
        };
        ctx.call(core, work).await?;
    }
    Ok(TcpListener { address })
}

fn bind(core: &Rc<Core>, address: SocketAddr) -> Result<net::TcpListener> {
    let ctx = Context::of_outside(core);
    let shared = ListenOptions::default().shared(true);
    Ok(net::TcpListener::bind(&ctx, address, &shared)?)
}

fn begin(core: &Rc<Core>, listener: net::TcpListener, terms: Arc<Terms>) -> Result<()> {
    let ctx = Context::detached_at(core, core.random_address())?;
    core.tasks.spawn(Box::pin(accept_all(ctx, listener, terms)));
    Ok(())
}

async fn accept_all(ctx: Context, mut listener: net::TcpListener, terms: Arc<Terms>) {
    let open = Rc::new(());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) if Rc::strong_count(&open) > terms.limits.connections_max => {
                tracing::warn!(%peer, "a connection was refused: there are as many as are allowed");
                drop(stream);
            }
            Ok((stream, peer)) => {
                let guard = Rc::clone(&open);
                if let Err(error) = admit(&ctx.core, stream, &terms, guard) {
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
