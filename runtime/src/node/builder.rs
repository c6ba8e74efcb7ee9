//! Choosing and starting a node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering};
use ringpost_router::Address;

use crate::context::{Context, DRAIN_TIMEOUT};
use crate::driver::cores::{CoreSet, Pinning};
use crate::driver::signals::SignalWatch;
use crate::driver::system::random_seed;
use crate::driver::threads::{self, Threads};
use crate::driver::{MainMaker, main_maker, main_outcome};
use crate::error::{Error, ErrorKind, Result, Undelivered};
use crate::limits::Limits;
use crate::mailbox::Stop;
use crate::node::handle::NodeHandle;
use crate::node::shared::{Hooks, Plan};
use crate::stall::Stall;
use crate::waits::WaitCycle;

/// The most cores a node can have.
pub const CORES_MAX: usize = 1024;

/// How long a handler may hold its core before it is reported, if nothing else is said.
const STALL_AFTER: Duration = Duration::from_millis(250);

/// A running node. Dropping it stops it.
///
/// Dropped on a core of its own, by a worker that had come to hold it, it begins to stop and is not waited
/// for: that core would wait for itself. Its threads then end by themselves.
pub struct Node {
    handle: NodeHandle,
    threads: Threads,
}

impl Node {
    /// Begins the choice of a node.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Stops the node: workers handle what is queued, run `shutdown`, and every thread ends. When this
    /// returns no worker code runs. A node that has ended is left as it is.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlockCore`] on a core of this node, which changes nothing: there
    /// [`Context::stop`] is the call to make.
    pub fn stop(&self) -> Result<()> {
        self.end("Node::stop", Stop::Drain)
    }

    /// As [`stop`](Self::stop), but what is queued is reported undelivered instead of handled. Hastens a
    /// stop that has begun already.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn stop_now(&self) -> Result<()> {
        self.end("Node::stop_now", Stop::Now)
    }

    /// Waits until somebody has stopped the node, and no worker code runs.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlockCore`] on a core of this node.
    pub fn wait(&self) -> Result<()> {
        self.check_thread("Node::wait")?;
        self.threads.join();
        Ok(())
    }

    fn end(&self, call: &'static str, stop: Stop) -> Result<()> {
        self.check_thread(call)?;
        self.handle.begin_stop(stop);
        self.threads.join();
        Ok(())
    }

    fn check_thread(&self, call: &'static str) -> Result<()> {
        match self.threads.is_own() {
            true => Err(Error::new(ErrorKind::WouldBlockCore { call })),
            false => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.begin_stop(Stop::Drain);
        if !self.threads.is_own() {
            self.threads.join();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

/// The choice of a node: how many cores, where, and within which limits.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is run or started"]
pub struct NodeBuilder {
    cores: Option<usize>,
    pinning: Pinning,
    limits: Limits,
    drain: Duration,
    seed: Option<u64>,
    hooks: Hooks,
    stall_after: Duration,
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self {
            cores: None,
            pinning: Pinning::Auto,
            limits: Limits::default(),
            drain: DRAIN_TIMEOUT,
            seed: None,
            hooks: Hooks::default(),
            stall_after: STALL_AFTER,
        }
    }
}

impl NodeBuilder {
    /// So many cores. Without this: as many as the process may use.
    pub fn cores(mut self, cores: usize) -> Self {
        self.cores = Some(cores);
        self
    }

    /// Whether each core's thread is pinned to a CPU. Without this: where it helps, which is where
    /// every thread can have a CPU of its own and no quota takes it away.
    ///
    /// Threads that outnumber the CPUs are never pinned. A thread that the system refuses to pin runs
    /// unpinned; that is reported, and counted in `CoreStats::pins_refused`. The CPUs are those that
    /// the thread which starts the process's first node may use.
    pub fn pin(mut self, pin: bool) -> Self {
        self.pinning = if pin { Pinning::Always } else { Pinning::Never };
        self
    }

    /// Other limits than the usual ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long stopping workers may take to handle what is queued, and then to shut down.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Decides where addresses live and what random names are. Without this it is drawn anew for each
    /// node, so that nobody can aim at one core by choosing addresses.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Calls `hook` for each accepted message that could not be delivered, on the core that finds out.
    pub fn on_undelivered(mut self, hook: impl Fn(&Undelivered) + Send + Sync + 'static) -> Self {
        self.hooks.undelivered = Some(Arc::new(hook));
        self
    }

    /// Sends each accepted message that could not be delivered to the worker at this address, as a
    /// [`DeadLetter`](crate::DeadLetter), with what it held where that is there.
    ///
    /// That worker ends after the others when the node stops, so what they leave behind gets to it, unless the
    /// stop is in a hurry. A letter for which it has no room, or that comes when it is not there, is dropped and
    /// counted ([`CoreStats::letters_dropped`](crate::CoreStats::letters_dropped)); a letter is nobody's dead
    /// letter.
    pub fn dead_letters(mut self, address: impl Into<Address>) -> Self {
        self.hooks.dead_letters = Some(address.into());
        self
    }

    /// Reports a handler that has held its core for so long: in the log, in `CoreStats::stalls`, and to the hook.
    /// Default 250 ms. The time is looked at four times as often, by a thread beside the cores.
    pub fn stall_after(mut self, held: Duration) -> Self {
        self.stall_after = held.max(Duration::from_millis(1));
        self
    }

    /// Calls `hook` for each handler that holds its core, on that thread, while it does.
    pub fn on_stall(mut self, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.hooks.stall = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` for workers that wait for each other in a circle, on the core that finds out: within a
    /// second of the last of them beginning to wait, and once.
    pub fn on_wait_cycle(mut self, hook: impl Fn(&WaitCycle) + Send + Sync + 'static) -> Self {
        self.hooks.wait_cycle = Some(Arc::new(hook));
        self
    }

    /// Starts the node and leaves it running beside the program.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a choice that cannot be; [`ErrorKind::Io`] of the system.
    pub fn start(self) -> Result<Node> {
        let threads = self.launch(None)?;
        Ok(Node {
            handle: NodeHandle::new(Arc::clone(&threads.node)),
            threads,
        })
    }

    /// Runs the node with this main function until it has been stopped. If `main` returns `Ok` and
    /// nobody has stopped the node, it goes on; if it returns an error, the node stops.
    ///
    /// A `main` that the node's stop has cut short, so that it returns [`ErrorKind::Stopping`] after the
    /// stop has begun, has ended as it should.
    ///
    /// # Errors
    /// As [`start`](Self::start), and the error of `main`: also `ErrorKind::Stopping`, if nobody had
    /// stopped the node.
    pub fn run<F>(self, main: F) -> Result<()>
    where
        F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
    {
        self.run_with(main, |_| Ok::<_, Error>(()))
    }

    /// As [`run`](Self::run); SIGINT and SIGTERM stop the node gracefully, and one that comes while it
    /// stops ends the process as the system does by default. So does one that comes after this has
    /// returned.
    ///
    /// That is done by handlers which stay installed. A program that handles these signals itself, also
    /// one that does so when its node has ended, uses [`run`](Self::run) and stops the node by a
    /// [`NodeHandle`].
    ///
    /// Where the system does not let their handlers be installed, that is reported at once, as a warning
    /// of the log, and the node runs without them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn serve<F>(self, main: F) -> Result<()>
    where
        F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
    {
        self.run_with(main, SignalWatch::start)
    }

    /// Runs the node, with a watch over it as long as it runs: `main` begins when that has begun.
    pub(crate) fn run_with<F, W, E>(
        self,
        main: F,
        watch: impl FnOnce(NodeHandle) -> Result<W, E>,
    ) -> Result<()>
    where
        F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
        E: fmt::Display,
    {
        let (begin, begun) = oneshot::channel::<()>();
        let main = async move |ctx: Context| {
            let handle = ctx.handle();
            // Resolves when the other end is dropped.
            let _ = begun.await;
            match main(ctx).await {
                Ok(()) => Ok(()),
                Err(error) if handle.begin_stop(Stop::Drain) => Err(error),
                // Cut short by the stop that had begun: that is how servers end.
                Err(error) if *error.kind() == ErrorKind::Stopping => Ok(()),
                Err(error) => Err(error),
            }
        };
        let (maker, result) = main_maker(main);
        let threads = self.launch(Some(maker))?;
        let watch = watch(NodeHandle::new(Arc::clone(&threads.node))).inspect_err(
            |error| tracing::warn!(%error, "signals will not stop the node gracefully"),
        );
        drop(begin);
        threads.join();
        drop(watch);
        main_outcome(&result)
    }

    fn launch(self, main: Option<MainMaker>) -> Result<Threads> {
        let config = |reason: String| Err(Error::new(ErrorKind::Config { reason }));
        match self.cores {
            Some(0) => return config("cores = 0: a node needs at least one core".into()),
            Some(cores) if cores > CORES_MAX => {
                return config(format!("cores = {cores}: the most is {CORES_MAX}"));
            }
            _ => {}
        }
        self.limits.check()?;
        let plan = Plan {
            id: next_node_id(),
            limits: self.limits,
            drain: self.drain,
            seed: self.seed.unwrap_or_else(random_seed),
            hooks: self.hooks,
        };
        let cores = CoreSet::of_process().plan(self.cores, self.pinning);
        threads::start(plan, cores, self.stall_after, main)
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("cores", &self.cores)
            .field("pinning", &self.pinning)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A number that no other node of this process has.
pub(crate) fn next_node_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    // Relaxed: only the uniqueness of the number matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G7: a handler may hold its core for a quarter of a second before anybody is told, where nothing else is said.
    #[test]
    fn g7_a_core_is_held_after_a_quarter_of_a_second() {
        let quarter = Duration::from_millis(250);
        assert_eq!(Node::builder().stall_after, quarter);
        let soon = Node::builder().stall_after(Duration::ZERO);
        assert_eq!(soon.stall_after, Duration::from_millis(1));
    }
}
