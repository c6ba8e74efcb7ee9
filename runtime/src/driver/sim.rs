//! The deterministic driver: a whole node on the calling thread, from a seed.
//!
//! Which core turns next is drawn from the seed, and time is virtual: it passes when nobody has
//! anything to do, straight to the next deadline. Sockets lead to a network in memory, which all nodes of
//! a run share ([`beside`](Sim::beside)). Everything else is the code that runs in production.
//! Two runs with the same seed do the same things in the same order, and have the same
//! [`trace`](Report::trace) (guarantee G12).

use std::time::Duration;

use ringpost_router::Address;

use crate::context::Context;
use crate::driver::net::Network;
use crate::driver::net::sim::SimNet;
use crate::driver::{APP, MainMaker, MainResult, main_maker};
use crate::error::{Error, Result, Undelivered};
use crate::limits::Limits;
use crate::mailbox::Stop;
use crate::node::handle::NodeHandle;
use crate::node::shared::{Bell, Plan, UndeliveredHook, assemble};
use crate::node::stats::NodeStats;
use crate::shard::{Shard, Turn};
use crate::time::Time;

/// Turns without progress of virtual time after which a run is given up.
const TURNS_MAX: u64 = 200_000_000;

/// A node to be run deterministically.
///
/// ```
/// use ringpost::{Context, sim::Sim};
/// use std::time::Duration;
///
/// let run = || {
///     Sim::new(42).cores(4).run(async |ctx: Context| {
///         ctx.sleep(Duration::from_secs(3600)).await;
///         Ok("an hour later")
///     })
/// };
/// let report = run();
/// assert_eq!(report.output.as_ref().unwrap(), &"an hour later");
/// assert!(report.elapsed >= Duration::from_secs(3600));
/// assert_eq!(report.trace, run().trace);
/// ```
pub struct Sim {
    seed: u64,
    cores: u16,
    limits: Limits,
    drain: Duration,
    on_undelivered: Option<UndeliveredHook>,
    neighbours: Vec<(MainMaker, MainResult<()>)>,
}

/// What came of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report<T> {
    /// What the main function returned; an error if nothing could go on before it did.
    pub output: Result<T>,
    /// The counters of the node, after its end.
    pub stats: NodeStats,
    /// The same of each node [beside](Sim::beside) it: what its main function returned, if it did, and its
    /// counters.
    pub neighbours: Vec<(Option<Result<()>>, NodeStats)>,
    /// How much virtual time passed.
    pub elapsed: Duration,
    /// A hash over what every turn did: the identity of the run.
    pub trace: u64,
}

/// A bell that nobody needs: no core sleeps in a simulation.
struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

impl Sim {
    /// A node with one core.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            cores: 1,
            limits: Limits::default(),
            drain: crate::DRAIN_TIMEOUT,
            on_undelivered: None,
            neighbours: Vec::new(),
        }
    }

    /// So many cores; at least one.
    #[must_use]
    pub fn cores(mut self, cores: u16) -> Self {
        self.cores = cores.max(1);
        self
    }

    /// Other limits than the usual ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long stopping workers may take to handle what is queued.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Calls `hook` for each message that could not be delivered.
    #[must_use]
    pub fn on_undelivered(mut self, hook: impl Fn(&Undelivered) + Send + Sync + 'static) -> Self {
        self.on_undelivered = Some(std::sync::Arc::new(hook));
        self
    }

    /// Runs another node beside this one, with as many cores and the same limits. The two share nothing
    /// but the network. It goes on when its `main` returns, until that of the first node has.
    ///
    /// ```
    /// use ringpost::net::{ListenOptions, TcpListener, TcpStream};
    /// use ringpost::{Context, sim::Sim};
    ///
    /// let address = "10.0.0.1:7".parse().unwrap();
    /// let server = async move |ctx: Context| {
    ///     let mut listener = TcpListener::bind(&ctx, address, &ListenOptions::default())?;
    ///     let (mut stream, _) = listener.accept().await?;
    ///     stream.write_all(b"hello").await?;
    ///     Ok(())
    /// };
    /// let client = async move |ctx: Context| {
    ///     let mut stream = TcpStream::connect(&ctx, address).await?;
    ///     let mut bytes = [0; 5];
    ///     stream.read_exact(&mut bytes).await?;
    ///     Ok(bytes)
    /// };
    /// // The first node may come before the second listens; it is refused then, as it would be in the field.
    /// let outcomes = (0..8).map(|seed| Sim::new(seed).beside(server).run(client).output);
    /// assert!(outcomes.flatten().any(|bytes| &bytes == b"hello"));
    /// ```
    #[must_use]
    pub fn beside<F>(mut self, main: F) -> Self
    where
        F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
    {
        self.neighbours.push(main_maker(main));
        self
    }

    /// Runs the node until `main` has returned and everything has ended.
    ///
    /// # Panics
    /// If a limit is 0.
    pub fn run<T, F>(mut self, main: F) -> Report<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(Context) -> Result<T> + Send + 'static,
    {
        self.limits
            .check()
            .expect("the limits of a simulation let something move");
        let (maker, result) = main_maker(main);
        let neighbours = std::mem::take(&mut self.neighbours);
        let nodes = 1 + neighbours.len();
        let net = SimNet::new(self.seed, nodes * usize::from(self.cores));
        let mut shards = Vec::new();
        let handle = self.add_node(maker, &net, &mut shards);
        let neighbours: Vec<_> = neighbours
            .into_iter()
            .map(|(maker, result)| (self.add_node(maker, &net, &mut shards), result))
            .collect();
        let stop = |how| {
            handle.begin_stop(how);
            neighbours.iter().for_each(|(node, _)| {
                node.begin_stop(how);
            });
        };

        let mut world = World::new(self.seed, shards, net);
        let mut stuck = false;
        while !world.is_over() {
            if result.lock().is_some() {
                stop(Stop::Drain);
            }
            if !world.step() {
                stuck = true;
                stop(Stop::Now);
                if !world.step() && world.has_given_up() {
                    break;
                }
            }
        }
        let output = result.lock().take().unwrap_or_else(|| {
            Err(Error::other(if stuck {
                "nothing can go on: every future waits for another"
            } else {
                "the main function did not return"
            }))
        });
        let outcome = |(node, result): (NodeHandle, MainResult<()>)| {
            let output = result.lock().take();
            (output, node.stats())
        };
        Report {
            output,
            stats: handle.stats(),
            neighbours: neighbours.into_iter().map(outcome).collect(),
            elapsed: world.now.saturating_since(Time::ZERO),
            trace: world.trace,
        }
    }

    /// Makes the cores of one more node, with its main function.
    fn add_node(&self, maker: MainMaker, net: &SimNet, shards: &mut Vec<Shard>) -> NodeHandle {
        let first = shards.len();
        let plan = Plan {
            id: crate::node::builder::next_node_id(),
            limits: self.limits,
            drain: self.drain,
            seed: self.seed.wrapping_add(first as u64),
            on_undelivered: self.on_undelivered.clone(),
        };
        let bells = (0..self.cores)
            .map(|_| Box::new(Silent) as Box<dyn Bell>)
            .collect();
        let (node, seeds) = assemble(plan, bells);
        for (at, seed) in (first..).zip(seeds) {
            let network = Network::Sim(net.port(at));
            shards.push(Shard::new(seed, Time::ZERO, network).0);
        }
        let home = usize::from(node.placement.home(&Address::local(APP)));
        let main_shard = &mut shards[first + home];
        let future = maker(&main_shard.core);
        main_shard.spawn_main(future);
        NodeHandle::new(node)
    }
}

/// The cores, the clock and the dice.
struct World {
    shards: Vec<Option<Shard>>,
    net: SimNet,
    now: Time,
    dice: u64,
    trace: u64,
    turns: u64,
    fruitless: u32,
}

impl World {
    fn new(seed: u64, shards: Vec<Shard>, net: SimNet) -> Self {
        Self {
            net,
            shards: shards.into_iter().map(Some).collect(),
            now: Time::ZERO,
            dice: seed | 1,
            trace: 0xcbf2_9ce4_8422_2325,
            turns: 0,
            fruitless: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.shards.iter().all(Option::is_none)
    }

    fn has_given_up(&self) -> bool {
        self.fruitless > 1000 || self.turns > TURNS_MAX
    }

    /// Gives some cores a turn each, in a drawn order; if none had anything to do, lets time pass to
    /// the next deadline. Whether anything can still happen.
    fn step(&mut self) -> bool {
        let mut busy = false;
        let mut deadline: Option<Time> = None;
        let count = self.shards.len();
        let first = self.roll() as usize % count;
        for offset in 0..count {
            // A core may be held up while others go on.
            if count > 1 && self.roll().is_multiple_of(8) {
                busy = true;
                continue;
            }
            let at = (first + offset) % count;
            let news = self.net.take_news(at);
            let Some(shard) = &mut self.shards[at] else {
                continue;
            };
            for (key, readiness) in news {
                shard.core.io.report(&shard.core, key, readiness);
            }
            let turn = shard.turn(self.now);
            let handled = shard.core.tally().handled.value();
            self.turns += 1;
            match turn {
                Turn::Busy => busy = true,
                Turn::Idle(next) => {
                    busy |= shard.has_arrivals();
                    deadline = [deadline, next].into_iter().flatten().min();
                }
                Turn::Over => self.shards[at] = None,
            }
            self.note(at as u64, handled);
        }
        // One quiet round may be the luck of the dice: a core later in the order may have sent.
        let arrivals = self.shards.iter_mut().flatten().any(Shard::has_arrivals);
        if busy || arrivals || self.net.has_news() {
            self.fruitless = 0;
            return self.turns < TURNS_MAX;
        }
        match deadline {
            Some(deadline) => {
                self.now = self.now.max(deadline);
                self.fruitless = 0;
                true
            }
            None => {
                self.fruitless += 1;
                self.is_over() || self.fruitless < 16
            }
        }
    }

    fn roll(&mut self) -> u64 {
        // xorshift64: small, and the same everywhere.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }

    fn note(&mut self, core: u64, handled: u64) {
        for word in [core, handled, self.now.as_nanos()] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed)
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}
