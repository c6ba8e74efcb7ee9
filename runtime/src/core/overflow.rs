//! Full mailboxes of workers that do not want their senders to wait.
//!
//! A worker that drops messages has no credits to give: its `room` is always 0, so every send of its own core
//! takes the slow path, which ends here. What it accepts waits at its mailbox rather than in the core's queue,
//! where the oldest could not be found. A message from another core gives its link's credit back as soon as it
//! is set aside, so nobody there waits either.
//!
//! A worker that refuses has credits like others. Who sends from another core learns of its ways by a note
//! that answers the first message ([`Control::Refuses`](crate::core::record::Control)).

use std::rc::Rc;

use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::envelope::{Envelope, Origin, OriginKind, Sender};
use crate::error::{ErrorKind, Reason};
use crate::mailbox::{State, pop_waiting};
use crate::overflow::Overflow;
use crate::task::raw::MailboxRc;

impl Core {
    /// The receiver, of this core, has no credit and does not let its senders wait.
    pub(crate) fn overflow(
        self: &Rc<Self>,
        to: &MailboxRc,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        if to.overflow.get() == Overflow::Refuse {
            return self.refuse_full(out);
        }
        let Some(body) = out.body.take() else {
            return Attempt::Sent;
        };
        let envelope = Envelope {
            sender: Sender::new(from.clone(), out.reply),
            origin: out.origin(),
            body,
        };
        self.sent_here.add(1);
        to.add_queued(1);
        self.pile_up(to, envelope);
        Attempt::Sent
    }

    /// The message comes back: there is no room, and the receiver wants nobody to wait.
    pub(crate) fn refuse_full(&self, out: &mut Outgoing) -> Attempt {
        let Some(hop) = out.route.first() else {
            return out.fail(ErrorKind::EmptyRoute);
        };
        let address = hop.address.clone();
        self.tally().refused.add(1);
        out.fail(ErrorKind::Full { address })
    }

    /// Puts a message aside at a mailbox, within its bound if it has one; whoever waits for one is told.
    pub(crate) fn pile_up(self: &Rc<Self>, to: &MailboxRc, mut envelope: Envelope) {
        let mut dropped = None;
        if to.overflow.get().drops() {
            if let OriginKind::Link = envelope.origin.kind {
                self.owe(envelope.origin.core, envelope.origin.link, false);
                envelope = envelope.into_held_here();
            }
            dropped = self.make_room(to, &envelope);
        }
        match dropped {
            Some(Dropped::Newest) => return self.drop_full(to, envelope),
            Some(Dropped::Oldest(oldest)) => {
                to.stash(envelope);
                self.drop_full(to, oldest);
            }
            None => to.stash(envelope),
        }
        self.note_crowded(to);
        let receiver = to.with_more(|more| pop_waiting(&mut more.receivers));
        if let Some(receiver) = receiver {
            self.grant(&receiver);
        }
        if to.state.get() == State::Idle {
            to.state.set(State::Backlog);
            self.take_turns(to.clone());
        }
    }

    /// What has to go for this message. What holds no credit is nobody's message, and always has room.
    fn make_room(&self, to: &MailboxRc, envelope: &Envelope) -> Option<Dropped> {
        let is_full = to.stashed() >= self.limits.mailbox_credits as usize;
        let is_bound = matches!(envelope.origin.kind, OriginKind::Local | OriginKind::Link);
        if !is_full || !is_bound {
            return None;
        }
        if to.overflow.get() == Overflow::DropNewest {
            return Some(Dropped::Newest);
        }
        let oldest = to.if_more(|more| more.oldest_with_credit()).flatten();
        let oldest = oldest.and_then(|at| to.unstash(at));
        Some(oldest.map_or(Dropped::Newest, Dropped::Oldest))
    }

    fn drop_full(self: &Rc<Self>, to: &MailboxRc, envelope: Envelope) {
        to.take_queued();
        self.undeliver(to, envelope, Reason::Overflow);
    }
}

/// Which message there is no room for.
enum Dropped {
    Newest,
    Oldest(Envelope),
}

impl Envelope {
    /// The message, whose credit has gone back to the core it came from.
    fn into_held_here(self) -> Self {
        self.with_credit_of(Origin::LOCAL)
    }
}
