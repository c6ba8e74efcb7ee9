//! How many urgent messages are under way to whom, and who waits until there are fewer.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use ringpost_router::{Address, Handle};
use slab::Slab;

use super::{Hurry, Urgent};
use crate::core::Core;
use crate::core::record::{Control, Target};
use crate::envelope::Origin;
use crate::mailbox::{Waiter, Waiting, pop_waiting, trim};
use crate::task::Wake;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;

/// The receivers to which this core has urgent messages under way.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Slab<Lane>,
    by_receiver: HashMap<Receiver, usize>,
    /// Where somebody waits, or has since the core last looked (`core/patrol.rs`).
    crowded: BTreeSet<u32>,
}

/// One receiver.
pub(crate) struct Lane {
    pub(crate) to: Receiver,
    pub(crate) address: Address,
    /// Messages that were not taken yet, and credits that were granted and not used.
    out: u32,
    pub(crate) waiters: VecDeque<Rc<Waiter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Receiver {
    Name(Address),
    Place(u16, Handle),
}

impl Lanes {
    fn to(&mut self, to: &Receiver, address: &Address) -> u32 {
        let lane = self.by_receiver.get(to).copied().unwrap_or_else(|| {
            let lane = Lane {
                to: to.clone(),
                address: address.clone(),
                out: 0,
                waiters: VecDeque::new(),
            };
            let at = self.lanes.insert(lane);
            self.by_receiver.insert(to.clone(), at);
            at
        });
        u32::try_from(lane).unwrap_or(u32::MAX)
    }

    /// Forgets a lane that nobody uses.
    fn tidy(&mut self, lane: u32) {
        let at = lane as usize;
        let is_idle = |lane: &Lane| lane.out == 0 && lane.waiters.is_empty();
        if self.lanes.get(at).is_some_and(is_idle) {
            let lane = self.lanes.remove(at);
            self.by_receiver.remove(&lane.to);
        }
    }
}

impl Urgent {
    /// Looks at each lane in which somebody waits.
    pub(crate) fn look_at_crowded(&self, mut look: impl FnMut(&Lane)) {
        let Lanes { lanes, crowded, .. } = &mut *self.lanes.borrow_mut();
        crowded.retain(|lane| {
            let lane = lanes.get(*lane as usize);
            let lane = lane.filter(|lane| !lane.waiters.is_empty());
            lane.inspect(|lane| look(lane)).is_some()
        });
    }
}

impl Core {
    /// Takes a credit of a lane, unless one is held already.
    pub(super) fn urgent_credit(
        &self,
        core: u16,
        to: &Target,
        granted: &mut Option<u32>,
    ) -> Result<u32, Hurry> {
        let receiver = match to {
            Target::Place(handle, _) => Receiver::Place(core, *handle),
            Target::Name(name) => Receiver::Name(name.clone()),
        };
        let mut lanes = self.urgent.lanes.borrow_mut();
        let lane = lanes.to(&receiver, to.address());
        if granted.take_if(|held| *held == lane).is_some() {
            return Ok(lane);
        }
        let Some(entry) = lanes.lanes.get_mut(lane as usize) else {
            return Err(Hurry::Full(lane));
        };
        // As long as anybody waits, all credits are out: what comes back is theirs.
        if entry.out >= self.limits.urgent_credits {
            return Err(Hurry::Full(lane));
        }
        entry.out += 1;
        Ok(lane)
    }

    /// Whether as many urgent messages as are allowed are under way from this core to this worker of it.
    pub(crate) fn is_urgently_full(&self, to: &MailboxRc) -> bool {
        let place = Receiver::Place(self.id, to.handle());
        let name = Receiver::Name(to.address.clone());
        let lanes = self.urgent.lanes.borrow();
        let lanes = [place, name].map(|to| {
            lanes
                .by_receiver
                .get(&to)
                .and_then(|at| lanes.lanes.get(*at))
        });
        let is_full = |lane: &Lane| lane.out >= self.limits.urgent_credits;
        lanes.into_iter().flatten().any(is_full)
    }

    /// Queues a sender for a credit of a lane.
    pub(crate) fn wait_for_urgent(&self, lane: u32, from: &MailboxRc, wake: Wake) -> Rc<Waiter> {
        let waiter = Waiter::of_sender(wake, from.clone(), self.now.get(), 0);
        self.note_behalf(from, &waiter);
        let mut lanes = self.urgent.lanes.borrow_mut();
        if let Some(entry) = lanes.lanes.get_mut(lane as usize) {
            entry.waiters.push_back(Rc::clone(&waiter));
            lanes.crowded.insert(lane);
        }
        self.note_news();
        self.tally().blocked.add(1);
        waiter
    }

    /// Gives up waiting: what was granted meanwhile goes to the next.
    pub(crate) fn stop_waiting_for_urgent(&self, lane: u32, waiter: &Waiter) {
        if waiter.state.replace(Waiting::Cancelled) == Waiting::Granted {
            self.urgent_back(lane);
        }
        let mut lanes = self.urgent.lanes.borrow_mut();
        if let Some(entry) = lanes.lanes.get_mut(lane as usize) {
            trim(&mut entry.waiters);
        }
        lanes.tidy(lane);
        drop(lanes);
        // As in `stop_waiting`.
        drop_guarded(waiter.wake.replace(Wake::Nobody));
    }

    /// An urgent message has been taken, or reported: its credit goes back to where it came from.
    #[cold]
    pub(crate) fn settle_urgent(&self, origin: Origin) {
        match origin.core == self.id {
            true => self.urgent_back(origin.link),
            false => self.send_control(origin.core, Control::UrgentTaken { lane: origin.link }),
        }
    }

    /// A credit of a lane is free: the first who waits gets it.
    pub(crate) fn urgent_back(&self, lane: u32) {
        let mut lanes = self.urgent.lanes.borrow_mut();
        let Some(entry) = lanes.lanes.get_mut(lane as usize) else {
            return;
        };
        let next = pop_waiting(&mut entry.waiters);
        if next.is_none() {
            entry.out -= 1;
        }
        lanes.tidy(lane);
        drop(lanes);
        if let Some(waiter) = next {
            self.grant_while_taking(&waiter);
        }
    }
}
