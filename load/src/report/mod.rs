//! What came of a run, for people, for programs and for plots.

mod hgrm;
mod json;
mod plot;
mod text;

pub(crate) use hgrm::hgrm;
pub(crate) use json::json;
pub(crate) use plot::plot;
pub(crate) use text::text;

use crate::check::Check;
use crate::exit::Exit;
use crate::metric::Limit;
use crate::outcome::Outcome;
use crate::settings::Settings;

/// A run, and everything there is to say of it.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) target: String,
    pub(crate) settings: &'a Settings,
    pub(crate) outcome: &'a Outcome,
    pub(crate) checks: Vec<Check>,
    pub(crate) search: Option<Searched>,
}

impl Report<'_> {
    /// How the program ends behind this.
    pub(crate) fn exit(&self) -> Exit {
        let search = self.search.as_ref();
        let has_failed = search.is_some_and(|search| search.failure.is_some());
        let has_found = search.is_none_or(|search| search.found.is_some());
        match self.outcome {
            outcome if outcome.broken > 0 || has_failed => Exit::Broken,
            outcome if outcome.interrupted => Exit::Interrupted,
            _ if has_found && self.checks.iter().all(|check| check.holds) => Exit::Well,
            _ => Exit::Missed,
        }
    }
}

/// What a search tried, and what it found.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    pub(crate) limit: Limit,
    pub(crate) found: Option<f64>,
    pub(crate) trials: Vec<Trial>,
    /// Why no more trials could be made, if the search ended early.
    pub(crate) failure: Option<String>,
}

/// One rate that a search tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) rate: f64,
    /// Replies a second that came of it.
    pub(crate) answered: f64,
    /// The latency that the search is about, in nanoseconds.
    pub(crate) latency: f64,
    pub(crate) is_kept: bool,
}

/// The percentiles that reports name.
const PERCENTILES: [f64; 8] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999];

/// Whether so many samples can tell this percentile from the highest of them.
fn can_tell(percent: f64, samples: u64) -> bool {
    samples as f64 * (1.0 - percent / 100.0) >= 1.0 - 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Checks;
    use crate::clock::SECOND;

    /// A run with a million latencies from 1 to 1,000 µs, for the tests of all reports.
    pub(super) fn outcome() -> Outcome {
        let mut outcome = Outcome::new(SECOND);
        outcome.end = 11 * SECOND;
        outcome.answered = 1_000_000;
        for latency in 1..=1000 {
            let recorded = outcome.latencies.record_n(latency * 1000, 1000);
            recorded.expect("it is within bounds");
        }
        outcome.counts.sent = 1_100_000;
        outcome.counts.answered = 1_099_999;
        outcome.counts.lost = 1;
        outcome.cpu = Some(5 * SECOND);
        outcome
    }

    pub(super) fn report<'a>(settings: &'a Settings, outcome: &'a Outcome) -> Report<'a> {
        let limit = "p99=2ms".parse().unwrap();
        Report {
            target: "raw://127.0.0.1:4000".into(),
            settings,
            outcome,
            checks: Checks::new(&[limit], &[]).of(outcome),
            search: None,
        }
    }

    #[test]
    fn what_was_measured_decides_how_the_program_ends() {
        let (settings, mut well) = (Settings::small(), outcome());
        well.counts.lost = 0;
        let exit = |change: &dyn Fn(&mut Outcome), search: Option<(Option<f64>, Option<&str>)>| {
            let mut outcome = well.clone();
            change(&mut outcome);
            let mut report = report(&settings, &outcome);
            report.search = search.map(|(found, failure)| Searched {
                limit: "p99=2ms".parse().unwrap(),
                found,
                trials: Vec::new(),
                failure: failure.map(str::to_owned),
            });
            // Programs are told the same.
            let is_well = report.exit() == Exit::Well;
            assert!(json(&report).ends_with(&format!("\"ok\": {is_well}}}")));
            report.exit()
        };
        let as_it_is = |_: &mut Outcome| {};
        assert_eq!(exit(&as_it_is, None), Exit::Well);
        assert_eq!(exit(&|run| run.unsent = 1, None), Exit::Missed);
        assert_eq!(exit(&|run| run.interrupted = true, None), Exit::Interrupted);
        assert_eq!(exit(&|run| run.broken = 1, None), Exit::Broken);
        assert_eq!(exit(&as_it_is, Some((Some(5.0), None))), Exit::Well);
        assert_eq!(exit(&as_it_is, Some((None, None))), Exit::Missed);
        let failed = Some((Some(5.0), Some("gone")));
        assert_eq!(exit(&as_it_is, failed), Exit::Broken);
    }

    #[test]
    fn percentiles_need_samples_beyond_them() {
        assert!(can_tell(99.0, 100) && !can_tell(99.0, 99));
        assert!(can_tell(99.999, 100_000) && !can_tell(99.999, 99_999));
    }
}
