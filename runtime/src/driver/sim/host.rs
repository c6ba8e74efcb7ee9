//! The nodes of a simulation: what each is made of, and how it is started, crashes and is started again.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::pool::Pool;
use ringpost_mailbox::sync::Mutex;
use ringpost_router::Address;

use super::cluster::Cluster;
use super::fate::Fate;
use super::faults::Fault;
use super::seat::{Bells, Seat, SeatState};
use crate::driver::net::Network;
use crate::driver::net::sim::SimNet;
use crate::driver::{APP, MainMaker, MainResult};
use crate::error::{Result, Undelivered};
use crate::limits::Limits;
use crate::mailbox::Stop;
use crate::node::handle::NodeHandle;
use crate::node::shared::{Hook, Hooks, Plan, assemble};
use crate::node::stats::NodeStats;
use crate::shard::Shard;
use crate::time::Time;

/// What is chosen for all nodes of a simulation.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) seed: u64,
    pub(super) limits: Limits,
    pub(super) drain: Duration,
    pub(super) hooks: Hooks,
}

/// What a node runs.
pub(super) enum Mains {
    Nothing,
    /// It cannot be run again.
    Once(Option<(MainMaker, MainResult<()>)>),
    Again(Box<dyn Fn() -> (MainMaker, MainResult<()>)>),
}

impl Mains {
    fn next(&mut self) -> Option<(MainMaker, MainResult<()>)> {
        match self {
            Mains::Nothing => None,
            Mains::Once(main) => main.take(),
            Mains::Again(make) => Some(make()),
        }
    }
}

/// A node of the simulation.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) cores: u16,
    /// Its first seat.
    pub(super) first: usize,
    pub(super) mains: Mains,
    pub(super) life: u32,
    pub(super) is_up: bool,
    pub(super) is_paused: bool,
    /// Whether it is being stopped in order to be started again.
    pub(super) comes_back: bool,
    /// How far its clock is ahead.
    pub(super) ahead: Duration,
    /// Those of its cores, in its present life.
    pub(super) pools: Vec<Pool>,
    handle: Option<NodeHandle>,
    result: Option<MainResult<()>>,
    /// Set when it crashes: what it reports then nobody hears.
    muted: Arc<Mutex<bool>>,
}

impl Host {
    pub(super) fn new(name: String, number: u16, cores: u16, first: usize, mains: Mains) -> Self {
        Self {
            name,
            number,
            cores,
            first,
            mains,
            life: 0,
            is_up: false,
            is_paused: false,
            comes_back: false,
            ahead: Duration::ZERO,
            pools: Vec::new(),
            handle: None,
            result: None,
            muted: Arc::default(),
        }
    }

    pub(super) fn seats(&self) -> std::ops::Range<usize> {
        self.first..self.first + usize::from(self.cores)
    }

    pub(super) fn time(&self, now: Time) -> Time {
        now.saturating_add(self.ahead)
    }

    /// Makes the cores of this node, with its main function.
    pub(super) fn start(
        &mut self,
        seats: &mut [Seat],
        terms: &Terms,
        net: &SimNet,
        fate: &Rc<Fate>,
        bells: &Arc<Bells>,
        main: Option<MainMaker>,
    ) {
        let main = main.or_else(|| {
            let (maker, result) = self.mains.next()?;
            self.result = Some(result);
            Some(maker)
        });
        self.life += 1;
        self.is_up = true;
        self.muted = Arc::default();
        let lives = (u64::from(self.life) - 1) << 32;
        let plan = Plan {
            id: crate::node::builder::next_node_id(),
            limits: self.limits(terms, fate),
            drain: terms.drain,
            seed: terms.seed.wrapping_add(self.first as u64 | lives),
            hooks: self.hooks(terms),
        };
        if fate.strikes(Fault::FewDescriptors) {
            let most = fate.roll(Fault::FewDescriptors, |dice| dice.magnitude(6, 60));
            net.limit_descriptors(self.number, most as usize);
        }
        let bell = |seat| bells.bell(seat, self.life);
        let (node, seeds) = assemble(plan, self.seats().map(bell).collect());
        let now = self.time(fate.now());
        self.pools.clear();
        for (at, seed) in self.seats().zip(seeds) {
            let network = Network::Sim(net.port(at));
            let seat = &mut seats[at];
            let (shard, parker) = Shard::new(seed, now, network);
            if fate.has(Fault::NoMemory) {
                let fate = Rc::clone(fate);
                let may_have = move |_| !fate.strikes(Fault::NoMemory);
                shard.core.pool.ask_before_growth(may_have);
            }
            self.pools.push(shard.core.pool.clone());
            seat.works = Some((shard, parker));
            (seat.life, seat.state) = (self.life, SeatState::Awake);
        }
        let home = usize::from(node.placement.home(&Address::local(APP)));
        if let Some(main) = main
            && let Some((shard, _)) = &mut seats[self.first + home].works
        {
            let future = main(&shard.core);
            shard.spawn_main(future);
        }
        self.handle = Some(NodeHandle::new(node));
    }

    /// Limits that this life of the node has: the chosen ones, or smaller.
    fn limits(&self, terms: &Terms, fate: &Fate) -> Limits {
        let mut limits = terms.limits;
        let few = |fault, most| fate.roll(fault, |dice| dice.magnitude(1, most)) as u32;
        if fate.strikes(Fault::FewCredits) {
            limits.mailbox_credits = limits.mailbox_credits.min(few(Fault::FewCredits, 8));
            limits.link_credits = limits.link_credits.min(few(Fault::FewCredits, 8));
            limits.outside_credits = limits.outside_credits.min(few(Fault::FewCredits, 8));
        }
        if fate.strikes(Fault::FewLinks) {
            limits.links_max = limits.links_max.min(few(Fault::FewLinks, 8));
            limits.senders_known = few(Fault::FewLinks, 8);
        }
        if fate.strikes(Fault::SmallRings) {
            limits.ring_slots = 8;
        }
        if fate.strikes(Fault::SmallBudgets) {
            limits.turn_messages = limits.turn_messages.min(few(Fault::SmallBudgets, 16));
            limits.worker_burst = limits.worker_burst.min(few(Fault::SmallBudgets, 4));
            limits.ring_burst = limits.ring_burst.min(few(Fault::SmallBudgets, 16));
            limits.timers_burst = limits.timers_burst.min(few(Fault::SmallBudgets, 4));
            limits.flush_slots = limits.flush_slots.min(few(Fault::SmallBudgets, 16));
        }
        limits
    }

    /// The hooks, which a crash silences.
    fn hooks(&self, terms: &Terms) -> Hooks {
        let muted = Arc::clone(&self.muted);
        let undelivered = terms.hooks.undelivered.clone().map(|hook| {
            let muted = move |lost: &Undelivered| {
                if !*muted.lock() {
                    hook(lost);
                }
            };
            Arc::new(muted) as Hook<Undelivered>
        });
        Hooks {
            undelivered,
            ..terms.hooks.clone()
        }
    }

    /// Ends every core at once.
    pub(super) fn crash(&mut self, seats: &mut [Seat]) {
        *self.muted.lock() = true;
        (self.is_up, self.comes_back) = (false, false);
        self.begin_stop(Stop::Now);
        for at in self.seats() {
            seats[at].state = SeatState::Over;
            if let Some((shard, _)) = seats[at].works.take() {
                shard.abandon();
            }
        }
    }

    pub(super) fn begin_stop(&self, how: Stop) {
        if let Some(handle) = &self.handle {
            handle.begin_stop(how);
        }
    }

    pub(super) fn announce(&self, cluster: &Cluster) {
        let handle = self.handle.clone().filter(|_| self.is_up);
        cluster.note_node(&self.name, handle);
    }

    pub(super) fn stats(&self) -> Option<NodeStats> {
        self.handle.as_ref().map(NodeHandle::stats)
    }

    pub(super) fn output(&self) -> Option<Result<()>> {
        self.result.as_ref()?.lock().take()
    }
}
