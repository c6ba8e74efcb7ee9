//! Links: what one core knows of the destinations it has on one other core.
//!
//! A link is a number that stands for a destination, with the credits this core has left there. It is
//! opened by a record in the data ring, ahead of the first message that uses it, and closed the same
//! way; its number is used again when the far side says that nothing of it is left.
//!
//! # Nobody waits for a worker to get a link
//!
//! A link can be closed when none of its messages wait, or its next use would come with a second
//! window. So a link is held by those of its destination's messages that wait there, and that worker may
//! itself wait for a worker which needs another link to the same core: a pipeline that crosses to a core
//! once more than there may be links would stand still, whatever their number. Therefore `links_max` says
//! how many are kept, and when each of them has been seen in use for some time, there is one more. That is
//! bounded by what holds them: there is one link to a destination, and beyond `links_max` only as many as
//! had messages waiting at the same time. What else a sender waits for comes without the help of other
//! workers (room in a ring, the answer to a closing) or is up to its own receiver (a credit); so where no
//! workers wait for each other in a circle, all go on.

use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashTable;
use ringpost_router::{Address, Handle};

use crate::core::record::Target;
use crate::mailbox::{Waiter, Waiting, pop_waiting};

/// One destination.
pub(crate) struct Link {
    pub(crate) target: Target,
    pub(crate) credits: u32,
    pub(crate) waiters: VecDeque<Rc<Waiter>>,
    pub(crate) state: LinkState,
    /// Whether the worker there wants nobody to wait.
    pub(crate) refuses: bool,
    /// Whether the core keeps an eye on those who wait (`core/patrol.rs`).
    pub(crate) is_noted: bool,
    /// Counts the uses of this number, so that a waiter of an old use is told apart.
    pub(crate) epoch: u32,
    /// Set at each use, cleared by the hand that looks for links to close.
    used: bool,
}

impl Link {
    /// The first of those who wait, if there is a credit, out of the line.
    pub(crate) fn next_waiting(&mut self) -> Option<Rc<Waiter>> {
        match self.credits {
            0 => None,
            _ => pop_waiting(&mut self.waiters),
        }
    }

    /// Grants one who waited its share of the credits.
    pub(crate) fn grant(&mut self, waiter: &Waiter) {
        let share = self.credits.min(waiter.credits.get());
        self.credits -= share;
        waiter.credits.set(share);
        waiter.state.set(Waiting::Granted);
        waiter.unpark();
    }

    /// Whether messages may be sent on it.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(self.state, LinkState::New | LinkState::Open)
    }
}

/// How far a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The far side has not been told yet.
    New,
    /// Messages may be sent.
    Open,
    /// The far end is gone and will not come back.
    Ended,
    /// Closed; the far side still has messages of it.
    Closing,
    /// The number is free.
    Free,
}

/// Links that are looked at, of very many, before the search for one to close goes on in the next turn.
const SEARCH_MAX: usize = 2048;

/// Places that are remembered with their links.
const RECENT: usize = 64;

/// Times that the hand passes each link in vain before there is one more. Credits that are on their way
/// back should arrive meanwhile.
const PASSES_MAX: usize = 32;

/// The links to one core.
pub(crate) struct LinkTable {
    links: Vec<Link>,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// Places used lately with their links, by index, so that what is often used is not hashed.
    recent: [(Handle, u32); RECENT],
    hand: usize,
    /// How many links the hand has passed since it last found one to close.
    passed: usize,
    links_max: usize,
    window: u32,
}

impl LinkTable {
    pub(crate) fn new(links_max: u32, window: u32) -> Self {
        Self {
            links: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            recent: [(Handle::NONE, 0); RECENT],
            hand: 0,
            passed: 0,
            links_max: links_max as usize,
            window,
        }
    }

    /// The link to this place, or to this name if the place is `NONE`, if there is one.
    #[inline]
    pub(crate) fn find(&mut self, to: &Address, place: Handle) -> Option<u32> {
        let (recent, link) = self.recent[slot_of(place)];
        if place.word() == recent.word() && place != Handle::NONE {
            return Some(link);
        }
        self.look_up(to, place)
    }

    #[inline(never)]
    fn look_up(&mut self, to: &Address, place: Handle) -> Option<u32> {
        let links = &self.links;
        let found = self.index.find(hash_of(to, place), |&link| {
            links
                .get(link as usize)
                .is_some_and(|link| leads_to(&link.target, to, place))
        });
        let link = *found?;
        if place != Handle::NONE {
            self.recent[slot_of(place)] = (place, link);
        }
        Some(link)
    }

    /// How many other destinations can be had now.
    pub(crate) fn free(&self) -> usize {
        self.free.len() + self.links_max.saturating_sub(self.links.len())
    }

    /// A new link to there, or `None` if there are as many as are allowed and none is free yet.
    #[cold]
    pub(crate) fn open(&mut self, to: &Address, place: Handle) -> Option<u32> {
        let target = match place {
            Handle::NONE => Target::Name(to.clone()),
            place => Target::Place(place, to.clone()),
        };
        let link = match self.free.pop() {
            Some(link) => link,
            None if self.links.len() < self.links_max => {
                self.links.push(Link {
                    target: target.clone(),
                    credits: 0,
                    waiters: VecDeque::new(),
                    state: LinkState::Free,
                    refuses: false,
                    is_noted: false,
                    epoch: 0,
                    used: false,
                });
                u32::try_from(self.links.len() - 1).unwrap_or(u32::MAX)
            }
            None => return None,
        };
        let entry = &mut self.links[link as usize];
        entry.target = target;
        entry.credits = self.window;
        entry.state = LinkState::New;
        entry.refuses = false;
        entry.epoch = entry.epoch.wrapping_add(1);
        let links = &self.links;
        self.index.insert_unique(hash_of(to, place), link, |&link| {
            hash_target(&links[link as usize].target)
        });
        Some(link)
    }

    /// The next link that nobody has used since the hand last passed. All its credits are back: if one
    /// were closed of which messages still wait, the next to its destination would have a window beside
    /// theirs. The far side also frees a link of which it has not heard yet.
    pub(crate) fn find_victim(&mut self) -> Option<u32> {
        for _ in 0..(2 * self.links.len()).min(SEARCH_MAX) {
            self.hand = (self.hand + 1) % self.links.len();
            self.passed += 1;
            let link = &mut self.links[self.hand];
            let is_clear = link.is_usable() && link.credits == self.window;
            if !is_clear && link.state != LinkState::Ended {
                continue;
            }
            if std::mem::replace(&mut link.used, false) {
                continue;
            }
            self.passed = 0;
            return u32::try_from(self.hand).ok();
        }
        None
    }

    /// Allows one link more if those there are have been in use for long: what they wait for may wait for
    /// the link that is wanted.
    pub(crate) fn allow_more(&mut self) {
        let is_closing = |link: &Link| link.state == LinkState::Closing;
        if self.passed < PASSES_MAX * self.links.len().max(1) || self.links.iter().any(is_closing) {
            return;
        }
        self.passed = 0;
        self.links_max += 1;
    }

    /// Forgets where the link leads; its number waits for the far side.
    pub(crate) fn close(&mut self, link: u32) {
        let Some(entry) = self.links.get_mut(link as usize) else {
            return;
        };
        entry.state = LinkState::Closing;
        let hash = hash_target(&entry.target);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == link) {
            found.remove();
        }
        let recent = &mut self.recent[slot_of(entry.target.place())];
        if recent.1 == link {
            *recent = (Handle::NONE, 0);
        }
    }

    /// The far side has nothing of this link left.
    pub(crate) fn freed(&mut self, link: u32) {
        if let Some(entry) = self.links.get_mut(link as usize)
            && entry.state == LinkState::Closing
        {
            entry.state = LinkState::Free;
            self.free.push(link);
        }
    }

    pub(crate) fn at(&self, link: u32) -> Option<&Link> {
        self.links.get(link as usize)
    }

    /// For each link that is open: its number, and how many of its credits are not here.
    pub(crate) fn out(&self) -> Vec<(u32, u32)> {
        let open = (0..)
            .zip(&self.links)
            .filter(|(_, link)| link.state == LinkState::Open);
        open.map(|(number, link)| (number, self.window - link.credits))
            .collect()
    }

    pub(crate) fn at_mut(&mut self, link: u32) -> Option<&mut Link> {
        self.links.get_mut(link as usize)
    }

    /// Takes a credit of this link for a message, if there is one that nobody waits for.
    #[inline]
    pub(crate) fn take_open(&mut self, link: u32) -> bool {
        self.lend(link, 1).is_some()
    }

    /// Takes up to `max` credits of this link, if there are any and nobody waits for them. How many.
    #[inline]
    pub(crate) fn lend(&mut self, link: u32, max: u32) -> Option<u32> {
        let entry = self.links.get_mut(link as usize)?;
        let lent = entry.credits.min(max);
        if entry.state != LinkState::Open || lent == 0 || !entry.waiters.is_empty() {
            return None;
        }
        entry.used = true;
        entry.credits -= lent;
        Some(lent)
    }

    /// Takes credits back. Those who wait get them first, and are to be woken.
    pub(crate) fn give_back(&mut self, link: u32, count: u32, granted: &mut Vec<Rc<Waiter>>) {
        let Some(entry) = self.links.get_mut(link as usize) else {
            return;
        };
        entry.credits += count;
        while let Some(waiter) = entry.next_waiting() {
            entry.grant(&waiter);
            granted.push(waiter);
        }
    }

    /// Takes a credit and notes the use.
    #[inline]
    pub(crate) fn take_credit(&mut self, link: u32, granted: bool) {
        if let Some(entry) = self.links.get_mut(link as usize) {
            entry.used = true;
            if !granted {
                entry.credits -= 1;
            }
        }
    }
}

#[inline]
fn slot_of(place: Handle) -> usize {
    place.index as usize % RECENT
}

#[inline]
pub(crate) fn leads_to(target: &Target, to: &Address, place: Handle) -> bool {
    match target {
        Target::Place(handle, _) => *handle == place,
        Target::Name(address) => place == Handle::NONE && address == to,
    }
}

fn hash_of(to: &Address, place: Handle) -> u64 {
    match place {
        Handle::NONE => to.hash64(),
        place => hash_handle(place),
    }
}

fn hash_target(target: &Target) -> u64 {
    match target {
        Target::Place(handle, _) => hash_handle(*handle),
        Target::Name(address) => address.hash64(),
    }
}

/// Spreads small indices over all bits (Fibonacci hashing).
fn hash_handle(handle: Handle) -> u64 {
    let raw = u64::from(handle.generation) << 32 | u64::from(handle.index);
    raw.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}
