//! The short way to another core: messages that follow each other from one sender to one receiver.
//!
//! A [`Stream`] is lent what its next messages need, credits of the link and room in the ring, for as many as
//! fill the batch that is being written, or where its sender has waited, for as many as it was granted. Such a message
//! looks at the [way](super::way::Way) alone: it compares what the hop keeps and a handle, is written, and counts down. Whoever looks at
//! the pair for anything else is given one that is [settled](Pair::settle): what the stream has not used is back, and
//! what it has is counted.

use ringpost_router::{Address, Body, Handle, HandleKind, Hint, Hop, Route};

use crate::core::Core;
use crate::driver::rare::Rare;
use crate::task::raw::MailboxRc;

/// What the last head in the data ring said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) link: u32,
    pub(crate) sender: Handle,
    /// How many guests there had been on this core when the receiver was looked up.
    pub(crate) guests: u64,
}

/// What the messages that may follow the last one without a further look were lent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stream {
    /// For how many messages of the batch.
    pub(crate) lent: u32,
    /// For how many when those have been written.
    pub(crate) kept: u32,
}

impl Stream {
    /// Whether it was lent what one message needs.
    pub(crate) fn is_lone(self) -> bool {
        self.lent == 1 && self.kept == 0
    }

    /// The next batch.
    pub(crate) fn go_on(&mut self, batch: u32) {
        self.lent = self.kept.min(batch);
        self.kept -= self.lent;
    }
}

impl Core {
    /// Sends the next message of a stream to a place. Any other comes back.
    #[inline(always)]
    pub(crate) fn post_next(&self, from: &MailboxRc, hop: &Hop, body: Body) -> Result<(), Body> {
        let Some(way) = self.ways.of_next(from, hop) else {
            return Err(body);
        };
        if way.push_next(body)? {
            self.end_batch(hop.near());
        }
        Ok(())
    }

    /// As [`post_next`](Self::post_next), of a stream to a name.
    #[inline(always)]
    pub(crate) fn post_next_by_name(
        &self,
        from: &MailboxRc,
        to: &Address,
        body: Body,
    ) -> Result<(), Body> {
        let core = self.placement.home(to);
        let way = self.ways.to(core);
        let Some(way) = way.filter(|way| way.carries_by_name(from)) else {
            return Err(body);
        };
        if !self.runs_to(core, to) {
            return Err(body);
        }
        if way.push_next(body)? {
            self.end_batch(core);
        }
        Ok(())
    }

    /// As [`post_next`](Self::post_next), for a payload that is taken out of where it lies. Whether it was sent.
    #[inline(always)]
    pub(crate) fn post_next_out_of(
        &self,
        from: &MailboxRc,
        hop: &Hop,
        lent: &mut Option<Body>,
    ) -> bool {
        let way = self.ways.of_next(from, hop);
        let Some(ends_batch) = way.and_then(|way| way.push_next_out_of(lent)) else {
            return false;
        };
        if ends_batch {
            self.end_batch(hop.near());
        }
        true
    }

    /// Whether the last head for this core was for whoever has this name.
    #[inline]
    fn runs_to(&self, core: u16, to: &Address) -> bool {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.streaming(core);
        pair.is_some_and(|pair| pair.runs_to(to, self.guests_ever.get()))
    }

    /// What the stream was lent for a batch is used up, which is the end of one in the ring most of the time.
    #[inline(never)]
    pub(crate) fn end_batch(&self, to: u16) {
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.streaming(to) else {
            return;
        };
        if pair.stream.is_lone() && pair.data.unpublished() == 0 {
            pair.end_stream();
            return self.note_first(pair);
        }
        pair.count_batch();
        self.note_sent(pair);
        let goes_on = !self.has_sent_enough();
        if !goes_on || !pair.next_batch() {
            pair.end_stream();
            if goes_on {
                pair.offer();
            }
        }
    }

    /// Sends what needs nothing to be set up: a message to another core that has a link, a credit that nobody
    /// waits for, and room; whoever asks has a place for the reply. Whether it was sent; any other stays where it is.
    #[inline(always)]
    pub(crate) fn post_linked(
        &self,
        from: &MailboxRc,
        hop: &Hop,
        hint: Option<Hint>,
        reply: Handle,
        body: &mut Option<Body>,
    ) -> bool {
        let to = &hop.address;
        let (core, place) = match hint {
            Some(hint) => (hint.core.index(), hint.handle),
            None if to.is_local() => (self.placement.home(to), Handle::NONE),
            None => return false,
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
        let Some(link) = pair.open_link(to, place, from, guests) else {
            return false;
        };
        match reply == Handle::NONE {
            true => pair.push_plain(link, from, body, guests),
            false => pair.push_single(link, from, reply, false, body),
        }
        self.note_sent(pair);
        true
    }

    /// As [`post_linked`](Self::post_linked), for a message that wants an answer at this place. It is taken if it was sent.
    /// Whether that was tried.
    #[inline(never)]
    pub(crate) fn post_request(
        &self,
        from: &MailboxRc,
        route: &Route,
        reply: Handle,
        body: &mut Option<Body>,
    ) -> bool {
        let Some(hop) = route.only() else {
            return false;
        };
        let hint = hop.hint_of(self.here.node());
        let is_worker = hint.is_none_or(|hint| hint.kind == HandleKind::Worker);
        let is_tried = is_worker && !self.rare.takes(Rare::LongWay);
        if is_tried {
            self.post_linked(from, hop, hint, reply, body);
        }
        is_tried
    }
}
