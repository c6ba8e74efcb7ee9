//! The program: from a command line to an exit status.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use clap::Parser;

use crate::args::Args;
use crate::check::{Check, Checks};
use crate::clock::Clock;
use crate::echo::Spawned;
use crate::error::StartError;
use crate::exit::Exit;
use crate::local::{self, Cores};
use crate::metric::{Limit, Metric};
use crate::net;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::report::{self, Report, Searched, Trial};
use crate::search::{Search, is_kept};
use crate::settings::Settings;
use crate::target::Target;

/// Where a search for a rate begins, unless told otherwise.
const RATE_FIRST: f64 = 1000.0;

/// Runs the program with this command line, the name of the program first, and says with which status it is
/// to exit.
///
/// Reports go to standard output, and everything else to standard error. See the help for the statuses.
pub fn run<A>(args: A) -> u8
where
    A: IntoIterator,
    A::Item: Into<OsString> + Clone,
{
    let args = Args::try_parse_from(args).and_then(|args| args.check().map(|()| args));
    let args = match args {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to tell if it cannot be printed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.status());
        }
    };
    let exit = perform(&args).unwrap_or_else(|error| {
        tell(&format!("ringpost-load: {error}"));
        Exit::NotStarted
    });
    exit.status()
}

fn perform(args: &Args) -> Result<Exit, StartError> {
    // Files are made first, so that a wrong path does not cost a run.
    let outputs = Outputs::create(args)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (_server, target) = spawn(args, cpus)?;
    let mut settings = args.settings(cpus);
    let is_local = target == Target::Local;
    let cores = is_local.then(|| Cores::choose(args.from_core, args.to_core, cpus));
    if let Some(cores) = cores {
        settings.threads = cores.count();
    }
    let mut bench = Bench {
        args,
        cores,
        target,
        clock: Clock::start(),
        progress: Progress::new(args.quiet),
    };
    let (settings, outcome, search) = match args.find_rate {
        None => {
            let outcome = bench.measure(&settings, "");
            bench.progress.end();
            (settings, outcome?, None)
        }
        Some(limit) => bench.search(&settings, limit)?,
    };
    let report = Report {
        target: bench.name(),
        settings: &settings,
        outcome: &outcome,
        checks: Checks::new(&args.max, &args.min).of(&outcome),
        search,
    };
    outputs.write(&report)?;
    Ok(exit(&report))
}

fn exit(report: &Report<'_>) -> Exit {
    let holds = |check: &Check| check.holds;
    let found = report
        .search
        .as_ref()
        .is_none_or(|search| search.found.is_some());
    match report.outcome {
        outcome if outcome.broken > 0 => Exit::Broken,
        outcome if outcome.interrupted => Exit::Interrupted,
        _ if found && report.checks.iter().all(holds) => Exit::Well,
        _ => Exit::Missed,
    }
}

/// Starts the service that is to be put under load, if that is asked for, and says where it is.
fn spawn(args: &Args, cpus: usize) -> Result<(Option<Spawned>, Target), StartError> {
    if !args.spawn_echo {
        return Ok((None, args.target.clone()));
    }
    let cores = cpus.saturating_sub(args.settings(cpus).threads).max(1);
    let spawned = Spawned::start(&args.target, cores)?;
    let target = args.target.at(spawned.address());
    Ok((Some(spawned), target))
}

/// What runs are made with.
struct Bench<'a> {
    args: &'a Args,
    target: Target,
    /// Where the workers are, for a target in this process.
    cores: Option<Cores>,
    clock: Clock,
    progress: Progress,
}

impl Bench<'_> {
    fn name(&self) -> String {
        match self.cores {
            Some(Cores { from, to }) => format!("local:// from core {from} to core {to}"),
            None => self.target.to_string(),
        }
    }

    fn measure(&mut self, settings: &Settings, prefix: &str) -> Result<Outcome, StartError> {
        self.progress.begin(prefix);
        match self.cores {
            Some(cores) => local::measure(cores, settings, self.clock, &mut self.progress),
            None => net::measure(&self.target, settings, self.clock, &mut self.progress),
        }
    }

    /// Searches for the highest rate that keeps a limit; returns the run at that rate, or the last one.
    fn search(
        &mut self,
        settings: &Settings,
        limit: Limit,
    ) -> Result<(Settings, Outcome, Option<Searched>), StartError> {
        let mut search = Search::new(settings.rate.unwrap_or(RATE_FIRST));
        let mut trials: Vec<Trial> = Vec::new();
        let mut best: Option<(Settings, Outcome)> = None;
        while let Some(rate) = search.next() {
            let settings = Settings {
                rate: Some(rate),
                ..settings.clone()
            };
            let outcome = self.measure(&settings, "search ")?;
            let is_over = outcome.interrupted || outcome.broken > 0;
            let trial = Trial {
                rate,
                answered: outcome.rate(),
                latency: limit.metric.of(&outcome),
                is_kept: is_kept(&limit, rate, &outcome),
            };
            self.progress.end();
            if !self.args.quiet {
                tell(&describe(&trial, &limit));
            }
            trials.push(trial);
            search.note(trial.is_kept);
            if trial.is_kept || search.kept().is_none() || is_over {
                best = Some((settings, outcome));
            }
            if is_over {
                break;
            }
        }
        let searched = Searched {
            limit,
            found: search.kept(),
            trials,
        };
        let (settings, outcome) = best.ok_or_else(|| {
            StartError::Choice("the search has no rate to begin with; --rate says one".into())
        })?;
        Ok((settings, outcome, Some(searched)))
    }
}

fn describe(trial: &Trial, limit: &Limit) -> String {
    let (rate, answered) = (
        Metric::Rate.show(trial.rate),
        Metric::Rate.show(trial.answered),
    );
    let latency = limit.metric.show(trial.latency);
    let verdict = if trial.is_kept { "kept" } else { "missed" };
    format!(
        "{rate:>14}: {answered:>14} answered, {} {latency}: {verdict}",
        limit.metric
    )
}

/// Where reports go.
struct Outputs {
    json: Option<Output>,
    hgrm: Option<Output>,
    plot: Option<Output>,
}

enum Output {
    Standard,
    File(File, String),
}

impl Outputs {
    fn create(args: &Args) -> Result<Self, StartError> {
        let create = |path: &Option<_>| path.as_deref().map(Output::create).transpose();
        Ok(Self {
            json: create(&args.json)?,
            hgrm: create(&args.hgrm)?,
            plot: create(&args.plot)?,
        })
    }

    fn write(self, report: &Report<'_>) -> Result<(), StartError> {
        if !matches!(self.json, Some(Output::Standard)) {
            Output::Standard.write(&report::text(report))?;
        }
        if let Some(output) = self.json {
            output.write(&format!("{}\n", report::json(report)))?;
        }
        if let Some(output) = self.hgrm {
            output.write(&report::hgrm(&report.outcome.latencies))?;
        }
        if let Some(output) = self.plot {
            output.write(&report::plot(report))?;
        }
        Ok(())
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, StartError> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self::File(file, name)),
            Err(source) => Err(StartError::Write { name, source }),
        }
    }

    fn write(self, text: &str) -> Result<(), StartError> {
        let (result, name) = match self {
            Self::Standard => (
                io::stdout().write_all(text.as_bytes()),
                "standard output".into(),
            ),
            Self::File(mut file, name) => (file.write_all(text.as_bytes()), name),
        };
        match result {
            // Somebody has read as much as they wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|source| StartError::Write { name, source }),
        }
    }
}

/// Prints a line for people, beside the report.
fn tell(line: &str) {
    // Nobody is left to tell if it cannot be printed.
    let _ = writeln!(io::stderr(), "{line}");
}
