//! The two ends of a name whose worker is on another core than its home: the worker there, which says
//! when it ends, and the forwarder at the home, which passes messages on.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, ready};

use ringpost_router::{Address, Any, Body, Hint, Hop};

use crate::context::Context;
use crate::context::forward::Forward;
use crate::core::Core;
use crate::core::placed::place_of;
use crate::error::{ErrorKind, Reason, Result, Undelivered};
use crate::mailbox::Stop;
use crate::overflow::Overflow;
use crate::routed::Routed;
use crate::task::panics::drop_guarded;
use crate::worker::Worker;

/// A worker away from the home of its name: the forwarder there is told when it ends.
pub(crate) struct Placed<W> {
    worker: W,
    notice: Option<Notice>,
}

/// Tells the forwarder, when it is dropped, that nobody is behind it any more.
struct Notice {
    core: Rc<Core>,
    address: Address,
    there: Hint,
}

impl<W> Placed<W> {
    pub(crate) fn new(worker: W) -> Self {
        Self {
            worker,
            notice: None,
        }
    }
}

impl<W: Worker<Context = Context>> Worker for Placed<W> {
    type Message = W::Message;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        self.worker.initialize(ctx).await?;
        // Until here, the answer to the start says all.
        self.notice = Some(Notice {
            core: Rc::clone(&ctx.core),
            address: ctx.address(),
            there: place_of(&ctx.mailbox),
        });
        Ok(())
    }

    fn shutdown(&mut self, ctx: &mut Context) -> impl Future<Output = Result<()>> {
        self.worker.shutdown(ctx)
    }

    fn overflow(&self) -> Overflow {
        self.worker.overflow()
    }

    fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: Routed<W::Message>,
    ) -> impl Future<Output = Result<()>> {
        self.worker.handle_message(ctx, msg)
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let (address, there) = (self.address.clone(), self.there);
        let home = self.core.placement.home(&address);
        let end = move |core: &Rc<Core>| core.stop_forwarder(&address, Some(there));
        self.core.send_job(home, Box::new(end));
    }
}

/// Stands at the home of an address whose mailbox is on another core, and passes messages on.
pub(crate) struct Forwarder {
    core: Rc<Core>,
    address: Address,
    there: Hint,
    behind: Behind,
}

/// Who is behind a forwarder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// A detached context, which ends when it is dropped.
    Context,
    /// A worker that is to start, and must not if the forwarder ends first.
    Coming,
    /// A worker that ends with the forwarder.
    Worker,
    /// Nobody any more.
    Nobody,
}

impl Forwarder {
    pub(crate) fn new(core: &Rc<Core>, address: Address, there: Hint, behind: Behind) -> Self {
        Self {
            core: Rc::clone(core),
            address,
            there,
            behind,
        }
    }
}

impl Worker for Forwarder {
    type Message = Any;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        if self.behind != Behind::Coming {
            return Ok(());
        }
        let there = self.there;
        let begin = move |core: &Rc<Core>, to| core.begin_away(there, to);
        let begun = ctx.call(there.core.index(), begin).await;
        self.behind = match &begun {
            Ok(_) => Behind::Worker,
            Err(_) => Behind::Nobody,
        };
        begun.map(drop)
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let onward = Hop::with_hint(self.address.clone(), self.there);
        if !Relay::new(ctx, msg, onward).await {
            // Whom this stands for has ended by itself: the message is reported, and the name is free.
            self.behind = Behind::Nobody;
            ctx.core
                .begin_stop(&ctx.mailbox, Stop::Now, ctx.core.node.drain);
        }
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        // When the node stops, the worker's own core ends it, in its turn.
        if self.behind != Behind::Worker || ctx.core.node.is_stopping() {
            return Ok(());
        }
        let address = self.address.clone();
        let drain = ctx.core.node.drain;
        let stop = match ctx.mailbox.stop.get() {
            Stop::Now => Stop::Now,
            Stop::No | Stop::Drain | Stop::Again => Stop::Drain,
        };
        let end = move |core: &Rc<Core>, to| core.stop_here(&address, stop, drain, to);
        // The worker may have ended by itself; then there is nothing to stop.
        let _ = ctx.call(self.there.core.index(), end).await;
        Ok(())
    }
}

/// A message on its way on. If it gets no further, also because this is dropped first, it is reported; its
/// requester hears of that from what sends it.
struct Relay<'a> {
    core: &'a Rc<Core>,
    sending: Forward<'a>,
    /// What is reported then, until the message has been sent on.
    unsent: Option<Undelivered>,
}

impl<'a> Relay<'a> {
    fn new(ctx: &'a Context, msg: Routed<Any>, onward: Hop) -> Self {
        let lost = Undelivered {
            type_name: msg.type_name(),
            expected: None,
            ..msg.lost(Reason::NotFound)
        };
        Self {
            core: &ctx.core,
            sending: ctx.relay(msg, onward),
            unsent: Some(lost),
        }
    }

    /// Reports it, with what it held, if that is left.
    fn give_up(&mut self, reason: Reason, body: Option<Body>) {
        let Some(mut lost) = self.unsent.take() else {
            return drop_guarded(body);
        };
        lost.reason = reason;
        self.core.uncount_handled();
        self.core.report_with(&lost, false, body);
    }
}

impl Future for Relay<'_> {
    /// Whether there is somebody behind, who may have refused the message.
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<bool> {
        let sent = match ready!(Pin::new(&mut self.sending).poll(polling)) {
            Ok(()) => {
                self.unsent = None;
                true
            }
            Err(error) => {
                let is_full = matches!(error.kind(), ErrorKind::Full { .. });
                let reason = match is_full {
                    true => Reason::Overflow,
                    false => Reason::NotFound,
                };
                self.give_up(reason, error.into_body());
                is_full
            }
        };
        Poll::Ready(sent)
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        let reason = match self.core.node.is_stopping() {
            true => Reason::NodeStopped,
            false => Reason::Stopped,
        };
        let body = self.sending.take_payload();
        self.give_up(reason, body);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if self.behind == Behind::Coming {
            let there = self.there;
            let abandon = move |core: &Rc<Core>| core.abandon(there);
            self.core.send_job(there.core.index(), Box::new(abandon));
        }
    }
}
