//! Nodes that stay up while workloads run on them.

use std::fmt;

use ringpost::{Context, CoreStats, Limits, Node, NodeHandle, NodeStats, Result};

use crate::machine::{Machine, Placed, placed};
use crate::measured::Measured;

/// A node with so many cores, stopped when dropped.
#[derive(Debug)]
pub struct Arena {
    node: Option<Node>,
    handle: NodeHandle,
}

impl Arena {
    /// A node with so many cores.
    ///
    /// # Panics
    /// If the node cannot start: there is nothing to measure then.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self::within(cores, Limits::default())
    }

    /// A node with so many cores and these limits.
    ///
    /// # Panics
    /// If the node cannot start.
    #[must_use]
    pub fn within(cores: usize, limits: Limits) -> Self {
        let node = Node::builder()
            .cores(cores)
            .limits(limits)
            .seed(7)
            .start()
            .expect("the node starts");
        Self {
            handle: node.handle(),
            node: Some(node),
        }
    }

    /// How many cores it has.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.handle.cores()
    }

    /// The node as threads outside it see it.
    #[must_use]
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Runs a workload on core 0 and waits for its time.
    ///
    /// # Panics
    /// If the workload fails or the node has lost something in its course: a benchmark of an error is
    /// worth nothing.
    pub fn run<F>(&self, work: F) -> Measured
    where
        F: AsyncFnOnce(Context) -> Result<Measured> + Send + 'static,
    {
        let done = self.handle.run_on(0, work);
        let measured = pollster::block_on(done)
            .expect("the node runs")
            .expect("the workload succeeds");
        check(&self.handle.stats());
        measured
    }

    /// The CPUs that the cores run on, in the order of the cores.
    ///
    /// # Panics
    /// If the node has ended.
    #[must_use]
    pub fn placed(&self) -> Vec<Placed> {
        let of = |core| {
            let done = self.handle.run_on(core, async |_ctx| placed());
            pollster::block_on(done).expect("the node runs")
        };
        (0..self.cores()).map(of).collect()
    }
}

/// Sees that every message was handled, and nothing went wrong that a workload does not see.
///
/// # Panics
/// If something did.
pub fn check(stats: &NodeStats) {
    let total = |figure: fn(&CoreStats) -> u64| stats.total(figure);
    assert_eq!(stats.undelivered_total(), 0, "undelivered messages");
    assert_eq!(total(|core| core.panics), 0, "panics of workers");
    assert_eq!(total(|core| core.handler_errors), 0, "errors of workers");
    assert_eq!(total(|core| core.found_after_timeout), 0, "lost wake-ups");
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            // Stopping cannot fail; a benchmark has nobody to tell.
            let _ = node.stop();
        }
    }
}

/// The nodes that the suites run on.
#[derive(Debug)]
pub struct Arenas {
    /// One core.
    pub one: Arena,
    /// Two cores.
    pub pair: Arena,
    /// As many cores as the process may use, and two at least.
    pub all: Arena,
}

impl Arenas {
    /// Starts the nodes.
    ///
    /// # Panics
    /// If one cannot start.
    #[must_use]
    pub fn start(machine: &Machine) -> Self {
        Self {
            one: Arena::new(1),
            pair: Arena::new(2),
            all: Arena::new(machine.parallelism.max(2)),
        }
    }
}

impl fmt::Display for Arenas {
    /// The CPUs of the single core and of the pair.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = |arena: &Arena| {
            let placed = arena.placed();
            let cpus: Vec<_> = placed.iter().map(ToString::to_string).collect();
            cpus.join(" and ")
        };
        let (one, pair) = (cpus(&self.one), cpus(&self.pair));
        write!(f, "same core: CPU {one}; core pair: CPUs {pair}")
    }
}
