//! The cores of a simulation, each with what the simulation knows of it.

use std::sync::Arc;

use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::wake::Parker;

use crate::node::shared::Bell;
use crate::shard::Shard;
use crate::time::Time;

/// One core.
pub(super) struct Seat {
    pub(super) node: u16,
    pub(super) core: u16,
    /// Which life of the node it belongs to.
    pub(super) life: u32,
    pub(super) works: Option<(Shard, Parker)>,
    pub(super) state: SeatState,
    /// When it wants to be woken, and the first time at which it is looked at for that.
    pub(super) alarm: Option<Time>,
    pub(super) alarm_set: Option<Time>,
    /// Counts the sleeps, so that a late bell of an earlier one is told apart.
    pub(super) nap: u64,
    /// Whether a wake is on its way.
    pub(super) rung: bool,
    /// Whether it is in the list of those that may take a turn; it may have gone to sleep since.
    pub(super) is_listed: bool,
}

/// What a core is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatState {
    /// In the list of those that may take a turn.
    Awake,
    /// Sleeps until it is woken.
    Asleep,
    /// A handler keeps it, in virtual time.
    Stalled,
    /// Its process is stopped, and it would take a turn.
    Held,
    /// It has ended, or its node has crashed.
    Over,
}

impl Seat {
    pub(super) fn empty(node: u16, core: u16) -> Self {
        Self {
            node,
            core,
            life: 0,
            works: None,
            state: SeatState::Over,
            alarm: None,
            alarm_set: None,
            nap: 0,
            rung: false,
            is_listed: false,
        }
    }

    /// Whether this core has written something that others cannot see yet.
    pub(super) fn has_unpublished(&self) -> bool {
        let works = self.works.as_ref();
        works.is_some_and(|(shard, _)| shard.core.has_unpublished())
    }

    /// Whether something was published for this core that it could see now.
    pub(super) fn has_visible_work(&mut self) -> bool {
        let works = self.works.as_mut();
        works.is_some_and(|(shard, _)| shard.has_arrivals())
    }
}

/// The bells that have been rung and not heard: seats, with the life they were rung in.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<Vec<(usize, u32)>>);

impl Bells {
    pub(super) fn take(&self) -> Option<(usize, u32)> {
        self.0.lock().pop()
    }

    pub(super) fn bell(self: &Arc<Self>, seat: usize, life: u32) -> Box<dyn Bell> {
        let bells = Arc::clone(self);
        Box::new(SeatBell { bells, seat, life })
    }
}

struct SeatBell {
    bells: Arc<Bells>,
    seat: usize,
    life: u32,
}

impl Bell for SeatBell {
    fn ring(&self) {
        self.bells.0.lock().push((self.seat, self.life));
    }
}
