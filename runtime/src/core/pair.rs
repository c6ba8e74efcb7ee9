//! What one core has for sending to one other: two rings, links, and who waits for either.

use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_mailbox::queue::LocalQueue;
use ringpost_router::{Address, Body, Handle, Message, NodeCore, WorkersOf};

use crate::core::deliver::{Grant, Lack, Outgoing};
use crate::core::links::{LinkState, LinkTable, leads_to};
use crate::core::pairs::Introduced;
use crate::core::record::{Introduction, Opening, Record};
use crate::core::stream::{Run, Stream};
use crate::core::way::Way;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Waiter, Waiting, pop_waiting, trim};
use crate::task::raw::MailboxRc;

/// Slots that one message takes at the most: an opening, an introduction, a head and the payload.
pub(super) const MESSAGE_SLOTS: u32 = 4;

/// Everything one core has for sending to one other.
pub(crate) struct Pair {
    pub(super) to: u16,
    /// The workers of that core.
    workers: WorkersOf,
    pub(super) data: Lane,
    pub(super) control: Lane,
    pub(crate) links: LinkTable,
    /// What the last head said, which following payloads need not repeat.
    pub(crate) run: Option<Run>,
    pub(crate) stream: Stream,
    /// Messages that were sent and are not counted yet.
    pub(super) uncounted: u32,
    introduced: Introduced<Handle>,
    pub(super) room_waiters: VecDeque<Rc<Waiter>>,
    /// How many of these, at the head, wait for the next turn alone, as there was room. They hold up nobody but their own
    /// senders, whose messages keep their order.
    pub(super) pausing: usize,
    /// Senders to destinations for which there is no link yet.
    pub(super) destination_waiters: VecDeque<Rc<Waiter>>,
    /// How many of them may open a link and have not done so yet.
    pub(super) promised: usize,
    /// Slots granted to waiters that have not used them yet.
    pub(super) reserved: u32,
    /// Slots that are published together.
    batch: u32,
    pub(super) connection: Connection,
    pub(super) dirty: bool,
    /// Whether the last flush had anything for the other core.
    pub(super) has_news: bool,
    /// Senders that have what streams did not use, and are woken by the next flush.
    pub(super) granted: Vec<Rc<Waiter>>,
}

/// The rings are made by the core that reads them, when they are first needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    None,
    Asked,
    Made,
}

/// One ring, and what waits to get into it.
pub(super) struct Lane {
    pub(super) ring: Option<Rc<Way>>,
    pub(super) spill: LocalQueue<Body>,
    slots: u32,
}

impl Lane {
    fn new(slots: u32) -> Self {
        Self {
            ring: None,
            spill: LocalQueue::new(),
            slots,
        }
    }

    /// Whether so many slots can be pushed without spilling; before there is a ring, its capacity.
    #[inline]
    pub(super) fn has_room(&self, slots: u32) -> bool {
        match &self.ring {
            Some(ring) => self.spill.is_empty() && ring.has_room(slots),
            None => self.spill.len() as u32 + slots <= self.slots,
        }
    }

    #[inline(always)]
    pub(super) fn push(&self, cell: Body) {
        let cell = match &self.ring {
            Some(ring) if self.spill.is_empty() => match ring.push(cell) {
                Ok(()) => return,
                Err(full) => full.0,
            },
            _ => cell,
        };
        keep(&self.spill, cell);
    }

    /// As [`push`](Self::push), for a cell that is made where this is called.
    #[inline(always)]
    pub(super) fn push_new(&self, cell: Body) {
        match self.spill.is_empty() && self.ring.is_some() {
            true => self.push_unspilled(cell),
            false => keep(&self.spill, cell),
        }
    }

    /// As [`push`](Self::push), for a cell that is taken out of where it lies.
    #[inline(always)]
    pub(super) fn push_out_of(&self, place: &mut Option<Body>) {
        if let Some(ring) = &self.ring
            && self.spill.is_empty()
            && ring.push_out_of(place)
        {
            return;
        }
        if let Some(cell) = place.take() {
            keep(&self.spill, cell);
        }
    }

    /// As [`push_new`](Self::push_new), where there is a ring, and nothing waits for it.
    #[inline(always)]
    fn push_unspilled(&self, cell: Body) {
        debug_assert!(self.spill.is_empty());
        let cell = match &self.ring {
            Some(ring) => match ring.push_new(cell) {
                Ok(()) => return,
                Err(full) => full.0,
            },
            None => cell,
        };
        keep(&self.spill, cell);
    }

    /// Publishes what is in the ring. Whether there was anything new.
    #[inline(always)]
    pub(super) fn publish(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.publish() > 0)
    }

    /// Moves what waits into the ring, and publishes. Whether there was anything new.
    pub(super) fn pump(&self) -> bool {
        let Some(ring) = &self.ring else {
            return false;
        };
        while let Some(cell) = self.spill.pop() {
            if let Err(full) = ring.push(cell) {
                self.spill.push_front(full.0);
                break;
            }
        }
        self.publish()
    }

    /// How many slots of `wanted` can be pushed and leave so many; none before there is a ring.
    pub(super) fn room_beyond(&self, wanted: u32, rest: u32) -> u32 {
        match &self.ring {
            Some(ring) if self.spill.is_empty() => match ring.has_room(wanted + rest) {
                true => wanted,
                false => ring.room().saturating_sub(rest),
            },
            _ => 0,
        }
    }

    pub(super) fn unpublished(&self) -> u32 {
        self.ring.as_ref().map_or(0, |ring| ring.unpublished())
    }
}

#[cold]
#[inline(never)]
fn keep(spill: &LocalQueue<Body>, cell: Body) {
    spill.push(cell);
}

impl Pair {
    pub(crate) fn new(limits: &Limits, cores: u16, to: NodeCore) -> Self {
        let slots = limits.ring_slots_for(cores);
        Self {
            to: to.index(),
            workers: to.into(),
            data: Lane::new(slots),
            control: Lane::new(slots),
            links: LinkTable::new(limits.links_max, limits.link_credits),
            run: None,
            stream: Stream::default(),
            uncounted: 0,
            introduced: Introduced::new(limits, cores),
            room_waiters: VecDeque::new(),
            pausing: 0,
            destination_waiters: VecDeque::new(),
            promised: 0,
            reserved: 0,
            batch: limits.flush_slots,
            connection: Connection::None,
            dirty: false,
            has_news: false,
            granted: Vec::new(),
        }
    }

    /// Whether there is room, and nobody waits for it who has to go before this sender.
    #[inline]
    fn has_room_for(&mut self, from: &MailboxRc) -> bool {
        let is_behind = !self.room_waiters.is_empty() && self.is_behind(from);
        !is_behind && self.data.has_room(MESSAGE_SLOTS + self.reserved)
    }

    /// Whether there is room, and nobody waits for any.
    pub(super) fn has_free_room(&mut self) -> bool {
        self.room_waiters.is_empty() && self.data.has_room(MESSAGE_SLOTS + self.reserved)
    }

    #[inline(never)]
    fn is_behind(&self, from: &MailboxRc) -> bool {
        let is_its = |waiter: &Rc<Waiter>| {
            let sender = waiter.sender.as_ref();
            waiter.state.get() == Waiting::Queued
                && sender.is_some_and(|(who, _)| MailboxRc::ptr_eq(who, from))
        };
        self.pausing < self.room_waiters.len()
            || from.has_waiting_sends() && self.room_waiters.iter().any(is_its)
    }

    /// Puts a sender in the line for room. Whether there is none.
    pub(super) fn join_line(&mut self, waiter: &Rc<Waiter>) -> bool {
        let is_full = !self.data.has_room(MESSAGE_SLOTS + self.reserved);
        if !is_full && self.pausing == self.room_waiters.len() {
            self.pausing += 1;
        }
        self.room_waiters.push_back(Rc::clone(waiter));
        is_full
    }

    /// Forgets those at the end of the lines who have given up.
    pub(super) fn trim_lines(&mut self) {
        trim(&mut self.room_waiters);
        self.pausing = self.pausing.min(self.room_waiters.len());
        trim(&mut self.destination_waiters);
    }

    /// Takes a credit of the link that leads there, if there is such a link, nobody waits and there is room.
    #[inline(always)]
    pub(super) fn open_link(
        &mut self,
        to: &Address,
        place: Handle,
        from: &MailboxRc,
        guests: u64,
    ) -> Option<u32> {
        let free = self.has_room_for(from);
        let is_run = place == Handle::NONE && self.runs_to(to, guests);
        let link = match &self.run {
            Some(run) if is_run => Some(run.link),
            _ => self.links.find(to, place),
        };
        let link = link.filter(|_| free)?;
        self.links.take_open(link).then_some(link)
    }

    /// What a message of this sender lacks on this link.
    #[inline]
    pub(super) fn lack(
        &mut self,
        link: u32,
        from: &MailboxRc,
        grant: Grant,
        seems_full: bool,
    ) -> Option<Lack> {
        let core = self.to;
        let entry = self.links.at_mut(link)?;
        let taken = entry.credits == 0 || !entry.waiters.is_empty();
        let epoch = entry.epoch;
        if (taken && !grant.credit()) || entry.state == LinkState::Ended {
            return Some(Lack::Link { core, link, epoch });
        }
        if grant.room() {
            return None;
        }
        let free = !seems_full && self.has_room_for(from);
        (!free).then_some(Lack::Room { core, link, epoch })
    }

    /// The line for room that a message on this link has to join, although it has room with the grant of a link: those
    /// who have a credit of this one may be in it, and were first.
    pub(super) fn line_for_room(&self, link: u32) -> Option<Lack> {
        let (core, entry) = (self.to, self.links.at(link)?);
        let is_line = !self.room_waiters.is_empty() && entry.state != LinkState::Ended;
        let epoch = entry.epoch;
        is_line.then_some(Lack::Room { core, link, epoch })
    }

    /// Writes a message into the data ring. Everything it needs has been checked; who it is for was looked up
    /// when so many guests had been here.
    #[inline]
    pub(super) fn push(&mut self, link: u32, from: &Mailbox, out: &mut Outgoing, guests: u64) {
        if out.body.is_none() {
            return;
        }
        if self
            .links
            .at(link)
            .is_some_and(|link| link.state == LinkState::New)
        {
            self.push_opening(link);
        }
        self.links.take_credit(link, out.grant.credit());
        if out.grant.room() {
            self.reserved -= MESSAGE_SLOTS;
        }
        out.grant = Grant::Nothing;
        if out.reply == Handle::NONE && !out.detour {
            self.push_plain(link, from, &mut out.body, guests);
        } else {
            self.push_single(link, from, out.reply, out.detour, &mut out.body);
        }
    }

    /// Writes a payload, taken out of where it lies, with a head that is for it alone.
    #[inline(always)]
    pub(super) fn push_single(
        &mut self,
        link: u32,
        from: &Mailbox,
        reply: Handle,
        detour: bool,
        body: &mut Option<Body>,
    ) {
        self.push_head(link, from, reply, detour);
        self.run = None;
        self.data.push_out_of(body);
        self.uncounted += 1;
    }

    /// Writes a payload, taken out of where it lies, that has nothing with it but its head, and that only if it is not the
    /// last one's. The second of those that need none is the first of a stream.
    #[inline(always)]
    pub(super) fn push_plain(
        &mut self,
        link: u32,
        from: &Mailbox,
        body: &mut Option<Body>,
        guests: u64,
    ) {
        let run = Run {
            link,
            sender: from.handle(),
            guests,
        };
        let follows = self.run == Some(run);
        if !follows {
            self.push_head(link, from, Handle::NONE, false);
            self.run = Some(run);
        }
        self.data.push_out_of(body);
        self.uncounted += 1;
        // What is alone in its batch is an answer, most of the time.
        if follows && self.data.unpublished() > 1 {
            self.offer();
        }
    }

    /// Whether the last head was for whoever has this name, looked up when so many guests had been here.
    #[inline]
    pub(super) fn runs_to(&self, to: &Address, guests: u64) -> bool {
        let run = self.run.as_ref().filter(|run| run.guests == guests);
        let link = run.and_then(|run| self.links.at(run.link));
        link.is_some_and(|link| leads_to(&link.target, to, Handle::NONE))
    }

    /// Lends the stream what the next messages of the run need, up to the end of the batch.
    pub(crate) fn offer(&mut self) {
        self.offer_up_to(self.batch.saturating_sub(self.data.unpublished()));
    }

    /// As [`offer`](Self::offer), for the next message alone, if none is lent anything. It leaves as it is written.
    pub(crate) fn offer_next(&mut self) {
        if self.stream.lent > 0 {
            return;
        }
        self.offer_up_to(1);
        if self.stream.is_lone()
            && let Some(way) = &self.data.ring
        {
            way.show_first(true);
        }
    }

    #[inline(always)]
    fn offer_up_to(&mut self, max: u32) {
        let Some(run) = &self.run else { return };
        if !self.room_waiters.is_empty() {
            return;
        }
        let max = max.min(self.data.room_beyond(max, MESSAGE_SLOTS + self.reserved));
        let place = self.links.at_mut(run.link).map(|link| link.target.place());
        if let (Some(place), Some(lent)) = (place, self.links.lend(run.link, max)) {
            self.begin_stream(run.sender, place, lent);
        }
    }

    /// A stream of so many messages from this sender, one batch at a time.
    fn begin_stream(&mut self, sender: Handle, place: Handle, lent: u32) {
        if let Some(way) = &self.data.ring {
            way.begin(self.workers, place, sender);
            self.stream.kept = lent;
            self.next_batch();
        }
    }

    /// What the stream has not used goes back to where it came from.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if self.stream.lent > 0 {
            self.end_stream();
        }
    }

    #[inline(never)]
    pub(super) fn end_stream(&mut self) {
        let Stream { lent, kept } = std::mem::take(&mut self.stream);
        let left = self.data.ring.as_ref().map_or(0, |way| way.end());
        self.uncounted += lent - left;
        if left + kept > 0
            && let Some(run) = &self.run
        {
            self.links
                .give_back(run.link, left + kept, &mut self.granted);
        }
    }

    /// Counts the messages of the batch that the stream has written.
    pub(super) fn count_batch(&mut self) {
        self.uncounted += std::mem::take(&mut self.stream.lent);
    }

    /// Goes on with what the stream was lent beyond the batch, if it was.
    pub(super) fn next_batch(&mut self) -> bool {
        self.stream.go_on(self.batch);
        if let Some(way) = &self.data.ring {
            way.allow(self.stream.lent);
        }
        self.stream.lent > 0
    }

    /// Lends a sender that has waited the other credits that it was granted: so it waits once a batch and not for each
    /// message. What it cannot use goes to the next who wait: all of it, if it has other sends that wait, for
    /// those would be overtaken.
    pub(super) fn lend_more(&mut self, link: u32, credits: u32, is_last: bool) {
        let rest = MESSAGE_SLOTS + self.reserved;
        let mut lent = 0;
        if let Some(run) = self.run.as_ref().filter(|run| run.link == link)
            && let Some(place) = self.links.at(link).map(|link| link.target.place())
            && is_last
            && self.stream.lent == 0
            && self.room_waiters.is_empty()
        {
            lent = credits.min(self.data.room_beyond(credits, rest));
            if lent > 0 {
                self.begin_stream(run.sender, place, lent);
            }
        }
        if credits > lent {
            self.links
                .give_back(link, credits - lent, &mut self.granted);
        }
    }

    /// Writes a head for a link of which the far side has been told.
    #[inline(always)]
    pub(super) fn push_head(&mut self, link: u32, from: &Mailbox, reply: Handle, detour: bool) {
        let sender = from.handle();
        if *self.introduced.slot(sender) != Some(sender) {
            self.push_introduction(from);
        }
        let head = if detour {
            Record::DetourHead { link, from: sender }
        } else {
            Record::Head {
                link,
                from: sender,
                reply,
            }
        };
        self.data.push_new(head.into_body());
    }

    #[cold]
    #[inline(never)]
    fn push_opening(&mut self, link: u32) {
        if let Some(entry) = self.links.at_mut(link) {
            entry.state = LinkState::Open;
            let opening = Opening {
                link,
                target: entry.target.clone(),
            };
            self.data.push(Record::Open(Box::new(opening)).into_body());
        }
    }

    #[cold]
    #[inline(never)]
    fn push_introduction(&mut self, from: &Mailbox) {
        let handle = from.handle();
        *self.introduced.slot(handle) = Some(handle);
        let address = from.address.clone();
        let introduction = Introduction { handle, address };
        self.data
            .push(Record::Introduce(Box::new(introduction)).into_body());
    }

    /// Introduces every sender anew.
    pub(super) fn forget_introductions(&mut self) {
        self.introduced.forget();
    }

    pub(super) fn close_link(&mut self, link: u32) {
        self.links.close(link);
        self.run.take_if(|run| run.link == link);
        self.data.push(Record::Close { link }.into_body());
    }

    /// Grants room, and links, to those who wait, first come first served. A link is granted together with
    /// room: one that was opened and not used yet might be closed for the next who waits for a link, and
    /// then two senders could do that to each other for ever.
    pub(super) fn grant_room(&mut self, granted: &mut Vec<Rc<Waiter>>) {
        let has_room = self.data.has_room(self.reserved + MESSAGE_SLOTS);
        if has_room && !self.destination_waiters.is_empty() {
            if self.links.free() > self.promised {
                if let Some(next) = pop_waiting(&mut self.destination_waiters) {
                    self.promised += 1;
                    self.reserved += MESSAGE_SLOTS;
                    granted.push(next);
                }
            } else {
                match self.links.find_victim() {
                    Some(victim) => self.close_link(victim),
                    None => self.links.allow_more(),
                }
            }
        }
        while !self.room_waiters.is_empty() && self.data.has_room(self.reserved + MESSAGE_SLOTS) {
            let Some(waiter) = pop_waiting(&mut self.room_waiters) else {
                break;
            };
            self.reserved += MESSAGE_SLOTS;
            granted.push(waiter);
        }
        // Whoever is left waits for room.
        self.pausing = 0;
    }

    /// Whether a sender with this grant may open a link: by that grant, which leaves the room that came with
    /// it, or because nobody has waited for one.
    pub(super) fn may_open(&mut self, grant: &mut Grant) -> bool {
        if *grant == Grant::Link {
            *grant = Grant::Room;
            self.promised -= 1;
            return true;
        }
        self.promised == 0 && self.destination_waiters.is_empty()
    }

    /// Whether something here can only go on when the other core has drained its rings.
    pub(super) fn is_stuck(&self) -> bool {
        !self.room_waiters.is_empty()
            || !self.destination_waiters.is_empty()
            || !self.data.spill.is_empty()
            || !self.control.spill.is_empty()
    }
}
