//! What becomes of messages, and of whoever waits, where a connection breaks, is interrupted, or ends.

use ringpost_router::wire::Outlet;
use ringpost_router::{Any, Hop, Route};

use super::{Connection, new_aliases};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::routed::Routed;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;
use crate::transport::arrivals::ENCODED;
use crate::transport::end::End;
use crate::watch::EndReason;

impl Connection {
    /// Nothing can be written any more. Who waits to send is not kept until what has come is delivered.
    #[cold]
    pub(in crate::transport) fn broke(&self) {
        self.is_broken.set(true);
        self.drop_queued();
        self.wake_waiting();
    }

    /// The peer has ended its side, so no credit will come.
    #[cold]
    pub(in crate::transport) fn gives_no_credit(&self) {
        self.allowance.borrow_mut().lift();
        self.wake_waiting();
    }

    /// All that the peer has sent was read: no credit will come, and no reply.
    #[cold]
    pub(in crate::transport) fn peer_ended(&self, end: &End) {
        self.gives_no_credit();
        self.refuse_waiting(end);
    }

    /// Whoever waits for a reply of the peer is told that there will be none.
    pub(in crate::transport) fn refuse_waiting(&self, end: &End) {
        for route in self.aliases.borrow_mut().take_waiting() {
            let hint = route.first().and_then(Hop::hint);
            let requester = hint.and_then(ReplyTo::from_hint);
            self.core.refuse(requester, self.disconnected(end));
        }
    }

    /// Reports a message that waited when the connection ended.
    #[cold]
    pub(in crate::transport) fn drop_message(&self, message: Routed<Any>) {
        let (routes, message, obligation) = message.into_rerouted(Route::new());
        if let Some(obligation) = obligation {
            obligation.pass_on();
        }
        let kind = ErrorKind::Disconnected {
            address: self.name.clone(),
            reason: "it has ended".to_owned(),
        };
        let reason = Reason::Disconnected;
        self.lose(&routes, message.type_name(), reason, Some(kind));
        drop_guarded(message);
    }

    /// The connection does not stand any more: what was under way is reported, and whoever waits for a
    /// reply is told.
    pub(in crate::transport) fn interrupted(&self, end: &End) {
        if self.is_open.replace(false) {
            self.core.tally().transport.note_end(end);
        }
        self.has_notes.set(false);
        for message in self.covers.take() {
            self.drop_message(message);
        }
        self.drop_queued();
        self.refuse_waiting(end);
        // Should it be opened again, the peer has been given no name yet.
        self.aliases.replace(new_aliases(&self.core, &self.terms));
        let mailbox = self.core.named(&self.name);
        self.lose_watches(mailbox.as_ref());
        if let Some(mailbox) = mailbox {
            let reason = end.to_string();
            let why = EndReason::Disconnected { reason };
            self.core.tell_watchers(&mailbox, &why);
        }
    }

    /// Reports what was to be written.
    fn drop_queued(&self) {
        self.straight_last.take();
        let next = Outlet::new(self.terms.limits.frame);
        let messages = self.outlet.replace(next).messages();
        for _ in 0..messages {
            self.lose_queued();
        }
    }

    /// Reports a message that was queued, of which only the bytes are left, and will not be written.
    #[cold]
    pub(in crate::transport) fn lose_queued(&self) {
        self.core.uncount_handled();
        self.core.report(&Undelivered {
            to: self.name.clone(),
            from: self.name.clone(),
            type_name: ENCODED,
            expected: None,
            reason: Reason::Disconnected,
        });
    }

    /// The connection has ended for good: whoever waited for it is told.
    pub(in crate::transport) fn ended(&self, mailbox: &MailboxRc, end: &End) {
        self.ending.set(true);
        self.interrupted(end);
        for to in self.openers.take() {
            self.core
                .answer(to, Err(Error::new(self.disconnected(end))));
        }
        self.core.transports.forget(self);
        self.core.close(mailbox, Reason::Disconnected);
    }

    fn disconnected(&self, end: &End) -> ErrorKind {
        ErrorKind::Disconnected {
            address: self.name.clone(),
            reason: end.to_string(),
        }
    }
}
