//! How long to wait before the next attempt: to connect, or to have a worker that fails go on.

use std::time::Duration;

/// How a broken connection is opened again, or a worker restarted: after a while, which doubles with each
/// attempt that fails. A connection that stands for less than the next wait has failed too.
///
/// Each wait is drawn between half of that time and all of it, so that many nodes whose peer was restarted
/// do not come back all at once.
///
/// ```
/// use ringpost::Backoff;
/// use std::time::Duration;
///
/// let patient = Backoff { most: Duration::from_secs(60), ..Backoff::default() };
/// assert_eq!(patient.first, Duration::from_millis(100));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first attempt. Default 100 ms.
    pub first: Duration,
    /// At the most. Default 10 s.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// How long to wait when so many attempts have failed before, with a random number.
    pub(crate) fn wait(&self, failed: u32, random: u64) -> Duration {
        let doubled = 2u32.saturating_pow(failed.min(31));
        let whole = self.first.saturating_mul(doubled);
        let half = whole.min(self.most) / 2;
        let share = (random >> 32) as f64 / 2f64.powi(32);
        half.saturating_add(half.mul_f64(share))
    }
}

/// The attempts that have failed since the last that did not. An attempt that lasted has not failed: a peer may take
/// connections and close them at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts {
    backoff: Backoff,
    failed: u32,
}

impl Attempts {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, failed: 0 }
    }

    /// The connection stood for so long.
    pub(crate) fn stood(&mut self, time: Duration) {
        if time >= self.backoff.wait(self.failed, u64::MAX) {
            self.failed = 0;
        }
    }

    /// How long to wait before the next, with a random number.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let wait = self.backoff.wait(self.failed, random);
        self.failed = self.failed.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_begin_anew_after_what_lasted() {
        let mut attempts = Attempts::new(Backoff::default());
        for (random, expected) in [
            (0, 50),
            (0, 100),
            (u64::MAX, 400),
            (0, 400),
            (1 << 63, 1200),
        ] {
            let millis = attempts.next(random).as_secs_f64() * 1000.0;
            assert!((millis - f64::from(expected)).abs() < 1.0, "{millis}");
        }
        for _ in 0..100 {
            attempts.next(0);
        }
        assert_eq!(attempts.next(0), Duration::from_secs(5));
        assert!(attempts.next(u64::MAX) <= Duration::from_secs(10));
        attempts.stood(Duration::from_secs(9));
        assert_eq!(attempts.next(0), Duration::from_secs(5));
        attempts.stood(Duration::from_secs(10));
        assert_eq!(attempts.next(0), Duration::from_millis(50));
    }
}
