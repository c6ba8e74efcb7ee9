//! The short way to another core: messages that follow each other from one sender to one receiver.
//!
//! A [`Stream`] is lent what its next messages need, credits of the link and room in the ring, for as many as
//! fill the batch that is being written, or where its sender has waited, for as many as it was granted. Such a message
//! looks at the stream alone: it compares what the hop keeps and a handle, counts down, and is written. Whoever looks at
//! the pair for anything else is given one that is [settled](Pair::settle): what the stream has not used is back, and
//! what it has is counted.

use ringpost_router::{Address, Body, Handle, HandleKind, Hint, Hop, Route, WorkersOf};

use crate::core::Core;
use crate::core::pair::Pair;
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

/// The messages that may follow the last one without a further look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    /// Among whom the receiver is; nobody if it is reached by its name.
    among: WorkersOf,
    /// Its place and that of the sender, each in one word.
    place: u64,
    sender: u64,
    /// How many messages of the batch it was lent credits and room for, and how many of those are still to come.
    pub(crate) lent: u32,
    pub(crate) left: u32,
    /// For how many it was lent them when those have been written.
    pub(crate) kept: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            among: WorkersOf::NOBODY,
            place: 0,
            sender: 0,
            lent: 0,
            left: 0,
            kept: 0,
        }
    }
}

impl Stream {
    /// For so many messages of this run, which is for the worker at this place among those of its core, or by its name if the
    /// place is `NONE`; those of one batch at a time.
    pub(crate) fn new(run: &Run, of: WorkersOf, place: Handle, lent: u32, batch: u32) -> Self {
        let mut stream = Self {
            among: if place == Handle::NONE {
                WorkersOf::NOBODY
            } else {
                of
            },
            place: place.word(),
            sender: run.sender.word(),
            kept: lent,
            ..Self::default()
        };
        stream.go_on(batch);
        match stream.lent {
            0 => Self::default(),
            _ => stream,
        }
    }

    /// Whether it was lent what one message needs.
    fn is_lone(&self) -> bool {
        self.lent == 1 && self.kept == 0
    }

    /// The next batch.
    pub(crate) fn go_on(&mut self, batch: u32) {
        let lent = self.kept.min(batch);
        self.kept -= lent;
        (self.lent, self.left) = (lent, lent);
    }

    /// Whether a message from this sender to this hop is the next.
    #[inline(always)]
    fn carries(&self, from: &MailboxRc, hop: &Hop) -> bool {
        let place = hop.worker_of(self.among);
        place.map(Handle::word) == Some(self.place) && from.handle.get().word() == self.sender
    }

    /// Whether one from this sender to the name of the run is.
    #[inline]
    fn carries_by_name(&self, from: &MailboxRc) -> bool {
        let is_by_name = self.left > 0 && self.place == Handle::NONE.word();
        is_by_name && from.handle.get().word() == self.sender
    }
}

impl Core {
    /// Sends the next message of a stream to a place. Any other comes back.
    #[inline(always)]
    pub(crate) fn post_next(&self, from: &MailboxRc, hop: &Hop, body: Body) -> Result<(), Body> {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.streaming(hop.near());
        let Some(pair) = pair.filter(|pair| pair.stream.carries(from, hop)) else {
            return Err(body);
        };
        let ends_batch = pair.push_next(body);
        drop(pairs);
        if ends_batch {
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
        let mut pairs = self.pairs.borrow_mut();
        let is_next = |pair: &&mut Pair| {
            pair.stream.carries_by_name(from) && pair.runs_to(to, self.guests_ever.get())
        };
        let Some(pair) = pairs.streaming(core).filter(is_next) else {
            return Err(body);
        };
        let ends_batch = pair.push_next(body);
        drop(pairs);
        if ends_batch {
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
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.streaming(hop.near());
        let Some(pair) = pair.filter(|pair| pair.stream.carries(from, hop)) else {
            return false;
        };
        let ends_batch = pair.push_next_out_of(lent);
        drop(pairs);
        if ends_batch {
            self.end_batch(hop.near());
        }
        true
    }

    /// What the stream was lent for a batch is used up, which is the end of one in the ring most of the time.
    #[inline(never)]
    fn end_batch(&self, to: u16) {
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.streaming(to) else {
            return;
        };
        if pair.stream.is_lone() && self.is_first_due() && pair.data.unpublished() == 1 {
            return self.end_first(pair);
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

    /// The one message of a stream was written, which is waited for: it leaves before anything is noted of it.
    #[inline(always)]
    fn end_first(&self, pair: &mut Pair) {
        pair.data.publish();
        pair.end_stream();
        self.note_first(pair);
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
