//! Accepting connections of other nodes.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::driver::net::Endpoint;
use crate::envelope::ReplyTo;
use crate::error::{Error, Result};
use crate::net::{Doorway, Duplex, ListenOptions};
use crate::transport::Terms;
use crate::transport::carrier::start;
use crate::transport::connection::Connection;
use crate::transport::registry::Accepting;

/// How long to wait when the system has no more descriptors for connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What accepts connections at one place, on every core that does.
#[derive(Clone)]
pub(super) struct Listening {
    pub(super) at: Endpoint,
    id: u64,
}

impl Listening {
    /// Closes the sockets of all cores.
    pub(super) async fn stop(&self, ctx: &Context) -> Result<()> {
        let id = self.id;
        for core in 0..ctx.core.cores() {
            let stop = move |core: &Rc<Core>, to| core.transports.stop_listener(core, id, to);
            ctx.call(core, stop).await?;
        }
        Ok(())
    }
}

/// Listens on every core, where cores can share what is listened at.
pub(super) async fn listen(ctx: &Context, asked: Endpoint, terms: Arc<Terms>) -> Result<Listening> {
    // Sockets that share an address do not notice others that do: this one does.
    let alone = ListenOptions::default();
    let probe = Doorway::open(ctx, &asked, &alone)?;
    let listening = Listening {
        at: probe.local()?,
        id: ctx.core.random(),
    };
    let id = listening.id;
    let is_shared = matches!(asked, Endpoint::Tcp(_)) && cfg!(unix);
    let cores = ctx.core.cores();
    let here = ctx.core.id;
    if cores == 1 || !is_shared {
        begin(&ctx.core, probe, terms, id)?;
        return Ok(listening);
    }
    drop(probe);
    let mut others: Vec<u16> = (0..cores).collect();
    others.retain(|core| *core != here);
    let first = bind(&ctx.core, &listening.at)?;
    begin(&ctx.core, first, Arc::clone(&terms), id)?;
    for core in others {
        let (terms, at) = (Arc::clone(&terms), listening.at.clone());
        let work = move |core: &Rc<Core>, to: ReplyTo| {
            let begun = bind(core, &at).and_then(|doorway| begin(core, doorway, terms, id));
            core.answer(to, begun.map(|()| ().into_body()));
        };
        if let Err(error) = ctx.call(core, work).await {
            // An address is listened at on every core or on none.
            let _ = listening.stop(ctx).await;
            return Err(error);
        }
    }
    Ok(listening)
}

fn bind(core: &Rc<Core>, at: &Endpoint) -> Result<Doorway> {
    let ctx = Context::of_outside(core);
    let shared = ListenOptions::default().shared(true);
    Ok(Doorway::open(&ctx, at, &shared)?)
}

fn begin(core: &Rc<Core>, doorway: Doorway, terms: Arc<Terms>, id: u64) -> Result<()> {
    let ctx = Context::detached_at(core, core.random_address())?;
    let accepting = core.transports.note_listener(id);
    let task = async move {
        accept_all(&ctx, doorway, terms, accepting).await;
        ctx.core.transports.listener_ended(&ctx.core, id);
    };
    core.tasks.spawn(Box::pin(task));
    Ok(())
}

/// Accepts until told otherwise. The socket is closed when this returns.
async fn accept_all(
    ctx: &Context,
    mut doorway: Doorway,
    terms: Arc<Terms>,
    accepting: Rc<Accepting>,
) {
    let open = Rc::new(());
    while let Some(accepted) = next(ctx, &mut doorway, &accepting).await {
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
    doorway: &mut Doorway,
    accepting: &Accepting,
) -> Option<io::Result<(Duplex, Endpoint)>> {
    poll_fn(|polling| {
        if accepting.is_over.get() {
            return Poll::Ready(None);
        }
        accepting.task.replace(ctx.core.tasks.register(polling));
        doorway.poll_accept(polling).map(Some)
    })
    .await
}

fn admit(core: &Rc<Core>, stream: Duplex, terms: &Arc<Terms>, guard: Rc<()>) -> Result<()> {
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
