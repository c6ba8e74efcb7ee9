//! Hearing of the end of other workers.

use std::rc::Rc;

use ringpost_router::{Message, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::watches::{Beyond, Tell, Watching};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Result};
use crate::watch::{Ended, Watch};

impl Context {
    /// Has a message of type [`Ended`] come to this context when the worker at this address ends, once. It
    /// says why, and comes after all that the worker has sent here before.
    ///
    /// If there is nobody at the address, the message comes at once, with
    /// [`EndReason::NotFound`](crate::EndReason::NotFound). A restart is no end. When the node stops, nobody
    /// is told of the ends that this brings, nor is a worker that has been asked to stop.
    ///
    /// Of a route with several hops the first is watched, a connection to another node as a rule: the message
    /// comes when that is lost, with [`EndReason::Disconnected`](crate::EndReason::Disconnected), also if it is
    /// opened again then. Where there is none yet it is opened, as it is for a message. Of a worker of the node to
    /// which it leads, the second hop and the last, the message comes also when that ends while the connection stands,
    /// as far as it is exposed to this node; why it panicked or failed is not said then. Nodes of other makes do not tell.
    ///
    /// The message needs no room at this context, but has the place of its watch until it is handled or received.
    ///
    /// ```
    /// # use ringpost::{Context, EndReason, Ended, Result, Worker};
    /// # struct Idle;
    /// # impl Worker for Idle { type Message = u64; type Context = Context; }
    /// # fn main() -> Result<()> {
    /// # ringpost::Node::builder().cores(1).run(async |mut ctx: Context| {
    /// ctx.start_worker("idle", Idle).await?;
    /// ctx.watch("idle").await?;
    /// ctx.stop_worker("idle").await?;
    /// let ended = ctx.receive::<Ended>().await?;
    /// assert_eq!(ended.reason, EndReason::Stopped);
    /// # ctx.stop().await
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::EmptyRoute`]; [`ErrorKind::NoTransport`]; [`ErrorKind::LimitReached`] when as many watches of this
    /// core have brought no news yet, or news that wait, as may be ([`Limits::watches_max`](crate::Limits)).
    ///
    /// # Cancellation
    /// Once polled, the watch is begun whether or not the future is kept.
    pub async fn watch(&self, route: impl Into<Route>) -> Result<Watch> {
        self.begin_watch(route.into(), Box::new(Ended::into_body))
            .await
    }

    /// As [`watch`](Self::watch), with a message that `make` makes of it: one that this worker's handler
    /// takes.
    ///
    /// ```
    /// # use ringpost::{Context, Ended, Result, Routed, Worker, local_message};
    /// enum Event {
    ///     Watch(&'static str),
    ///     Ended(Ended),
    /// }
    /// local_message!(Event);
    ///
    /// struct Watcher;
    ///
    /// impl Worker for Watcher {
    ///     type Message = Event;
    ///     type Context = Context;
    ///
    ///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Event>) -> Result<()> {
    ///         match msg.take() {
    ///             Event::Watch(name) => ctx.watch_as(name, Event::Ended).await.map(drop),
    ///             Event::Ended(ended) => Ok(println!("{ended}")),
    ///         }
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    ///
    /// # Cancellation
    /// As [`watch`](Self::watch).
    pub async fn watch_as<M: Message>(
        &self,
        route: impl Into<Route>,
        make: impl FnOnce(Ended) -> M + 'static,
    ) -> Result<Watch> {
        let tell = |ended| make(ended).into_body();
        self.begin_watch(route.into(), Box::new(tell)).await
    }

    /// Gives a watch up. Whether it was on: if not, its message has come to this context already.
    pub fn unwatch(&self, watch: Watch) -> bool {
        self.core
            .end_watch(&self.mailbox, watch.id, ReplyTo::NOBODY)
    }

    async fn begin_watch(&self, route: Route, tell: Tell) -> Result<Watch> {
        let (Some(at), Some(of)) = (route.first().cloned(), route.last().cloned()) else {
            return Err(Error::new(ErrorKind::EmptyRoute));
        };
        if !at.address.is_local() && !self.core.has_transport(&at.address) {
            let address = at.address;
            return Err(Error::new(ErrorKind::NoTransport { address }));
        }
        self.core.may_watch()?;
        let beyond = (route.len() == 2).then(|| Beyond {
            of: of.clone(),
            watching: self.address(),
        });
        let watching = Watching {
            at: at.clone(),
            of,
            of_peer: false,
            tell,
        };
        let watcher = self.core.begin_watch(&self.mailbox, watching);
        let own = self.core.id;
        let watch = move |core: &Rc<Core>, to| core.watch(&at, beyond, watcher, to);
        self.call(own, watch).await?;
        Ok(Watch { id: watcher.id() })
    }
}
