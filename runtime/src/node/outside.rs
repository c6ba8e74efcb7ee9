//! What threads outside the node bring to a core: messages to be sent on, and work.
//!
//! One of these and its message are a single box on the way through the inbox. The message lies beside
//! what is to be done with it, so that it can go back to its sender when the inbox is closed.

use std::future::poll_fn;
use std::rc::Rc;

use ringpost_router::{Address, Body, Route};

use crate::context::Context;
use crate::context::forward::Forward;
use crate::context::urgent::Pressing;
use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::entrance::Gate;
use crate::core::urgent::Hurry;
use crate::driver::rare::Rare;
use crate::error::{ErrorKind, Reason, Result, Undelivered, not_found};
use crate::node::permits::Permit;

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
    /// Send it on, past others.
    Hurry(Permit),
    /// Anything else.
    Run(Work),
}

type Work = Box<dyn FnOnce(&Rc<Core>, Outgoing) + Send>;

impl Gate {
    /// What is to be done with a message that comes in here.
    pub(crate) fn errand(self, permit: Permit) -> Errand {
        match self {
            Gate::Usual => Errand::Deliver(permit),
            Gate::Urgent => Errand::Hurry(permit),
        }
    }
}

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
            Errand::Hurry(permit) => hurry(core, out, permit),
            Errand::Run(work) => work(core, out),
        }
    }
}

/// Delivers a message from outside on the core of its first hop, at once if nobody is before it. If it has
/// to wait there, it keeps its permit, so that what waits is bounded.
fn deliver(core: &Rc<Core>, mut out: Outgoing, permit: Permit) {
    let Some((to, mut accepted)) = Accepted::of(core, &out) else {
        return;
    };
    if !core.entrance.has_line(Gate::Usual, &to) && !core.rare.takes(Rare::LinedUp) {
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
    core.enter(Gate::Usual, to, |turn| Box::pin(send(turn)));
}

/// As [`deliver`], for an urgent message, which waits behind others of its kind only.
fn hurry(core: &Rc<Core>, mut out: Outgoing, permit: Permit) {
    let Some((to, mut accepted)) = Accepted::of(core, &out) else {
        return;
    };
    if !core.entrance.has_line(Gate::Urgent, &to) && !core.rare.takes(Rare::LinedUp) {
        match core.attempt_urgent(&core.outside, &mut out, None) {
            Hurry::Done(Attempt::Sent) => return accepted.conclude(Ok(())),
            Hurry::Done(Attempt::Failed(error)) => return accepted.conclude(Err(error)),
            Hurry::Done(Attempt::Blocked(_) | Attempt::Misgranted)
            | Hurry::Full(_)
            | Hurry::FullOf(_) => {}
        }
    }
    let mut pressing = Pressing::new(core, out);
    let from = core.outside.clone();
    let send = async move |turn| {
        let sent = poll_fn(|polling| pressing.poll(&from, polling)).await;
        drop((turn, permit));
        accepted.conclude(sent);
    };
    core.enter(Gate::Urgent, to, |turn| Box::pin(send(turn)));
}

/// A message from outside for which `Ok` was said: if the node ends before it is sent on, it counts as sent and is
/// reported.
struct Accepted {
    core: Rc<Core>,
    kind: ErrorKind,
    type_name: &'static str,
    concluded: bool,
}

impl Accepted {
    /// The message, and its first hop.
    fn of(core: &Rc<Core>, out: &Outgoing) -> Option<(Address, Self)> {
        let to = out.route.first()?.address.clone();
        let accepted = Self {
            core: Rc::clone(core),
            kind: not_found(&out.route),
            type_name: out.body.as_ref().map_or("", Body::type_name),
            concluded: false,
        };
        Some((to, accepted))
    }

    fn conclude(&mut self, sent: Result<()>) {
        self.concluded = true;
        if let Err(error) = sent {
            self.core.report_returned(&self.kind, error);
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
        self.core.tally().sent_local.add(1);
        self.core.report(&Undelivered {
            to,
            from,
            type_name,
            expected: None,
            reason,
        });
    }
}
