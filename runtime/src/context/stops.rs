//! Stopping workers, and the node.

use std::rc::Rc;
use std::time::Duration;

use ringpost_router::{Address, Message};

use super::call::Place;
use super::{Context, Kind};
use crate::core::Core;
use crate::core::lifecycle::WasReplicated;
use crate::envelope::ReplyTo;
use crate::error::Result;
use crate::mailbox::Stop;

impl Context {
    /// Stops a worker: new messages are refused, what is queued is handled (for at most
    /// [`DRAIN_TIMEOUT`](crate::DRAIN_TIMEOUT), or what the node was built with), `shutdown` runs, and
    /// the address is free.
    ///
    /// Resolves when all of that is done; for the worker whose own handler calls it, at once: that
    /// worker ends after its handler. All instances of a replicated worker are stopped, also when one
    /// of them calls it. A [`Group`](crate::Group) has ended when all its workers have.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound); [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached), as for
    /// [`start_worker`](Self::start_worker), and then the worker is not stopped.
    ///
    /// # Cancellation
    /// Once polled, the worker is stopped whether or not the future is kept.
    pub fn stop_worker(&self, address: impl Into<Address>) -> impl Future<Output = Result<()>> {
        self.stop_worker_with(address.into(), Stop::Drain)
    }

    /// Stops a worker without handling what is queued: it is reported undelivered. A suspended
    /// handler is dropped at its await.
    ///
    /// # Errors
    /// As [`stop_worker`](Self::stop_worker).
    ///
    /// # Cancellation
    /// As [`stop_worker`](Self::stop_worker).
    pub fn stop_worker_now(&self, address: impl Into<Address>) -> impl Future<Output = Result<()>> {
        self.stop_worker_with(address.into(), Stop::Now)
    }

    /// A function that returns a block, and no `async fn` within another: each of those moves the address from where it was put as
    /// an argument, which waits for that to be stored.
    fn stop_worker_with(&self, address: Address, stop: Stop) -> impl Future<Output = Result<()>> {
        let home = self.core.placement.home(&address);
        async move {
            if self.is_own(&address) {
                self.stop_own(home, stop);
                return Ok(());
            }
            let answer = self.begin_stop_on(home, &address, stop)?.await?;
            if WasReplicated::from_body(answer).unwrap_or(false) {
                for core in (0..self.core.cores()).filter(|core| *core != home) {
                    // An instance that has ended by itself needs no stopping.
                    if let Ok(asked) = self.begin_stop_on(core, &address, stop) {
                        let _ = asked.await;
                    }
                }
            }
            Ok(())
        }
    }

    /// Stops the worker whose own handler asks for it, and with it the instance that the others follow.
    fn stop_own(&self, home: u16, stop: Stop) {
        if self.core.restarts_itself(&self.mailbox) {
            return;
        }
        let drain = self.core.node.drain;
        self.core.begin_stop(&self.mailbox, stop, drain);
        if self.mailbox.replicated.get() && home != self.core.id {
            let address = self.mailbox.address.clone();
            let end = move |core: &Rc<Core>| core.stop_here(&address, stop, drain, ReplyTo::NOBODY);
            self.core.send_job(home, Box::new(end));
        }
    }

    #[inline(always)]
    fn begin_stop_on(&self, core: u16, address: &Address, stop: Stop) -> Result<Place<'_>> {
        if core != self.core.id {
            return self.begin_stop_away(core, address, stop);
        }
        let place = self.reserve_counted()?;
        let stopper = place.as_reply_to();
        self.core
            .stop_here(address, stop, self.core.node.drain, stopper);
        Ok(place)
    }

    #[inline(never)]
    fn begin_stop_away(&self, core: u16, address: &Address, stop: Stop) -> Result<Place<'_>> {
        let drain: Duration = self.core.node.drain;
        let address = address.clone();
        self.call_counted(core, move |core: &Rc<Core>, to| {
            core.stop_here(&address, stop, drain, to)
        })
    }

    /// Stops the node: new work is refused, every worker handles what is queued (for at most
    /// [`DRAIN_TIMEOUT`](super::DRAIN_TIMEOUT), or what the node was built with) and runs `shutdown`.
    ///
    /// Resolves when every worker has ended, but for those whose own handlers await the node's stop too,
    /// by this call or another: they end after those handlers, which then have as long as draining may
    /// take, and where that is no time are dropped at once. The main function has as long, and goes on after
    /// this in any case, until it next has to wait.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    ///
    /// # Cancellation
    /// Once polled, the node stops whether or not the future is kept.
    pub async fn stop(&self) -> Result<()> {
        self.stop_with(Stop::Drain).await
    }

    /// As [`stop`](Self::stop), without handling what is queued: it is reported undelivered, and
    /// suspended handlers are dropped at their await, but for those that await the stop. Hastens a
    /// [`stop`](Self::stop) that is under way.
    ///
    /// # Errors
    /// None today; the signature leaves room.
    ///
    /// # Cancellation
    /// As [`stop`](Self::stop).
    pub async fn stop_now(&self) -> Result<()> {
        self.stop_with(Stop::Now).await
    }

    async fn stop_with(&self, stop: Stop) -> Result<()> {
        if self.kind == Kind::Worker {
            let mut exempt = self.core.exempt.borrow_mut();
            exempt.insert(self.mailbox.handle());
        }
        let node = &self.core.node;
        node.begin_stop(stop);
        node.stop.workers_ended().await;
        Ok(())
    }
}
