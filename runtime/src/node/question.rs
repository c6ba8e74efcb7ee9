//! A question of a thread outside, on the core of its first hop.
//!
//! Who stands in the line of an address (`core/entrance.rs`) is not polled before its turn, and so is told of no deadline.
//! A question has one: where there is a line, somebody stands in it for the question, which waits beside it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use futures_channel::oneshot;
use ringpost_router::{Address, Any, Message};

use crate::context::Context;
use crate::context::request::Request;
use crate::context::sleep::Sleep;
use crate::core::Core;
use crate::core::deliver::Outgoing;
use crate::core::entrance::{Gate, Turn};
use crate::error::Result;
use crate::node::patience::Patience;
use crate::node::permits::Permit;

/// What is asked, until when, and who waits for the answer.
pub(super) struct Question<R> {
    pub(super) gate: Gate,
    pub(super) patience: Patience,
    pub(super) permit: Permit,
    pub(super) out: Outgoing,
    pub(super) asker: oneshot::Sender<Result<R>>,
}

impl<R: Message> Question<R> {
    /// Asks it when those are done that have come before.
    pub(super) fn enter(self, core: &Rc<Core>) {
        let Some(to) = self.out.route.first().map(|hop| hop.address.clone()) else {
            return;
        };
        let (gate, core) = (self.gate, Rc::clone(core));
        if core.entrance.has_line(gate, &to) {
            let called = core.call_up(gate, to.clone());
            let waiting = self.wait(Rc::clone(&core), to, called);
            core.tasks.spawn(Box::pin(waiting));
        } else {
            let asking = Rc::clone(&core);
            core.enter(gate, to, |turn| Box::pin(self.ask(asking, turn)));
        }
    }

    /// Waits for its turn as long as there is time, and somebody listens.
    async fn wait(mut self, core: Rc<Core>, to: Address, called: oneshot::Receiver<Turn>) {
        self.patience.begin(core.now.get());
        let mut called = called;
        let left = self.patience.left(core.now.get());
        let mut over = Sleep::new(Rc::clone(&core), left);
        let turn = poll_fn(|polling| {
            if self.asker.poll_canceled(polling).is_ready() {
                return Poll::Ready(None);
            }
            match Pin::new(&mut called).poll(polling) {
                Poll::Ready(turn) => Poll::Ready(turn.ok().map(Ok)),
                Poll::Pending => Pin::new(&mut over).poll(polling).map(|()| Some(Err(()))),
            }
        });
        match turn.await {
            Some(Ok(turn)) => self.ask(core, turn).await,
            Some(Err(())) => {
                drop(called);
                let error = self.out.error(self.patience.is_over(&to));
                drop(self.permit);
                // Whoever asked may have given up in this very moment.
                let _ = self.asker.send(Err(error));
            }
            // Nobody listens, or the core ends.
            None => {}
        }
    }

    /// Asks it, and answers; ends when nobody listens any more.
    async fn ask(mut self, core: Rc<Core>, turn: Turn) {
        let ctx = Context::of_outside(&core);
        let timeout = self.patience.left(core.now.get());
        let Some(Ok(message)) = self.out.body.take().map(Any::from_body) else {
            return;
        };
        let route = std::mem::take(&mut self.out.route);
        let mut turn = Some(turn);
        let request = Request::<R, _, _>::new(&ctx, route, message).within(timeout);
        let mut request = pin!(match self.gate {
            Gate::Usual => request,
            Gate::Urgent => request.urgent(),
        });
        let reply = poll_fn(|polling| {
            if self.asker.poll_canceled(polling).is_ready() {
                return Poll::Ready(None);
            }
            let reply = request.as_mut().poll(polling);
            turn.take_if(|_| request.is_sent());
            reply.map(Some)
        })
        .await;
        drop((turn, self.permit));
        if let Some(reply) = reply {
            // Whoever asked may have given up in this very moment.
            let _ = self.asker.send(reply);
        }
    }
}
