//! The way to other cores: two rings for each, their publishing, and what waits for room in them.
//!
//! Payloads go by the data ring, which makes senders wait when it is full. Answers, credits, buffers
//! and control go by the control ring, which never makes anybody wait: what does not fit is kept here,
//! bounded by what the other side has reserved for it (one answer a request, two returns a link, one
//! chain an owner).

use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_mailbox::ring::Producer;
use ringpost_mailbox::wake::publish_fence;
use ringpost_router::{Address, Body, Handle, Message};

use crate::core::Core;
use crate::core::deliver::{Attempt, Grant, Lack, Outgoing};
use crate::core::links::{LinkState, LinkTable};
use crate::core::pairs::Introduced;
use crate::core::record::{Control, Introduction, Job, Opening, Record};
use crate::core::replies::Answer;
use crate::envelope::ReplyTo;
use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, Waiter, Waiting, pop_waiting, trim};
use crate::node::shared::{InboxItem, Rings};
use crate::task::raw::MailboxRc;

/// Slots that one message takes at the most: an opening, an introduction, a head and the payload.
const MESSAGE_SLOTS: u32 = 4;

/// Freed blocks that go home together while a core is busy; an idle core sends what it has.
const CHAIN_BLOCKS: u32 = 32;

/// Everything one core has for sending to one other.
pub(crate) struct Pair {
    to: u16,
    data: Lane,
    control: Lane,
    pub(crate) links: LinkTable,
    /// Link and sender of the last head, which following payloads need not repeat.
    run: Option<(u32, Handle)>,
    introduced: Introduced<Handle>,
    room_waiters: VecDeque<Rc<Waiter>>,
    /// Senders to destinations for which there is no link yet.
    destination_waiters: VecDeque<Rc<Waiter>>,
    /// How many of them may open a link and have not done so yet.
    promised: usize,
    /// Slots granted to waiters that have not used them yet.
    reserved: u32,
    connection: Connection,
    dirty: bool,
    /// Whether the last flush had anything for the other core.
    has_news: bool,
}

/// The rings are made by the core that reads them, when they are first needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    None,
    Asked,
    Made,
}

/// One ring, and what waits to get into it.
struct Lane {
    ring: Option<Producer<Body>>,
    spill: VecDeque<Body>,
    slots: u32,
}

impl Lane {
    fn new(slots: u32) -> Self {
        Self {
            ring: None,
            spill: VecDeque::new(),
            slots,
        }
    }

    /// Whether so many slots can be pushed without spilling; before there is a ring, its capacity.
    #[inline]
    fn has_room(&mut self, slots: u32) -> bool {
        match &mut self.ring {
            Some(ring) => self.spill.is_empty() && ring.has_room(slots),
            None => self.spill.len() as u32 + slots <= self.slots,
        }
    }

    #[inline]
    fn push(&mut self, cell: Body) {
        let Some(ring) = self.ring.as_mut().filter(|_| self.spill.is_empty()) else {
            return self.spill.push_back(cell);
        };
        if let Err(full) = ring.push(cell) {
            self.spill.push_back(full.0);
        }
    }

    /// Moves what waits into the ring, and publishes. Whether there was anything new.
    fn pump(&mut self) -> bool {
        let Some(ring) = &mut self.ring else {
            return false;
        };
        while let Some(cell) = self.spill.pop_front() {
            if let Err(full) = ring.push(cell) {
                self.spill.push_front(full.0);
                break;
            }
        }
        ring.publish() > 0
    }

    fn unpublished(&self) -> u32 {
        self.ring.as_ref().map_or(0, Producer::unpublished)
    }
}

impl Pair {
    pub(crate) fn new(limits: &Limits, cores: u16, to: u16) -> Self {
        let slots = limits.ring_slots_for(cores);
        Self {
            to,
            data: Lane::new(slots),
            control: Lane::new(slots),
            links: LinkTable::new(limits.links_max, limits.link_credits),
            run: None,
            introduced: Introduced::new(),
            room_waiters: VecDeque::new(),
            destination_waiters: VecDeque::new(),
            promised: 0,
            reserved: 0,
            connection: Connection::None,
            dirty: false,
            has_news: false,
        }
    }

    /// What a message on this link lacks.
    #[inline]
    fn lack(&mut self, link: u32, grant: Grant) -> Option<Lack> {
        let core = self.to;
        let entry = self.links.at_mut(link)?;
        let taken = entry.credits == 0 || !entry.waiters.is_empty();
        if (taken && !grant.credit()) || entry.state == LinkState::Ended {
            return Some(Lack::Link {
                core,
                link,
                epoch: entry.epoch,
            });
        }
        if grant.room() {
            return None;
        }
        let free =
            self.room_waiters.is_empty() && self.data.has_room(MESSAGE_SLOTS + self.reserved);
        (!free).then_some(Lack::Room { core })
    }

    /// Writes a message into the data ring. Everything it needs has been checked.
    #[inline]
    fn push(&mut self, link: u32, from: &Mailbox, out: &mut Outgoing) {
        let Some(body) = out.body.take() else { return };
        self.links.take_credit(link, out.grant.credit());
        if out.grant.room() {
            self.reserved -= MESSAGE_SLOTS;
        }
        out.grant = Grant::Nothing;
        let sender = from.handle.get();
        let plain = out.reply == Handle::NONE && !out.detour;
        if !plain || self.run != Some((link, sender)) {
            self.push_head(link, from, out.reply, out.detour);
            self.run = plain.then_some((link, sender));
        }
        self.data.push(body);
    }

    /// Takes a credit for a payload that needs no head of its own, if there is one, and room.
    #[inline]
    fn can_follow(&mut self, to: &Address, place: Handle, sender: Handle) -> bool {
        let Some((link, _)) = self.run.filter(|(_, of)| *of == sender) else {
            return false;
        };
        let free =
            self.room_waiters.is_empty() && self.data.has_room(MESSAGE_SLOTS + self.reserved);
        free && self.links.take_for(link, to, place)
    }

    fn push_head(&mut self, link: u32, from: &Mailbox, reply: Handle, detour: bool) {
        if let Some(entry) = self.links.at_mut(link)
            && entry.state == LinkState::New
        {
            entry.state = LinkState::Open;
            let opening = Opening {
                link,
                target: entry.target.clone(),
            };
            self.data.push(Record::Open(Box::new(opening)).into_body());
        }
        let sender = from.handle.get();
        let known = self.introduced.slot(sender);
        if *known != Some(sender) {
            *known = Some(sender);
            let introduction = Introduction {
                handle: sender,
                address: from.address.clone(),
            };
            self.data
                .push(Record::Introduce(Box::new(introduction)).into_body());
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
        self.data.push(head.into_body());
    }

    fn close_link(&mut self, link: u32) {
        self.links.close(link);
        if self.run.is_some_and(|(of, _)| of == link) {
            self.run = None;
        }
        self.data.push(Record::Close { link }.into_body());
    }

    /// Grants room, and links, to those who wait, first come first served. A link is granted together with
    /// room: one that was opened and not used yet might be closed for the next who waits for a link, and
    /// then two senders could do that to each other for ever.
    fn grant_room(&mut self, granted: &mut Vec<Rc<Waiter>>) {
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
    }

    /// Whether a sender with this grant may open a link: by that grant, which leaves the room that came with
    /// it, or because nobody has waited for one.
    fn may_open(&mut self, grant: &mut Grant) -> bool {
        if *grant == Grant::Link {
            *grant = Grant::Room;
            self.promised -= 1;
            return true;
        }
        self.promised == 0 && self.destination_waiters.is_empty()
    }

    /// Whether something here can only go on when the other core has drained its rings.
    fn is_stuck(&self) -> bool {
        !self.room_waiters.is_empty()
            || !self.destination_waiters.is_empty()
            || !self.data.spill.is_empty()
            || !self.control.spill.is_empty()
    }
}

impl Core {
    /// Sends to a worker of another core, at this place, or by its name if the place is `NONE`: over its
    /// link, if there is a credit and room.
    #[inline]
    pub(crate) fn attempt_remote(
        self: &Rc<Self>,
        core: u16,
        place: Handle,
        from: &MailboxRc,
        out: &mut Outgoing,
    ) -> Attempt {
        if out.grant != Grant::Nothing && out.grant_core != Some(core) {
            return Attempt::Misgranted;
        }
        let Some(hop) = out.route.first() else {
            return out.fail(ErrorKind::EmptyRoute);
        };
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.get(core) else {
            return out.fail_not_found();
        };
        let may_open = pair.may_open(&mut out.grant);
        let link = match pair.links.find(&hop.address, place) {
            Some(link) => link,
            None => {
                // A credit that is held is of a link that is gone.
                out.grant = out.grant.without_credit();
                let open = || pair.links.open(&hop.address, place);
                match may_open.then(open).flatten() {
                    Some(link) => link,
                    None => return Attempt::Blocked(Lack::Destination { core }),
                }
            }
        };
        if let Some(lack) = pair.lack(link, out.grant) {
            return self.lacking(pair, link, lack, out);
        }
        pair.push(link, from, out);
        self.note_sent(core, pair);
        Attempt::Sent
    }

    /// The common case of a message to another core: it follows another from the same sender to the
    /// same receiver, and has a credit and room. Whether it was sent; any other stays where it is.
    #[inline]
    pub(crate) fn post_remote(
        &self,
        from: &MailboxRc,
        to: &Address,
        core: u16,
        place: Handle,
        body: &mut Option<Body>,
    ) -> bool {
        // Here, and where an instance of this core would be preferred, names are looked up first.
        if core == self.id || self.guests.get() > 0 {
            return false;
        }
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.made(core) else {
            return false;
        };
        if !pair.can_follow(to, place, from.handle.get()) {
            return false;
        }
        if let Some(body) = body.take() {
            pair.data.push(body);
            self.note_sent(core, pair);
        }
        true
    }

    /// Counts a message to another core, and publishes it if that fills a batch.
    #[inline]
    fn note_sent(&self, core: u16, pair: &mut Pair) {
        self.tally().sent_remote.add(1);
        self.pair_tally(core).sent.add(1);
        if !pair.dirty {
            pair.dirty = true;
            self.dirty.borrow_mut().push(core);
        }
        if pair.data.unpublished() >= self.limits.flush_slots {
            self.publish_now(pair);
        }
    }

    /// The message cannot go now: either it waits, or its receiver is known to be gone.
    #[cold]
    fn lacking(&self, pair: &mut Pair, link: u32, lack: Lack, out: &mut Outgoing) -> Attempt {
        let ended = pair
            .links
            .at_mut(link)
            .is_some_and(|link| link.state == LinkState::Ended);
        if ended {
            if pair.data.has_room(MESSAGE_SLOTS + pair.reserved) {
                pair.close_link(link);
            }
            return out.fail_not_found();
        }
        let refuses = pair.links.at_mut(link).is_some_and(|link| link.refuses);
        match lack {
            Lack::Link { .. } if refuses => self.refuse_full(out),
            lack => Attempt::Blocked(lack),
        }
    }

    /// The worker at the far end of a link lets nobody wait, or does again; those who do are to try again.
    pub(crate) fn far_end_refuses(&self, core: u16, link: u32, refuses: bool) {
        let mut waiting = {
            let mut pairs = self.pairs.borrow_mut();
            let Some(entry) = pairs.of(core).links.at_mut(link) else {
                return;
            };
            entry.refuses = refuses;
            match refuses {
                true => std::mem::take(&mut entry.waiters),
                false => VecDeque::new(),
            }
        };
        self.end_waiting(&mut waiting, Waiting::Retry);
    }

    /// Publishes a full batch in the middle of a turn, so that the other core can begin.
    fn publish_now(&self, pair: &mut Pair) {
        pair.data.pump();
        self.pair_tally(pair.to).batches.add(1);
        publish_fence();
        self.node.cores[usize::from(pair.to)].wake_if_parked(self.tally());
    }

    /// Puts a control message on its way. It is never refused.
    pub(crate) fn send_control(&self, core: u16, control: Control) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.control.push(control.into_body());
        self.mark_dirty(pair);
    }

    /// Has work done on another core, after all that was sent there before. It is never refused: what
    /// does not fit into the ring waits here, and what is sent later waits behind it. Whoever asks for
    /// work awaits it, so what waits is bounded by those who ask.
    pub(crate) fn send_job(&self, core: u16, job: Job) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.data.push(Record::Job(job).into_body());
        self.mark_dirty(pair);
    }

    /// Whether what a waiter was granted is still worth something.
    pub(crate) fn is_grant_good(&self, lack: &Lack) -> bool {
        match lack {
            Lack::Local(mailbox) => mailbox.accepts(),
            Lack::Link { core, link, epoch } => {
                let mut pairs = self.pairs.borrow_mut();
                let entry = pairs.of(*core).links.at_mut(*link);
                entry.is_some_and(|entry| entry.epoch == *epoch && entry.is_usable())
            }
            Lack::Room { .. } | Lack::Destination { .. } => true,
        }
    }

    /// Sends an answer to a requester on another core.
    pub(crate) fn send_answer(&self, to: ReplyTo, answer: Answer) {
        let mut pairs = self.pairs.borrow_mut();
        let Some(pair) = pairs.get(to.core) else {
            drop(pairs);
            return self.report_late(&answer);
        };
        match answer {
            Ok(body) => {
                pair.control
                    .push(Control::Answer { to: to.handle }.into_body());
                pair.control.push(body);
            }
            Err(error) => {
                pair.control.push(
                    Control::Fail {
                        to: to.handle,
                        error,
                    }
                    .into_body(),
                );
            }
        }
        self.mark_dirty(pair);
    }

    fn mark_dirty(&self, pair: &mut Pair) {
        if !pair.dirty {
            pair.dirty = true;
            self.dirty.borrow_mut().push(pair.to);
        }
    }

    /// Publishes everything written, then wakes the cores that sleep: one fence for all of them.
    pub(crate) fn flush(&self) {
        self.send_chains(CHAIN_BLOCKS);
        if self.dirty.borrow().is_empty() {
            return;
        }
        // The two lists change places, so that neither is allocated anew.
        let mut dirty = self.dirty.replace(self.flushing.take());
        let mut pairs = self.pairs.borrow_mut();
        for &core in &dirty {
            let pair = pairs.of(core);
            pair.dirty = false;
            let asked = pair.connection == Connection::None && self.ask_for_rings(pair);
            let published = pair.data.pump() | pair.control.pump();
            // Two cores that wait for room, and woke each other without need, would never sleep.
            pair.has_news = asked || published;
            self.note_flush(core, pair);
        }
        publish_fence();
        for &core in &dirty {
            let pair = pairs.of(core);
            if pair.has_news {
                self.node.cores[usize::from(core)].wake_if_parked(self.tally());
            }
            if pair.connection == Connection::None || pair.is_stuck() {
                self.mark_dirty(pair);
            }
        }
        dirty.clear();
        self.flushing.replace(dirty);
    }

    /// Sends buffers that were freed here to the cores that own them, where so many have gathered.
    pub(crate) fn send_chains(&self, min: u32) {
        if self.pool.gathered() < min {
            return;
        }
        for owner in 0..self.cores() {
            while let Some(chain) = self.pool.take_chain(owner, min) {
                self.send_control(owner, Control::Chain(chain));
            }
        }
    }

    fn note_flush(&self, core: u16, pair: &Pair) {
        let tally = self.pair_tally(core);
        tally.batches.add(1);
        let depth = pair.control.spill.len() as u64;
        if depth > 0 || tally.spill_depth.value() > 0 {
            tally.spill_depth.set(depth);
            tally
                .spill_depth_max
                .set(depth.max(tally.spill_depth_max.value()));
        }
    }

    /// Asks for the rings. Whether the other core has to look at that.
    fn ask_for_rings(&self, pair: &mut Pair) -> bool {
        let item = InboxItem::Connect { from: self.id };
        let inbox = &self.node.cores[usize::from(pair.to)].inbox;
        let asked = inbox.push(item).is_ok();
        if asked {
            pair.connection = Connection::Asked;
        }
        asked
    }

    /// The other core has made the rings.
    pub(crate) fn connected(&self, rings: Rings) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(rings.core);
        pair.data.ring = Some(rings.data);
        pair.control.ring = Some(rings.control);
        pair.connection = Connection::Made;
        self.mark_dirty(pair);
    }

    /// Whether this core must look again soon although nothing may wake it: it waits for a ring.
    pub(crate) fn waits_for_room(&self) -> bool {
        !self.dirty.borrow().is_empty()
    }

    /// Grants room in the rings to those who wait for it.
    pub(crate) fn grant_room(&self) {
        if self.dirty.borrow().is_empty() {
            return;
        }
        let mut granted = Vec::new();
        {
            let mut pairs = self.pairs.borrow_mut();
            for &core in self.dirty.borrow().iter() {
                pairs.of(core).grant_room(&mut granted);
            }
        }
        granted.iter().for_each(|waiter| self.grant(waiter));
    }

    pub(crate) fn wait_for_room(&self, core: u16, waiter: &Rc<Waiter>) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.room_waiters.push_back(Rc::clone(waiter));
        self.pair_tally(core).ring_full.add(1);
        self.mark_dirty(pair);
    }

    pub(crate) fn wait_for_destination(&self, core: u16, waiter: &Rc<Waiter>) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.destination_waiters.push_back(Rc::clone(waiter));
        self.mark_dirty(pair);
    }

    pub(crate) fn wait_for_link(&self, core: u16, link: u32, epoch: u32, waiter: &Rc<Waiter>) {
        let mut pairs = self.pairs.borrow_mut();
        self.pair_tally(core).credit_waits.add(1);
        let entry = pairs.of(core).links.at_mut(link);
        match entry.filter(|entry| entry.epoch == epoch) {
            Some(entry) => {
                entry.waiters.push_back(Rc::clone(waiter));
                if !std::mem::replace(&mut entry.is_noted, true) {
                    self.note_link(core, link);
                }
            }
            // The link was closed between the attempt and the wait, which one poll does not let happen.
            None => self.grant(waiter),
        }
    }

    /// Forgets those at the end of the queues who have given up.
    pub(crate) fn trim_waiters(&self, core: u16, link: Option<u32>) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        if let Some(entry) = link.and_then(|link| pair.links.at_mut(link)) {
            trim(&mut entry.waiters);
        }
        trim(&mut pair.room_waiters);
        trim(&mut pair.destination_waiters);
    }

    /// An unused grant of room goes to the next.
    pub(crate) fn room_back(&self, core: u16) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.reserved -= MESSAGE_SLOTS;
        self.mark_dirty(pair);
    }

    /// An unused grant of a link goes to the next.
    pub(crate) fn destination_back(&self, core: u16) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.promised -= 1;
        pair.reserved -= MESSAGE_SLOTS;
        self.mark_dirty(pair);
    }

    /// Credits of a link come back: those who wait get them first.
    pub(crate) fn link_credit_back(&self, core: u16, link: u32, epoch: u32, count: u32) {
        let mut granted = Vec::new();
        {
            let mut pairs = self.pairs.borrow_mut();
            let Some(entry) = pairs.of(core).links.at_mut(link) else {
                return;
            };
            if entry.epoch != epoch {
                return;
            }
            entry.credits += count;
            while entry.credits > 0 {
                let Some(waiter) = pop_waiting(&mut entry.waiters) else {
                    break;
                };
                entry.credits -= 1;
                granted.push(waiter);
            }
        }
        granted.iter().for_each(|waiter| self.grant(waiter));
    }

    /// A credit return has arrived from another core.
    pub(crate) fn credit_arrived(&self, core: u16, link: u32, count: u32, ended: bool) {
        let (epoch, mut closed) = {
            let mut pairs = self.pairs.borrow_mut();
            let Some(entry) = pairs.of(core).links.at_mut(link) else {
                return;
            };
            let mut closed = VecDeque::new();
            if ended && entry.state == LinkState::Open {
                closed = std::mem::take(&mut entry.waiters);
                if matches!(entry.target, crate::core::record::Target::Place(..)) {
                    entry.state = LinkState::Ended;
                }
            }
            (entry.epoch, closed)
        };
        self.close_waiters(&mut closed);
        self.link_credit_back(core, link, epoch, count);
    }

    /// The number of a closed link may be used again; whoever waited for one may try.
    pub(crate) fn link_freed(&self, core: u16, link: u32) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        pair.links.freed(link);
        self.mark_dirty(pair);
    }
}
