//! Measuring once, or at several rates in search of the highest.

use crate::clock::{Clock, Nanos};
use crate::echo::Spawned;
use crate::error::StartError;
use crate::local::{self, Cores};
use crate::metric::{Limit, Metric};
use crate::net;
use crate::outcome::{Outcome, Watch};
use crate::output::tell;
use crate::progress::Progress;
use crate::report::{Searched, Trial};
use crate::search::{Search, Verdict, judge};
use crate::settings::{Settings, Timeline};
use crate::target::Target;

/// Where a search for a rate begins, unless told otherwise.
const RATE_FIRST: f64 = 1000.0;

/// What runs are made with.
pub(crate) struct Bench {
    pub(crate) target: Target,
    /// The service, if this process runs it.
    pub(crate) server: Option<Spawned>,
    /// Where the workers are, for a target in this process.
    pub(crate) cores: Option<Cores>,
    pub(crate) clock: Clock,
    pub(crate) progress: Progress,
    pub(crate) quiet: bool,
}

/// What a search came to: the run at the rate it found, or the last one.
pub(crate) type Found = (Settings, Outcome, Searched);

impl Bench {
    /// What is put under load.
    pub(crate) fn name(&self) -> String {
        match self.cores {
            Some(Cores { from, to }) => format!("local:// from core {from} to core {to}"),
            None => self.target.to_string(),
        }
    }

    /// Measures once.
    ///
    /// # Errors
    /// When nothing could be measured.
    pub(crate) fn measure(&mut self, settings: &Settings) -> Result<Outcome, StartError> {
        let outcome = self.attempt(settings, "");
        self.progress.end();
        outcome
    }

    fn attempt(&mut self, settings: &Settings, prefix: &str) -> Result<Outcome, StartError> {
        self.progress.begin(prefix);
        let mut lookout = Lookout {
            progress: &mut self.progress,
            server: self.server.as_ref(),
        };
        let outcome = match self.cores {
            Some(cores) => local::measure(cores, settings, self.clock, &mut lookout),
            None => net::measure(&self.target, settings, self.clock, &mut lookout),
        };
        match self.server.as_ref().and_then(Spawned::failure) {
            // What was measured beside it is not what was asked for.
            Some(failure) => Err(StartError::Echo(failure)),
            None => outcome,
        }
    }

    /// Searches for the highest rate that keeps a limit.
    ///
    /// # Errors
    /// When nothing could be measured. A search that fails later reports what it has found.
    pub(crate) fn search(
        &mut self,
        settings: &Settings,
        limit: Limit,
    ) -> Result<Found, StartError> {
        let mut search = Search::new(settings.rate.unwrap_or(RATE_FIRST));
        let mut trials: Vec<Trial> = Vec::new();
        let mut shown: Option<(Settings, Outcome)> = None;
        let mut failure = None;
        while let Some(rate) = search.next() {
            let settings = Settings {
                rate: Some(rate),
                ..settings.clone()
            };
            let outcome = self.attempt(&settings, "search ");
            self.progress.end();
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(error) if trials.is_empty() => return Err(error),
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            };
            if outcome.interrupted {
                shown = Some((settings, outcome));
                break;
            }
            let verdict = judge(&limit, rate, &outcome);
            let trial = Trial {
                rate,
                answered: outcome.rate(),
                latency: limit.metric.of(&outcome),
                is_kept: verdict == Verdict::Kept,
            };
            search.note(verdict);
            if !self.quiet {
                tell(&describe(&trial, &limit, search.next() == Some(rate)));
            }
            let is_over = outcome.broken > 0;
            trials.push(trial);
            if trial.is_kept || search.kept().is_none() || is_over {
                shown = Some((settings, outcome));
            }
            if is_over {
                break;
            }
        }
        let searched = Searched {
            limit,
            found: search.kept(),
            trials,
            failure,
        };
        let (settings, outcome) = shown.ok_or_else(|| {
            StartError::Choice("the search has no rate to begin with; --rate says one".into())
        })?;
        Ok((settings, outcome, searched))
    }
}

fn describe(trial: &Trial, limit: &Limit, is_repeated: bool) -> String {
    let (rate, answered) = (
        Metric::Rate.show(trial.rate),
        Metric::Rate.show(trial.answered),
    );
    let latency = limit.metric.show(trial.latency);
    let verdict = match trial.is_kept {
        true => "kept",
        false if is_repeated => "missed, once more",
        false => "missed",
    };
    format!(
        "{rate:>14}: {answered:>14} answered, {} {latency}: {verdict}",
        limit.metric
    )
}

/// Watches for the wish of the user to end, and for the end of the service that this process runs.
struct Lookout<'a> {
    progress: &'a mut Progress,
    server: Option<&'a Spawned>,
}

impl Watch for Lookout<'_> {
    fn wants_end(&mut self) -> bool {
        self.progress.wants_end() || self.server.is_some_and(|server| server.failure().is_some())
    }

    fn look(&mut self, timeline: &Timeline, now: Nanos, answered: u64) -> bool {
        self.progress.look(timeline, now, answered) && !self.wants_end()
    }
}
