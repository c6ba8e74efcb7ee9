//! The future that waits for a permit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Closed, Semaphore};

/// A permit being waited for; made by [`Semaphore::acquire`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Acquiring<'a> {
    semaphore: &'a Semaphore,
    /// The place in the queue, once it has one and until it has the answer.
    ticket: Option<u64>,
}

impl<'a> Acquiring<'a> {
    pub(super) fn new(semaphore: &'a Semaphore) -> Self {
        Self {
            semaphore,
            ticket: None,
        }
    }
}

impl Future for Acquiring<'_> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(number) = self.ticket else {
            if self.semaphore.try_acquire() {
                return Poll::Ready(Ok(()));
            }
            let semaphore = self.semaphore;
            return semaphore.enter(&mut self.ticket, cx.waker().clone());
        };
        let outcome = self.semaphore.look(number, cx.waker().clone());
        if outcome.is_ready() {
            self.ticket = None;
        }
        outcome
    }
}

impl Drop for Acquiring<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.ticket.take() {
            self.semaphore.leave(number);
        }
    }
}
