//! Answers that come back by way of workers that have passed the request on.
//!
//! An answer never waits for room (G5). If it did here, a worker that passes requests on and one that answers
//! them would come to wait for each other as soon as there are more requests than either has room for. Straight
//! back there is the place that the request has reserved; on a way back through other workers, each of those
//! notes the requests it has passed on, and takes one answer for each without a credit. So what its mailbox
//! holds beyond its credits is bounded by the requests it has accepted, which had theirs. Further messages
//! along the same way back are taken if there is room, and else reported: nobody waits for them.
//!
//! A connection to another node is such a worker too. What it brings is a request if the name on the way back is
//! of the form that stands for the place of a reply there.
//!
//! Between cores such answers have the lane of control messages, which always have room; all of them, so that
//! they stay in order.
//!
//! A request that is never answered leaves its note behind, until it is forgotten ([`passed_on`](super::passed_on)).

use std::rc::Rc;

use ringpost_router::{Address, Aliases, Body, Handle, HandleKind, NodeCore, Route};

use crate::core::Core;
use crate::core::deliver::{Grant, Outgoing};
use crate::core::record::{Control, Introduction};
use crate::envelope::{Detour, Envelope, Origin, ReplyTo, Routes, Sender};
use crate::error::{ErrorKind, Reason, Undelivered};
use crate::mailbox::{Mailbox, State};
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

impl Core {
    /// This worker passes a request on: its answer will come by here.
    pub(crate) fn expect_answer(&self, worker: &Mailbox, place: ReplyTo) {
        if worker.state.get() == State::Closed {
            return;
        }
        let mut passed_on = self.passed_on.borrow_mut();
        let passer = worker.with_more(|more| *more.passer.get_or_insert_with(|| passed_on.join()));
        passed_on.note(passer, place);
    }

    /// The answer has come by this worker, or will not. Whether it was expected.
    pub(crate) fn take_expected(&self, worker: &Mailbox, place: ReplyTo) -> bool {
        let passer = worker.if_more(|more| more.passer).flatten();
        passer.is_some_and(|passer| self.passed_on.borrow_mut().take(passer, place))
    }
}

impl Routes {
    /// Where the answer to this is waited for, if it is a request.
    pub(crate) fn asks(&self, node: u32) -> Option<ReplyTo> {
        place_at_the_end(&self.back, node)
    }
}

/// Where an answer is waited for, if this way ends there: on this node or, behind a connection, on another.
pub(crate) fn place_at_the_end(way: &Route, node: u32) -> Option<ReplyTo> {
    let last = way.hops().next_back()?;
    match last.hint_of(node) {
        Some(hint) => ReplyTo::from_hint(hint),
        None if last.is_unseen() => place_of_name(&last.address),
        None => None,
    }
}

/// What stands in notes for a place of another node, which is known by a name of a form of its own. Two of
/// them may have the same; then one note is taken for another.
pub(crate) fn place_of_name(name: &Address) -> Option<ReplyTo> {
    let hash = name.hash64();
    Aliases::is_once(name).then_some(ReplyTo {
        core: u16::MAX,
        handle: Handle {
            index: hash as u32,
            generation: (hash >> 32) as u32,
        },
    })
}

/// Where this answer is waited for, if it is one on its way back.
fn answered_by(body: &Body, node: u32) -> Option<ReplyTo> {
    place_at_the_end(&Detour::routes(body)?.onward, node)
}

impl Envelope {
    /// An answer on its way back, which needs no credit.
    fn returning(from: MailboxRc, origin: Origin, body: Body) -> Self {
        Self {
            sender: Sender::new(from, Handle::NONE),
            origin,
            body,
        }
    }
}

impl Core {
    /// Sends an answer to the next worker on its way back, if this is one and that needs no credit.
    #[cold]
    pub(crate) fn send_back(self: &Rc<Self>, from: &MailboxRc, out: &mut Outgoing) -> bool {
        let node = self.here.node();
        let place = out.body.as_ref().and_then(|body| answered_by(body, node));
        let hint = out.route.first().and_then(|hop| hop.hint_of(node));
        let Some(hint) = hint.filter(|hint| hint.kind == HandleKind::Worker) else {
            return false;
        };
        if place.is_none() || out.grant != Grant::Nothing {
            return false;
        }
        let to = hint.handle;
        let here = match hint.core == self.here {
            true => self.at(to),
            false => None,
        };
        if hint.core == self.here && here.is_none() {
            // The way back has an end, which the sender learns too.
            let next = out.route.first().map(|hop| hop.address.clone());
            let kind = next.map(|address| ErrorKind::NotFound { address });
            self.refuse(place, kind.unwrap_or(ErrorKind::EmptyRoute));
            return false;
        }
        if here.is_none() && !self.pairs.borrow().lead_to(hint.core.index()) {
            return false;
        }
        let Some(body) = out.body.take() else {
            return false;
        };
        match here {
            Some(to) => {
                self.sent_here.add(1);
                self.take_back(to, from.clone(), body);
            }
            None => {
                let from = Introduction {
                    handle: from.handle(),
                    address: from.address.clone(),
                };
                let returning = Box::new(Returning { to, from, body });
                self.tally().sent_remote.add(1);
                self.send_control(hint.core.index(), Control::Return(returning));
            }
        }
        true
    }

    /// An answer has come from another core.
    pub(crate) fn take_returning(self: &Rc<Self>, core: u16, returning: Returning) {
        let Returning { to, from, body } = returning;
        let there = NodeCore::new(self.here.node(), core);
        let from = MailboxRc::new(Mailbox::stub(from.address, there, from.handle));
        if let Some(to) = self.at(to) {
            return self.take_back(to, from, body);
        }
        let origin = Origin {
            detour: true,
            ..Origin::FREE
        };
        let envelope = Envelope::returning(from, origin, body);
        let to = MailboxRc::new(Mailbox::stub(envelope.next(), self.here, Handle::NONE));
        self.undeliver(&to, envelope, Reason::NotFound);
    }

    /// An answer has come to the next worker on its way back.
    fn take_back(&self, to: MailboxRc, from: MailboxRc, body: Body) {
        let place = answered_by(&body, self.here.node());
        let mut envelope = Envelope::returning(from, Origin::RETURNED, body);
        let is_expected = place.is_some_and(|place| self.take_expected(&to, place));
        if is_expected && self.returned.get() < self.limits.passed_on_max {
            self.returned.set(self.returned.get() + 1);
        } else {
            // More than the one answer that was asked for, or more than may wait without a credit.
            let Some(room) = to.room().checked_sub(1) else {
                return self.report_surplus(&to, envelope);
            };
            to.set_room(room);
            envelope = envelope.with_credit_of(Origin::LOCAL);
        }
        to.add_queued(1);
        self.sent_here.take_off(1);
        self.queue.push(to, envelope);
    }

    /// An answer that waited without a credit was taken, or has found its receiver gone.
    pub(crate) fn settle_returned(&self) {
        self.returned.set(self.returned.get() - 1);
    }

    /// Reports a further answer to a request. Whoever asked is told nothing: the first may be on its way yet.
    fn report_surplus(&self, to: &MailboxRc, envelope: Envelope) {
        // It counts as sent, and late replies do not count as undelivered messages: so it is taken here.
        self.tally().handled.add(1);
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
