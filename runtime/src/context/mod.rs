//! The interface of workers and futures to their node.

mod blocking;
mod call;
pub(crate) mod forward;
mod further;
pub(crate) mod receive;
pub(crate) mod request;
pub(crate) mod send;
pub(crate) mod sleep;
mod stops;
pub(crate) mod urgent;
mod watch;
mod workers;

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringpost_router::{Address, Handle, Message, Route};

use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::envelope::Origin;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::mailbox::State;
use crate::node::handle::NodeHandle;
use crate::routed::Routed;
use crate::task::raw::{MailboxRc, lent};

use self::forward::Forward;
use self::further::send_at_once;
use self::receive::Receive;
use self::request::Request;
use self::send::SendMessage;
use self::sleep::{Sleep, YieldNow};

/// How long a stopping worker or node may take to handle what is queued, when nothing else is said.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A worker's or a future's interface to its node: an address with a mailbox, and the means to send.
///
/// It belongs to one core and is neither `Send` nor `Sync`; threads outside the node use a
/// [`NodeHandle`]. Dropping a [detached](Self::detached) context frees its address, and what waits in
/// its mailbox is reported undelivered.
pub struct Context {
    pub(crate) core: Rc<Core>,
    pub(crate) mailbox: MailboxRc,
    kind: Kind,
    /// Whether a forwarder at the address's home leads here.
    forwarded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The worker's end is the mailbox's end.
    Worker,
    /// The context's end is the mailbox's end.
    Detached,
    /// Stands for threads outside; it has no mailbox of its own.
    Outside,
}

impl Context {
    pub(crate) fn of_worker(core: Rc<Core>, mailbox: MailboxRc) -> Self {
        Self {
            core,
            mailbox,
            kind: Kind::Worker,
            forwarded: false,
        }
    }

    pub(crate) fn of_outside(core: &Rc<Core>) -> Self {
        let mailbox = core.outside.clone();
        Self {
            core: Rc::clone(core),
            mailbox,
            kind: Kind::Outside,
            forwarded: false,
        }
    }

    /// A context at this address of this core.
    pub(crate) fn detached_at(core: &Rc<Core>, address: Address) -> Result<Self> {
        let mailbox = MailboxRc::new(core.detached_mailbox(address));
        core.register(&mailbox).map_err(Error::new)?;
        Ok(Self {
            core: Rc::clone(core),
            mailbox,
            kind: Kind::Detached,
            forwarded: false,
        })
    }

    /// The address of this context's mailbox.
    #[must_use]
    pub fn address(&self) -> Address {
        self.mailbox.address.clone()
    }

    /// The core that this context belongs to, from 0.
    #[must_use]
    pub fn core(&self) -> usize {
        usize::from(self.core.id)
    }

    /// How many cores the node has.
    #[must_use]
    pub fn cores(&self) -> usize {
        usize::from(self.core.cores())
    }

    /// The core on which a worker with this address lives, unless it was placed elsewhere.
    #[must_use]
    pub fn home(&self, address: impl Into<Address>) -> usize {
        usize::from(self.core.placement.home(&address.into()))
    }

    /// A handle for threads outside the node.
    #[must_use]
    pub fn handle(&self) -> NodeHandle {
        NodeHandle::new(Arc::clone(&self.core.node))
    }

    /// Sends a message along a route; waits while its receiver has no room.
    ///
    /// `Ok` means accepted: the message will be handled, or reported undelivered with the reason. Where
    /// nothing is in the way the call itself sends it, so messages leave in the order of the calls; else
    /// it leaves when the future is awaited. In the way is also that the sender has sent so much in one go that it is to
    /// wait for its next turn ([`Limits::turn_messages`](crate::Limits::turn_messages)).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the first hop is known not to exist, [`ErrorKind::EmptyRoute`],
    /// [`ErrorKind::RouteTooLong`], [`ErrorKind::NoTransport`], [`ErrorKind::Full`] where the receiver lets
    /// nobody wait, [`ErrorKind::WaitsForItself`], and [`ErrorKind::NoMemory`] where the message or its routes need a block
    /// and the system has no memory. The error hands the message back ([`Error::into_message`]).
    #[inline(always)]
    pub fn send_message(&self, route: impl Into<Route>, message: impl Message) -> SendMessage<'_> {
        match lent(&route) {
            Some(route) => SendMessage::along(self, route, message),
            None => SendMessage::new(self, route.into(), message),
        }
    }

    /// Sends a message if its receiver has room now.
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message), and [`ErrorKind::Full`]. The error hands the message
    /// back.
    #[inline]
    pub fn try_send_message(&self, route: impl Into<Route>, message: impl Message) -> Result<()> {
        match lent(&route) {
            Some(route) => self.try_along(route, message),
            None => self.try_along(&route.into(), message),
        }
    }

    #[inline(always)]
    fn try_along<M: Message>(&self, route: &Route, message: M) -> Result<()> {
        if self.core.lacks_memory_for::<M>() {
            return Err(self.core.no_memory(message));
        }
        let Some(to) = self.core.receiver_for_try(&self.mailbox, route) else {
            return match send_at_once(self, route, message) {
                None => Ok(()),
                Some(body) => self.try_further(Outgoing::with_body(route.clone(), body)),
            };
        };
        let body = message.into_body();
        self.core
            .enqueue_plain(to, &self.mailbox, Origin::LOCAL, body);
        Ok(())
    }

    /// Something has to be set up for the message, or is lacking.
    #[inline(never)]
    fn try_further(&self, mut out: Outgoing) -> Result<()> {
        match self.core.attempt(&self.mailbox, &mut out) {
            Attempt::Sent => Ok(()),
            Attempt::Failed(error) => Err(error),
            Attempt::Blocked(_) | Attempt::Misgranted => Err(self.full(out)),
        }
    }

    /// There is no room for this message now.
    #[cold]
    pub(crate) fn full(&self, mut out: Outgoing) -> Error {
        let address = out
            .route
            .first()
            .map_or_else(|| self.address(), |hop| hop.address.clone());
        out.error(ErrorKind::Full { address })
    }

    /// Sends a message and waits for its reply, for 30 seconds unless [`Request::within`] says
    /// otherwise.
    ///
    /// ```
    /// # use ringpost::{Context, Result, Routed, Worker};
    /// # struct Square;
    /// # impl Worker for Square {
    /// #     type Message = u64;
    /// #     type Context = Context;
    /// #     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
    /// #         ctx.send_message(msg.reply(), *msg * *msg).await
    /// #     }
    /// # }
    /// # fn main() -> Result<()> {
    /// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
    /// # ctx.start_worker("square", Square).await?;
    /// let nine: u64 = ctx.request("square", 3u64).await?;
    /// assert_eq!(nine, 9);
    /// # ctx.stop().await
    /// # })
    /// # }
    /// ```
    #[inline]
    pub fn request<A: Message>(
        &self,
        route: impl Into<Route>,
        message: impl Message,
    ) -> Request<'_, A, impl Into<Route>, impl Message> {
        Request::new(self, route, message)
    }

    /// Waits for the next message of type `M`, whoever it is from.
    ///
    /// # Errors
    /// [`ErrorKind::Stopping`] when the node ends and nothing more will come.
    pub fn receive<M: Message>(&mut self) -> Receive<'_, M> {
        Receive::new(self, None, None)
    }

    /// As [`receive`](Self::receive), for at most so long.
    ///
    /// # Errors
    /// Also [`ErrorKind::Timeout`].
    pub fn receive_timeout<M: Message>(&mut self, timeout: Duration) -> Receive<'_, M> {
        Receive::new(self, None, Some(timeout))
    }

    /// Waits for the next message of type `M` that `wanted` accepts; the others stay where they are.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_match<M: Message, F: FnMut(&M) -> bool + Unpin>(
        &mut self,
        wanted: F,
    ) -> Receive<'_, M, F> {
        Receive::new(self, Some(wanted), None)
    }

    /// Puts a received message back at the front of this mailbox, to be received or handled again.
    ///
    /// It is counted again as a message from this core ([`Limits::mailbox_credits`](crate::Limits)). If
    /// there is no room, because others came in its place, the mailbox holds it beyond its limit, and
    /// takes in nothing from this core until it is within it again. So it is beyond its limit by the
    /// messages at the most that were received, kept, and then put back at once.
    ///
    /// What a handler was given and puts back is not in its hands any more: should it panic then, it is the mailbox's
    /// message, and not reported as [`Reason::InHand`]. Of a worker without supervision, that is taken to be so also where what
    /// it puts back is what an earlier call was given.
    pub fn put_back<M: Message>(&mut self, message: Routed<M>) {
        self.core.uncount_handled();
        message.head.to().note_put_back(&message.head);
        self.core
            .put_message_back(&self.mailbox, message.into_envelope());
    }

    /// Sends a message on to the next hop of its route. This worker is taken off the way on and put
    /// on the way back, so that the reply comes by here.
    ///
    /// # Errors
    /// As [`send_message`](Self::send_message); [`ErrorKind::EmptyRoute`] if the route ends here, and
    /// [`ErrorKind::RouteTooLong`] also if the way back has grown too long.
    pub fn forward<M: Message>(&self, message: Routed<M>) -> Forward<'_> {
        let (routes, message, obligation) = message.into_next_hop();
        let asks = routes.asks(self.core.here.node());
        let forward = Forward::along(self, (routes, message, obligation));
        match asks {
            Some(place) => forward.expecting_answer(place),
            None => forward,
        }
    }

    /// Sends a message another way: `route` takes this worker's place in its way on, and the way back
    /// does not come by here.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn relay<M: Message>(&self, message: Routed<M>, route: impl Into<Route>) -> Forward<'_> {
        Forward::along(self, message.into_rerouted(route.into()))
    }

    /// Waits until so much time has passed.
    pub fn sleep(&self, wait: Duration) -> Sleep {
        Sleep::new(Rc::clone(&self.core), wait)
    }

    /// Lets everybody else on this core have a turn.
    pub fn yield_now(&self) -> YieldNow {
        YieldNow { yielded: false }
    }

    /// Runs a future on this core, beside the workers. It is dropped when the node ends.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.core.tasks.spawn(Box::pin(future));
    }

    /// A context with an address that nobody else has, for a spawned future.
    ///
    /// Others reach it by the return route of the messages it sends. A handler that awaits what it sends and asks waits as
    /// for what its own context does: it is named in circles
    /// ([`NodeBuilder::on_wait_cycle`](crate::NodeBuilder::on_wait_cycle)), and may not ask its own worker.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    pub fn detached(&self) -> Result<Context> {
        Context::detached_at(&self.core, self.core.random_address())
    }

    /// Whether it is detached, and used by a worker that is polled now.
    #[inline]
    pub(crate) fn acts_for_worker(&self) -> bool {
        self.kind == Kind::Detached && !self.core.runs_no_worker()
    }

    /// Notes that an answer is waited for at this place by whoever is polled now.
    #[inline]
    pub(crate) fn note_behalf(&self, place: Handle) {
        if self.kind == Kind::Detached && self.core.notes_behalf() {
            self.core.replies.note_behalf(&self.core, place);
        }
    }

    /// Who is asked by a message along this route, if that is who asks: this context, or the worker that is polled now. Nobody
    /// else could give the answer.
    pub(crate) fn asks_itself(&self, route: &Route) -> Option<MailboxRc> {
        let hop = route.only()?;
        let is_at = |it: &MailboxRc| hop.address == it.address && self.core.leads_here(hop);
        match self.kind {
            Kind::Outside => None,
            _ if is_at(&self.mailbox) => Some(self.mailbox.clone()),
            Kind::Worker => None,
            Kind::Detached => self.core.running().filter(is_at),
        }
    }

    pub(crate) fn is_own(&self, address: &Address) -> bool {
        self.kind == Kind::Worker && self.mailbox.address == *address
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.kind != Kind::Detached || self.mailbox.state.get() == State::Closed {
            return;
        }
        let address = self.mailbox.address.clone();
        self.core.close(&self.mailbox, Reason::Stopped);
        if self.forwarded {
            let home = self.core.placement.home(&address);
            let onward = self.mailbox.hop().hint();
            let end = move |core: &Rc<Core>| core.stop_forwarder(&address, onward);
            self.core.send_job(home, Box::new(end));
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("address", &self.mailbox.address)
            .field("core", &self.core.id)
            .finish_non_exhaustive()
    }
}
