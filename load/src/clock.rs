//! The one place where the load generator reads a clock. Everything else is handed the time, so that
//! tests hand in a time of their own.

use std::time::{Duration, Instant};

/// A point in time, in nanoseconds since the [`Clock`] was started.
pub(crate) type Nanos = u64;

/// The nanoseconds of a second.
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// The time since a beginning that all threads of a run share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the clock that the rest is handed the time of"
    )]
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        nanos(self.start.elapsed())
    }
}

/// A duration in nanoseconds; what does not fit into 584 years is cut off.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
