//! A worker with what builds it anew, and how one takes the place of the one before.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::Comeback;
use super::in_hand::InHand;
use crate::context::Context;
use crate::driver::stderr::failure;
use crate::error::{Error, ErrorKind, Result};
use crate::overflow::Overflow;
use crate::routed::Routed;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;
use crate::worker::Worker;

/// A worker with what builds it anew.
pub(super) struct Restartable<W, F> {
    /// There but while one is being replaced by the next.
    pub(super) worker: Option<W>,
    pub(super) build: F,
}

impl<W, F> Worker for Restartable<W, F>
where
    W: Worker<Context = Context>,
    F: Fn() -> W + 'static,
{
    type Message = W::Message;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        if let Some(comeback) = take_comeback(&ctx.mailbox) {
            if let Some(old) = self.worker.take() {
                take_down(old, ctx, comeback.is_sound).await;
            }
            ctx.core.is_down(&ctx.mailbox);
            match comeback.wait {
                Some(wait) => pass_the_time(ctx, wait).await?,
                None => hear_the_word(ctx).await?,
            }
        }
        let worker = self.worker.get_or_insert_with(&self.build);
        worker.initialize(ctx).await
    }

    fn overflow(&self) -> Overflow {
        let worker = self.worker.as_ref();
        worker.map_or(Overflow::Wait, Worker::overflow)
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        match &mut self.worker {
            Some(worker) => worker.shutdown(ctx).await,
            None => Ok(()),
        }
    }

    fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: Routed<W::Message>,
    ) -> impl Future<Output = Result<()>> {
        ctx.mailbox.with_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                supervised.calls = supervised.calls.wrapping_add(1);
                supervised.in_hand = Some(InHand::new(&msg.head, supervised.calls));
            }
        });
        let worker = self.worker.get_or_insert_with(&self.build);
        worker.handle_message(ctx, msg)
    }
}

fn take_comeback(mailbox: &MailboxRc) -> Option<Comeback> {
    let comeback = mailbox.if_more(|more| more.supervised.as_mut()?.comeback.take());
    comeback.flatten()
}

/// Drops the old value, which may shut down before if it is sound.
async fn take_down<W: Worker<Context = Context>>(mut old: W, ctx: &mut Context, is_sound: bool) {
    if is_sound {
        let mut deadline = pin!(ctx.sleep(ctx.core.node.drain));
        let leads = ctx.mailbox.leads();
        let ended = {
            let mut shutdown = pin!(old.shutdown(ctx));
            let late = || Err(Error::other("it took too long and was cancelled"));
            poll_fn(|polling| match shutdown.as_mut().poll(polling) {
                Poll::Pending if leads => Poll::Pending,
                Poll::Pending => deadline.as_mut().poll(polling).map(|()| late()),
                ended => ended,
            })
            .await
        };
        if let Err(error) = ended {
            let what = "shutdown returned an error";
            failure(what, Some(&ctx.mailbox.address), Some(&error));
        }
    }
    drop_guarded(old);
}

/// Waits for the leader's word, unless the worker is asked to stop.
async fn hear_the_word(ctx: &Context) -> Result<()> {
    poll_fn(|_| {
        if ctx.mailbox.stop.get().is_asked() {
            return Poll::Ready(Err(Error::new(ErrorKind::Stopping)));
        }
        let may_come_back = ctx.mailbox.if_following(|following| {
            following.is_down = !following.may_come_back;
            std::mem::take(&mut following.may_come_back)
        });
        match may_come_back {
            Some(false) => Poll::Pending,
            Some(true) | None => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// Waits so long, unless the worker is asked to stop.
pub(crate) async fn pass_the_time(ctx: &Context, wait: Duration) -> Result<()> {
    let mut sleep = pin!(ctx.sleep(wait));
    poll_fn(|polling| match ctx.mailbox.stop.get().is_asked() {
        false => sleep.as_mut().poll(polling).map(Ok),
        true => Poll::Ready(Err(Error::new(ErrorKind::Stopping))),
    })
    .await
}
