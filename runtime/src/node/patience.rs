//! How long a thread outside waits for a permit to ask. It has no clock of the node's, so a core counts the time
//! for it; that is asked for only where there is no permit at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_channel::oneshot;
use ringpost_router::{Address, Message, Route};

use crate::context::sleep::Sleep;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::core::entrance::Gate;
use crate::error::{Error, ErrorKind, Result};
use crate::node::handle::{NodeHandle, stopping};
use crate::node::outside::Errand;
use crate::node::permits::Permit;
use crate::time::Time;

/// A deadline, and since when it runs if the core has begun to count before the message came to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    timeout: Duration,
    began: Option<Time>,
}

impl Patience {
    /// What is left of it at this time of the core that counts.
    pub(crate) fn left(&self, now: Time) -> Duration {
        let waited = self.began.map(|began| now.saturating_since(began));
        self.timeout.saturating_sub(waited.unwrap_or_default())
    }

    /// It runs from now on, if it does not already.
    pub(super) fn begin(&mut self, now: Time) {
        self.began.get_or_insert(now);
    }

    /// What it comes to when it ends before there was room to ask.
    pub(super) fn is_over(&self, address: &Address) -> ErrorKind {
        ErrorKind::Timeout {
            waiting_for: format!("room to ask {address}"),
            after: self.timeout,
        }
    }
}

impl NodeHandle {
    /// Waits until one more message may be under way to the first hop, for at most so long.
    pub(super) async fn permit_within(
        &self,
        timeout: Duration,
        core: u16,
        gate: Gate,
        out: &mut Outgoing,
    ) -> Result<(Permit, Patience)> {
        let Some(address) = out.route.first().map(|hop| hop.address.clone()) else {
            return Err(Error::new(ErrorKind::EmptyRoute));
        };
        let (began, permits) = (None, self.permits(gate));
        let patience = Patience { timeout, began };
        if let Some(permit) = permits.try_acquire(&address) {
            return Ok((permit, patience));
        }
        let (begin, mut begun) = oneshot::channel();
        let mut over = pin!(self.count(core, timeout, begin));
        let mut permit = pin!(self.acquire(gate, core, &address));
        let permit = poll_fn(|polling| match permit.as_mut().poll(polling) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending => over.as_mut().poll(polling).map(|()| None),
        })
        .await;
        match permit {
            Some(Ok(permit)) => {
                let began = begun.try_recv().ok().flatten();
                Ok((permit, Patience { timeout, began }))
            }
            None if !self.is_stopping() => Err(out.error(patience.is_over(&address))),
            Some(Err(kind)) => Err(out.error(kind)),
            None => Err(stopping(out)),
        }
    }

    /// Resolves when so much time of this core has passed, or when the node ends. The core is rid of it when this
    /// is dropped.
    async fn count(&self, core: u16, timeout: Duration, begin: oneshot::Sender<Time>) {
        let (mut over, is_over) = oneshot::channel::<()>();
        let count = move |core: &Rc<Core>, _: Outgoing| {
            // Who asked may have given up by now; the sleep finds out.
            let _ = begin.send(core.now.get());
            let mut sleep = Sleep::new(Rc::clone(core), timeout);
            core.tasks.spawn(Box::pin(poll_fn(move |polling| {
                match over.poll_canceled(polling) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => Pin::new(&mut sleep).poll(polling),
                }
            })));
        };
        let out = Outgoing::with_body(Route::new(), ().into_body());
        if self.hand_over(core, out, Errand::run(count)).await.is_ok() {
            // The other end is dropped when the time is over, and when the core ends.
            let _ = is_over.await;
        }
    }
}
