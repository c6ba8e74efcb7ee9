//! What a context asks of cores, and waits for.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Body, Handle};

use super::Context;
use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Result};

impl Context {
    /// Runs `work` on a core, and waits for the answer that it promises to give.
    pub(crate) async fn call(
        &self,
        core: u16,
        work: impl FnOnce(&Rc<Core>, ReplyTo) + Send + 'static,
    ) -> Result<Body> {
        let handle = self.core.replies.reserve();
        let place = Place { ctx: self, handle };
        self.have_done(core, place.as_reply_to(), work);
        place.await
    }

    /// As [`call`](Self::call), for a start or a stop that user code asks for: there may be so many under way. The work is
    /// begun by the call, so that what it is done with need not be kept; only the answer is waited for.
    pub(super) fn call_counted(
        &self,
        core: u16,
        work: impl FnOnce(&Rc<Core>, ReplyTo) + Send + 'static,
    ) -> Result<Place<'_>> {
        let place = self.reserve_counted()?;
        self.have_done(core, place.as_reply_to(), work);
        Ok(place)
    }

    /// A place for the answer to a start or a stop. In line, so that it comes in registers.
    #[inline(always)]
    pub(super) fn reserve_counted(&self) -> Result<Place<'_>> {
        match self.core.replies.reserve_start() {
            Some(handle) => Ok(Place { ctx: self, handle }),
            None => Err(self.refuse_one_more_start()),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse_one_more_start(&self) -> Error {
        let (limit, most) = ("starts_max", self.core.limits.starts_max);
        Error::new(ErrorKind::LimitReached { limit, most })
    }

    /// Runs `work` on a core.
    fn have_done(
        &self,
        core: u16,
        to: ReplyTo,
        work: impl FnOnce(&Rc<Core>, ReplyTo) + Send + 'static,
    ) {
        if core == self.core.id {
            work(&self.core, to);
        } else {
            self.core
                .send_job(core, Box::new(move |core| work(core, to)));
        }
    }

    /// The answer at this place, if it has come.
    pub(crate) fn poll_place(
        &self,
        handle: Handle,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<Body>> {
        match self.core.replies.poll(&self.core, handle, polling) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

/// A reserved place, and the future of the answer there. Given up when it is dropped.
#[must_use = "the answer is given up when this is dropped"]
pub(super) struct Place<'a> {
    ctx: &'a Context,
    handle: Handle,
}

impl Place<'_> {
    pub(super) fn as_reply_to(&self) -> ReplyTo {
        ReplyTo {
            core: self.ctx.core.id,
            handle: self.handle,
        }
    }
}

impl Future for Place<'_> {
    type Output = Result<Body>;

    #[inline]
    fn poll(self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<Body>> {
        match self.ctx.core.replies.fetch(self.handle) {
            Some(body) => Poll::Ready(Ok(body)),
            None => self.ctx.poll_place(self.handle, polling),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.ctx.core.replies.abandon(&self.ctx.core, self.handle);
    }
}
