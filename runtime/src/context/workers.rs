//! Starting workers.

use std::rc::Rc;

use ringpost_router::Address;

use crate::context::call::Place;
use crate::context::{Context, Kind};
use crate::core::Core;
use crate::core::forwarder::Behind;
use crate::core::group::Leader;
use crate::core::placed::place_of;
use crate::error::{Error, ErrorKind, Result};
use crate::group::Group;
use crate::mailbox::{Mailbox, State};
use crate::supervision::Supervision;
use crate::task::raw::MailboxRc;
use crate::worker::Worker;

impl Context {
    /// Starts a worker on the core that its address belongs to.
    ///
    /// Resolves when `initialize` has returned. Messages that the address's core gets from the moment
    /// it has heard of the start wait until then; so do all that this context sends once this future
    /// has been polled.
    ///
    /// # Errors
    /// The error of `initialize`; [`ErrorKind::AlreadyExists`] when the address is taken, which
    /// changes nothing; [`ErrorKind::InvalidAddress`]; [`ErrorKind::Stopping`];
    /// [`ErrorKind::Panicked`]; [`ErrorKind::LimitReached`] when as many starts and stops of this core are under way as may be
    /// ([`Limits::starts_max`](crate::Limits)).
    ///
    /// # Cancellation
    /// Once polled, the worker is started whether or not the future is kept.
    pub async fn start_worker<W>(&self, address: impl Into<Address>, worker: W) -> Result<()>
    where
        W: Worker<Context = Context> + Send,
    {
        let started = self.begin_start(address.into(), move || worker)?;
        started.await.map(drop)
    }

    /// Starts a worker that is built on its core; its state need not be `Send`.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker).
    ///
    /// # Cancellation
    /// As [`start_worker`](Self::start_worker).
    pub async fn start_worker_with<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: FnOnce() -> W + Send + 'static,
    {
        self.begin_start(address.into(), build)?.await.map(drop)
    }

    fn begin_start<W, F>(&self, address: Address, build: F) -> Result<Place<'_>>
    where
        W: Worker<Context = Context>,
        F: FnOnce() -> W + Send + 'static,
    {
        let home = self.core.placement.home(&address);
        let is_here = home == self.core.id;
        self.call_counted(home, move |core: &Rc<Core>, to| match is_here {
            true => core.start_in_line(address, build, to),
            false => core.start_here(address, build, false, to),
        })
    }

    /// Starts a worker that is built on its core, and built anew there when it fails, as `supervision` says.
    ///
    /// A start that fails is not tried again.
    ///
    /// ```
    /// # use ringpost::{Context, Result, Routed, Supervision, Worker};
    /// struct Fragile(u64);
    ///
    /// impl Worker for Fragile {
    ///     type Message = u64;
    ///     type Context = Context;
    ///
    ///     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
    ///         self.0 += 100 / *msg;
    ///         ctx.send_message(msg.reply(), self.0).await
    ///     }
    /// }
    /// # fn main() -> Result<()> {
    /// # ringpost::Node::builder().cores(1).run(async |mut ctx: Context| {
    /// ctx.start_supervised("fragile", Supervision::transient(), || Fragile(0)).await?;
    /// for divisor in [50u64, 0, 20] {
    ///     ctx.send_message("fragile", divisor).await?;
    /// }
    /// assert_eq!(*ctx.receive::<u64>().await?, 2);
    /// // The one that panicked has been replaced by one that begins at 0.
    /// assert_eq!(*ctx.receive::<u64>().await?, 5);
    /// # ctx.stop().await
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker).
    ///
    /// # Cancellation
    /// As [`start_worker`](Self::start_worker).
    pub async fn start_supervised<W, F>(
        &self,
        address: impl Into<Address>,
        supervision: Supervision,
        build: F,
    ) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Send + 'static,
    {
        let address = address.into();
        let home = self.core.placement.home(&address);
        self.call_counted(home, move |core: &Rc<Core>, to| {
            core.start_supervised(address, supervision, build, None, to)
        })?
        .await
        .map(drop)
    }

    /// Starts the workers of a [`Group`], in order, under a worker at this address that supervises them.
    ///
    /// Resolves when all have started. The group is ended like a worker, by [`stop_worker`](Self::stop_worker)
    /// for one, and can be [watched](Self::watch).
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker), of any of them; then those before it have been ended.
    ///
    /// # Cancellation
    /// As [`start_worker`](Self::start_worker).
    pub async fn start_group(&self, address: impl Into<Address>, group: Group) -> Result<()> {
        let supervision = Supervision::never().on_error(group.restarts.exhausted);
        self.start_supervised(address, supervision, move || Leader::new(group.clone()))
            .await
    }

    /// Starts a worker on a core of the caller's choice.
    ///
    /// Workers of that core reach it straight away; from other cores its messages pass by the core
    /// that the address belongs to, which costs them a hop. While that core is asked for the address,
    /// senders to it on the chosen core wait; when it has granted it, messages of all cores wait until
    /// `initialize` has returned.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker), and [`ErrorKind::NoSuchCore`].
    ///
    /// # Cancellation
    /// As [`start_worker`](Self::start_worker).
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
        self.call_counted(chosen, move |core: &Rc<Core>, to| {
            core.start_away(address, worker, to)
        })?
        .await
        .map(drop)
    }

    /// Starts one instance of a worker on every core, all at the same address. A sender reaches the
    /// instance of its own core.
    ///
    /// The instance at the address's home takes messages when all the others are up; it stands for the
    /// address, and when it ends, they are stopped too.
    ///
    /// # Errors
    /// As [`start_worker`](Self::start_worker); no instance is left when one fails.
    ///
    /// # Cancellation
    /// As [`start_worker`](Self::start_worker).
    pub async fn start_replicated<W, F>(&self, address: impl Into<Address>, build: F) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Clone + Send + 'static,
    {
        let address = address.into();
        let home = self.core.placement.home(&address);
        self.call_counted(home, move |core: &Rc<Core>, to| {
            core.start_replicated(address, build, to)
        })?
        .await
        .map(drop)
    }

    /// A context at this address, which every core can send to by name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::InvalidAddress`], [`ErrorKind::Stopping`], [`ErrorKind::LimitReached`].
    ///
    /// # Cancellation
    /// Dropped before it is done, the address is free again.
    pub async fn new_detached(&self, address: impl Into<Address>) -> Result<Context> {
        let address = address.into();
        let home = self.core.placement.home(&address);
        if home == self.core.id {
            self.core.check_new(&address).map_err(Error::new)?;
            return Context::detached_at(&self.core, address);
        }
        let reservation = Reservation::new(&self.core, address.clone())?;
        let there = place_of(&reservation.mailbox);
        let claim = move |core: &Rc<Core>, to| core.claim(address, there, Behind::Context, to);
        self.call_counted(home, claim)?.await?;
        reservation.into_context()
    }

    fn check_core(&self, core: usize) -> Result<u16> {
        let cores = self.cores();
        match u16::try_from(core) {
            Ok(core) if usize::from(core) < cores => Ok(core),
            _ => Err(Error::new(ErrorKind::NoSuchCore { core, cores })),
        }
    }
}

/// A name that is asked for, for a context of this core.
struct Reservation {
    core: Rc<Core>,
    mailbox: MailboxRc,
}

impl Reservation {
    fn new(core: &Rc<Core>, address: Address) -> Result<Self> {
        core.check_new(&address).map_err(Error::new)?;
        let mailbox = MailboxRc::new(Mailbox::new(address, core.here, State::Reserved, 0));
        core.register(&mailbox).map_err(Error::new)?;
        Ok(Self {
            core: Rc::clone(core),
            mailbox,
        })
    }

    /// The context, once the name is granted.
    fn into_context(self) -> Result<Context> {
        if !self.mailbox.accepts() {
            return Err(Error::new(ErrorKind::Stopping));
        }
        self.mailbox.state.set(State::Detached);
        self.core.open(&self.mailbox);
        Ok(Context {
            core: Rc::clone(&self.core),
            mailbox: self.mailbox.clone(),
            kind: Kind::Detached,
            forwarded: true,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.mailbox.is_reserved() {
            return;
        }
        self.core.release(&self.mailbox);
        let (address, there) = (self.mailbox.address.clone(), place_of(&self.mailbox));
        let home = self.core.placement.home(&address);
        let end = move |core: &Rc<Core>| core.stop_forwarder(&address, Some(there));
        self.core.send_job(home, Box::new(end));
    }
}
