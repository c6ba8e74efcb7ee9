//! Where time, randomness and threads come from.
//!
//! A driver owns the shards of a node and calls [`Shard::turn`](crate::shard::Shard::turn) with the
//! time. What it must supply: the bells that wake a sleeping core, a seed, a clock, a network, and what to do
//! with a core that has nothing to do. There are two: [`threads`] for real, and [`sim`] for tests, which
//! runs every core on the calling thread, in an order drawn from a seed, under a virtual clock.
//! Nothing else in this crate reads a clock, draws a random number, opens a socket or starts a thread. There
//! is no trait over the two, since they share nothing but what they call; threads and pinning, which
//! [`threads`] asks of the operating system, are behind one ([`system`]).

pub(crate) mod blocking;
pub(crate) mod cores;
pub(crate) mod helper;
pub(crate) mod net;
pub(crate) mod rare;
pub(crate) mod signals;
pub mod sim;
pub(crate) mod spin;
pub(crate) mod stderr;
pub(crate) mod system;
pub(crate) mod threads;
pub(crate) mod watchdog;

use std::rc::Rc;
use std::sync::Arc;

use ringpost_mailbox::sync::Mutex;
use ringpost_router::Address;

use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::mailbox::Stop;
use crate::node::handle::NodeHandle;
use crate::task::Spawned;

/// The address of the context that a node's main future gets.
pub(crate) const APP: &str = "app";

/// Makes the main future, on the core that runs it.
pub(crate) type MainMaker = Box<dyn FnOnce(&Rc<Core>) -> Spawned + Send>;

/// Where the main future leaves its result.
pub(crate) type MainResult<T> = Arc<Mutex<Option<Result<T>>>>;

/// Wraps a main function: it gets the context `app`, and its result goes to the second value.
pub(crate) fn main_maker<T, F>(main: F) -> (MainMaker, MainResult<T>)
where
    T: Send + 'static,
    F: AsyncFnOnce(Context) -> Result<T> + Send + 'static,
{
    let result: MainResult<T> = Arc::new(Mutex::new(None));
    let place = Arc::clone(&result);
    let maker: MainMaker = Box::new(move |core: &Rc<Core>| {
        let ctx = Context::detached_at(core, Address::local(APP));
        let core_node = NodeHandle::new(Arc::clone(&core.node));
        Box::pin(async move {
            let _note = PanicNote(Arc::clone(&place), core_node);
            let outcome = match ctx {
                Ok(ctx) => main(ctx).await,
                Err(error) => Err(error),
            };
            *place.lock() = Some(outcome);
        })
    });
    (maker, result)
}

/// Notes that the main future panicked, and stops its node.
struct PanicNote<T>(MainResult<T>, NodeHandle);

impl<T> Drop for PanicNote<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.lock() = Some(Err(Error::other("the main function panicked; see the log")));
            self.1.begin_stop(Stop::Drain);
        }
    }
}

/// What the main future left, once the node has ended.
pub(crate) fn main_outcome(result: &MainResult<()>) -> Result<()> {
    result.lock().take().unwrap_or(Ok(()))
}
