//! The short way to another core: messages that follow each other from one sender to one receiver.
//!
//! A [`Stream`] is lent what its next messages need, credits of the link and room in the ring, for as many as
//! fill the batch that is being written. Such a message looks at the stream alone: it compares two handles,
//! counts down, and is written. Whoever looks at the pair for anything else is given one that is
//! [settled](Pair::settle): what the stream has not used is back, and what it has is counted.

use ringpost_router::{Address, Body, Handle, HandleKind, Route};

use crate::core::Core;
use crate::core::pair::Pair;
use crate::task::raw::MailboxRc;

/// What the last head in the data ring said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) link: u32,
    pub(crate) sender: Handle,
    /// How many guests there had been on this core when the receiver was looked up.
    pub(crate) guests: u64,
}

/// The messages that may follow the last one without a further look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stream {
    sender: Handle,
    /// The receiver's; `NONE` if it is reached by its name.
    place: Handle,
    /// How many messages it was lent credits and room for, and how many of those are still to come.
    pub(crate) lent: u32,
    pub(crate) left: u32,
}

impl Stream {
    pub(crate) fn new(run: &Run, place: Handle, lent: u32) -> Self {
        Self {
            sender: run.sender,
            place,
            lent,
            left: lent,
        }
    }

    /// Whether a message from this sender to this place is the next.
    #[inline]
    fn carries(&self, sender: Handle, place: Handle) -> bool {
        self.left > 0 && self.sender == sender && self.place == place
    }
}

impl Core {
    /// The core that a message visits first, by which address, and its place there if the route says so.
    #[inline(always)]
    fn way_of<'a>(&self, route: &'a Route) -> Option<(u16, &'a Address, Handle)> {
        let hop = route.only()?;
        let to = &hop.address;
        match hop.hint_of(self.here.node()) {
            Some(hint) if hint.kind == HandleKind::Reply => None,
            Some(hint) => Some((hint.core.index(), to, hint.handle)),
            None if to.is_local() => Some((self.placement.home(to), to, Handle::NONE)),
            None => None,
        }
    }

    /// Sends the next message of a stream. Any other comes back.
    #[inline(always)]
    pub(crate) fn post_next(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: Body,
    ) -> Result<(), Body> {
        let Some((core, to, place)) = self.way_of(route) else {
            return Err(body);
        };
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.streaming(core) else {
            return Err(body);
        };
        let is_next = pair.stream.carries(from.handle.get(), place)
            && (place != Handle::NONE || pair.runs_to(to, self.guests_ever.get()));
        if !is_next {
            return Err(body);
        }
        if pair.push_next(body) {
            end_batch(self, pair);
        }
        Ok(())
    }

    /// Sends what needs nothing to be set up: a message to another core that has a link, a credit that nobody
    /// waits for, and room. Whether it was sent; any other stays where it is.
    pub(crate) fn post_linked(
        &self,
        from: &MailboxRc,
        route: &Route,
        body: &mut Option<Body>,
    ) -> bool {
        let Some((core, to, place)) = self.way_of(route) else {
            return false;
        };
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.streaming(core) else {
            return false;
        };
        if self.has_sent_enough() {
            return false;
        }
        pair.settle();
        let guests = self.guests_ever.get();
        // An instance of this core would be preferred, where there is one: then names are looked up first.
        let looks_up = place == Handle::NONE && self.guests.get() > 0;
        if looks_up && !pair.runs_to(to, guests) {
            return false;
        }
        let Some(link) = pair.open_link(to, place, from) else {
            return false;
        };
        if let Some(body) = body.take() {
            pair.push_plain(link, from, body, guests);
            self.note_sent(pair);
        }
        true
    }
}

/// What the stream was lent is used up, which is the end of a batch most of the time.
#[inline(never)]
fn end_batch(core: &Core, pair: &mut Pair) {
    pair.settle();
    core.note_sent(pair);
    if !core.has_sent_enough() {
        pair.offer();
    }
}
