//! What becomes of a worker that fails.

use std::collections::VecDeque;
use std::time::Duration;

use ringpost_mailbox::canary::{Canary, is_planted};

use crate::backoff::Backoff;
use crate::time::Time;

/// What follows when a worker has failed. Open: later versions may add some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It ends. What waits at it is reported undelivered, and who watches it is told.
    Stop,
    /// It is built anew and goes on under its address, with what waits at it.
    Restart,
    /// It ends, and so does the node, gracefully: without this worker there is no point in going on.
    Escalate,
}

/// What becomes of a worker that fails: for [`start_supervised`](crate::Context::start_supervised).
///
/// # Restarts
/// A worker is restarted in its place. Its address stays taken, its mailbox stays open, and no message that
/// waits there is lost or changes its place in the order; senders wait for room as ever. The old value is
/// dropped first, after its `shutdown` unless it has panicked; then the backoff passes, a new value is built,
/// and its `initialize` runs before it handles what waits. If that fails, it is one more failure.
///
/// The message in whose handling it panicked, or which it was stopped in handling, is reported undelivered, as
/// [`Reason::InHand`](crate::Reason::InHand), and if it was a request, the requester is told. A message whose
/// handler has returned an error counts as handled.
///
/// Watches, begun by it or on it, stay: a restart is no end. A worker that is being stopped is not restarted.
/// One that is stopped while it waits to be restarted ends at once, and what waits at it is reported.
///
/// ```
/// use ringpost::{Outcome, Supervision};
/// use std::time::Duration;
///
/// let supervision = Supervision::transient()
///     .on_error(Outcome::Restart)
///     .intensity(3, Duration::from_secs(60))
///     .escalate();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it says what is to become of a worker that is started with it"]
pub struct Supervision {
    pub(crate) on_panic: Outcome,
    pub(crate) on_error: Option<Outcome>,
    pub(crate) on_stop: Outcome,
    pub(crate) restarts: Restarts,
}

/// How often a worker or a group may be restarted, and after which waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restarts {
    pub(crate) max: u32,
    pub(crate) within: Duration,
    pub(crate) backoff: Backoff,
    /// What follows instead of one too many.
    pub(crate) exhausted: Outcome,
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            max: 3,
            within: Duration::from_secs(5),
            backoff: Backoff {
                first: Duration::from_millis(10),
                most: Duration::from_secs(10),
            },
            exhausted: Outcome::Stop,
        }
    }
}

impl Restarts {
    /// Counts a restart among the `recent` ones, unless it is one too many. Whether it may be made.
    pub(crate) fn count(&self, recent: &mut VecDeque<Time>, now: Time) -> bool {
        let is_over = |then: &mut Time| now.saturating_since(*then) >= self.within;
        while recent.pop_front_if(is_over).is_some() {}
        if recent.len() >= self.max as usize {
            return false;
        }
        if !is_planted(Canary::RestartStorm) {
            recent.push_back(now);
        }
        true
    }

    /// How long to wait before a restart that has been counted among the `recent` ones.
    pub(crate) fn wait(&self, recent: &VecDeque<Time>, random: u64) -> Duration {
        let failed = u32::try_from(recent.len()).unwrap_or(u32::MAX);
        self.backoff.wait(failed.saturating_sub(1), random)
    }
}

impl Supervision {
    /// A worker that has to be there: it is restarted when it panics, and when it stops itself.
    pub fn permanent() -> Self {
        Self {
            on_stop: Outcome::Restart,
            ..Self::transient()
        }
    }

    /// A worker that may come to its end: it is restarted when it panics.
    pub fn transient() -> Self {
        Self {
            on_panic: Outcome::Restart,
            on_error: None,
            on_stop: Outcome::Stop,
            restarts: Restarts::default(),
        }
    }

    /// A worker that is never restarted, unless something else is said.
    pub fn never() -> Self {
        Self {
            on_panic: Outcome::Stop,
            ..Self::transient()
        }
    }

    /// What follows when the worker panics.
    pub fn on_panic(mut self, outcome: Outcome) -> Self {
        self.on_panic = outcome;
        self
    }

    /// What follows when a handler returns an error. Without this the error is reported and the worker goes
    /// on, as any worker does.
    pub fn on_error(mut self, outcome: Outcome) -> Self {
        self.on_error = Some(outcome);
        self
    }

    /// So many restarts at the most within such a time. When one more were due, the worker ends instead.
    /// Default 3 in 5 seconds.
    pub fn intensity(mut self, restarts: u32, within: Duration) -> Self {
        self.restarts.max = restarts;
        self.restarts.within = within;
        self
    }

    /// How long to wait before a restart: longer with each within the time of [`intensity`](Self::intensity).
    /// Default from 10 ms to 10 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.restarts.backoff = backoff;
        self
    }

    /// A worker that fails too often for its [`intensity`](Self::intensity) takes the node with it, as with
    /// [`Outcome::Escalate`].
    pub fn escalate(mut self) -> Self {
        self.restarts.exhausted = Outcome::Escalate;
        self
    }
}
