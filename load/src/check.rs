//! Whether a run was as it should be.

use std::fmt;

use crate::metric::{Limit, Metric};
use crate::outcome::Outcome;

/// What is held against a run: one bound on one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(Limit),
    AtLeast(Limit),
}

/// Figures that must be zero unless the user sets them another limit.
const ZEROES: [Metric; 5] = [
    Metric::Lost,
    Metric::Duplicated,
    Metric::Corrupt,
    Metric::Reordered,
    // In an open loop, whose users have sent them all the same.
    Metric::Unsent,
];

/// One bound, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    pub(crate) bound: Bound,
    pub(crate) found: f64,
    pub(crate) holds: bool,
    /// Whether the user has asked for it.
    pub(crate) is_asked: bool,
}

/// The bounds that a run is held against.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    asked: Vec<Bound>,
}

impl Checks {
    /// The user's bounds; what the user does not bound must be zero, where it is an error.
    pub(crate) fn new(at_most: &[Limit], at_least: &[Limit]) -> Self {
        let at_most = at_most.iter().copied().map(Bound::AtMost);
        let at_least = at_least.iter().copied().map(Bound::AtLeast);
        Self {
            asked: at_most.chain(at_least).collect(),
        }
    }

    /// Holds all bounds against a run.
    pub(crate) fn of(&self, outcome: &Outcome) -> Vec<Check> {
        let is_free = |metric: &Metric| {
            let bounds = self.asked.iter();
            !bounds
                .clone()
                .any(|bound| matches!(bound, Bound::AtMost(limit) if limit.metric == *metric))
        };
        let zeroes = ZEROES.into_iter().filter(is_free);
        let zeroes = zeroes.map(|metric| Bound::AtMost(Limit { metric, value: 0.0 }));
        let asked = self.asked.iter().map(|bound| bound.check(outcome, true));
        asked
            .chain(zeroes.map(|bound| bound.check(outcome, false)))
            .collect()
    }
}

impl Bound {
    fn check(self, outcome: &Outcome, is_asked: bool) -> Check {
        let (Self::AtMost(limit) | Self::AtLeast(limit)) = self;
        let found = limit.metric.of(outcome);
        // No latency is no good latency.
        let is_known = !limit.metric.is_latency() || !outcome.latencies.is_empty();
        let holds = is_known
            && match self {
                Self::AtMost(_) => found <= limit.value,
                Self::AtLeast(_) => found >= limit.value,
            };
        Check {
            bound: self,
            found,
            holds,
            is_asked,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, relation) = match self.bound {
            Bound::AtMost(limit) => (limit, if self.holds { "≤" } else { ">" }),
            Bound::AtLeast(limit) => (limit, if self.holds { "≥" } else { "<" }),
        };
        let show = |value| limit.metric.show(value);
        let verdict = if self.holds { "held" } else { "MISSED" };
        let (found, value) = (show(self.found), show(limit.value));
        write!(f, "{} {found} {relation} {value}: {verdict}", limit.metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn outcome() -> Outcome {
        let mut outcome = Outcome::new(0);
        outcome.end = SECOND;
        outcome.answered = 1000;
        (1..=1000).for_each(|latency| outcome.latencies.saturating_record(latency * 1000));
        outcome
    }

    fn limits(texts: &[&str]) -> Vec<Limit> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn missed(checks: &Checks, outcome: &Outcome) -> Vec<String> {
        let checks = checks.of(outcome).into_iter();
        checks
            .filter(|check| !check.holds)
            .map(|check| check.to_string())
            .collect()
    }

    #[test]
    fn bounds_are_held_and_missed() {
        let held = Checks::new(&limits(&["p99=1ms", "max=1.1ms"]), &limits(&["rate=1k"]));
        assert_eq!(missed(&held, &outcome()), [""; 0]);
        let tight = Checks::new(&limits(&["p50=400us"]), &limits(&["rate=1001"]));
        assert_eq!(
            missed(&tight, &outcome()),
            [
                "p50 500 µs > 400 µs: MISSED",
                "rate 1,000/s < 1,001/s: MISSED"
            ]
        );
    }

    #[test]
    fn errors_are_missed_unless_they_are_allowed() {
        let mut bad = outcome();
        bad.counts.lost = 3;
        bad.counts.reordered = 2;
        bad.unsent = 7;
        let none = Checks::default();
        assert_eq!(
            missed(&none, &bad),
            [
                "lost 3 > 0: MISSED",
                "reordered 2 > 0: MISSED",
                "unsent 7 > 0: MISSED"
            ]
        );
        let some = Checks::new(&limits(&["lost=3", "reordered=1", "unsent=7"]), &[]);
        assert_eq!(missed(&some, &bad), ["reordered 2 > 1: MISSED"]);
    }

    #[test]
    fn a_run_without_a_reply_keeps_no_latency() {
        let checks = Checks::new(&limits(&["p99=1s"]), &[]);
        assert_eq!(missed(&checks, &Outcome::new(0)).len(), 1);
    }
}
