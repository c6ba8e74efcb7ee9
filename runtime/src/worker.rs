//! The worker: a state, and what it does with each message.

use ringpost_router::Message;

use crate::error::Result;
use crate::overflow::Overflow;
use crate::routed::Routed;

/// A worker lives at an address, on one core, and handles one message at a time.
///
/// Its futures need not be `Send`: they never leave the core. A worker that is moved to its core by
/// [`start_worker`](crate::Context::start_worker) must be `Send` itself; one that is built there by
/// [`start_worker_with`](crate::Context::start_worker_with) need not.
///
/// # When a call fails
/// An error of `initialize` fails the start, runs `shutdown` and frees the address. An error of
/// `handle_message` is reported and the worker goes on. A panic ends the worker without `shutdown`,
/// whose state may be broken; nobody else is affected. A [`Supervision`](crate::Supervision) can say
/// otherwise.
///
/// # Cancellation
/// A suspended call is dropped at its await when the worker has to stop and its time is over.
///
/// ```
/// use ringpost::{Context, Result, Routed, Worker};
///
/// struct Counter(u64);
///
/// impl Worker for Counter {
///     type Message = u64;
///     type Context = Context;
///
///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
///         self.0 += *msg;
///         ctx.send_message(msg.reply(), self.0).await
///     }
/// }
/// # fn main() -> Result<()> {
/// ringpost::Node::builder().cores(1).run(async |mut ctx: Context| {
///     ctx.start_worker("counter", Counter(40)).await?;
///     ctx.send_message("counter", 2u64).await?;
///     assert_eq!(*ctx.receive::<u64>().await?, 42);
///     ctx.stop().await
/// })
/// # }
/// ```
#[allow(
    async_fn_in_trait,
    reason = "one core runs a worker's futures, so they need not be Send"
)]
pub trait Worker: 'static {
    /// What this worker takes. Messages of other types are reported undelivered.
    type Message: Message;

    /// The interface to the node: [`Context`](crate::Context).
    type Context;

    /// Called once, before the first message. Messages that come meanwhile wait.
    ///
    /// # Errors
    /// Whatever the worker returns fails its start.
    async fn initialize(&mut self, ctx: &mut Self::Context) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Called once, after the last message, also when `initialize` failed.
    ///
    /// # Errors
    /// Whatever the worker returns is reported.
    async fn shutdown(&mut self, ctx: &mut Self::Context) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// What happens to messages for which this worker has no room. Asked once, when it has been made; of one that is
    /// restarted, when the first has been.
    fn overflow(&self) -> Overflow {
        Overflow::Wait
    }

    /// Called for each message, one at a time, in the order of arrival.
    ///
    /// # Errors
    /// Whatever the worker returns is reported, and the worker goes on.
    async fn handle_message(
        &mut self,
        ctx: &mut Self::Context,
        msg: Routed<Self::Message>,
    ) -> Result<()> {
        let _ = (ctx, msg);
        Ok(())
    }
}
