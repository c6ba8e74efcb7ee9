//! The search for the highest rate that keeps a limit.

use crate::check::Checks;
use crate::metric::Limit;
use crate::outcome::Outcome;

/// Without a known upper or lower end, the next rate differs by this factor.
const STRIDE: f64 = 4.0;

/// The search ends when the rates that were kept and missed differ by no more than this factor.
const PRECISION: f64 = 1.03;

/// The search ends after trying so many rates.
const RATES_MAX: usize = 30;

/// A rate that was missed is tried so many times more before it is believed: whatever else the machine does can spoil a
/// trial.
const REPEATS_MAX: usize = 2;

/// A rate of which less than this share is answered is no accident, and is not tried again.
const SHARE_FAR: f64 = 0.5;

/// A rate of replies below this share of what was offered is no success.
const SHARE_MIN: f64 = 0.99;

/// The search for the highest rate that is kept, one trial at a time.
#[derive(Debug)]
pub(crate) struct Search {
    next: f64,
    kept: Option<f64>,
    missed: Option<f64>,
    rates: usize,
    /// How many trials have missed the present rate.
    misses: usize,
}

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    Missed,
    /// Missed by far.
    FarBehind,
}

impl Search {
    /// Begins at this rate.
    pub(crate) fn new(first: f64) -> Self {
        Self {
            next: first,
            kept: None,
            missed: None,
            rates: 0,
            misses: 0,
        }
    }

    /// The rate to try; `None` if the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let is_close = match (self.kept, self.missed) {
            (Some(kept), Some(missed)) => missed / kept <= PRECISION,
            (None, _) => self.next < 1.0,
            (Some(_), None) => false,
        };
        (!is_close && self.rates < RATES_MAX).then_some(self.next)
    }

    /// Notes what came of the rate that was to be tried.
    pub(crate) fn note(&mut self, verdict: Verdict) {
        if verdict == Verdict::Missed && self.misses < REPEATS_MAX {
            self.misses += 1;
            return;
        }
        self.rates += 1;
        self.misses = 0;
        match verdict {
            Verdict::Kept => self.kept = Some(self.next),
            Verdict::Missed | Verdict::FarBehind => self.missed = Some(self.next),
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

/// What a trial at a rate came to. It is a success if the limit is kept, all replies are right, and they come as fast as
/// messages were to leave.
pub(crate) fn judge(limit: &Limit, rate: f64, outcome: &Outcome) -> Verdict {
    let checks = Checks::new(&[*limit], &[]).of(outcome);
    let offered = rate * outcome.measured() as f64 / crate::clock::SECOND as f64;
    // One message more or less at either end says nothing.
    let answers = |share: f64| outcome.answered as f64 + 2.0 >= offered * share;
    let is_right = outcome.broken == 0 && checks.iter().all(|check| check.holds);
    match () {
        () if is_right && answers(SHARE_MIN) => Verdict::Kept,
        () if answers(SHARE_FAR) => Verdict::Missed,
        () => Verdict::FarBehind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    /// Searches a system that keeps rates up to a limit.
    fn search(first: f64, capacity: f64) -> (Option<f64>, usize) {
        let mut search = Search::new(first);
        let mut trials = 0;
        while let Some(rate) = search.next() {
            trials += 1;
            search.note(match rate {
                rate if rate <= capacity => Verdict::Kept,
                rate if rate <= 2.0 * capacity => Verdict::Missed,
                _ => Verdict::FarBehind,
            });
        }
        (search.kept(), trials)
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
                assert!(trials <= 36, "{trials} trials from {first} to {capacity}");
            }
        }
    }

    #[test]
    fn a_search_without_success_or_without_end_ends() {
        let (found, trials) = search(1000.0, 0.0);
        assert_eq!(found, None);
        assert!(trials <= 6);
        assert_eq!(search(1000.0, f64::INFINITY).1, RATES_MAX);
    }

    #[test]
    fn one_spoilt_trial_is_no_ceiling() {
        let capacity = 690_000.0;
        let mut search = Search::new(1000.0);
        let mut trials = 0;
        while let Some(rate) = search.next() {
            // Two in three are spoilt.
            trials += 1;
            let is_spoilt = trials % 3 != 0;
            search.note(match rate <= capacity && !is_spoilt {
                true => Verdict::Kept,
                false => Verdict::Missed,
            });
        }
        let found = search.kept().unwrap();
        assert!((capacity / 1.031..=capacity).contains(&found), "{found}");
    }

    #[test]
    fn a_trial_that_falls_behind_or_loses_is_no_success() {
        let limit: Limit = "p99=1ms".parse().unwrap();
        let mut outcome = Outcome::new(0);
        outcome.end = SECOND;
        outcome.answered = 1000;
        (0..1000).for_each(|_| outcome.latencies.saturating_record(1000));
        assert_eq!(judge(&limit, 1000.0, &outcome), Verdict::Kept);
        assert_eq!(judge(&limit, 1050.0, &outcome), Verdict::Missed);
        assert_eq!(judge(&limit, 2050.0, &outcome), Verdict::FarBehind);
        let mut lossy = outcome.clone();
        lossy.counts.lost = 1;
        assert_eq!(judge(&limit, 1000.0, &lossy), Verdict::Missed);
        let mut broken = outcome.clone();
        broken.broken = 1;
        assert_eq!(judge(&limit, 1000.0, &broken), Verdict::Missed);
        (0..20).for_each(|_| outcome.latencies.saturating_record(2_000_000));
        assert_eq!(judge(&limit, 1000.0, &outcome), Verdict::Missed);
    }
}
