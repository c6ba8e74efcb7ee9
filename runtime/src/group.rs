//! Groups of workers that are supervised together.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost_router::Address;

use crate::backoff::Backoff;
use crate::context::Context;
use crate::core::Core;
use crate::core::group::{Leader, Led};
use crate::envelope::ReplyTo;
use crate::supervision::{Outcome, Restarts, Supervision};
use crate::worker::Worker;

/// Workers that are started, restarted and ended together: for [`Context::start_group`].
///
/// They are started in the order in which they are named, each when the `initialize` of the one before has
/// returned, and ended in the reverse order, each when the one before has drained and run its `shutdown`; then
/// the group itself ends. So each may rely on those before it as long as it lives, also when the node stops.
///
/// That order holds while there is time: when the time to drain ([`DRAIN_TIMEOUT`](crate::DRAIN_TIMEOUT), or what the
/// node was built with) is over for the group, all workers that are left end at the same time, as
/// [`stop_worker_now`](Context::stop_worker_now) has them end, each with as much time for its `shutdown`. The group
/// ends after them in any case.
///
/// # Failures
/// Each has its [`Supervision`], which says what is a failure and whether the worker ends, is restarted, or takes
/// the group with it ([`Outcome::Escalate`]). How often, and after which waits, is for the group to say; of the
/// [`intensity`](Supervision::intensity) and the [`backoff`](Supervision::backoff) of a worker nothing is used.
/// With whom it is restarted is a matter of the group's kind.
///
/// Those that are restarted with one that has failed are taken down first, in reverse order: a handler that is
/// suspended is cancelled at its await, and its message reported as [`Reason::InHand`](crate::Reason::InHand);
/// `shutdown` runs. Then all come back in order. Each keeps its mailbox, as with any restart.
///
/// A group that fails too often, or that one of its workers takes with it, ends with all of them. A group within
/// another has failed then: it is restarted as the other group says, with workers that begin with empty
/// mailboxes.
///
/// A worker that ends otherwise, because it stops itself or is stopped, leaves the group, which goes on.
///
/// ```
/// # use ringpost::{Context, Group, Result, Supervision, Worker};
/// # struct Store;
/// # impl Worker for Store { type Message = u64; type Context = Context; }
/// # struct Cache;
/// # impl Worker for Cache { type Message = u64; type Context = Context; }
/// # fn main() -> Result<()> {
/// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
/// // When the store fails, the cache is worth nothing; not so the other way round.
/// let group = Group::rest_for_one()
///     .worker("store", Supervision::permanent(), || Store)
///     .worker("cache", Supervision::permanent(), || Cache);
/// ctx.start_group("storage", group).await?;
/// # ctx.stop().await
/// # })
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a group does nothing until it is started"]
pub struct Group {
    pub(crate) strategy: Strategy,
    pub(crate) members: Vec<Member>,
    pub(crate) restarts: Restarts,
}

/// Who is restarted with a worker that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
}

/// A worker, or a group, that belongs to a group.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) address: Address,
    pub(crate) start: Arc<Start>,
}

/// Starts a worker on its core.
pub(crate) type Start = dyn Fn(&Rc<Core>, Led, ReplyTo) + Send + Sync;

impl Group {
    fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            members: Vec::new(),
            restarts: Restarts::default(),
        }
    }

    /// A worker that fails is restarted alone.
    pub fn one_for_one() -> Self {
        Self::new(Strategy::OneForOne)
    }

    /// When one fails, all are restarted.
    pub fn one_for_all() -> Self {
        Self::new(Strategy::OneForAll)
    }

    /// When one fails, it is restarted with those that were started after it.
    pub fn rest_for_one() -> Self {
        Self::new(Strategy::RestForOne)
    }

    /// One more worker, on the core that its address belongs to.
    pub fn worker<W, F>(
        mut self,
        address: impl Into<Address>,
        supervision: Supervision,
        build: F,
    ) -> Self
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Send + Sync + 'static,
    {
        let address = address.into();
        let (name, build) = (address.clone(), Arc::new(build));
        let start = move |core: &Rc<Core>, led, to| {
            let build = Arc::clone(&build);
            let (name, terms) = (name.clone(), supervision.clone());
            core.start_supervised(name, terms, move || build(), Some(led), to);
        };
        self.members.push(Member {
            address,
            start: Arc::new(start),
        });
        self
    }

    /// A group within this one.
    pub fn group(self, address: impl Into<Address>, group: Group) -> Self {
        let supervision = Supervision::transient().on_error(Outcome::Restart);
        self.worker(address, supervision, move || Leader::new(group.clone()))
    }

    /// So many restarts at the most, of all workers together, within such a time. When one more were due, the
    /// group ends instead. Default 3 in 5 seconds.
    pub fn intensity(mut self, restarts: u32, within: Duration) -> Self {
        self.restarts.max = restarts;
        self.restarts.within = within;
        self
    }

    /// How long to wait before a restart: longer with each within the time of [`intensity`](Self::intensity).
    /// Default from 10 ms to 10 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.restarts.backoff = backoff;
        self
    }

    /// A group that ends because its workers fail takes the node with it, unless it is within another.
    pub fn escalate(mut self) -> Self {
        self.restarts.exhausted = Outcome::Escalate;
        self
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.iter().map(|member| &member.address);
        f.debug_struct("Group")
            .field("strategy", &self.strategy)
            .field("members", &members.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
