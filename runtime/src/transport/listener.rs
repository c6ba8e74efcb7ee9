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
use crate::driver::net::{Endpoint, Loose, system};
use crate::driver::stderr::fault;
use crate::envelope::ReplyTo;
use crate::error::{Error, Result};
use crate::net::{Doorway, Duplex, ListenOptions};
use crate::transport::carrier::{Line, start};
use crate::transport::connection::Connection;
use crate::transport::handing::Handing;
use crate::transport::registry::Accepting;
use crate::transport::{Acceptor, Terms, failed};

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
        stop(ctx, self.id).await
    }
}

/// Closes the sockets of the listener with this number, on all cores.
pub(super) async fn stop(ctx: &Context, id: u64) -> Result<()> {
    let rest = Everywhere::new(ctx, id);
    for core in 0..ctx.core.cores() {
        let stop = move |core: &Rc<Core>, to| core.transports.stop_listener(core, id, to);
        ctx.call(core, stop).await?;
    }
    rest.settle();
    Ok(())
}

/// Ends a listener on all cores when it is dropped: one that is stopped, or begun, in part is none.
struct Everywhere<'a> {
    ctx: &'a Context,
    id: u64,
    is_settled: bool,
}

impl<'a> Everywhere<'a> {
    fn new(ctx: &'a Context, id: u64) -> Self {
        let is_settled = false;
        Self {
            ctx,
            id,
            is_settled,
        }
    }

    /// All cores have done what they were to.
    fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Everywhere<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let (core, id) = (&self.ctx.core, self.id);
        for there in 0..core.cores() {
            core.on_core(there, move |core: &Rc<Core>| {
                core.transports.stop_listener(core, id, ReplyTo::NOBODY);
            });
        }
    }
}

/// Listens for every core: with a socket on each, or with one whose connections are handed over.
pub(super) async fn listen(ctx: &Context, asked: Endpoint, terms: Arc<Terms>) -> Result<Listening> {
    // Sockets that share an address do not notice others that do: this one does.
    let alone = ListenOptions::default();
    let probe = Doorway::open(ctx, &asked, &alone);
    let probe = probe.map_err(|error| failed("listen at", &asked, &error))?;
    let listening = Listening {
        at: probe.local()?,
        id: ctx.core.random(),
    };
    let is_shared = matches!(asked, Endpoint::Tcp(_)) && system::SHARES_PORTS;
    let hands_over = terms.acceptor == Acceptor::HandOver || !is_shared;
    let here = ctx.core.id;
    let first = if hands_over {
        Task::HandOver(probe)
    } else {
        drop(probe);
        Task::Accept(bind(&ctx.core, &listening.at)?)
    };
    let others = (0..ctx.core.cores()).filter(|core| *core != here);
    // An address is listened at on every core or on none.
    let none = Everywhere::new(ctx, listening.id);
    let begun = match hands_over {
        // Whoever is handed a connection knows the listener before.
        true => {
            let begun = begin_on(ctx, others, &listening, &terms, true).await;
            begun.and_then(|()| begin(&ctx.core, first, terms, listening.id))
        }
        false => {
            begin(&ctx.core, first, Arc::clone(&terms), listening.id)?;
            begin_on(ctx, others, &listening, &terms, false).await
        }
    };
    if let Err(error) = begun {
        let _ = listening.stop(ctx).await;
        return Err(error);
    }
    none.settle();
    Ok(listening)
}

/// Begins on these cores.
async fn begin_on(
    ctx: &Context,
    cores: impl Iterator<Item = u16>,
    listening: &Listening,
    terms: &Arc<Terms>,
    are_handed: bool,
) -> Result<()> {
    for core in cores {
        let (terms, listening) = (Arc::clone(terms), listening.clone());
        let work = move |core: &Rc<Core>, to: ReplyTo| {
            let task = match are_handed {
                true => Ok(Task::None),
                false => bind(core, &listening.at).map(Task::Accept),
            };
            let begun = task.and_then(|task| begin(core, task, terms, listening.id));
            core.answer(to, begun.map(|()| ().into_body()));
        };
        ctx.call(core, work).await?;
    }
    Ok(())
}

fn bind(core: &Rc<Core>, at: &Endpoint) -> Result<Doorway> {
    let ctx = Context::of_outside(core);
    let shared = ListenOptions::default().shared(true);
    Doorway::open(&ctx, at, &shared).map_err(|error| failed("listen at", at, &error))
}

/// What a core does for a listener.
enum Task {
    /// It takes what it is handed.
    None,
    /// It accepts for itself.
    Accept(Doorway),
    /// It accepts for all.
    HandOver(Doorway),
}

fn begin(core: &Rc<Core>, task: Task, terms: Arc<Terms>, id: u64) -> Result<()> {
    let (mut doorway, handing) = match task {
        Task::None => {
            core.transports.note_listener(id, terms, false);
            return Ok(());
        }
        Task::Accept(doorway) => (doorway, None),
        Task::HandOver(doorway) => (doorway, Some(Handing::new(core, id)?)),
    };
    let ctx = Context::detached_at(core, core.random_address())?;
    let accepting = core.transports.note_listener(id, terms, true);
    let task = async move {
        accept_all(&ctx, &mut doorway, &accepting, handing).await;
        drop(doorway);
        ctx.core.transports.listener_ended(&ctx.core, id);
    };
    core.tasks.spawn(Box::pin(task));
    Ok(())
}

/// Accepts until told otherwise.
async fn accept_all(
    ctx: &Context,
    doorway: &mut Doorway,
    accepting: &Accepting,
    mut handing: Option<Handing>,
) {
    while let Some(accepted) = next(ctx, doorway, accepting).await {
        match (accepted, &mut handing) {
            (Ok((loose, peer)), Some(handing)) => handing.pass(loose, peer),
            (Ok((loose, peer)), None) => take_in(&ctx.core, loose, &peer, accepting),
            (Err(error), _) => {
                let at = doorway.local().ok().map(|at| at.to_string());
                let at = at.unwrap_or_default();
                fault("a connection could not be accepted", &at, &error);
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
) -> Option<io::Result<(Loose, Endpoint)>> {
    poll_fn(|polling| {
        if accepting.is_over.get() {
            return Poll::Ready(None);
        }
        accepting.task.replace(ctx.core.tasks.register(polling));
        doorway.poll_accept_loose(polling).map(Some)
    })
    .await
}

/// Begins a connection on this core, if it may have one more of this listener.
pub(super) fn take_in(core: &Rc<Core>, loose: Loose, peer: &Endpoint, accepting: &Accepting) {
    let is_full = Rc::strong_count(&accepting.open) > accepting.terms.limits.connections_max;
    let taken = match is_full {
        true => Err(Error::other(
            "there are as many as are allowed (connections_max)",
        )),
        false => admit(core, loose, accepting),
    };
    if let Err(error) = taken {
        core.tally().transport.refused.add(1);
        fault("a connection was refused", peer, &error);
    }
}

fn admit(core: &Rc<Core>, loose: Loose, accepting: &Accepting) -> Result<()> {
    let stream = Duplex::attach(core, loose)?;
    let address = local_name(core);
    let connection = Connection::new(core, address.clone(), Arc::clone(&accepting.terms));
    let guard = Rc::clone(&accepting.open);
    start(
        core,
        address,
        connection,
        Some(Line::Stream(Box::new(stream), guard)),
    )
    .map_err(Error::new)
}

/// A name whose home is this core, so that all cores find the connection by it.
pub(super) fn local_name(core: &Core) -> Address {
    loop {
        let address = core.random_address();
        if core.placement.home(&address) == core.id {
            return address;
        }
    }
}
