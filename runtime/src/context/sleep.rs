//! Waiting for time to pass.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use crate::core::{Core, SleepState, Timed, TimerKey};

/// Ends after a while; made by [`Context::sleep`](crate::Context::sleep).
///
/// Never early; late by the granularity of the timers (a fraction of a millisecond) and by whatever
/// keeps the core busy. The time counts from the first poll.
///
/// # Cancellation
/// Dropping it disarms the timer.
#[must_use = "time does not pass until this is awaited"]
pub struct Sleep {
    core: Rc<Core>,
    wait: Duration,
    armed: Option<(TimerKey, Rc<RefCell<SleepState>>)>,
}

impl Sleep {
    pub(crate) fn new(core: Rc<Core>, wait: Duration) -> Self {
        Self {
            core,
            wait,
            armed: None,
        }
    }

    fn disarm(&mut self) {
        if let Some((key, state)) = self.armed.take()
            && !state.borrow().over
        {
            let target = self.core.timers.borrow_mut().disarm(key);
            drop(target);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<()> {
        let wake = self.core.tasks.register(polling);
        if let Some((_, state)) = &self.armed {
            let mut state = state.borrow_mut();
            if state.over {
                return Poll::Ready(());
            }
            let before = std::mem::replace(&mut state.wake, wake);
            drop(state);
            // A foreign waker's destructor is user code.
            drop(before);
            return Poll::Pending;
        }
        if self.wait.is_zero() {
            return Poll::Ready(());
        }
        let state = Rc::new(RefCell::new(SleepState { over: false, wake }));
        let timed = Timed::Sleep(Rc::clone(&state));
        let key = self.core.timers.borrow_mut().arm_in(self.wait, timed);
        self.armed = Some((key, state));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// Lets everybody else on this core have a turn; made by
/// [`Context::yield_now`](crate::Context::yield_now).
#[derive(Debug)]
#[must_use = "nothing is yielded until this is awaited"]
pub struct YieldNow {
    pub(crate) yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        polling.waker().wake_by_ref();
        Poll::Pending
    }
}
