//! Workers with an instance on every core, all under one name.
//!
//! The instance at the home of the name leads: the home grants the name to it like to any worker, it
//! starts the others before it takes a message itself, and they end when it does. So there is never an
//! instance of a name that somebody else holds.

use std::future::Future;
use std::rc::Rc;

use ringpost_router::{Address, Message};

use crate::context::Context;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::Result;
use crate::mailbox::Stop;
use crate::overflow::Overflow;
use crate::routed::Routed;
use crate::worker::Worker;

/// What the leader is told when its name is reserved on a core: another start has asked for it, and
/// will hear that it is taken.
type AskAgain = bool;

impl Core {
    /// Starts an instance on every core, this one leading. The starter is answered when all are up.
    pub(crate) fn start_replicated<W, F>(
        self: &Rc<Self>,
        address: Address,
        build: F,
        starter: ReplyTo,
    ) where
        W: Worker<Context = Context>,
        F: Fn() -> W + Clone + Send + 'static,
    {
        let name = address.clone();
        let lead = || Lead {
            worker: build(),
            build,
            others: Others {
                core: Rc::clone(self),
                address: name,
                asked: 0,
            },
            is_begun: false,
        };
        self.start_here(address, lead, true, starter);
    }

    /// Starts an instance here for the leader on another core.
    fn start_instance<W: Worker<Context = Context>>(
        self: &Rc<Self>,
        address: Address,
        build: impl FnOnce() -> W,
        leader: ReplyTo,
    ) {
        match self.named(&address) {
            Some(mailbox) if mailbox.is_reserved() => {
                let again: AskAgain = true;
                self.answer(leader, Ok(again.into_body()));
            }
            _ => self.start_here(address, build, true, leader),
        }
    }
}

/// The instance at the home of the name.
struct Lead<W, F> {
    worker: W,
    build: F,
    others: Others,
    /// Whether the worker's own `initialize` has been called.
    is_begun: bool,
}

/// The instances on the other cores; they end with this value.
struct Others {
    core: Rc<Core>,
    address: Address,
    /// The cores below this number, but for our own, have been asked to start an instance.
    asked: u16,
}

impl Others {
    async fn start<W, F>(&mut self, build: &F, ctx: &Context) -> Result<()>
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Clone + Send + 'static,
    {
        for core in 0..self.core.cores() {
            self.asked = core + 1;
            while core != self.core.id && self.start_on(core, build, ctx).await? {
                ctx.yield_now().await;
            }
        }
        Ok(())
    }

    async fn start_on<W, F>(&self, core: u16, build: &F, ctx: &Context) -> Result<AskAgain>
    where
        W: Worker<Context = Context>,
        F: Fn() -> W + Clone + Send + 'static,
    {
        let (name, build) = (self.address.clone(), build.clone());
        let start = move |core: &Rc<Core>, to| core.start_instance(name, build, to);
        let answer = ctx.call(core, start).await?;
        Ok(answer.is::<AskAgain>())
    }

    /// Waits until they have ended: the start has failed.
    async fn stop(&mut self, ctx: &Context) {
        for core in self.asked() {
            let end = self.stop_instance(Stop::Now);
            // It may have failed to start, or ended by itself.
            let _ = ctx.call(core, end).await;
        }
        self.asked = 0;
    }

    fn asked(&self) -> impl Iterator<Item = u16> + use<> {
        let own = self.core.id;
        (0..self.asked).filter(move |core| *core != own)
    }

    fn stop_instance(&self, stop: Stop) -> impl FnOnce(&Rc<Core>, ReplyTo) + Send + use<> {
        let (address, drain) = (self.address.clone(), self.core.node.drain);
        move |core, to| core.stop_here(&address, stop, drain, to)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        // When the node stops, each core ends its own workers.
        if self.core.node.is_stopping() {
            return;
        }
        for core in self.asked() {
            let end = self.stop_instance(Stop::Drain);
            self.core
                .send_job(core, Box::new(move |core| end(core, ReplyTo::NOBODY)));
        }
    }
}

impl<W, F> Worker for Lead<W, F>
where
    W: Worker<Context = Context>,
    F: Fn() -> W + Clone + Send + 'static,
{
    type Message = W::Message;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        let mut started = self.others.start(&self.build, ctx).await;
        if started.is_ok() {
            self.is_begun = true;
            started = self.worker.initialize(ctx).await;
        }
        if started.is_err() {
            self.others.stop(ctx).await;
        }
        started
    }

    fn overflow(&self) -> Overflow {
        self.worker.overflow()
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        match self.is_begun {
            true => self.worker.shutdown(ctx).await,
            false => Ok(()),
        }
    }

    fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: Routed<W::Message>,
    ) -> impl Future<Output = Result<()>> {
        self.worker.handle_message(ctx, msg)
    }
}
