//! The timer of a deadline that moves.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, ready};

use crate::context::sleep::Sleep;
use crate::core::Core;
use crate::time::Time;

/// The timer that runs, if one does, and for when it was set.
#[derive(Default)]
pub(super) struct Timer(Option<(Time, Sleep)>);

impl Timer {
    /// Sees to it that the task is polled at that time or before. One that was set for earlier is kept: it fires early,
    /// which is when this is ready, and who asked finds out that there is more time.
    #[inline]
    pub(super) fn poll(
        &mut self,
        core: &Rc<Core>,
        due: Time,
        polling: &mut Polling<'_>,
    ) -> Poll<()> {
        if self.0.as_ref().is_some_and(|(time, _)| *time > due) {
            self.0 = None;
        }
        let (_, sleep) = self.0.get_or_insert_with(|| {
            let wait = due.saturating_since(core.now.get());
            (due, Sleep::new(Rc::clone(core), wait))
        });
        ready!(Pin::new(sleep).poll(polling));
        self.0 = None;
        Poll::Ready(())
    }
}
