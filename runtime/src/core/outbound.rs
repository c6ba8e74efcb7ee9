//! The way to other cores: two rings for each, their publishing, and what waits for room in them.
//!
//! Payloads go by the data ring, which makes senders wait when it is full. Answers, credits, buffers
//! and control go by the control ring, which never makes anybody wait: what does not fit is kept here,
//! bounded by what the other side has reserved for it (one answer a request, two returns a link, one
//! chain an owner).

use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_mailbox::wake::publish_fence;
use ringpost_router::{Handle, Message};

use crate::core::Core;
use crate::core::deliver::{Attempt, Grant, Lack, Outgoing};
use crate::core::links::{Link, LinkState};
use crate::core::pair::{Connection, MESSAGE_SLOTS, Pair};
use crate::core::record::{Control, Job, Record};
use crate::core::replies::Answer;
use crate::core::way::Way;
use crate::driver::rare::Rare;
use crate::envelope::ReplyTo;
use crate::error::ErrorKind;
use crate::mailbox::{Waiter, Waiting, trim};
use crate::node::shared::{InboxItem, Rings};
use crate::task::raw::MailboxRc;

/// Freed blocks that go home together while a core is busy; an idle core sends what it has.
const CHAIN_BLOCKS: u32 = 32;

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
        let has_waited = out.grant != Grant::Nothing;
        let was_to_open = out.grant == Grant::Link;
        let may_open = pair.may_open(&mut out.grant);
        let link = match pair.links.find(&hop.address, place) {
            Some(link) => {
                // Another has opened it meanwhile.
                if was_to_open && let Some(lack) = pair.line_for_room(link) {
                    return Attempt::Blocked(lack);
                }
                link
            }
            None => {
                // A credit that is held is of a link that is gone.
                out.grant = out.grant.without_credit();
                out.more_credits = 0;
                let open = || pair.links.open(&hop.address, place);
                let none_left = !has_waited && self.rare.takes(Rare::NoLink);
                match (may_open && !none_left).then(open).flatten() {
                    Some(link) => link,
                    None => return Attempt::Blocked(Lack::Destination { core }),
                }
            }
        };
        let is_to_pause = out.waits && self.has_sent_enough();
        let seems_full = !has_waited && (is_to_pause || self.rare.takes(Rare::FullRing));
        if let Some(lack) = pair.lack(link, from, out.grant, seems_full) {
            return self.lacking(pair, link, lack, out);
        }
        let is_last = from.is_last_to_wait();
        pair.push(link, from, out, self.guests_ever.get());
        self.note_sent(pair);
        let more = std::mem::take(&mut out.more_credits);
        if more > 0 {
            pair.lend_more(link, more, is_last);
        }
        Attempt::Sent
    }

    /// After a message to another core: publishes it if that fills a batch, or is the first that is waited for.
    #[inline(always)]
    pub(crate) fn note_sent(&self, pair: &mut Pair) {
        if pair.data.unpublished() >= self.publish_at.get() {
            self.publish_now(pair);
        }
        self.mark_dirty(pair);
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

    /// Publishes a batch, or what is waited for, in the middle of a turn, so that the other core can begin; what is noted of it
    /// comes after.
    pub(crate) fn publish_now(&self, pair: &mut Pair) {
        let slots = pair.data.unpublished();
        pair.data.pump();
        self.note_batch(pair, slots);
        self.wake_sleeping(pair.to);
    }

    /// Notes that so many slots were published in the middle of a turn.
    #[inline]
    pub(super) fn note_batch(&self, pair: &mut Pair, slots: u32) {
        self.publish_batches();
        self.note_published(pair.to, slots);
        self.count_sent(pair);
        self.pair_tally(pair.to).batches.add(1);
    }

    /// Wakes the core, for which something was published, if it has fallen asleep.
    #[inline]
    pub(super) fn wake_sleeping(&self, core: u16) {
        publish_fence();
        self.node.cores[usize::from(core)].wake_if_parked(self.tally());
    }

    /// Puts a control message on its way. It is never refused.
    pub(crate) fn send_control(&self, core: u16, control: Control) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        match self.rare.takes(Rare::SpilledControl) {
            true => pair.control.spill.push(control.into_body()),
            false => pair.control.push(control.into_body()),
        }
        self.mark_dirty(pair);
    }

    /// Has work done on another core, after all that was sent there before. It is never refused: what
    /// does not fit into the ring waits here, and what is sent later waits behind it. Whoever asks for
    /// work awaits it, so what waits is bounded by those who ask.
    pub(crate) fn send_job(&self, core: u16, job: Job) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(core);
        match self.rare.takes(Rare::SpilledJob) {
            true => pair.data.spill.push(Record::Job(job).into_body()),
            false => pair.data.push(Record::Job(job).into_body()),
        }
        self.mark_dirty(pair);
    }

    /// Takes a credit of a link for a sender that is about to wait for room, if one is to be had. Who waits for
    /// room without one would have to wait for it then, behind messages of its own that came later.
    pub(crate) fn take_link_credit(&self, of: &Lack) -> bool {
        let Lack::Link { core, link, epoch } = of else {
            return false;
        };
        let mut pairs = self.pairs.borrow_mut();
        let Some(entry) = pairs.of(*core).links.at_mut(*link) else {
            return false;
        };
        let is_there = entry.epoch == *epoch && entry.is_usable();
        let is_free = is_there && entry.credits > 0 && entry.waiters.is_empty();
        entry.credits -= u32::from(is_free);
        is_free
    }

    /// Whether this link has no credit for one more who would wait for it.
    pub(crate) fn is_link_used_up(&self, core: u16, link: u32, epoch: u32) -> bool {
        let mut pairs = self.pairs.borrow_mut();
        let Some(entry) = pairs.of(core).links.at_mut(link) else {
            return false;
        };
        let is_there = entry.epoch == epoch && entry.is_usable() && !entry.refuses;
        is_there && (entry.credits == 0 || !entry.waiters.is_empty())
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
            Lack::Turn(_) | Lack::Room { .. } | Lack::Destination { .. } => true,
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

    #[inline]
    fn mark_dirty(&self, pair: &mut Pair) {
        if !pair.dirty {
            self.list_dirty(pair);
        }
    }

    #[inline(never)]
    fn list_dirty(&self, pair: &mut Pair) {
        pair.dirty = true;
        self.dirty.borrow_mut().push(pair.to);
    }

    /// Publishes everything written, then wakes the cores that sleep: one fence for all of them, and one for a first message that has left.
    pub(crate) fn flush(&self) {
        self.send_chains(CHAIN_BLOCKS);
        self.tell_of_first();
        if self.dirty.borrow().is_empty() {
            return;
        }
        // The two lists change places, so that neither is allocated anew.
        let mut dirty = self.dirty.replace(self.flushing.take());
        let mut granted = Vec::new();
        let mut is_news = false;
        let mut pairs = self.pairs.borrow_mut();
        for &core in &dirty {
            let pair = pairs.of(core);
            pair.dirty = false;
            self.take_rare_turnings(pair);
            let asked = pair.connection == Connection::None && self.ask_for_rings(pair);
            let published = pair.data.pump() | pair.control.pump();
            // Two cores that wait for room, and woke each other without need, would never sleep.
            pair.has_news = asked || published;
            is_news |= pair.has_news;
            granted.append(&mut pair.granted);
            self.note_flush(core, pair, published);
        }
        // Of what has left already the other cores have been told.
        if is_news {
            publish_fence();
        }
        for &core in &dirty {
            let pair = pairs.of(core);
            let is_last = Some(&core) == dirty.last() && dirty.len() > 1;
            if pair.has_news && !(is_planted(Canary::LostWake) && is_last) {
                self.node.cores[usize::from(core)].wake_if_parked(self.tally());
            }
            if pair.connection == Connection::None || pair.is_stuck() {
                self.mark_dirty(pair);
            }
        }
        drop(pairs);
        dirty.clear();
        self.flushing.replace(dirty);
        granted.iter().for_each(|waiter| self.grant(waiter));
    }

    /// What is as good at any time, and happens seldom, or only where there is need.
    #[inline]
    fn take_rare_turnings(&self, pair: &mut Pair) {
        if self.rare.takes(Rare::RepeatedHead) {
            pair.run = None;
        }
        if self.rare.takes(Rare::Reintroduction) {
            pair.forget_introductions();
        }
        if self.rare.takes(Rare::EarlyClose)
            && pair.data.has_room(MESSAGE_SLOTS + pair.reserved)
            && let Some(link) = pair.links.find_victim()
        {
            pair.close_link(link);
        }
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

    /// Counts what was sent since the last time: once a batch, not for each message.
    fn count_sent(&self, pair: &mut Pair) {
        let sent = u64::from(std::mem::take(&mut pair.uncounted));
        self.tally().sent_remote.add(sent);
        self.pair_tally(pair.to).sent.add(sent);
    }

    fn note_flush(&self, core: u16, pair: &mut Pair, published: bool) {
        self.count_sent(pair);
        let tally = self.pair_tally(core);
        tally.batches.add(u64::from(published));
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
        let asked = !self.rare.takes(Rare::LateRings) && inbox.push(item).is_ok();
        if asked {
            pair.connection = Connection::Asked;
        }
        asked
    }

    /// The other core has made the rings.
    pub(crate) fn connected(&self, rings: Rings) {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.of(rings.core);
        let data = Rc::new(Way::new(rings.data));
        self.ways.open(rings.core, &data);
        pair.data.ring = Some(data);
        pair.control.ring = Some(Rc::new(Way::new(rings.control)));
        pair.connection = Connection::Made;
        self.mark_dirty(pair);
    }

    /// Whether this core must look again soon although nothing may wake it: it waits for a ring.
    pub(crate) fn waits_for_room(&self) -> bool {
        !self.dirty.borrow().is_empty()
    }

    /// Whether something waits here for rings that are being made.
    pub(crate) fn is_connecting(&self) -> bool {
        let dirty = self.dirty.borrow();
        let mut pairs = self.pairs.borrow_mut();
        let is_without = |core: &u16| pairs.of(*core).connection != Connection::Made;
        dirty.iter().any(is_without)
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
        // Others wait for their next turn.
        let is_full = pair.join_line(waiter);
        self.pair_tally(core).ring_full.add(u64::from(is_full));
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
                let is_noted = std::mem::replace(&mut entry.is_noted, true);
                self.note_wait_at(core, link, is_noted);
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
        pair.trim_lines();
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
            let is_open = pairs.lead_to(core);
            let pair = pairs.of(core);
            let entry = pair.links.at_mut(link);
            let Some(entry) = entry.filter(|entry| entry.epoch == epoch) else {
                return;
            };
            entry.credits += count;
            while let Some(waiter) = pair.links.at_mut(link).and_then(Link::next_waiting) {
                if is_open && self.send_parked(pair, link, &waiter) {
                    continue;
                }
                if let Some(entry) = pair.links.at_mut(link) {
                    entry.grant(&waiter);
                }
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
