//! Everything that belongs to one core: its table of mailboxes, its queues, its links to other cores.
//!
//! A [`Core`] is never shared between threads. Workers and futures reach it through an `Rc`, so all of
//! its fields are cells; no borrow is held while user code runs. What other threads may touch is in
//! [`CoreShared`], and only that.
//!
//! One way a message goes through a core:
//!
//! ```text
//! send ──┬─ same core ─────────────▶ queue ──▶ dispatch ──▶ handler
//!        └─ other core ─▶ link ─▶ ring ═════▶ inbound ─▶ queue (there) ─▶ …
//! ```

pub(crate) mod ahead;
pub(crate) mod behalf;
pub(crate) mod deliver;
pub(crate) mod dispatch;
pub(crate) mod entrance;
pub(crate) mod forwarder;
pub(crate) mod group;
pub(crate) mod inbound;
pub(crate) mod io;
pub(crate) mod kept;
pub(crate) mod lifecycle;
pub(crate) mod links;
mod memory;
pub(crate) mod names;
pub(crate) mod outbound;
pub(crate) mod overflow;
pub(crate) mod pair;
pub(crate) mod pairs;
pub(crate) mod parked;
pub(crate) mod passed_on;
pub(crate) mod patrol;
pub(crate) mod placed;
mod places;
mod prompt;
pub(crate) mod record;
pub(crate) mod replicated;
pub(crate) mod replies;
pub(crate) mod rest;
pub(crate) mod returning;
mod sent;
pub(crate) mod step;
pub(crate) mod stream;
pub(crate) mod supervised;
pub(crate) mod turns;
pub(crate) mod unanswered;
pub(crate) mod undelivered;
pub(crate) mod urgent;
pub(crate) mod watches;
pub(crate) mod way;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::pool::{CLASSES, Pool};
use ringpost_mailbox::queue::LocalQueue;
use ringpost_router::{Address, Handle, NodeCore, Placement, WorkersOf};
use slab::Slab;

use crate::driver::net::Network;
use crate::driver::rare::RareSeam;
use crate::limits::Limits;
use crate::mailbox::{Mailbox, State};
use crate::node::shared::{CoreShared, NodeShared};
use crate::node::stats::{Counters, PairTally, Tally};
use crate::node::stop::Stage;
use crate::task::raw::{Frames, MailboxRc, Mailboxes, Pass, Queue};
use crate::task::{Tasks, Wake};
use crate::time::Time;
use crate::timers::{TimerId, Timers};
use crate::transport::Registry;

use self::behalf::OnBehalf;
use self::entrance::Entrance;
use self::inbound::{Owed, Owing};
use self::io::Io;
use self::names::Names;
use self::pairs::Pairs;
use self::passed_on::PassedOn;
use self::patrol::Patrol;
use self::replies::Replies;
use self::sent::SentHere;
use self::unanswered::Unanswered;
use self::urgent::Urgent;
use self::way::Ways;

/// The state of one core.
pub(crate) struct Core {
    pub(crate) id: u16,
    /// This core, as hints name it.
    pub(crate) here: NodeCore,
    /// Its workers, likewise.
    pub(crate) workers_here: WorkersOf,
    pub(crate) node: Arc<NodeShared>,
    pub(crate) shared: Arc<CoreShared>,
    counters: Arc<Counters>,
    pub(crate) limits: Limits,
    pub(crate) placement: Placement,
    pub(crate) queue: Queue,
    pub(crate) pass: Pass,
    pub(crate) urgent: Urgent,
    /// Mailboxes that need a look: to initialize, to handle what is urgent, to end.
    pub(crate) attention: LocalQueue<MailboxRc>,
    /// Those that wait for their turn to work off what waits.
    pub(crate) turns: RefCell<VecDeque<turns::Waiting>>,
    /// Whether anybody has to take turns.
    pub(crate) numbers: RefCell<ahead::Numbers>,
    pub(crate) table: Mailboxes,
    pub(crate) names: Names,
    /// Names in the table whose home is another core: replicated workers.
    pub(crate) guests: Cell<u32>,
    /// How many there have ever been.
    pub(crate) guests_ever: Cell<u64>,
    pub(crate) replies: Replies,
    pub(crate) unanswered: Unanswered,
    pub(crate) passed_on: RefCell<PassedOn>,
    /// Answers to such requests that wait at workers here, without a credit.
    pub(crate) returned: Cell<u32>,
    /// Watches that mailboxes here have begun and not heard of, and news of others that wait there.
    pub(crate) watches_open: Cell<u32>,
    pub(crate) patrol: Patrol,
    on_behalf: OnBehalf,
    /// Mailboxes of workers that have ended, which somebody may be looking at.
    graves: RefCell<Vec<MailboxRc>>,
    pub(crate) tasks: Tasks,
    /// Whom to wake when this turn's messages have been handled.
    pub(crate) woken_later: LocalQueue<Wake>,
    pub(crate) pairs: RefCell<Pairs>,
    pub(crate) ways: Ways,
    /// What the present step has published to other cores, and put in the queue.
    pub(crate) published: step::Published,
    /// How many slots of a pair are published in the middle of a step: a batch, or the first (`core/prompt.rs`).
    pub(crate) publish_at: Cell<u32>,
    /// A core for which the first was, and which is to be woken by the next flush if it has fallen asleep.
    pub(crate) untold: Cell<Option<u16>>,
    /// Cores for which something was written and not published.
    pub(crate) dirty: RefCell<Vec<u16>>,
    /// The list that the last flush has worked off.
    pub(crate) flushing: RefCell<Vec<u16>>,
    pub(crate) owed: RefCell<Vec<Owed>>,
    pub(crate) owing: Cell<Owing>,
    pub(crate) timers: RefCell<TimerQueue>,
    pub(crate) frames: Frames,
    pub(crate) pool: Pool,
    /// The sockets of this core.
    pub(crate) io: Io,
    /// The connections to other nodes.
    pub(crate) transports: Registry,
    pub(crate) now: Cell<Time>,
    /// Where messages come in from outside the node.
    pub(crate) entrance: Entrance,
    /// Their sender.
    pub(crate) outside: MailboxRc,
    /// Who was asked to end in this turn, and how long that may take.
    pub(crate) draining: RefCell<Vec<(MailboxRc, Duration)>>,
    /// How many more starts may be made in line before others have their turns.
    starts_left: Cell<u32>,
    /// Workers that are not closed; the node stops when there are none.
    pub(crate) workers: Cell<usize>,
    /// Workers whose own handler awaits the node's stop, and connections: they end last.
    pub(crate) exempt: RefCell<BTreeSet<Handle>>,
    pub(crate) sent_here: SentHere,
    entropy: Cell<u64>,
    /// Where only a simulation turns off the usual path.
    pub(crate) rare: RareSeam,
    /// Who waits to put more in the queue.
    pub(crate) pausing: step::Pausing,
}

impl Core {
    pub(crate) fn new(id: u16, node: &Arc<NodeShared>, now: Time, network: Network) -> Rc<Self> {
        let shared = Arc::clone(&node.cores[usize::from(id)]);
        let here = NodeCore::new(node.id, id);
        let outside = Mailbox::new(Address::local("~outside"), here, State::Stub, 0);
        let pool = Pool::in_group(node.id, id, network.pool_limits());
        pool.keep_spares(SPARES);
        Rc::new(Self {
            id,
            here,
            workers_here: here.into(),
            node: Arc::clone(node),
            limits: node.limits,
            placement: node.placement,
            queue: Queue::new(),
            pass: Pass::new(),
            urgent: Urgent::new(),
            attention: LocalQueue::new(),
            turns: RefCell::default(),
            numbers: RefCell::new(ahead::Numbers::new(node.limits.worker_burst)),
            table: Mailboxes::new(),
            names: Names::new(),
            guests: Cell::new(0),
            guests_ever: Cell::new(0),
            replies: Replies::new(&node.limits),
            unanswered: Unanswered::default(),
            passed_on: RefCell::new(PassedOn::new(node.limits.passed_on_max, node.seed)),
            returned: Cell::new(0),
            watches_open: Cell::new(0),
            patrol: Patrol::default(),
            on_behalf: OnBehalf::default(),
            graves: RefCell::default(),
            tasks: Tasks::new(Arc::clone(&shared)),
            woken_later: LocalQueue::new(),
            counters: Arc::clone(&shared.counters),
            published: step::Published::new(&node.limits),
            pairs: RefCell::new(Pairs::new(node.limits, node.id, node.placement.cores())),
            ways: Ways::new(node.placement.cores()),
            publish_at: Cell::new(node.limits.flush_mixed()),
            untold: Cell::new(None),
            dirty: RefCell::default(),
            flushing: RefCell::default(),
            owed: RefCell::default(),
            owing: Cell::default(),
            timers: RefCell::new(TimerQueue::new(now)),
            frames: Frames::new(),
            pool,
            rare: network.rare(),
            io: Io::new(network),
            transports: Registry::default(),
            now: Cell::new(now),
            entrance: Entrance::default(),
            outside: MailboxRc::new(outside),
            draining: RefCell::default(),
            starts_left: Cell::new(0),
            workers: Cell::new(0),
            exempt: RefCell::default(),
            sent_here: SentHere::default(),
            entropy: Cell::new(node.seed ^ (u64::from(id) << 48) ^ 0x9e37_79b9_7f4a_7c15),
            shared,
            pausing: step::Pausing::default(),
        })
    }

    /// The counters of this core.
    #[inline]
    pub(crate) fn tally(&self) -> &Tally {
        &self.counters.core
    }

    /// Brings the counters up to date, which the messages sent are not at each of them.
    pub(crate) fn count(&self) {
        let sent = self.sent_here.take(self.queue.end());
        self.tally().sent_local.add(sent);
    }

    /// The counters of this core about another.
    #[inline]
    pub(crate) fn pair_tally(&self, core: u16) -> &PairTally {
        &self.counters.pairs[usize::from(core)]
    }

    /// Whether the node's end is so far that nothing more will be received.
    pub(crate) fn has_finished(&self) -> bool {
        self.node.stop.stage() >= Stage::Finishing
    }

    /// How many cores the node has.
    pub(crate) fn cores(&self) -> u16 {
        self.placement.cores()
    }

    /// The mailbox at this place, if the handle is still good.
    #[inline]
    pub(crate) fn at(&self, handle: Handle) -> Option<MailboxRc> {
        self.table.at(handle)
    }

    /// The mailbox with this name on this core.
    pub(crate) fn named(&self, address: &Address) -> Option<MailboxRc> {
        self.table.named(address, self.placement.bucket(address))
    }

    /// Wakes a task of this core or a foreign waker.
    #[inline]
    pub(crate) fn wake(&self, wake: &Wake) {
        self.tasks.wake(wake);
    }

    /// Wakes a task of this core, before others that are ready, or a foreign waker.
    pub(crate) fn wake_first(&self, wake: &Wake) {
        self.tasks.wake_first(wake);
    }

    /// The next number of this core's own generator (SplitMix64): reproducible from the node's seed.
    pub(crate) fn random(&self) -> u64 {
        let state = self.entropy.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.entropy.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A name that nobody else has.
    pub(crate) fn random_address(&self) -> Address {
        Address::random_local(u128::from(self.random()) << 64 | u128::from(self.random()))
    }

    /// Disarms a timer whose target is no longer of interest.
    #[inline(never)]
    pub(crate) fn disarm(&self, timer: TimerKey) {
        let target = self.timers.borrow_mut().disarm(timer);
        // Dropped outside of the borrow, as it may be a mailbox.
        drop(target);
    }

    /// Puts the mailbox in the queue of those that need a look.
    pub(crate) fn attend(&self, mailbox: MailboxRc) {
        self.attention.push(mailbox);
    }

    /// Keeps the mailbox of a worker that has ended until nobody can be looking at it. Where many end in one turn, those
    /// before it go now, as their memory is in the caches yet, and new ones can be made of it.
    pub(crate) fn entomb(&self, mailbox: MailboxRc) {
        let shown = &self.shared.shown;
        let mut graves = self.graves.borrow_mut();
        if graves.len() >= GRAVES_MAX && shown.may_free() {
            graves.retain(|old| shown.shows(old));
        }
        graves.push(mailbox);
    }

    /// Shows what was shown before. A worker that has ended is kept until something else is shown.
    pub(crate) fn show_again(&self, before: Option<MailboxRc>) {
        let Some(mailbox) = before else {
            return self.shared.shown.hide();
        };
        self.shared.shown.show(&mailbox);
        if mailbox.state.get() == State::Closed {
            self.graves.borrow_mut().push(mailbox);
        }
    }

    /// The core runs no worker any more: those that have ended can go, if nobody looks.
    pub(crate) fn bury(&self) {
        let shown = &self.shared.shown;
        shown.hide();
        let mut graves = self.graves.borrow_mut();
        if !graves.is_empty() && shown.may_free() {
            graves.clear();
        }
    }

    /// Whether anything could run without input from elsewhere.
    pub(crate) fn has_local_work(&self) -> bool {
        !self.queue.is_empty()
            || !self.urgent.queue.is_empty()
            || !self.attention.is_empty()
            || !self.turns.borrow().is_empty()
            || self.tasks.has_ready()
            || !self.woken_later.is_empty()
            || !self.pausing.is_empty()
            || self.io.has_put_off()
    }
}

/// Mailboxes of workers that have ended in a turn, before the first of them go. Each time costs a fence; allocators keep
/// about so many of a size at hand.
const GRAVES_MAX: usize = 7;

/// Spare blocks of each size, for what is under way when the system has no more memory. Nothing is begun then that takes
/// any, so what there may be is a message that is handed back, one with its routes, answers and news of the node itself.
pub(crate) const SPARES: [u32; CLASSES] = [16, 32, 4, 1, 1];

/// What a timer does when it fires.
pub(crate) enum Timed {
    /// Ends a sleep.
    Sleep(Rc<RefCell<SleepState>>),
    /// Ends a request that nobody answered.
    Reply(Handle),
    /// Ends the draining of a stopping worker.
    Drain(MailboxRc),
    /// Has the core look for workers that wait for each other.
    Patrol,
}

/// Shared between a sleeping future and its timer.
#[derive(Debug)]
pub(crate) struct SleepState {
    pub(crate) over: bool,
    pub(crate) wake: Wake,
}

/// Names a timer that has not fired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimerKey {
    id: TimerId,
    slot: usize,
}

/// The timers of a core and what each is for.
pub(crate) struct TimerQueue {
    wheel: Timers,
    targets: Slab<Timed>,
}

impl TimerQueue {
    fn new(now: Time) -> Self {
        Self {
            wheel: Timers::new(now),
            targets: Slab::new(),
        }
    }

    pub(crate) fn arm(&mut self, deadline: Time, timed: Timed) -> TimerKey {
        let slot = self.targets.insert(timed);
        TimerKey {
            id: self.wheel.insert(deadline, slot as u64),
            slot,
        }
    }

    /// As [`arm`](Self::arm), so long after now, however long ago the clock was read.
    pub(crate) fn arm_in(&mut self, wait: Duration, timed: Timed) -> TimerKey {
        let slot = self.targets.insert(timed);
        TimerKey {
            id: self.wheel.insert_young(wait, slot as u64),
            slot,
        }
    }

    /// The clock was read: it is this time.
    #[inline]
    pub(crate) fn grow_up(&mut self, now: Time) {
        self.wheel.grow_up(now);
    }

    /// Disarms a timer; its target comes back if it had not fired.
    pub(crate) fn disarm(&mut self, key: TimerKey) -> Option<Timed> {
        self.wheel
            .cancel(key.id)
            .then(|| self.targets.try_remove(key.slot))
            .flatten()
    }

    /// How many timers wait.
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.wheel.next_deadline()
    }

    /// Whether anything may be due: in most turns nothing is.
    #[inline]
    pub(crate) fn may_be_due(&self, now: Time) -> bool {
        self.wheel.may_be_due(now)
    }

    /// Takes what is due, up to `budget`.
    pub(crate) fn due(&mut self, now: Time, budget: usize, due: &mut Vec<Timed>) {
        let targets = &mut self.targets;
        self.wheel.expire(now, budget, |slot| {
            let slot = usize::try_from(slot).unwrap_or(usize::MAX);
            due.extend(targets.try_remove(slot));
        });
    }

    /// Forgets every timer, handing out the targets to be dropped.
    pub(crate) fn clear(&mut self) -> Slab<Timed> {
        std::mem::take(&mut self.targets)
    }
}
