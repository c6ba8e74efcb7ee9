//! What the threads of a node share: for each core a wake word, a bell, an inbox and counters.
//!
//! Nothing here is on the path of a message between workers, but for the relaxed look at another
//! core's wake word, once in a flush.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::inbox::{InboxReceiver, InboxSender, inbox};
use ringpost_mailbox::ring::CellProducer;
use ringpost_mailbox::semaphore::Semaphore;
use ringpost_mailbox::sync::CachePadded;
use ringpost_mailbox::wake::{Parker, WakeWord, publish_fence};
use ringpost_mailbox::wake_list::{WakeHandle, WakeList};
use ringpost_router::{Address, Messages, Placement};

use crate::core::entrance::Gate;
use crate::driver::blocking::Blocking;
use crate::error::Undelivered;
use crate::limits::Limits;
use crate::mailbox::Stop;
use crate::node::outside::Visit;
use crate::node::permits::Permits;
use crate::node::stats::{Counters, Tally};
use crate::node::stop::{Stage, StopState};
use crate::node::waits::Board;
use crate::stall::Stall;
use crate::task::raw::Shown;
use crate::waits::WaitCycle;

/// What wakes a sleeping core's thread. Rung only by whoever won the wake word.
pub(crate) trait Bell: Send + Sync {
    fn ring(&self);
}

/// Who is told of something, on the thread that finds out.
pub(crate) type Hook<T> = Arc<dyn Fn(&T) + Send + Sync>;

/// Who is told of what goes wrong in a node.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) undelivered: Option<Hook<Undelivered>>,
    /// The worker to which undelivered messages go.
    pub(crate) dead_letters: Option<Address>,
    pub(crate) wait_cycle: Option<Hook<WaitCycle>>,
    pub(crate) stall: Option<Hook<Stall>>,
}

/// What a core's inbox takes.
pub(crate) enum InboxItem {
    /// A core wants to send: make the rings, and hand their producing ends over.
    Connect { from: u16 },
    /// The rings that were asked for.
    Connected(Box<Rings>),
    /// From a thread outside the node.
    Visit(Box<Visit>),
}

/// The producing ends of the rings to a core.
pub(crate) struct Rings {
    pub(crate) core: u16,
    pub(crate) data: CellProducer<Messages>,
    pub(crate) control: CellProducer<Messages>,
}

const _: () = assert!(
    size_of::<InboxItem>() <= 16,
    "inboxes have many slots, most of them empty"
);

/// The shared part of one core.
pub(crate) struct CoreShared {
    pub(crate) id: u16,
    pub(crate) wakes: WakeHandle,
    word: Arc<WakeWord>,
    bell: Box<dyn Bell>,
    pub(crate) inbox: InboxSender<InboxItem>,
    /// Places in the inbox for threads outside the node; the rest of it belongs to the cores.
    pub(crate) transit: Semaphore,
    pub(crate) counters: Arc<Counters>,
    /// The worker that the core runs.
    pub(crate) shown: CachePadded<Shown>,
}

impl CoreShared {
    /// Wakes the core if it sleeps, after something was published for it.
    pub(crate) fn ring_bell(&self) {
        publish_fence();
        if self.word.notify() {
            self.bell.ring();
        }
    }

    /// Whether the core seems to sleep; without a fence that may be out of date.
    #[inline]
    pub(crate) fn seems_parked(&self) -> bool {
        self.word.seems_parked()
    }

    /// As [`ring_bell`](Self::ring_bell), for a flush that has made the fence already.
    #[inline]
    pub(crate) fn wake_if_parked(&self, tally: &Tally) {
        if self.word.notify() {
            tally.wakes.add(1);
            self.bell.ring();
        }
    }
}

impl fmt::Debug for CoreShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreShared")
            .field("id", &self.id)
            .field("word", &self.word)
            .finish()
    }
}

/// The shared part of a node.
pub(crate) struct NodeShared {
    pub(crate) cores: Vec<Arc<CoreShared>>,
    /// Tells this node from others of the same process.
    pub(crate) id: u32,
    pub(crate) limits: Limits,
    /// How long stopping workers may take to handle what is queued.
    pub(crate) drain: Duration,
    pub(crate) placement: Placement,
    pub(crate) seed: u64,
    pub(crate) hooks: Hooks,
    pub(crate) stop: StopState,
    /// Calls that block.
    pub(crate) blocking: Blocking,
    /// Who has long waited for whom.
    pub(crate) waits: Board,
    /// What threads outside may have under way, by address.
    pub(crate) permits: Permits,
    pub(crate) permits_urgent: Permits,
}

impl NodeShared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_stopping()
    }

    /// Begins the node's stop, or hastens it. Whether the node was running until now.
    pub(crate) fn begin_stop(&self, stop: Stop) -> bool {
        let begun = self.stop.begin(stop, self.drain);
        if begun.is_some() {
            self.ring_all();
        }
        begun == Some(Stage::Draining)
    }

    /// Makes every core look at the stop state.
    pub(crate) fn ring_all(&self) {
        self.cores.iter().for_each(|core| core.ring_bell());
    }
}

/// What a thread needs to become one core of a node.
pub(crate) struct Seed {
    pub(crate) id: u16,
    pub(crate) node: Arc<NodeShared>,
    pub(crate) parker: Parker,
    pub(crate) wakes: WakeList,
    pub(crate) inbox: InboxReceiver<InboxItem>,
}

/// What is chosen before a node starts.
pub(crate) struct Plan {
    pub(crate) id: u32,
    pub(crate) limits: Limits,
    pub(crate) drain: Duration,
    pub(crate) seed: u64,
    pub(crate) hooks: Hooks,
}

/// Makes the shared part of a node with one core for each bell, and the seeds of its cores.
pub(crate) fn assemble(plan: Plan, bells: Vec<Box<dyn Bell>>) -> (Arc<NodeShared>, Vec<Seed>) {
    let count = bells.len();
    let mut cores = Vec::with_capacity(count);
    let mut parts = Vec::with_capacity(count);
    for (id, bell) in (0u16..).zip(bells) {
        let (parker, word) = Parker::new();
        let wakes = WakeList::new();
        // Each core may ask each other for rings, and answer each other's asking, without waiting.
        let slots = plan.limits.inbox_slots.saturating_add(2 * count as u32);
        let (sender, receiver) = inbox(slots.next_power_of_two());
        cores.push(Arc::new(CoreShared {
            id,
            wakes: wakes.handle(),
            word,
            bell,
            inbox: sender,
            transit: Semaphore::new(plan.limits.inbox_slots),
            counters: Arc::new(Counters::new(count)),
            shown: CachePadded::default(),
        }));
        parts.push((id, parker, wakes, receiver));
    }
    let placement = Placement::new(plan.seed, u16::try_from(count).unwrap_or(u16::MAX));
    let node = Arc::new(NodeShared {
        cores,
        id: plan.id,
        limits: plan.limits,
        drain: plan.drain,
        placement,
        seed: plan.seed,
        hooks: plan.hooks,
        blocking: Blocking::new(&plan.limits, count),
        waits: Board::default(),
        stop: StopState::new(count),
        permits: Permits::new(plan.id, Gate::Usual, plan.limits.outside_credits),
        permits_urgent: Permits::new(plan.id, Gate::Urgent, plan.limits.urgent_credits),
    });
    let seed = |(id, parker, wakes, inbox)| Seed {
        id,
        node: Arc::clone(&node),
        parker,
        wakes,
        inbox,
    };
    let seeds = parts.into_iter().map(seed).collect();
    (node, seeds)
}
