//! The outcome of a workload.

use std::time::Duration;

/// How long so many operations took.
///
/// A workload of many workers does operations in whole rounds, so it may do more than it was asked
/// for; a figure for exactly `n` follows by proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The time of all operations together.
    pub took: Duration,
    /// How many operations that were.
    pub operations: u64,
}

impl Measured {
    /// So many operations in this time.
    ///
    /// # Panics
    /// If there were none: then there is nothing to divide by.
    #[must_use]
    pub fn new(took: Duration, operations: u64) -> Self {
        assert!(operations > 0, "a measurement of nothing");
        Self { took, operations }
    }

    /// The time for exactly `n` operations at this rate.
    #[must_use]
    pub fn scaled_to(self, n: u64) -> Duration {
        self.took.mul_f64(n as f64 / self.operations as f64)
    }

    /// Nanoseconds for each operation.
    #[must_use]
    pub fn nanos_each(self) -> f64 {
        self.took.as_secs_f64() * 1e9 / self.operations as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Measured;
    use std::time::Duration;

    #[test]
    fn a_measurement_scales_by_proportion() {
        let measured = Measured::new(Duration::from_micros(120), 120);
        assert_eq!(measured.scaled_to(1), Duration::from_micros(1));
        assert_eq!(measured.scaled_to(240), Duration::from_micros(240));
        assert!((measured.nanos_each() - 1000.0).abs() < 1e-6);
    }
}
