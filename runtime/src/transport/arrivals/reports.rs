//! What is told of a message that gets no further, here and to the peer.

use ringpost_router::wire::Refusal;
use ringpost_router::{Address, Route};

use super::{Arrivals, ENCODED, reply_place};
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::transport::end::End;

impl Arrivals<'_> {
    /// Reports a datagram's message whose receiver has no room, as so many wait already; so those for others pass. It
    /// has found its end.
    #[cold]
    pub(super) fn shed(&self, to: Option<Address>) -> bool {
        let to = to.unwrap_or_else(|| self.connection.name.clone());
        self.report_arrived(to, Reason::Overflow);
        self.ctx.core.tally().transport.datagrams_dropped.add(1);
        true
    }

    #[cold]
    pub(super) fn deny(&self, denied: Address) {
        self.report_arrived(denied.clone(), Reason::Refused);
        let sender = self.way.sender.clone();
        self.connection.refuse(sender, denied, Refusal::Denied);
    }

    /// Reports a message that has come and is handed on to nobody. It counts as sent by the connection, as those do that
    /// are.
    pub(super) fn report_arrived(&self, to: Address, reason: Reason) {
        self.ctx.core.tally().sent_local.add(1);
        self.report(to, self.connection.name.clone(), reason);
    }

    /// Reports a message that could not be sent on, and tells the peer.
    pub(super) fn lost(&self, error: &Error, sender: Option<Address>) {
        let (to, reason) = match error.kind() {
            ErrorKind::NotFound { address } => (address.clone(), Reason::NotFound),
            ErrorKind::NoTransport { address } => (address.clone(), Reason::NoTransport),
            ErrorKind::Full { address } => (address.clone(), Reason::Overflow),
            _ => (self.connection.name.clone(), Reason::Refused),
        };
        self.report_arrived(to.clone(), reason);
        self.connection.refuse(sender, to, Refusal::Gone);
    }

    /// Fails if the peer refuses more than there was.
    pub(super) fn was_refused(
        &self,
        route: &Route,
        address: Address,
        refusal: Refusal,
    ) -> Result<(), End> {
        if !self.connection.allowance.borrow_mut().note_refused() {
            let end = "the peer refuses more messages than were sent to it";
            return Err(End::Fault(end.to_owned()));
        }
        let from = route.last().unwrap_or(&self.connection.name).clone();
        // It counted as handled when it left.
        self.ctx.core.uncount_handled();
        self.report(address.clone(), from, Reason::Refused);
        let kind = match refusal {
            Refusal::Denied => ErrorKind::Refused { address },
            _ => ErrorKind::NotFound { address },
        };
        self.ctx.core.refuse(reply_place(route), kind);
        Ok(())
    }

    fn report(&self, to: Address, from: Address, reason: Reason) {
        self.ctx.core.report(&Undelivered {
            to,
            from,
            type_name: ENCODED,
            expected: None,
            reason,
        });
    }
}
