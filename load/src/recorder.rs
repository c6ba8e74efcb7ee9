//! What a run measures, as it happens.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hdrhistogram::Histogram;
use ringpost_mailbox::sync::Counter;

use crate::clock::{Nanos, SECOND};

/// Latencies above this are counted as this.
const LATENCY_MAX: Nanos = 3600 * SECOND;

/// Latencies are kept to so many digits.
const DIGITS: u8 = 3;

/// A thread counts so many messages without a reply among its latencies: the sum over all threads stays countable.
const UNANSWERED_MAX: u64 = 1 << 48;

/// Latencies and replies of one thread.
pub(crate) struct Recorder {
    latencies: Histogram<u64>,
    measured: Range<Nanos>,
    unanswered: u64,
    answered: u64,
    last: Nanos,
    live: Arc<Live>,
}

/// What others may look at while a thread measures.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Replies so far, also those of the warm-up.
    pub(crate) answered: Counter,
}

/// An empty histogram of the kind that all of a run share.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).expect("the bounds are in order")
}

impl Recorder {
    /// Measures replies that come, and latencies of messages that should leave, within `measured`.
    pub(crate) fn new(measured: Range<Nanos>, live: Arc<Live>) -> Self {
        Self {
            latencies: latencies(),
            measured,
            unanswered: 0,
            answered: 0,
            last: 0,
            live,
        }
    }

    /// A reply came at `now` to a message that should have left at `intended`.
    #[inline]
    pub(crate) fn answer(&mut self, intended: Nanos, now: Nanos) {
        if self.measured.contains(&intended) {
            self.latencies
                .saturating_record(now.saturating_sub(intended));
        }
        if self.measured.contains(&now) {
            self.answered += 1;
            self.last = now;
        }
        self.live.answered.add(1);
    }

    /// So many messages, which should have left at `intended`, have been waited for until `now`, and no more: their
    /// latencies are at least that.
    pub(crate) fn give_up(&mut self, intended: Nanos, now: Nanos, many: u64) {
        if self.measured.contains(&intended) {
            let many = many.min(UNANSWERED_MAX - self.unanswered);
            let waited = now.saturating_sub(intended);
            self.latencies.saturating_record_n(waited, many);
            self.unanswered += many;
        }
    }

    /// Of the latencies, how many are of messages without a reply.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Replies that came within the measured time.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// When the last of them came.
    pub(crate) fn last(&self) -> Nanos {
        self.last
    }

    pub(crate) fn into_latencies(self) -> Histogram<u64> {
        self.latencies
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("measured", &self.measured)
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_keeps_three_digits_up_to_an_hour() {
        let mut recorder = Recorder::new(0..Nanos::MAX, Arc::default());
        for latency in [1, 999, 123_456, 987_654_321, 2 * LATENCY_MAX] {
            recorder.answer(10, 10 + latency);
        }
        let latencies = recorder.into_latencies();
        assert_eq!(latencies.len(), 5);
        let near = |quantile: f64, wanted: f64| {
            let found = latencies.value_at_quantile(quantile) as f64;
            assert!((found / wanted - 1.0).abs() < 0.001, "{found} for {wanted}");
        };
        near(0.2, 1.0);
        near(0.4, 999.0);
        near(0.6, 123_456.0);
        near(0.8, 987_654_321.0);
        assert!(latencies.max() >= LATENCY_MAX);
    }

    #[test]
    fn what_is_given_up_counts_with_the_time_it_was_waited_for() {
        let mut recorder = Recorder::new(100..200, Arc::default());
        recorder.answer(150, 151);
        recorder.give_up(50, 300, 1);
        recorder.give_up(100, 300, 2);
        recorder.give_up(199, 300, u64::MAX);
        recorder.give_up(200, 300, 1);
        assert_eq!(
            (recorder.answered(), recorder.unanswered()),
            (1, UNANSWERED_MAX)
        );
        let latencies = recorder.into_latencies();
        assert_eq!((latencies.min(), latencies.max()), (1, 200));
        assert_eq!(latencies.count_at(200), 2);
        assert_eq!(latencies.value_at_quantile(0.5), 101);
    }

    #[test]
    fn warm_up_and_what_comes_after_the_end_are_told_apart() {
        let live = Arc::new(Live::default());
        let mut recorder = Recorder::new(100..200, Arc::clone(&live));
        recorder.answer(50, 60);
        recorder.answer(90, 110);
        recorder.answer(150, 170);
        recorder.answer(190, 260);
        assert_eq!((recorder.answered(), recorder.last()), (2, 170));
        assert_eq!(live.answered.value(), 4);
        let latencies = recorder.into_latencies();
        assert_eq!((latencies.len(), latencies.max()), (2, 70));
    }
}
