//! Answers that come back by way of workers that have passed the request on.
//!
//! An answer never waits for room (G5). If it did here, a worker that passes requests on and one that answers
//! them would come to wait for each other as soon as there are more requests than either has room for. Straight
//! back there is the place that the request has reserved; on a way back through other workers, each of those
//! notes the requests it has passed on, and takes one answer for each without a credit. So what its mailbox
//! holds beyond its credits is bounded by the requests it has accepted, which had theirs. Further messages
//! along the same way back are like any others, and so is an answer for which none is due.
//!
//! Between cores such answers have the lane of control messages, which always have room; all of them, so that
//! they stay in order.
//!
//! A request that is never answered leaves its note behind. That lets one message more in, once.

use std::rc::Rc;

use ringpost_router::{Body, Handle, HandleKind, Hop, NodeCore};

use crate::core::Core;
use crate::core::deliver::{Grant, Outgoing};
use crate::core::record::{Control, Introduction};
use crate::envelope::{Detour, Envelope, Origin, Routes, Sender};
use crate::error::{Reason, Undelivered};
use crate::mailbox::Mailbox;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;

/// An answer on its way from one core to another.
pub(crate) struct Returning {
    /// The worker that is next.
    to: Handle,
    from: Introduction,
    /// With its routes.
    body: Body,
}

impl MailboxRc {
    /// This worker passes a request on: an answer will come by here.
    pub(crate) fn expect_answer(&self) {
        self.with_more(|more| more.due = more.due.saturating_add(1));
    }

    /// Takes note of an answer that has come by here, or will not. Whether one was expected.
    pub(crate) fn take_expected(&self) -> bool {
        let take = |due: &mut u32| {
            let is_due = *due > 0;
            *due -= u32::from(is_due);
            is_due
        };
        self.if_more(|more| take(&mut more.due)).unwrap_or(false)
    }
}

impl Routes {
    /// Whether this is a request: the way back ends where an answer is waited for.
    pub(crate) fn asks(&self, node: u32) -> bool {
        ends_at_a_place(self.back.hops().next_back(), node)
    }
}

fn ends_at_a_place(last: Option<&Hop>, node: u32) -> bool {
    let hint = last.and_then(|hop| hop.hint_of(node));
    hint.is_some_and(|hint| hint.kind == HandleKind::Reply)
}

impl Core {
    /// Sends an answer to the next worker on its way back, if this is one and that needs no credit.
    #[cold]
    pub(crate) fn send_back(self: &Rc<Self>, from: &MailboxRc, out: &mut Outgoing) -> bool {
        let node = self.here.node();
        let routes = out.body.as_ref().and_then(Detour::routes);
        let answers = routes.is_some_and(|it| ends_at_a_place(it.onward.hops().next_back(), node));
        let hint = out.route.first().and_then(|hop| hop.hint_of(node));
        let Some(hint) = hint.filter(|hint| answers && hint.kind == HandleKind::Worker) else {
            return false;
        };
        if out.grant != Grant::Nothing {
            return false;
        }
        if hint.core == self.here {
            return match self.at(hint.handle) {
                Some(to) => self.take_back_here(&to, from, out),
                None => false,
            };
        }
        let Some(body) = out.body.take() else {
            return false;
        };
        let from = Introduction {
            handle: from.handle.get(),
            address: from.address.clone(),
        };
        let to = hint.handle;
        let returning = Box::new(Returning { to, from, body });
        self.tally().sent_remote.add(1);
        self.send_control(hint.core.index(), Control::Return(returning));
        true
    }

    fn take_back_here(&self, to: &MailboxRc, from: &MailboxRc, out: &mut Outgoing) -> bool {
        if !to.take_expected() {
            return false;
        }
        if let Some(body) = out.body.take() {
            let origin = Origin {
                detour: true,
                ..Origin::FREE
            };
            self.enqueue(to.clone(), from, Handle::NONE, origin, body);
        }
        true
    }

    /// An answer has come from another core.
    pub(crate) fn take_back(self: &Rc<Self>, core: u16, returning: Returning) {
        let Returning { to, from, body } = returning;
        let there = NodeCore::new(self.here.node(), core);
        let from = MailboxRc::new(Mailbox::stub(from.address, there, from.handle));
        let mut envelope = Envelope {
            sender: Sender::new(from, Handle::NONE),
            origin: Origin {
                detour: true,
                ..Origin::FREE
            },
            body,
        };
        let Some(to) = self.at(to) else {
            let to = MailboxRc::new(Mailbox::stub(envelope.next(), self.here, Handle::NONE));
            return self.undeliver(&to, envelope, Reason::NotFound);
        };
        if !to.take_expected() {
            // More than the one answer that was asked for.
            let Some(room) = to.room.get().checked_sub(1) else {
                return self.report_surplus(&to, envelope);
            };
            to.room.set(room);
            envelope = envelope.with_credit_of(Origin::LOCAL);
        }
        to.queued.set(to.queued.get() + 1);
        self.queue.push(to, envelope);
    }

    /// Reports a further answer to a request. Whoever asked is told nothing: the first may be on its way yet.
    fn report_surplus(&self, to: &MailboxRc, envelope: Envelope) {
        self.report(&Undelivered {
            to: to.address.clone(),
            from: envelope.sender.from.address.clone(),
            type_name: envelope.payload().type_name(),
            expected: None,
            reason: Reason::LateReply,
        });
        drop_guarded(envelope);
    }
}
