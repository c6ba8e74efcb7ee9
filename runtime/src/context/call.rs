//! What a context asks of cores, and waits for.

use std::future::poll_fn;
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
        self.call_for(handle, core, work).await
    }

    /// As [`call`](Self::call), for a start or a stop that user code asks for: there may be so many under way.
    pub(crate) async fn call_counted(
        &self,
        core: u16,
        work: impl FnOnce(&Rc<Core>, ReplyTo) + Send + 'static,
    ) -> Result<Body> {
        let (limit, most) = ("starts_max", self.core.limits.starts_max);
        let too_many = || Error::new(ErrorKind::LimitReached { limit, most });
        let handle = self.core.replies.reserve_start().ok_or_else(too_many)?;
        self.call_for(handle, core, work).await
    }

    /// Runs `work` on a core, and waits for the answer at this place.
    async fn call_for(
        &self,
        handle: Handle,
        core: u16,
        work: impl FnOnce(&Rc<Core>, ReplyTo) + Send + 'static,
    ) -> Result<Body> {
        let place = Place { ctx: self, handle };
        let to = ReplyTo {
            core: self.core.id,
            handle,
        };
        if core == self.core.id {
            work(&self.core, to);
        } else {
            self.core
                .send_job(core, Box::new(move |core| work(core, to)));
        }
        poll_fn(|polling| match self.core.replies.fetch(place.handle) {
            Some(body) => Poll::Ready(Ok(body)),
            None => self.poll_place(place.handle, polling),
        })
        .await
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

/// A reserved place, given up when the future that waits for it is dropped.
struct Place<'a> {
    ctx: &'a Context,
    handle: Handle,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.ctx.core.replies.abandon(&self.ctx.core, self.handle);
    }
}
