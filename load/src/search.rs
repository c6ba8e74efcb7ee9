//! The search for the highest rate that keeps a limit.

use crate::check::Checks;
use crate::metric::Limit;
use crate::outcome::Outcome;

/// Without a known upper or lower end, the next rate differs by this factor.
const STRIDE: f64 = 4.0;

/// The search ends when the rates that were kept and missed differ by no more than this factor.
const PRECISION: f64 = 1.03;

const TRIALS_MAX: usize = 30;

/// A rate of replies below this share of what was offered is no success.
const SHARE_MIN: f64 = 0.99;

/// The search for the highest rate that is kept, one trial at a time.
#[derive(Debug)]
pub(crate) struct Search {
    next: f64,
    kept: Option<f64>,
    missed: Option<f64>,
    trials: usize,
}

impl Search {
    /// Begins at this rate.
    pub(crate) fn new(first: f64) -> Self {
        Self {
            next: first,
            kept: None,
            missed: None,
            trials: 0,
        }
    }

    /// The rate to try; `None` if the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let is_close = match (self.kept, self.missed) {
            (Some(kept), Some(missed)) => missed / kept <= PRECISION,
            (None, _) => self.next < 1.0,
            (Some(_), None) => false,
        };
        (!is_close && self.trials < TRIALS_MAX).then_some(self.next)
    }

    /// Notes whether the rate that was to be tried was kept.
    pub(crate) fn note(&mut self, is_kept: bool) {
        self.trials += 1;
        match is_kept {
            true => self.kept = Some(self.next),
            false => self.missed = Some(self.next),
        }
        self.next = match (self.kept, self.missed) {
            (Some(kept), Some(missed)) => (kept * missed).sqrt(),
            (Some(kept), None) => kept * STRIDE,
            (None, Some(missed)) => missed / STRIDE,
            (None, None) => self.next,
        };
    }

    /// The highest rate that was kept.
    pub(crate) fn kept(&self) -> Option<f64> {
        self.kept
    }
}

/// Whether a trial at a rate is a success: the limit is kept, all replies are right, and they come as fast as
/// messages were to leave.
pub(crate) fn is_kept(limit: &Limit, rate: f64, outcome: &Outcome) -> bool {
    let checks = Checks::new(&[*limit], &[]).of(outcome);
    let offered = rate * outcome.measured() as f64 / crate::clock::SECOND as f64;
    // One message more or less at either end says nothing.
    let keeps_up = outcome.answered as f64 + 2.0 >= offered * SHARE_MIN;
    keeps_up && outcome.broken == 0 && checks.iter().all(|check| check.holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    /// Searches a system that keeps rates up to a limit.
    fn search(first: f64, capacity: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(first);
        while let Some(rate) = search.next() {
            search.note(rate <= capacity);
        }
        (search.kept(), search.trials)
    }

    #[test]
    fn the_highest_rate_is_found_from_above_and_from_below() {
        for first in [10.0, 1000.0, 5e6] {
            for capacity in [37.0, 1000.0, 812_345.0, 2.6e6] {
                let (found, trials) = search(first, capacity);
                let found = found.unwrap();
                assert!(
                    found <= capacity && found >= capacity / 1.031,
                    "{found} of {capacity}"
                );
                assert!(trials <= 20, "{trials} trials from {first} to {capacity}");
            }
        }
    }

    #[test]
    fn a_search_without_success_or_without_end_ends() {
        let (found, trials) = search(1000.0, 0.0);
        assert_eq!(found, None);
        assert!(trials <= 6);
        assert_eq!(search(1000.0, f64::INFINITY).1, TRIALS_MAX);
    }

    #[test]
    fn a_trial_that_falls_behind_or_loses_is_no_success() {
        let limit: Limit = "p99=1ms".parse().unwrap();
        let mut outcome = Outcome::new(0);
        outcome.end = SECOND;
        outcome.answered = 1000;
        (0..1000).for_each(|_| outcome.latencies.saturating_record(1000));
        assert!(is_kept(&limit, 1000.0, &outcome));
        assert!(!is_kept(&limit, 1050.0, &outcome));
        let mut lossy = outcome.clone();
        lossy.counts.lost = 1;
        assert!(!is_kept(&limit, 1000.0, &lossy));
        let mut broken = outcome.clone();
        broken.broken = 1;
        assert!(!is_kept(&limit, 1000.0, &broken));
        (0..20).for_each(|_| outcome.latencies.saturating_record(2_000_000));
        assert!(!is_kept(&limit, 1000.0, &outcome));
    }
}
