//! The node as threads outside it see it.

mod entry;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use ringpost_router::{Address, Message, Route};

use crate::context::Context;
use crate::context::request::REQUEST_TIMEOUT;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::core::entrance::Gate;
use crate::error::{Error, ErrorKind, Result};
use crate::mailbox::Stop;
use crate::node::outside::Errand;
use crate::node::shared::NodeShared;
use crate::node::stats::NodeStats;
use crate::shard::{core_of_this_thread, node_of_this_thread};
use crate::worker::Worker;

pub(super) use self::entry::stopping;

/// A handle to a running node, for other threads and other runtimes. Cheap to clone.
///
/// Its futures may be polled by any executor. Each address has a number of messages that threads
/// outside may have under way to it ([`Limits::outside_credits`](crate::Limits)); beyond it the
/// senders to that address wait, and only they.
///
/// ```
/// # use ringpost::{Context, Node, Result, Routed, Worker};
/// struct Echo;
/// impl Worker for Echo {
///     type Message = String;
///     type Context = Context;
///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
///         ctx.send_message(msg.reply(), msg.take()).await
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let node = Node::builder().cores(2).start()?;
/// let handle = node.handle();
/// handle.start_worker_blocking("echo", || Echo)?;
/// let reply: String = handle.request_blocking("echo", "hello".to_string())?;
/// assert_eq!(reply, "hello");
/// node.stop()
/// # }
/// ```
#[derive(Clone)]
pub struct NodeHandle {
    pub(super) node: Arc<NodeShared>,
}

impl NodeHandle {
    pub(crate) fn new(node: Arc<NodeShared>) -> Self {
        Self { node }
    }

    /// How many cores the node has.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.node.cores.len()
    }

    /// The core on which a worker with this address lives, unless it was placed elsewhere.
    #[must_use]
    pub fn home(&self, address: impl Into<Address>) -> usize {
        usize::from(self.node.placement.home(&address.into()))
    }

    /// Whether the node is stopping or has stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.node.is_stopping()
    }

    /// The node's counters now.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        if let Some(core) = core_of_this_thread() {
            core.count();
        }
        let cores = self
            .node
            .cores
            .iter()
            .map(|core| core.counters.snapshot())
            .collect();
        NodeStats { cores }
    }

    /// Sends a message; waits while too many are under way to its first hop.
    ///
    /// What one thread sends to one address, one message after the other, is handled in that order.
    ///
    /// `Ok` means that a core of the node has it: it will be handled, or reported undelivered.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`], [`ErrorKind::EmptyRoute`] and [`ErrorKind::RouteTooLong`], with the
    /// message.
    ///
    /// # Cancellation
    /// Dropped before it is done, the message is not sent.
    pub async fn send_message(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        let mut out = Outgoing::new(route.into(), message);
        let core = self.core_of(&mut out)?;
        let permit = self.permit(Gate::Usual, core, &mut out).await?;
        self.hand_over(core, out, Gate::Usual.errand(permit)).await
    }

    /// Sends a message if its first hop's share and its core's inbox have room now.
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message), and [`ErrorKind::Full`], with the message.
    pub fn try_send_message(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        self.try_bring(Gate::Usual, Outgoing::new(route.into(), message))
    }

    /// As [`send_message`](Self::send_message), blocking the calling thread.
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message); [`ErrorKind::WouldBlockCore`] on a core of this node.
    pub fn send_message_blocking(
        &self,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<()> {
        if self.is_own_core() {
            let kind = ErrorKind::WouldBlockCore {
                call: "send_message_blocking",
            };
            return Err(Error::returning(kind, message.into_body()));
        }
        pollster::block_on(self.send_message(route, message))
    }

    /// Sends a message and waits for its reply, for 30 seconds.
    ///
    /// A handler of the node that awaits this waits as for a request of its own context: it is named in circles
    /// ([`NodeBuilder::on_wait_cycle`](crate::NodeBuilder::on_wait_cycle)), and may not ask its own worker. It costs less to ask
    /// by that context.
    ///
    /// # Errors
    /// As [`Context::request`].
    ///
    /// # Cancellation
    /// Dropped before it is sent, the message is not sent. A reply that comes later is counted as late.
    pub async fn request<R: Message>(
        &self,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<R> {
        self.request_within(REQUEST_TIMEOUT, route, message).await
    }

    /// Sends a message and waits for its reply, for at most so long. That includes waiting until one more may be
    /// under way to its first hop; a message that still waits for that is given back with the error.
    ///
    /// # Errors
    /// As [`Context::request`].
    ///
    /// # Cancellation
    /// As [`request`](Self::request).
    pub async fn request_within<R: Message>(
        &self,
        timeout: Duration,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<R> {
        let out = Outgoing::new(route.into(), message);
        self.ask(Gate::Usual, timeout, out).await
    }

    /// As [`request`](Self::request), blocking the calling thread.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`ErrorKind::WouldBlockCore`] on a core of this node.
    pub fn request_blocking<R: Message>(
        &self,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<R> {
        if self.is_own_core() {
            let kind = ErrorKind::WouldBlockCore {
                call: "request_blocking",
            };
            return Err(Error::returning(kind, message.into_body()));
        }
        pollster::block_on(self.request(route, message))
    }

    /// Starts a worker that is built on its core; see [`Context::start_worker_with`].
    ///
    /// # Errors
    /// As [`Context::start_worker`].
    ///
    /// # Cancellation
    /// As [`run_on`](Self::run_on): once a core has it, the worker is started.
    pub async fn start_worker<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: FnOnce() -> W + Send + 'static,
    {
        let address = address.into();
        self.run_on(self.home(address.clone()), async move |ctx: Context| {
            ctx.start_worker_with(address, build).await
        })
        .await?
    }

    /// As [`start_worker`](Self::start_worker), blocking the calling thread.
    ///
    /// # Errors
    /// As [`Context::start_worker`]; [`ErrorKind::WouldBlockCore`] on a core of this node.
    pub fn start_worker_blocking<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: FnOnce() -> W + Send + 'static,
    {
        if self.is_own_core() {
            let call = "start_worker_blocking";
            return Err(Error::new(ErrorKind::WouldBlockCore { call }));
        }
        pollster::block_on(self.start_worker(address, build))
    }

    /// Stops a worker; see [`Context::stop_worker`].
    ///
    /// # Errors
    /// As [`Context::stop_worker`].
    ///
    /// # Cancellation
    /// As [`run_on`](Self::run_on): once a core has it, the worker is stopped.
    pub async fn stop_worker(&self, address: impl Into<Address>) -> Result<()> {
        let address = address.into();
        self.run_on(self.home(address.clone()), async move |ctx: Context| {
            ctx.stop_worker(address).await
        })
        .await?
    }

    /// Runs a future on a core of the node, with a context of its own, and waits for its result.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchCore`]; [`ErrorKind::Stopping`] if the node ends first;
    /// [`ErrorKind::Other`] if `work` panics.
    ///
    /// # Cancellation
    /// Once a core has it, `work` goes on whether or not the future is kept.
    pub async fn run_on<T, F>(&self, core: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(Context) -> T + Send + 'static,
    {
        let cores = self.cores();
        if core >= cores {
            return Err(Error::new(ErrorKind::NoSuchCore { core, cores }));
        }
        let (sender, receiver) = oneshot::channel();
        let job = move |core: &Rc<Core>, _: Outgoing| {
            let ctx = Context::detached_at(core, core.random_address());
            if let Ok(ctx) = ctx {
                core.tasks.spawn(Box::pin(async move {
                    // Nobody listens any more if the caller has given up.
                    let _ = sender.send(work(ctx).await);
                }));
            }
        };
        let out = Outgoing::with_body(Route::new(), ().into_body());
        self.hand_over(core as u16, out, Errand::run(job)).await?;
        receiver.await.map_err(|_| match self.is_stopping() {
            true => Error::new(ErrorKind::Stopping),
            false => Error::other("the work panicked; see the log"),
        })
    }

    /// Begins the node's stop and waits until every worker has ended, but for those whose own handlers
    /// wait for [`Context::stop`]. A handler that awaits this one waits for itself, until the time to drain is over
    /// and it is cut short.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    ///
    /// # Cancellation
    /// Once polled, the node stops whether or not the future is kept.
    pub async fn stop(&self) -> Result<()> {
        self.begin_stop(Stop::Drain);
        self.node.stop.workers_ended().await;
        Ok(())
    }

    /// As [`stop`](Self::stop), but what is queued is reported undelivered instead of handled. Hastens a
    /// stop that has begun already.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    ///
    /// # Cancellation
    /// As [`stop`](Self::stop).
    pub async fn stop_now(&self) -> Result<()> {
        self.begin_stop(Stop::Now);
        self.node.stop.workers_ended().await;
        Ok(())
    }

    /// Begins the stop, or hastens it. Whether the node was running until now.
    pub(crate) fn begin_stop(&self, stop: Stop) -> bool {
        self.node.begin_stop(stop)
    }

    /// Whether the calling code runs on a core of this node.
    fn is_own_core(&self) -> bool {
        node_of_this_thread() == Some(self.node.id)
    }
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle")
            .field("cores", &self.cores())
            .finish_non_exhaustive()
    }
}
