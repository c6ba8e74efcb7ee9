//! The deterministic driver: whole nodes, and clusters of them, on the calling thread, from a seed.
//!
//! Which core turns next is drawn from the seed, and time is virtual: it passes when nobody has anything to
//! do, straight to the next deadline or arrival. Sockets lead to a network in memory, which all nodes of a
//! run share. Everything else is the code that runs in production, down to the protocol by which cores go to
//! sleep and are woken. Two runs with the same seed do the same things in the same order, and have the same
//! [`trace`](Report::trace) (guarantee G12).
//!
//! ```
//! use ringpost::sim::{Faults, Network, Sim};
//! use ringpost::{Context, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker};
//! use std::time::Duration;
//!
//! struct Echo;
//!
//! impl Worker for Echo {
//!     type Message = String;
//!     type Context = Context;
//!
//!     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
//!         ctx.send_message(msg.reply(), msg.take()).await
//!     }
//! }
//!
//! /// What the node `server` runs, each time it is started.
//! async fn serve(ctx: Context) -> Result<()> {
//!     ctx.start_worker("echo", Echo).await?;
//!     let tcp = TcpTransport::create(&ctx).await?;
//!     tcp.listen("10.0.0.1:4000", TcpListenerOptions::new().expose("echo")).await?;
//!     Ok(())
//! }
//!
//! let sim = Sim::new(42)
//!     .node("server", 2)
//!     .main("server", serve)
//!     .network(Network::new().latency(Duration::from_millis(1), Duration::from_millis(2)))
//!     .faults(Faults::drawn(42))
//!     .heal_after(Duration::from_millis(50));
//! let cluster = sim.cluster();
//! let report = sim.run(async move |ctx: Context| {
//!     TcpTransport::create(&ctx).await?;
//!     while !cluster.is_calm() {
//!         ctx.sleep(Duration::from_millis(5)).await;
//!     }
//!     // Whatever has happened before, now it answers.
//!     let route = Route::new().append_t(TCP, "10.0.0.1:4000").append("echo");
//!     ctx.request::<String>(route, "still there?".to_string()).await
//! });
//! assert_eq!(report.output.unwrap(), "still there?");
//! ```

mod calls;
mod checks;
mod cluster;
mod dice;
mod fate;
mod faults;
mod host;
mod mishaps;
mod network;
mod run;
mod seat;
mod trace;
mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringpost_router::Address;

use crate::context::Context;
use crate::driver::main_maker;
use crate::driver::rare::RareRates;
use crate::error::{Result, Undelivered};
use crate::limits::Limits;
use crate::node::shared::Hooks;
use crate::waits::WaitCycle;

use self::host::{Mains, Terms};

pub use self::calls::{CallFault, SystemCall};
pub use self::cluster::Cluster;
pub use self::faults::{Fault, Faults};
pub use self::network::Network;
pub use self::run::Report;
pub use self::trace::{Event, Next, Waker};
pub use crate::driver::rare::Rare;

pub(crate) use self::dice::Dice;
pub(crate) use self::fate::Fate;
pub(crate) use self::network::Network as Settings;

/// How long faults strike, if nothing else is said.
const HEAL_AFTER: Duration = Duration::from_secs(1);

/// Nodes to be run deterministically.
///
/// Without [`node`](Self::node) there is one, which runs the main function:
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
    terms: Terms,
    cores: u16,
    network: Network,
    faults: Faults,
    rare: RareRates,
    heal_after: Option<Duration>,
    lists_calls: bool,
    fails: Option<(u64, CallFault)>,
    on_event: Option<EventHook>,
    turns_max: u64,
    cluster: Cluster,
    nodes: Vec<(String, Option<u16>, Mains)>,
}

/// What is told of each event, with its time.
pub(crate) type EventHook = Box<dyn Fn(Duration, &Event)>;

impl Sim {
    /// One node with one core. Nothing strikes it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            terms: Terms {
                seed,
                limits: Limits::default(),
                drain: crate::DRAIN_TIMEOUT,
                hooks: Hooks::default(),
            },
            cores: 1,
            network: Network::new(),
            faults: Faults::none(),
            rare: RareRates::none(),
            heal_after: None,
            lists_calls: false,
            fails: None,
            on_event: None,
            turns_max: world::TURNS_MAX,
            cluster: Cluster::default(),
            nodes: Vec::new(),
        }
    }

    /// So many cores for the node that runs the main function; at least one.
    #[must_use]
    pub fn cores(mut self, cores: u16) -> Self {
        self.cores = cores.max(1);
        self
    }

    /// Other limits than the usual ones, for all nodes.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.terms.limits = limits;
        self
    }

    /// How long stopping workers may take to handle what is queued.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.terms.drain = drain;
        self
    }

    /// Calls `hook` for each message that could not be delivered, on whatever node. What a crash loses, nobody
    /// reports.
    #[must_use]
    pub fn on_undelivered(mut self, hook: impl Fn(&Undelivered) + Send + Sync + 'static) -> Self {
        self.terms.hooks.undelivered = Some(Arc::new(hook));
        self
    }

    /// Sends messages that could not be delivered to the worker at this address of their node: see
    /// [`NodeBuilder::dead_letters`](crate::NodeBuilder::dead_letters).
    #[must_use]
    pub fn dead_letters(mut self, address: impl Into<Address>) -> Self {
        self.terms.hooks.dead_letters = Some(address.into());
        self
    }

    /// Calls `hook` for workers that wait for each other in a circle, on whatever node.
    #[must_use]
    pub fn on_wait_cycle(mut self, hook: impl Fn(&WaitCycle) + Send + Sync + 'static) -> Self {
        self.terms.hooks.wait_cycle = Some(Arc::new(hook));
        self
    }

    /// Another node with so many cores, at least one. It shares nothing with the others but the network.
    ///
    /// # Panics
    /// If there is one of this name.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>, cores: u16) -> Self {
        let name = name.into();
        let is_new = name != "main" && self.nodes.iter().all(|(other, ..)| *other != name);
        assert!(is_new, "there is a node {name} already");
        self.nodes.push((name, Some(cores.max(1)), Mains::Nothing));
        self
    }

    /// What the node of this name runs, each time it is started. It goes on when that returns.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn main<F>(mut self, node: &str, main: F) -> Self
    where
        F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
    {
        let place = self.nodes.iter_mut().find(|(name, ..)| name == node);
        let (_, _, mains) = place.unwrap_or_else(|| panic!("there is no node {node}"));
        *mains = Mains::Again(Box::new(move || main_maker(main.clone())));
        self
    }

    /// Runs another node beside this one, with as many cores. It goes on when its `main` returns, until that
    /// of the first node has. In short for [`node`](Self::node) and [`main`](Self::main), for a function that
    /// can be run once.
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
        let name = format!("neighbour {}", self.nodes.len() + 1);
        let mains = Mains::Once(Some(main_maker(main)));
        self.nodes.push((name, None, mains));
        self
    }

    /// How the network behaves when nothing is wrong with it.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// What may go wrong, until the time of faults [is over](Self::heal_after). The node of the main function
    /// is spared what befalls whole nodes.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self.heal_after.get_or_insert(HEAL_AFTER);
        self
    }

    /// Has cores take paths that are rare otherwise; this seed draws which, and how often.
    #[must_use]
    pub fn rare_paths(mut self, seed: u64) -> Self {
        self.rare = RareRates::drawn(seed);
        self.heal_after.get_or_insert(HEAL_AFTER);
        self
    }

    /// Keeps a list of what the nodes ask of the system: [`Report::calls`].
    #[must_use]
    pub fn list_calls(mut self) -> Self {
        self.lists_calls = true;
        self
    }

    /// Has something befall one call that a node makes of the system: the one of this number, counted from 0 over all
    /// nodes. A run that [lists its calls](Self::list_calls) says which there are; where each of them has failed in
    /// turn, in each way, nothing is left to chance.
    ///
    /// ```
    /// use ringpost::net::{ListenOptions, TcpListener};
    /// use ringpost::sim::{CallFault, Sim, SystemCall};
    /// use ringpost::{Context, Result};
    ///
    /// let listen = async |ctx: Context| -> Result<()> {
    ///     let address = "10.0.0.1:7".parse()?;
    ///     TcpListener::bind(&ctx, address, &ListenOptions::default())?;
    ///     Ok(())
    /// };
    /// let report = Sim::new(1).list_calls().run(listen);
    /// let at = report.calls.iter().position(|call| *call == SystemCall::Listen).unwrap();
    /// // 24 is EMFILE: too many open files.
    /// let failed = Sim::new(1).fail_call(at as u64, CallFault::Errno(24)).run(listen);
    /// assert!(failed.output.unwrap_err().to_string().contains("files"));
    /// ```
    #[must_use]
    pub fn fail_call(mut self, number: u64, fault: CallFault) -> Self {
        self.fails = Some((number, fault));
        self
    }

    /// When the time of faults is over: nodes that have crashed are started again, everybody reaches everybody,
    /// and nothing strikes any more. Without this: after a second.
    #[must_use]
    pub fn heal_after(mut self, time: Duration) -> Self {
        self.heal_after = Some(time);
        self
    }

    /// Gives up after so many turns of cores.
    #[must_use]
    pub fn turns_max(mut self, turns: u64) -> Self {
        self.turns_max = turns;
        self
    }

    /// Calls `hook` for each event of the run, with the time since its start.
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(Duration, &Event) + 'static) -> Self {
        self.on_event = Some(Box::new(hook));
        self
    }

    /// Where the nodes can be got at while they run.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        self.cluster.clone()
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.terms.seed)
            .field("cores", &self.cores)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
