//! Statistics that one thread counts and any thread may read.

use std::fmt;
#[allow(clippy::disallowed_types, reason = "statistics are not modelled")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that **one** thread counts up and any thread reads.
///
/// Counting is a plain load and a plain store of one word, never a read-modify-write, so it costs
/// the owner about as much as a field of its own. Two threads that count at the same time lose
/// counts (nothing worse); give each its own counter and add them when reading.
///
/// A reader sees a value that was true a moment ago, and no order between this and any other value.
/// The model checker does not see counters: no protocol may depend on one.
///
/// # Examples
///
/// ```
/// use ringpost_mailbox::sync::Counter;
///
/// let drained = Counter::default();
/// drained.add(16);
/// drained.add(3);
/// assert_eq!(drained.value(), 19);
/// ```
#[derive(Default)]
#[allow(clippy::disallowed_types, reason = "statistics are not modelled")]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more. To be called by the owning thread only; wraps around at the end of `u64`.
    #[inline]
    pub fn add(&self, n: u64) {
        // Relaxed: the only writer is this thread, and readers draw no conclusion about other
        // memory.
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Replaces the value, for gauges. To be called by the owning thread only.
    #[inline]
    pub fn set(&self, value: u64) {
        // Relaxed: as in `add`.
        self.0.store(value, Relaxed);
    }

    /// The value as of a moment ago.
    #[inline]
    pub fn value(&self) -> u64 {
        // Relaxed: the value stands for itself.
        self.0.load(Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}
