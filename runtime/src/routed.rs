//! A message as its receiver sees it: the payload, and where it came from.

use std::fmt;
use std::ops::{Deref, DerefMut};

use ringpost_mailbox::cell::Boxed;
use ringpost_router::{Address, Message, Route};

use crate::core::unanswered::Obligation;
use crate::envelope::{Envelope, Head, Routes};
use crate::error::{Reason, Undelivered};

/// A received message of type `M`, with its routes.
///
/// It derefs to `M`, and displays as `M` does.
///
/// ```
/// # use ringpost::{Context, Result};
/// # fn main() -> Result<()> {
/// # ringpost::Node::builder().cores(1).run(async |mut ctx: Context| {
/// ctx.send_message("app", "hello".to_string()).await?;
/// let message = ctx.receive::<String>().await?;
/// assert_eq!(message.len(), 5);
/// assert_eq!(message.to_string(), "hello");
/// assert_eq!(message.sender().to_string(), "0#app");
/// assert_eq!(message.take(), "hello");
/// # ctx.stop().await
/// # })
/// # }
/// ```
#[repr(C)]
pub struct Routed<M> {
    /// In front, so that its halves stay whole wherever a handler moves this.
    pub(crate) head: Head,
    pub(crate) message: M,
}

impl<M> Routed<M> {
    #[inline]
    pub(crate) fn new(message: M, head: Head) -> Self {
        Self { head, message }
    }

    /// The payload, by value.
    #[inline]
    pub fn take(self) -> M {
        self.message
    }

    /// The route on which a reply reaches the sender; for a request, the requester's reserved place.
    #[inline(always)]
    #[must_use]
    pub fn reply(&self) -> Route {
        self.head.return_route()
    }

    /// The same as [`reply`](Self::reply).
    #[must_use]
    pub fn return_route(&self) -> Route {
        self.head.return_route()
    }

    /// The rest of the way, beginning with the receiver itself.
    #[must_use]
    pub fn onward_route(&self) -> Route {
        self.head.onward_route()
    }

    /// Who sent the message first.
    #[must_use]
    pub fn sender(&self) -> Address {
        self.head.first_sender().clone()
    }

    /// Who passed the message on last.
    pub(crate) fn passed_by(&self) -> &Address {
        &self.head.from().address
    }

    /// The address to which the message was sent.
    #[must_use]
    pub fn address(&self) -> Address {
        self.head.to().address.clone()
    }
}

impl<M: Message> Routed<M> {
    /// The message again as the core keeps it, for putting it back.
    pub(crate) fn into_envelope(self) -> Envelope {
        self.head.into_envelope(self.message.into_body())
    }

    /// What is reported if this message gets no further.
    pub(crate) fn lost(&self, reason: Reason) -> Undelivered {
        Undelivered {
            to: self.head.to().address.clone(),
            from: self.head.first_sender().clone(),
            type_name: std::any::type_name::<M>(),
            expected: None,
            reason,
        }
    }

    /// The message one hop on: its receiver is taken off the way on and put on the way back.
    pub(crate) fn into_next_hop(self) -> (Boxed<Routes>, M, Option<Obligation>) {
        let passed = self.head.to().hop();
        let (mut routes, obligation) = self.head.into_routes();
        routes.onward.pop_front();
        routes.back.push_front(passed);
        (routes, self.message, obligation)
    }

    /// The routes that the message has with it.
    pub(crate) fn routes(&self) -> Option<&Routes> {
        self.head.towards.routes()
    }

    /// The message, and the routes that it has with it: whoever takes them sees to it that a requester is
    /// told.
    pub(crate) fn into_parts(self) -> (Option<Boxed<Routes>>, M) {
        (self.head.take_routes(), self.message)
    }

    /// The message on another way: the receiver is replaced by `route`, the way back stays.
    pub(crate) fn into_rerouted(self, route: Route) -> (Boxed<Routes>, M, Option<Obligation>) {
        let (mut routes, obligation) = self.head.into_routes();
        routes.onward.pop_front();
        routes.onward = route.append_route(std::mem::take(&mut routes.onward));
        (routes, self.message, obligation)
    }
}

impl<M> Deref for Routed<M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        &self.message
    }
}

impl<M> DerefMut for Routed<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut M {
        &mut self.message
    }
}

impl<M> AsRef<M> for Routed<M> {
    fn as_ref(&self) -> &M {
        &self.message
    }
}

impl<M: fmt::Display> fmt::Display for Routed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl<M: fmt::Debug> fmt::Debug for Routed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed")
            .field("message", &self.message)
            .field("to", &self.head.to().address)
            .field("return_route", &self.head.show_return_route())
            .finish()
    }
}

impl<M: PartialEq> PartialEq<M> for Routed<M> {
    fn eq(&self, other: &M) -> bool {
        self.message == *other
    }
}
