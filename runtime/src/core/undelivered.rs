//! Messages that were accepted and cannot be handled: reported, never dropped in silence (G3).

use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_router::wire::Refusal;
use ringpost_router::{Address, Any, Body, Message, Route};

use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::group::is_event;
use crate::driver::stderr::loss;
use crate::envelope::Envelope;
use crate::error::{DeadLetter, Error, ErrorKind, Reason, Undelivered};
use crate::shard::core_of_this_thread;
use crate::task::panics::{drop_guarded, guarded};
use crate::task::raw::MailboxRc;
use crate::transport::bounce;

impl Core {
    /// Counts and traces the loss, and calls the node's hook; where there is neither, says it.
    #[cold]
    pub(crate) fn report(&self, undelivered: &Undelivered) {
        self.report_with(undelivered, false, None);
    }

    /// As [`report`](Self::report), of a message whose requester may have been told, and what it held.
    #[cold]
    pub(crate) fn report_with(&self, undelivered: &Undelivered, told: bool, body: Option<Body>) {
        self.tally().undelivered(undelivered.reason);
        tracing::warn!(
            to = %undelivered.to,
            from = %undelivered.from,
            message = undelivered.type_name,
            expected = undelivered.expected,
            reason = ?undelivered.reason,
            "a message was not delivered"
        );
        match &self.node.hooks.undelivered {
            Some(hook) => {
                guarded("the hook for undelivered messages panicked", None, || {
                    hook(undelivered);
                });
            }
            None if told || self.node.hooks.dead_letters.is_some() => {}
            None => loss(undelivered),
        }
        match &self.node.hooks.dead_letters {
            Some(address) => self.send_letter(address, undelivered, body),
            None => drop_guarded(body),
        }
    }

    /// Sends what could not be delivered to the worker for that, if it is no such letter itself.
    fn send_letter(&self, to: &Address, undelivered: &Undelivered, body: Option<Body>) {
        let is_own = |core: &Rc<Core>| std::ptr::eq(&raw const **core, self);
        let core = core_of_this_thread().filter(is_own);
        let is_letter = undelivered.type_name == std::any::type_name::<DeadLetter>();
        let Some(core) = core.filter(|_| !is_letter) else {
            return drop_guarded(body);
        };
        let letter = DeadLetter {
            undelivered: undelivered.clone(),
            message: body.and_then(|body| Any::from_body(body).ok()),
        };
        let mut out = Outgoing::new(Route::from(to.clone()), letter);
        let attempt = core.attempt(&core.outside, &mut out);
        if !matches!(attempt, Attempt::Sent) {
            core.tally().letters_dropped.add(1);
            drop_guarded((attempt, out));
        }
    }

    /// Reports an envelope, gives its credit back, and tells its requester if it was a request.
    #[cold]
    pub(crate) fn undeliver(self: &Rc<Self>, to: &MailboxRc, envelope: Envelope, reason: Reason) {
        self.settle_ended(envelope.origin);
        if is_event(&envelope.body) {
            // Nobody has sent it, and nobody misses it: it was for one that has ended.
            return self.tally().handled.add(1);
        }
        let (head, body) = envelope.open(to.clone());
        let undelivered = Undelivered {
            to: to.address.clone(),
            from: head.first_sender().clone(),
            type_name: body.type_name(),
            expected: None,
            reason,
        };
        let address = undelivered.to.clone();
        let requester = head.requester();
        if !(is_planted(Canary::LostReport) && reason == Reason::Stopped) {
            self.report_with(&undelivered, requester.is_some(), Some(body));
        }
        let kind = match reason {
            Reason::NotFound => ErrorKind::NotFound { address },
            Reason::NodeStopped => ErrorKind::Stopping,
            Reason::Overflow => ErrorKind::Full { address },
            Reason::Disconnected => ErrorKind::Disconnected {
                address,
                reason: "it has ended".to_owned(),
            },
            _ => ErrorKind::Dropped { address },
        };
        bounce(self, head.towards.routes(), &undelivered.to, Refusal::Gone);
        self.refuse(head.take_requester(), kind);
    }
}

impl Core {
    /// A message from outside that its core could not send on: `Ok` was said for it already, so it counts as sent and is
    /// reported.
    pub(crate) fn report_returned(&self, wanted: &ErrorKind, error: Error) {
        let (to, reason) = match (wanted, error.kind()) {
            (_, ErrorKind::NoTransport { address }) => (address.clone(), Reason::NoTransport),
            (ErrorKind::NotFound { address }, ErrorKind::Full { .. }) => {
                (address.clone(), Reason::Overflow)
            }
            (ErrorKind::NotFound { address }, _) => (address.clone(), Reason::NotFound),
            _ => (self.outside.address.clone(), Reason::NotFound),
        };
        let from = self.outside.address.clone();
        let body = error.into_body();
        let type_name = body.as_ref().map(Body::type_name);
        let undelivered = Undelivered {
            to,
            from,
            type_name: type_name.unwrap_or("message from outside"),
            expected: None,
            reason,
        };
        self.tally().sent_local.add(1);
        self.report_with(&undelivered, false, body);
    }
}
