//! Time as a shard sees it: nanoseconds since its driver started.
//!
//! Nothing in the runtime reads a clock. A driver hands the time of each turn to the shard, so a
//! test or a simulation can hand over any time it likes, and the same calls give the same results.

use std::fmt;
use std::time::Duration;

/// An instant of a node, in nanoseconds since its driver started.
///
/// Arithmetic never wraps: it either saturates at [`Time::MAX`] or says that it cannot be done.
/// 64 bits of nanoseconds last for 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Time(u64);

impl Time {
    /// The instant at which the driver started.
    pub(crate) const ZERO: Self = Self(0);

    /// The last instant that can be named. A deadline there never comes.
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the driver's start.
    #[must_use]
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the driver's start.
    #[must_use]
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant `wait` from here, or `None` if it lies beyond [`Time::MAX`].
    #[must_use]
    pub(crate) fn checked_add(self, wait: Duration) -> Option<Self> {
        let nanos = u64::try_from(wait.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// The instant `wait` from here, or [`Time::MAX`] if it lies beyond that.
    #[must_use]
    pub(crate) fn saturating_add(self, wait: Duration) -> Self {
        self.checked_add(wait).unwrap_or(Self::MAX)
    }

    /// How long after `earlier` this instant lies; zero if it does not.
    #[must_use]
    pub(crate) const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Duration has the one notation with a fitting unit; padding and precision carry over.
        fmt::Debug::fmt(&Duration::from_nanos(self.0), f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_stops_at_the_last_instant() {
        let late = Time::from_nanos(u64::MAX - 1);
        assert_eq!(late.checked_add(Duration::from_nanos(1)), Some(Time::MAX));
        assert_eq!(late.checked_add(Duration::from_nanos(2)), None);
        assert_eq!(late.saturating_add(Duration::from_nanos(2)), Time::MAX);
        // More nanoseconds than 64 bits hold, before any addition.
        assert_eq!(Time::ZERO.checked_add(Duration::MAX), None);
        assert_eq!(Time::ZERO.saturating_add(Duration::MAX), Time::MAX);
    }

    #[test]
    fn reads_as_seconds() {
        let time = Time::from_nanos(1_250_000_000);
        assert_eq!(time.to_string(), "1.25s");
        assert_eq!(format!("{time:?}"), "Time(1.25s)");
        assert_eq!(format!("{time:.3}"), "1.250s");
    }
}
