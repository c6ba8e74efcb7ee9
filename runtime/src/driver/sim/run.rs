//! How nodes are run, and what comes of it.

use std::time::Duration;

use super::Sim;
use super::calls::{Calls, SystemCall};
use super::fate::Fate;
use super::faults::Fault;
use super::host::{Host, Mains};
use super::trace::Event;
use super::world::World;
use crate::context::Context;
use crate::driver::main_maker;
use crate::driver::net::sim::SimNet;
use crate::driver::rare::Rare;
use crate::error::{Error, Result};
use crate::mailbox::Stop;
use crate::node::stats::NodeStats;
use crate::time::Time;

/// What came of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report<T> {
    /// What the main function returned; an error if nothing could go on before it did, or the simulation has
    /// found a guarantee broken.
    pub output: Result<T>,
    /// The counters of the node that ran it, after its end.
    pub stats: NodeStats,
    /// The same of each other node, in the order in which they were added: what its main function returned,
    /// if it did, and its counters. Of a node that has crashed, those since it was last started.
    pub neighbours: Vec<(Option<Result<()>>, NodeStats)>,
    /// How much virtual time passed.
    pub elapsed: Duration,
    /// A hash over all events: the identity of the run.
    pub trace: u64,
    /// How many events there were.
    pub events: u64,
    /// The last of them, with their times.
    pub last_events: Vec<(Duration, Event)>,
    /// What the nodes have asked of the system, in order, if that was to be [listed](Sim::list_calls).
    pub calls: Vec<SystemCall>,
    /// How often each fault has struck.
    pub faults: Vec<(Fault, u64)>,
    /// How often each rare path was taken.
    pub rare: Vec<(Rare, u64)>,
    /// A guarantee that the simulation itself has found broken: a wake-up that was lost, room or credits that are
    /// missing where nothing moves, a block or a socket that is left over in the end. The run was cut short then.
    pub violation: Option<String>,
}

impl Sim {
    /// Runs all nodes until `main` has returned and everything has ended.
    ///
    /// # Panics
    /// If a limit is 0.
    pub fn run<T, F>(self, main: F) -> Report<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(Context) -> Result<T> + Send + 'static,
    {
        self.terms
            .limits
            .check()
            .expect("the limits of a simulation let something move");
        let (maker, result) = main_maker(main);
        let mut world = self.into_world();
        world.start(0, Some(maker));
        (1..world.hosts.len()).for_each(|node| world.start(node, None));
        let (mut stuck, mut is_ending) = (false, false);
        while !world.is_over() && world.violation.is_none() {
            if result.lock().is_some() && !std::mem::replace(&mut is_ending, true) {
                if !world.fate.may_strike() {
                    world.check_rest();
                }
                world.stop(Stop::Drain);
            }
            if !world.step() {
                // What the main function returns from here on comes of the stop.
                stuck |= result.lock().is_none();
                world.stop(Stop::Now);
                if !world.step() && world.has_given_up() {
                    break;
                }
            }
        }
        if world.is_over() {
            world.check_end();
        }
        let output = result.lock().take();
        let output = match (&world.violation, output) {
            (Some(violation), _) => Err(Error::other(violation)),
            (None, _) if stuck && world.has_used_its_turns() => {
                Err(Error::other("given up: as many turns as were asked for"))
            }
            (None, _) if stuck => Err(Error::other(
                "nothing can go on: every future waits for another",
            )),
            (None, Some(output)) => output,
            (None, None) => Err(Error::other("the main function did not return")),
        };
        world.into_report(output)
    }

    fn into_world(self) -> World {
        let seed = self.terms.seed;
        let calls = Calls::new(self.lists_calls, self.fails);
        let fate = Fate::new(seed, self.faults, self.rare, calls, self.on_event);
        let mut hosts = vec![Host::new(
            "main".to_owned(),
            0,
            self.cores,
            0,
            Mains::Nothing,
        )];
        let mut first = usize::from(self.cores);
        for (number, (name, cores, mains)) in (1..).zip(self.nodes) {
            let cores = cores.unwrap_or(self.cores);
            hosts.push(Host::new(name, number, cores, first, mains));
            first += usize::from(cores);
        }
        let host_of = hosts
            .iter()
            .flat_map(|host| host.seats().map(|_| host.number));
        let net = SimNet::new(seed, fate.clone(), self.network, host_of.collect());
        let mut world = World::new(self.terms, fate, net, hosts, self.cluster);
        world.turns_max = self.turns_max;
        if let Some(until) = self.heal_after {
            world.begin_mishaps(until);
        }
        world
    }
}

impl World {
    fn into_report<T>(self, output: Result<T>) -> Report<T> {
        let mut all = self.hosts.iter().map(|host| {
            let none = NodeStats { cores: Vec::new() };
            (host.output(), host.stats().unwrap_or(none))
        });
        let (_, stats) = all
            .next()
            .unwrap_or((None, NodeStats { cores: Vec::new() }));
        let trace = self.fate.trace();
        Report {
            output,
            stats,
            neighbours: all.collect(),
            elapsed: self.fate.now().saturating_since(Time::ZERO),
            trace: trace.hash(),
            events: trace.count(),
            last_events: trace.last(),
            calls: self.fate.calls(),
            faults: self.fate.fired(),
            rare: self.fate.reached(),
            violation: self.violation.clone(),
        }
    }
}
