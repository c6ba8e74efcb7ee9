//! Where a future of a handle waits in the handler of a worker of the node, that worker waits: it is noted to
//! (`core/behalf.rs`), and refused to wait for itself.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use ringpost_router::{Address, Route};

use crate::core::Core;
use crate::core::entrance::Gate;
use crate::error::ErrorKind;
use crate::node::handle::NodeHandle;
use crate::node::permits::Permit;
use crate::shard::core_of_this_thread;
use crate::task::raw::MailboxRc;
use crate::waits::Awaited;

/// What keeps the note of a wait where the worker is that waits.
#[derive(Default)]
struct Note(Option<Kept>);

struct Kept {
    core: u16,
    /// Which call it is that waits.
    call: usize,
    _kept: Arc<()>,
}

impl Note {
    /// Whoever is polled now on this core waits; nobody's worker, if there is none.
    fn renew(&mut self, core: Option<&Rc<Core>>, awaited: Awaited, of: &Address) {
        let polled = core.and_then(|core| Some((core, core.mark_of_call()?)));
        let Some((core, call)) = polled else {
            self.0 = None;
            return;
        };
        let is_noted = |kept: &Kept| (kept.core, kept.call) == (core.id, call);
        if !self.0.as_ref().is_some_and(is_noted) {
            let kept = Arc::new(());
            core.note_abroad(awaited, of, &kept);
            let core = core.id;
            self.0 = Some(Kept {
                core,
                call,
                _kept: kept,
            });
        }
    }
}

impl Gate {
    fn awaited(self) -> Awaited {
        match self {
            Gate::Usual => Awaited::Room,
            Gate::Urgent => Awaited::UrgentRoom,
        }
    }
}

impl NodeHandle {
    /// Waits for this, of this worker, on behalf of whoever is polled.
    pub(super) async fn wait_on_behalf<F: Future>(
        &self,
        awaited: Awaited,
        of: &Address,
        future: F,
    ) -> F::Output {
        let mut note = Note::default();
        let mut future = pin!(future);
        poll_fn(|polling| {
            let poll = future.as_mut().poll(polling);
            if poll.is_pending() {
                note.renew(self.core_here().as_ref(), awaited, of);
            }
            poll
        })
        .await
    }

    /// Waits until one more message may be under way to this address, by way of this core.
    pub(super) async fn acquire(
        &self,
        gate: Gate,
        by: u16,
        of: &Address,
    ) -> Result<Permit, ErrorKind> {
        let mut permit = pin!(self.permits(gate).acquire(of));
        let permit = poll_fn(|polling| match permit.as_mut().poll(polling) {
            Poll::Pending if self.fills_itself(gate, by, of) => {
                let address = of.clone();
                Poll::Ready(Err(ErrorKind::WaitsForItself { address }))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(permit) => Poll::Ready(permit.map_err(|_| ErrorKind::Stopping)),
        });
        self.wait_on_behalf(gate.awaited(), of, permit).await
    }

    /// The worker that is polled now, if it alone could answer what goes along this route, by way of this core.
    pub(super) fn asks_itself(&self, by: u16, route: &Route) -> Option<MailboxRc> {
        let (core, hop) = (self.core_here()?, route.only()?);
        let own = core.running().filter(|own| own.address == hop.address)?;
        let is_it = by == core.id || !own.replicated.get();
        (is_it && core.leads_here(hop)).then_some(own)
    }

    /// Whether what is under way to this address is for the worker that is polled now, and that has no room for it.
    fn fills_itself(&self, gate: Gate, by: u16, of: &Address) -> bool {
        let Some(core) = self.core_here().filter(|core| core.id == by) else {
            return false;
        };
        let own = core.running().filter(|own| own.address == *of);
        own.is_some_and(|own| match gate {
            Gate::Usual => own.makes_wait(),
            Gate::Urgent => core.is_urgently_full(&own),
        })
    }

    /// The core of this node that runs on this thread, if one does.
    fn core_here(&self) -> Option<Rc<Core>> {
        core_of_this_thread().filter(|core| core.node.id == self.node.id)
    }
}
