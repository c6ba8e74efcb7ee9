//! What threads outside the node bring to a core: messages to be sent on, and work.
//!
//! One of these and its message are a single box on the way through the inbox. The message lies beside
//! what is to be done with it, so that it can go back to its sender when the inbox is closed.

use std::rc::Rc;

use ringpost_router::{Body, Route};

use crate::context::Context;
use crate::context::send::Forward;
use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::driver::rare::Rare;
use crate::error::{ErrorKind, Reason, Result, Undelivered, not_found};
use crate::node::permits::Permit;
use crate::task::panics::drop_guarded;

/// A message from a thread outside, and what its core is to do with it.
pub(crate) struct Visit {
    route: Route,
    body: Option<Body>,
    errand: Errand,
}

/// What a core is to do with a message from outside.
pub(crate) enum Errand {
    /// Send it on.
    Deliver(Permit),
    /// Anything else.
    Run(Work),
}

type Work = Box<dyn FnOnce(&Rc<Core>, Outgoing) + Send>;

impl Errand {
    pub(crate) fn run(work: impl FnOnce(&Rc<Core>, Outgoing) + Send + 'static) -> Self {
        Errand::Run(Box::new(work))
    }
}

impl Visit {
    pub(crate) fn new(out: &mut Outgoing, errand: Errand) -> Self {
        Self {
            route: std::mem::take(&mut out.route),
            body: out.body.take(),
            errand,
        }
    }

    /// The message of a visit that the inbox refused.
    pub(crate) fn into_body(self) -> Option<Body> {
        self.body
    }

    /// Out of the inbox: its place there is free again.
    pub(crate) fn enter(self, core: &Rc<Core>) {
        core.shared.transit.release(1);
        let Some(body) = self.body else { return };
        let out = Outgoing::with_body(self.route, body);
        match self.errand {
            Errand::Deliver(permit) => deliver(core, out, permit),
            Errand::Run(work) => work(core, out),
        }
    }
}

/// Delivers a message from outside on the core of its first hop, at once if nobody is before it. If it has
/// to wait there, it keeps its permit, so that what waits is bounded.
fn deliver(core: &Rc<Core>, mut out: Outgoing, permit: Permit) {
    let Some(to) = out.route.first().map(|hop| hop.address.clone()) else {
        return;
    };
    let mut accepted = Accepted {
        core: Rc::clone(core),
        kind: not_found(&out.route),
        type_name: out.body.as_ref().map_or("", Body::type_name),
        concluded: false,
    };
    if !core.entrance.has_line(&to) && !core.rare.takes(Rare::LinedUp) {
        match core.attempt(&core.outside, &mut out) {
            Attempt::Sent => return accepted.conclude(Ok(())),
            Attempt::Failed(error) => return accepted.conclude(Err(error)),
            Attempt::Blocked(_) | Attempt::Misgranted => {}
        }
    }
    let ctx = Context::of_outside(core);
    let send = async move |turn| {
        let sent = Forward::new(&ctx, out).await;
        drop((turn, permit));
        accepted.conclude(sent);
    };
    core.enter(to, |turn| Box::pin(send(turn)));
}

/// A message from outside for which `Ok` was said: if the node ends before it is sent on, it is reported.
struct Accepted {
    core: Rc<Core>,
    kind: ErrorKind,
    type_name: &'static str,
    concluded: bool,
}

impl Accepted {
    fn conclude(&mut self, sent: Result<()>) {
        self.concluded = true;
        if let Err(error) = sent {
            self.core.report_returned(&self.kind, &error);
            // It holds the message, for whose destructor this core has no worker to end.
            drop_guarded(error);
        }
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        if self.concluded {
            return;
        }
        let from = self.core.outside.address.clone();
        let to = match &self.kind {
            ErrorKind::NotFound { address } => address.clone(),
            _ => from.clone(),
        };
        let (type_name, reason) = (self.type_name, Reason::NodeStopped);
        self.core.report(&Undelivered {
            to,
            from,
            type_name,
            expected: None,
            reason,
        });
    }
}
