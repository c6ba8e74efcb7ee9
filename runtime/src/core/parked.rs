//! Requests that wait for a credit of a link, and are sent by their core when it comes.
//!
//! Who asks a worker of another core that has as many messages as it may is in the line for its credits
//! ([`links`](super::links)), as every sender is. But one who sends a plain message goes on when it has been sent, and one who
//! asks waits for the answer. So a request lies in the line itself, *parked*, and leaves with the credit: whoever asks is
//! not polled for that, looks for no link again, and is woken by the answer.
//!
//! That is done where it makes no difference to anybody else, and else the credit is granted as ever, and the request sent where
//! it is polled: if there is no room, or others wait for it; if the sender has another message that waits and is not parked,
//! or was granted something and has not been polled, as that was first; if a name may lead elsewhere now; or if its deadline has
//! come, and the message is to be given back.

use std::cell::Cell;
use std::rc::Rc;

use ringpost_router::{Body, Handle, HandleKind, Route};

use crate::core::Core;
use crate::core::deliver::{Lack, Outgoing};
use crate::core::links::LinkState;
use crate::core::pair::Pair;
use crate::driver::rare::Rare;
use crate::mailbox::{Waiter, Waiting};
use crate::task::Wake;
use crate::task::raw::MailboxRc;

/// A request that lies in the line for credits.
pub(crate) struct Parked {
    route: Route,
    /// Until it is sent, or leaves.
    body: Cell<Option<Body>>,
    /// The place of the answer.
    reply: Handle,
    line: Line,
    stage: Cell<Stage>,
}

/// The link for whose credits it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    core: u16,
    link: u32,
    epoch: u32,
    /// How many guests there had been on this core when it was looked up, if that was by a name: one that comes is preferred.
    guests: Option<u64>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Parked,
    /// To be sent where it is polled.
    Left,
    Sent,
}

impl Parked {
    /// It is to be polled, if it was not before, and was not sent. Whether that is new.
    pub(crate) fn leave(&self) -> bool {
        let is_new = self.stage.get() == Stage::Parked;
        if is_new {
            self.stage.set(Stage::Left);
        }
        is_new
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.stage.get() == Stage::Sent
    }

    /// The request as one that is polled, and what it waits for, if it was not sent.
    pub(crate) fn take(&self) -> Option<(Outgoing, Lack)> {
        let Line {
            core, link, epoch, ..
        } = self.line;
        let mut out = Outgoing::with_body(self.route.clone(), self.body.take()?);
        out.reply = self.reply;
        out.waits = true;
        Some((out, Lack::Link { core, link, epoch }))
    }
}

impl Core {
    /// The line that a request along this route has to join, if a credit of a link that is open is what it lacks.
    pub(crate) fn line_for(&self, route: &Route) -> Option<Line> {
        let hop = route.only()?;
        let hint = hop.hint_of(self.here.node());
        let is_elsewhere = || self.guests.get() == 0 || self.named(&hop.address).is_none();
        let (core, place, guests) = match hint {
            Some(hint) if hint.kind == HandleKind::Worker => (hint.core.index(), hint.handle, None),
            None if hop.address.is_local() && is_elsewhere() => {
                let home = self.placement.home(&hop.address);
                (home, Handle::NONE, Some(self.guests_ever.get()))
            }
            _ => return None,
        };
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.streaming(core)?;
        pair.settle();
        let link = pair.links.find(&hop.address, place)?;
        let entry = pair.links.at(link)?;
        let is_short = entry.credits == 0 || !entry.waiters.is_empty();
        let may_wait = entry.state == LinkState::Open && !entry.refuses;
        let epoch = entry.epoch;
        (is_short && may_wait).then_some(Line {
            core,
            link,
            epoch,
            guests,
        })
    }

    /// Parks a request, of which this is to be told if it is to be polled.
    pub(crate) fn park(
        &self,
        line: Line,
        from: &MailboxRc,
        (route, body): (Route, Body),
        reply: Handle,
        wake: Wake,
    ) -> Rc<Waiter> {
        let parked = Parked {
            route,
            body: Cell::new(Some(body)),
            reply,
            line,
            stage: Cell::new(Stage::Parked),
        };
        let waiter = Waiter::of_request(wake, from.clone(), self.now.get(), parked);
        self.note_behalf(from, &waiter);
        self.wait_for_link(line.core, line.link, line.epoch, &waiter);
        self.tally().blocked.add(1);
        waiter
    }

    /// Sends the request of this waiter, which was the first in the line of a link that has a credit, if it is one and nothing is
    /// in its way.
    pub(crate) fn send_parked(&self, pair: &mut Pair, link: u32, waiter: &Waiter) -> bool {
        let (Some((from, _)), Some(parked)) = (&waiter.sender, &waiter.parked) else {
            return false;
        };
        let guests = parked.line.guests;
        if !from.waits_parked_alone()
            || guests.is_some_and(|guests| guests != self.guests_ever.get())
            || !pair.has_free_room()
            || !self.replies.is_awaited(parked.reply)
            || self.rare.takes(Rare::FullRing)
        {
            return false;
        }
        waiter.uncount();
        waiter.state.set(Waiting::Cancelled);
        parked.stage.set(Stage::Sent);
        pair.links.take_credit(link, false);
        pair.push_single(link, from, parked.reply, false, &mut parked.body.take());
        self.note_sent(pair);
        true
    }
}
