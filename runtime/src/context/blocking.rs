//! Calls that block, on threads of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_channel::oneshot;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::task::panics::into_text;

impl Context {
    /// Makes a call that blocks, or computes for long, on a thread beside the cores, and waits for its result.
    ///
    /// There are [`Limits::blocking_threads`](crate::Limits) such threads at the most, started when they are
    /// needed, which the system may run on every CPU of the process; up to
    /// [`Limits::blocking_queue`](crate::Limits) calls wait for one, and who comes then waits for a place. In a
    /// simulation the call is made where it stands, and takes no time.
    ///
    /// ```
    /// # use ringpost::{Context, Node, Result};
    /// # fn main() -> Result<()> {
    /// Node::builder().cores(1).run(async |ctx: Context| {
    ///     let lines = ctx.spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await??;
    ///     assert!(lines.contains("[package]"));
    ///     ctx.stop().await
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Panicked`] when the call panics; [`ErrorKind::Stopping`] when the node ends first;
    /// [`ErrorKind::Io`] when the system has no thread for it.
    ///
    /// # Cancellation
    /// Dropped before a thread has taken the call up, it is not made. One that has begun goes on, and the end of
    /// the node waits for it; its result is dropped on that thread. If that panics, the log says so.
    pub async fn spawn_blocking<T, F>(&self, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Place::acquire(self).await?;
        let (sender, receiver) = oneshot::channel();
        let node = std::sync::Arc::clone(&self.core.node);
        node.blocking.make(Box::new(move || {
            drop(place);
            if !sender.is_canceled() {
                // As text, so that no payload of a panic is dropped, which may panic again.
                let result = catch_unwind(AssertUnwindSafe(call)).map_err(into_text);
                // Whoever asked may have given up in this very moment.
                let _ = sender.send(result);
            }
        }));
        match receiver.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(message)) => {
                let address = self.address();
                Err(Error::new(ErrorKind::Panicked { address, message }))
            }
            Err(_) if self.core.node.is_stopping() => Err(Error::new(ErrorKind::Stopping)),
            Err(_) => Err(Error::new(ErrorKind::Io(
                "no thread for a blocking call; see the log".to_owned(),
            ))),
        }
    }
}

/// A place in the queue of calls.
struct Place(std::sync::Arc<crate::node::shared::NodeShared>);

impl Place {
    async fn acquire(ctx: &Context) -> Result<Self> {
        let node = std::sync::Arc::clone(&ctx.core.node);
        match node.blocking.places.acquire().await {
            Ok(()) => Ok(Self(node)),
            Err(_) => Err(Error::new(ErrorKind::Stopping)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.blocking.places.release(1);
    }
}
