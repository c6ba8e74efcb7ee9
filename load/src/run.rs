//! The program: from a command line to an exit status.

use std::ffi::OsString;

use clap::Parser;

use crate::args::Args;
use crate::bench::Bench;
use crate::check::Checks;
use crate::clock::Clock;
use crate::echo::{self, Spawned};
use crate::error::StartError;
use crate::exit::Exit;
use crate::local::Cores;
use crate::output::{Outputs, tell};
use crate::progress::Progress;
use crate::report::Report;
use crate::target::Target;

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
    let outputs = Outputs::create(args)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (server, target) = spawn(args, cpus)?;
    let mut settings = args.settings(cpus);
    let is_local = target == Target::Local;
    let cores = is_local.then(|| Cores::choose(args.from_core, args.to_core, cpus));
    if let Some(cores) = cores {
        settings.threads = cores.count();
        if let Some(warning) = cores.warning(cpus) {
            tell(&format!("ringpost-load: {warning}"));
        }
    }
    let mut bench = Bench {
        target,
        server,
        cores,
        clock: Clock::start(),
        progress: Progress::new(args.quiet),
        quiet: args.quiet,
    };
    let (settings, outcome, search) = match args.find_rate {
        None => {
            let outcome = bench.measure(&settings)?;
            (settings, outcome, None)
        }
        Some(limit) => {
            let (settings, outcome, searched) = bench.search(&settings, limit)?;
            (settings, outcome, Some(searched))
        }
    };
    let report = Report {
        target: bench.name(),
        settings: &settings,
        outcome: &outcome,
        checks: Checks::new(&args.max, &args.min).of(&outcome),
        search,
    };
    outputs.write(&report)?;
    Ok(report.exit())
}

/// Starts the service that is to be put under load, if that is asked for, and says where it is.
fn spawn(args: &Args, cpus: usize) -> Result<(Option<Spawned>, Target), StartError> {
    if !args.spawn_echo {
        return Ok((None, args.target.clone()));
    }
    echo::check_files(args.connections)?;
    let cores = cpus.saturating_sub(args.settings(cpus).threads).max(1);
    let spawned = Spawned::start(&args.target, cores)?;
    let target = args.target.at(spawned.address());
    Ok((Some(spawned), target))
}
