//! How a message of a thread outside gets to its core.

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use ringpost_mailbox::inbox::InboxError;
use ringpost_router::Message;

use super::NodeHandle;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::core::entrance::Gate;
use crate::error::{Error, ErrorKind, Result, check_route};
use crate::node::outside::{Errand, Visit};
use crate::node::permits::{Permit, Permits};
use crate::node::question::Question;
use crate::node::shared::InboxItem;
use crate::waits::Awaited;

impl NodeHandle {
    /// Asks, and waits for the reply, for at most so long.
    pub(in crate::node) async fn ask<R: Message>(
        &self,
        gate: Gate,
        timeout: Duration,
        mut out: Outgoing,
    ) -> Result<R> {
        let core = self.core_of(&mut out)?;
        if let Some(own) = self.asks_itself(core, &out.route) {
            return Err(out.fail_own(&own));
        }
        let Some(last) = out.route.last().cloned() else {
            return Err(out.error(ErrorKind::EmptyRoute));
        };
        let (permit, patience) = self.permit_within(timeout, core, gate, &mut out).await?;
        let (asker, receiver) = oneshot::channel();
        let ask = move |core: &Rc<Core>, out: Outgoing| {
            let question = Question::<R> {
                gate,
                patience,
                permit,
                out,
                asker,
            };
            question.enter(core);
        };
        let answer = async move {
            self.hand_over(core, out, Errand::run(ask)).await?;
            let answer = receiver.await;
            answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Stopping)))
        };
        self.wait_on_behalf(Awaited::Reply, &last, answer).await
    }

    /// Brings a message to its core if it may be under way, and that has room, now.
    pub(in crate::node) fn try_bring(&self, gate: Gate, mut out: Outgoing) -> Result<()> {
        let core = self.core_of(&mut out)?;
        let Some(address) = out.route.first().map(|hop| hop.address.clone()) else {
            return Err(Error::new(ErrorKind::EmptyRoute));
        };
        let Some(permit) = self.permits(gate).try_acquire(&address) else {
            return Err(out.error(ErrorKind::Full { address }));
        };
        if !self.node.cores[usize::from(core)].transit.try_acquire() {
            return Err(out.error(ErrorKind::Full { address }));
        }
        self.push(core, out, gate.errand(permit))
    }

    /// The permits for messages that come in by this gate.
    pub(in crate::node) fn permits(&self, gate: Gate) -> &Permits {
        match gate {
            Gate::Usual => &self.node.permits,
            Gate::Urgent => &self.node.permits_urgent,
        }
    }

    /// Waits until one more message may be under way to the first hop.
    pub(in crate::node) async fn permit(
        &self,
        gate: Gate,
        by: u16,
        out: &mut Outgoing,
    ) -> Result<Permit> {
        let Some(hop) = out.route.first() else {
            return Err(Error::new(ErrorKind::EmptyRoute));
        };
        let address = hop.address.clone();
        let permit = self.acquire(gate, by, &address).await;
        permit.map_err(|kind| out.error(kind))
    }

    /// The core that takes a message in: where its first hop is, or should be.
    pub(in crate::node) fn core_of(&self, out: &mut Outgoing) -> Result<u16> {
        if self.is_stopping() {
            return Err(stopping(out));
        }
        if let Err(kind) = check_route(&out.route) {
            return Err(out.error(kind));
        }
        Ok(match out.route.first() {
            Some(hop) => match hop.hint_of(self.node.id).map(|hint| hint.core.index()) {
                Some(core) if usize::from(core) < self.cores() => core,
                _ => self.node.placement.home(&hop.address),
            },
            None => 0,
        })
    }

    /// Brings a message to a core, waiting for a place in its inbox.
    pub(in crate::node) async fn hand_over(
        &self,
        core: u16,
        mut out: Outgoing,
        errand: Errand,
    ) -> Result<()> {
        let transit = &self.node.cores[usize::from(core)].transit;
        if transit.acquire().await.is_err() {
            return Err(stopping(&mut out));
        }
        self.push(core, out, errand)
    }

    /// Puts an errand with its message into a core's inbox, where a place is held for it; not if the node
    /// has begun to stop while a place was waited for.
    fn push(&self, core: u16, mut out: Outgoing, errand: Errand) -> Result<()> {
        let there = &self.node.cores[usize::from(core)];
        if !self.is_stopping() {
            let visit = InboxItem::Visit(Box::new(Visit::new(&mut out, errand)));
            match there.inbox.push(visit).map_err(InboxError::into_inner) {
                Ok(()) => {
                    there.ring_bell();
                    return Ok(());
                }
                Err(InboxItem::Visit(visit)) => out.body = visit.into_body(),
                Err(InboxItem::Connect { .. } | InboxItem::Connected(_)) => {}
            }
        }
        there.transit.release(1);
        Err(stopping(&mut out))
    }
}

pub(in crate::node) fn stopping(out: &mut Outgoing) -> Error {
    out.error(ErrorKind::Stopping)
}
