//! Whether the peer has given room for what is to be sent to it, and what is sent back all the same.

use std::rc::Rc;

use ringpost_router::{Address, Aliases, Any, Route};

use super::Connection;
use crate::routed::Routed;
use crate::transport::covers::{Cover, leads_back};

impl Connection {
    /// Whether the peer has to be given room for a message before it is sent.
    pub(in crate::transport) fn needs_credit(message: &Routed<Any>) -> bool {
        let routes = message.routes();
        routes.is_some_and(|routes| takes_credit(&routes.onward))
    }

    /// Whether the peer has given room for one more message, or nothing is sent to it any more.
    pub(in crate::transport) fn has_credit(&self) -> bool {
        self.allowance.borrow().may_send() || self.drops_messages()
    }

    /// Whether a message that is covered can be put among the frames, if none waits.
    pub(super) fn takes_covered(&self) -> bool {
        self.takes_messages() && self.has_room() && !self.lacks_credit_for_covered()
    }

    /// Whether all is used up that the peer has given room for, and what may be sent beyond.
    pub(in crate::transport) fn lacks_credit_for_covered(&self) -> bool {
        !self.has_credit() && !self.allowance.borrow().may_overdraw()
    }

    /// Sends a message that is covered, or has it wait where it is in nobody's way. Any other comes back.
    pub(in crate::transport) fn send_covered(&self, message: Routed<Any>) -> Option<Routed<Any>> {
        let Some(cover) = self.cover_of(&message) else {
            return Some(message);
        };
        cover.spend();
        if self.covers.is_empty() && self.takes_covered() {
            self.send(message);
        } else {
            self.covers.push(message);
            self.notice();
        }
        None
    }

    fn cover_of(&self, message: &Routed<Any>) -> Option<Rc<Cover>> {
        let back = message.routes().filter(|it| leads_back(&it.onward));
        back.and_then(|_| self.cover_left(message.passed_by()))
    }

    /// Whether this message need not wait.
    pub(in crate::transport) fn is_covered(&self, message: &Routed<Any>) -> bool {
        self.cover_of(message).is_some()
    }

    /// The cover of this worker, if it has any left.
    pub(in crate::transport) fn cover_left(&self, worker: &Address) -> Option<Rc<Cover>> {
        let most = self.terms.limits.queued_frames_max.saturating_mul(4);
        let cover = self.covers.find(worker);
        cover.filter(|cover| cover.is_left() && self.covers.len() < most)
    }

    /// Whether what is to be sent waits until the peer gives credits.
    pub(in crate::transport) fn awaits_credits(&self) -> bool {
        let is_next = self.awaits_credit.get() && !self.has_credit();
        is_next || !self.covers.is_empty() && self.lacks_credit_for_covered()
    }

    /// The message that is next waits for a credit: the task that reads and writes has an eye on how long.
    pub(in crate::transport) fn await_credit(&self) -> AwaitsCredit<'_> {
        self.awaits_credit.set(true);
        self.notice();
        AwaitsCredit(self)
    }
}

/// While it is there, the message that is next waits for a credit.
pub(in crate::transport) struct AwaitsCredit<'a>(&'a Connection);

impl Drop for AwaitsCredit<'_> {
    fn drop(&mut self) {
        self.0.awaits_credit.set(false);
    }
}

/// Whether a message along this route, the connection in front, takes a credit of the peer: replies take none.
pub(super) fn takes_credit(route: &Route) -> bool {
    let next = route.iter().nth(1);
    next.is_some_and(|next| !Aliases::is_once(next))
}
