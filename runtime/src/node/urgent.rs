//! Urgent messages of threads outside the node.

use std::time::Duration;

use ringpost_router::{Message, Route};

use crate::context::request::REQUEST_TIMEOUT;
use crate::core::deliver::Outgoing;
use crate::core::entrance::Gate;
use crate::error::Result;
use crate::node::handle::NodeHandle;

impl NodeHandle {
    /// Sends a message that passes those which wait at its receiver; see [`Context::send_urgent`].
    ///
    /// It needs none of the room that other messages of threads outside wait for. Of urgent ones,
    /// [`Limits::urgent_credits`](crate::Limits::urgent_credits) may be under way to one address until a core has
    /// them, and then wait there like those of its workers; beyond that the sender waits.
    ///
    /// What one thread sends urgently to one address, one message after the other, is handled in that order.
    ///
    /// ```
    /// # use ringpost::{Context, Node, Result, Routed, Worker};
    /// # use std::time::Duration;
    /// # struct Slow;
    /// # impl Worker for Slow {
    /// #     type Message = String;
    /// #     type Context = Context;
    /// #     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
    /// #         ctx.sleep(Duration::from_millis(1)).await;
    /// #         ctx.send_message(msg.reply(), msg.take()).await
    /// #     }
    /// # }
    /// # fn main() -> Result<()> {
    /// let node = Node::builder().cores(1).start()?;
    /// let handle = node.handle();
    /// handle.start_worker_blocking("slow", || Slow)?;
    /// # pollster::block_on(async move {
    /// for _ in 0..100 {
    ///     handle.send_message("slow", "work".to_owned()).await?;
    /// }
    /// let reply: String = handle.request_urgent("slow", "how far?".to_owned()).await?;
    /// assert_eq!(reply, "how far?");
    /// handle.send_urgent("slow", "enough".to_owned()).await?;
    /// # handle.stop_now().await
    /// # })?;
    /// # node.wait()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message).
    ///
    /// # Cancellation
    /// Dropped before it is done, the message is not sent.
    ///
    /// [`Context::send_urgent`]: crate::Context::send_urgent
    pub async fn send_urgent(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        let mut out = Outgoing::new(route.into(), message);
        let core = self.core_of(&mut out)?;
        let permit = self.permit(Gate::Urgent, core, &mut out).await?;
        let errand = Gate::Urgent.errand(permit);
        self.hand_over(core, out, errand).await
    }

    /// As [`send_urgent`](Self::send_urgent), if its address's share and its core's inbox have room now.
    ///
    /// # Errors
    /// As [`try_send_message`](Self::try_send_message).
    pub fn try_send_urgent(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        self.try_bring(Gate::Urgent, Outgoing::new(route.into(), message))
    }

    /// Sends an urgent message and waits for its reply, for 30 seconds.
    ///
    /// # Errors
    /// As [`Context::request`](crate::Context::request).
    ///
    /// # Cancellation
    /// As for [`request`](Self::request).
    pub async fn request_urgent<R: Message>(
        &self,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<R> {
        self.request_urgent_within(REQUEST_TIMEOUT, route, message)
            .await
    }

    /// Sends an urgent message and waits for its reply, for at most so long; as
    /// [`request_within`](Self::request_within).
    ///
    /// # Errors
    /// As [`Context::request`](crate::Context::request).
    ///
    /// # Cancellation
    /// As for [`request`](Self::request).
    pub async fn request_urgent_within<R: Message>(
        &self,
        timeout: Duration,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Result<R> {
        let out = Outgoing::new(route.into(), message);
        self.ask(Gate::Urgent, timeout, out).await
    }
}
