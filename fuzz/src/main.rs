//! Fuzzes a target, or one after the other, for a while.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a tool that runs for a while reads the clock"
)]

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringpost_fuzz::{Mutator, TARGETS, Target, entries, fuzz, keep, target};

const USAGE: &str = "\
usage: ringpost-fuzz TARGET [--seconds N] [--executions N] [--seed N]

  TARGET           frame, decoder, route, message, or all of them: all
  --seconds N      stop after N seconds for each target (10)
  --executions N   stop after N executions for each target, if that is earlier
  --seed N         where the mutations begin (0); the same seed and corpus give the same inputs
";

struct Options {
    targets: Vec<Target>,
    seconds: u64,
    executions: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let result = match options(std::env::args().skip(1)) {
        Ok(options) => options.targets.iter().try_fold(true, |clean, target| {
            run(*target, &options).map(|target_clean| clean && target_clean)
        }),
        Err(wrong) => write!(io::stderr(), "{wrong}\n\n{USAGE}").map(|()| false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The standard output is closed: nobody reads the result any more.
        Err(_) => ExitCode::FAILURE,
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        targets: Vec::new(),
        seconds: 10,
        executions: u64::MAX,
        seed: 0,
    };
    while let Some(argument) = arguments.next() {
        let option = match argument.as_str() {
            "--seconds" => &mut options.seconds,
            "--executions" => &mut options.executions,
            "--seed" => &mut options.seed,
            "all" => {
                options.targets.extend(TARGETS);
                continue;
            }
            name => {
                let named = target(name).ok_or_else(|| format!("there is no target `{name}`"))?;
                options.targets.push(named);
                continue;
            }
        };
        let number = arguments.next().and_then(|number| number.parse().ok());
        *option = number.ok_or_else(|| format!("{argument} needs a number"))?;
    }
    match options.targets.is_empty() {
        true => Err("no target is named".to_owned()),
        false => Ok(options),
    }
}

/// Whether the target stood it.
fn run(target: Target, options: &Options) -> io::Result<bool> {
    let mut out = io::stdout();
    let (name, seed) = (target.name, options.seed);
    let corpus: Vec<Vec<u8>> = entries(name)?
        .into_iter()
        .map(|entry| entry.bytes)
        .collect();
    let entries = corpus.len();
    let mut mutator = Mutator::new(seed, corpus);

    let begin = Instant::now();
    let limit = Duration::from_secs(options.seconds);
    // The clock is looked at now and then, since it takes about as long as a short input.
    let goes_on = |executions: u64| {
        executions < options.executions
            && (!executions.is_multiple_of(64) || begin.elapsed() < limit)
    };
    match fuzz(target, &mut mutator, goes_on) {
        Ok(executions) => {
            let seconds = begin.elapsed().as_secs_f64();
            writeln!(
                out,
                "{name}: {executions} executions in {seconds:.1} s from {entries} entries, seed {seed}: clean"
            )?;
            Ok(true)
        }
        Err(crash) => {
            let path = keep(name, &crash.input)?;
            writeln!(
                out,
                "{name}: execution {} of seed {seed} panicked; its input of {} bytes is {}",
                crash.execution,
                crash.input.len(),
                path.display()
            )?;
            Ok(false)
        }
    }
}
