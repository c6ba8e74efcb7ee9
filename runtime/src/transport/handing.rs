//! Handing what one core accepts to all cores, in turn.
//!
//! A core that is slow to take what it is handed is passed over, so that it holds up nobody else, and what is on its
//! way is bounded; where all are, the accepting core keeps the connection.

use std::rc::Rc;

use ringpost_router::Message;

use crate::context::Context;
use crate::core::Core;
use crate::driver::net::{Endpoint, Loose};
use crate::envelope::ReplyTo;
use crate::error::Result;
use crate::transport::listener::take_in;

/// Connections that may be on their way to one core.
const UNDER_WAY_MAX: usize = 64;

/// The core whose turn it is, and what is under way.
pub(super) struct Handing {
    ctx: Rc<Context>,
    /// The listener's number.
    id: u64,
    /// Each connection that is on its way to a core has one more of the core's entry.
    under_way: Vec<Rc<()>>,
    next: usize,
}

impl Handing {
    pub(super) fn new(core: &Rc<Core>, id: u64) -> Result<Self> {
        let ctx = Context::detached_at(core, core.random_address())?;
        Ok(Self {
            under_way: (0..core.cores()).map(|_| Rc::default()).collect(),
            ctx: Rc::new(ctx),
            id,
            next: 0,
        })
    }

    /// Hands a connection to the core whose turn it is.
    pub(super) fn pass(&mut self, loose: Loose, peer: Endpoint) {
        let (to, guard) = self.turn();
        let core = &self.ctx.core;
        if to == core.id {
            return receive(core, self.id, loose, &peer);
        }
        let (ctx, id) = (Rc::clone(&self.ctx), self.id);
        let task = async move {
            let work = move |core: &Rc<Core>, to: ReplyTo| {
                receive(core, id, loose, &peer);
                core.answer(to, Ok(().into_body()));
            };
            if let Err(error) = ctx.call(to, work).await {
                tracing::debug!(%error, "a connection could not be handed over");
            }
            drop(guard);
        };
        core.tasks.spawn(Box::pin(task));
    }

    /// Whose turn it is, of those who have room.
    fn turn(&mut self) -> (u16, Rc<()>) {
        let cores = self.under_way.len();
        let has_room = |at: &usize| {
            let entry = self.under_way.get(*at);
            entry.is_some_and(|entry| Rc::strong_count(entry) <= UNDER_WAY_MAX)
        };
        let here = usize::from(self.ctx.core.id);
        let found = (0..cores)
            .map(|step| (self.next + step) % cores)
            .find(has_room)
            .unwrap_or(here);
        self.next = (found + 1) % cores;
        let entry = self.under_way.get(found).map(Rc::clone);
        (found as u16, entry.unwrap_or_default())
    }
}

/// Takes a connection that another core has accepted; if its listener has ended here, it is closed.
fn receive(core: &Rc<Core>, id: u64, loose: Loose, peer: &Endpoint) {
    match core.transports.listener(id) {
        Some(accepting) => take_in(core, loose, peer, &accepting),
        None => core.tally().transport.refused.add(1),
    }
}
