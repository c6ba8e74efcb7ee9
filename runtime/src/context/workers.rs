//! Starting and stopping workers.

use std::rc::Rc;
use std::time::Duration;

use ringpost_router::{Address, Message, Route};

use crate::context::Context;
use crate::core::Core;
use crate::core::lifecycle::{Forwarder, WasReplicated};
use crate::error::{Error, ErrorKind, Result};
use crate::mailbox::Stop;
use crate::worker::Worker;

impl Context {
    /// Starts a worker on the core that its address belongs to.
    ///
    /// Resolves when `initialize` has returned. Messages sent to the address from the moment of this
    /// call on wait until then.
    ///
    /// # Errors
    /// The error of `initialize`; [`ErrorKind::AlreadyExists`] when the address is taken, which
    /// changes nothing; [`ErrorKind::InvalidAddress`]; [`ErrorKind::Stopping`];
    /// [`ErrorKind::Panicked`].
    ///
    /// # Cancellation
    /// Once polled, the worker is started whether or not the future is kept.
    pub async fn start_worker<W>(&self, address: impl Into<Address>, worker: W) -> Result<()>
    where
        W: Worker<Context = Context> + Send,
    {
        self.start_worker_with(address, move || worker).await
    }

    /// Starts a worker that is built on its core; its state need not be `Send`.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker).
    pub async fn start_worker_with<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: FnOnce() -> W + Send + 'static,
    {
        let address = address.into();
        let home = self.core.placement.home(&address);
        self.call(home, move |core: &Rc<Core>, to| {
            core.start_here(address, build, false, to)
        })
        .await
        .map(drop)
    }

    /// Starts a worker on a core of the caller's choice.
    ///
    /// Workers of that core reach it straight away; from other cores its messages pass by the core
    /// that the address belongs to, which costs them a hop.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker), and [`ErrorKind::Config`] if there is no such core.
    pub async fn start_worker_on<W>(
        &self,
        core: usize,
        address: impl Into<Address>,
        worker: W,
    ) -> Result<()>
    where
        W: Worker<Context = Context> + Send,
    {
        let address = address.into();
        let chosen = self.check_core(core)?;
        let home = self.core.placement.home(&address);
        if chosen == home {
            return self.start_worker(address, worker).await;
        }
        let name = address.clone();
        self.call(chosen, move |core: &Rc<Core>, to| {
            core.start_here(name, || worker, false, to)
        })
        .await?;
        let name = address.clone();
        let place = self
            .call(chosen, move |core: &Rc<Core>, to| core.locate(&name, to))
            .await?;
        let place = Route::from_body(place).map_err(|_| Error::new(ErrorKind::Stopping))?;
        let Some(onward) = place.first().cloned() else {
            return Err(Error::new(ErrorKind::NotFound { address }));
        };
        let name = address.clone();
        let forwarder = move |core: &Rc<Core>, to| {
            core.start_here(name, || Forwarder::to(onward, Some(chosen)), false, to);
        };
        let forwarding = self.call(home, forwarder).await;
        if forwarding.is_err() {
            self.stop_on(chosen, address, Stop::Now).await?;
        }
        forwarding.map(drop)
    }

    /// Starts one instance of a worker on every core, all at the same address. A sender reaches the
    /// instance of its own core.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker); no instance is left when one fails.
    pub async fn start_replicated<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Clone + Send + 'static,
    {
        let address = address.into();
        for core in 0..self.core.cores() {
            let (name, build) = (address.clone(), build.clone());
            let started = self
                .call(core, move |core: &Rc<Core>, to| {
                    core.start_here(name, build, true, to)
                })
                .await;
            if let Err(error) = started {
                for core in 0..core {
                    self.stop_on(core, address.clone(), Stop::Now).await?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stops a worker: new messages are refused, what is queued is handled (for at most
    /// [`DRAIN_TIMEOUT`](crate::DRAIN_TIMEOUT), or what the node was built with), `shutdown` runs, and
    /// the address is free.
    ///
    /// Resolves when all of that is done; for the worker whose own handler calls it, at once: that
    /// worker ends after its handler. All instances of a replicated worker are stopped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn stop_worker(&self, address: impl Into<Address>) -> Result<()> {
        self.stop_worker_with(address.into(), Stop::Drain).await
    }

    /// Stops a worker without handling what is queued: it is reported undelivered. A suspended
    /// handler is dropped at its await.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn stop_worker_now(&self, address: impl Into<Address>) -> Result<()> {
        self.stop_worker_with(address.into(), Stop::Now).await
    }

    async fn stop_worker_with(&self, address: Address, stop: Stop) -> Result<()> {
        if self.is_own(&address) {
            self.core
                .begin_stop(&self.mailbox, stop, self.core.node.drain);
            return Ok(());
        }
        let home = self.core.placement.home(&address);
        let replicated = self.stop_on(home, address.clone(), stop).await?;
        if replicated {
            for core in (0..self.core.cores()).filter(|core| *core != home) {
                self.stop_on(core, address.clone(), stop).await?;
            }
        }
        Ok(())
    }

    async fn stop_on(&self, core: u16, address: Address, stop: Stop) -> Result<WasReplicated> {
        let drain: Duration = self.core.node.drain;
        let answer = self
            .call(core, move |core: &Rc<Core>, to| {
                core.stop_here(&address, stop, drain, to)
            })
            .await?;
        Ok(WasReplicated::from_body(answer).unwrap_or(false))
    }

    fn check_core(&self, core: usize) -> Result<u16> {
        let cores = self.cores();
        match u16::try_from(core) {
            Ok(core) if usize::from(core) < cores => Ok(core),
            _ => {
                let reason = format!(
                    "core {core} does not exist: the node has cores 0 to {}",
                    cores - 1
                );
                Err(Error::new(ErrorKind::Config { reason }))
            }
        }
    }
}
