//! Many seeds, on all CPUs.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ringpost::sim::{Fault, Rare};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

use crate::Args;
use crate::cluster::{Outcome, Setup};
use crate::shrink::shrink;

/// One seed in so many runs twice, and has to do the same.
const AUDIT: u64 = 50;
/// Where seeds are listed that have failed.
const FAILED_ONCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/simulate/failed.txt");
/// Failures after which a campaign ends early.
const FAILURES_MAX: usize = 4;

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    audited: u64,
    events: u64,
    handled: u64,
    answered: u64,
    elapsed: Duration,
    faults: BTreeMap<Fault, u64>,
    rare: BTreeMap<Rare, u64>,
    failures: Vec<(Setup, Outcome, String)>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.handled += outcome.handled;
        self.answered += outcome.answered;
        self.elapsed += outcome.elapsed;
        for (fault, count) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (path, count) in &outcome.rare {
            *self.rare.entry(*path).or_default() += count;
        }
    }
}

impl Sum {
    /// Faults that never struck, and paths that were never taken.
    fn unreached(&self) -> Vec<String> {
        let faults = self
            .faults
            .iter()
            .map(|(kind, count)| (kind.to_string(), *count));
        let paths = self
            .rare
            .iter()
            .map(|(path, count)| (path.to_string(), *count));
        let never = faults.chain(paths).filter(|(_, count)| *count == 0);
        never.map(|(what, _)| what).collect()
    }

    fn struck(&self) -> u64 {
        self.faults.values().sum()
    }

    /// One line for this campaign, at the end of a file that only grows.
    fn append_to(&self, path: &Path, first: u64) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        let failed: Vec<u64> = self.failures.iter().map(|(setup, ..)| setup.seed).collect();
        writeln!(
            file,
            "{} seeds {first}..{} events {} virtual_hours {:.1} faults {} paths {} failed {failed:?}",
            commit(),
            first + self.seeds,
            self.events,
            self.elapsed.as_secs_f64() / 3600.0,
            self.struck(),
            self.rare.values().sum::<u64>(),
        )
    }
}

/// Adds a line for each seed that has failed to the list, unless it is there. Only what the seed alone has drawn is found
/// again by it.
fn note(failures: &[(Setup, Outcome, String)], list: &Path) -> io::Result<()> {
    let mut text = fs::read_to_string(list)?;
    for (setup, _, failure) in failures {
        let line = format!("{}: ", setup.seed);
        let is_known = text.lines().any(|known| known.starts_with(&line));
        if !is_known && *setup == Setup::drawn(setup.seed, None, None) {
            let what = failure.lines().next().unwrap_or_default();
            text += &format!("{line}{what}\n");
        }
    }
    fs::write(list, text)
}

/// The commit that the working tree is at, if git says so.
pub(crate) fn commit() -> String {
    let asked = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    let known = asked.ok().filter(|output| output.status.success());
    let text = known.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Runs so many seeds. Whether all went well.
pub(crate) fn run(args: &Args, seeds: u64) -> bool {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cpus).max(1);
    let sum = Mutex::new(Sum::default());
    let next = AtomicU64::new(args.seed);
    let end = args.seed.saturating_add(seeds);
    let bar = progress(seeds);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // Relaxed: each number is drawn once, and nothing else hangs on it.
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || sum.lock().failures.len() >= FAILURES_MAX {
                        return;
                    }
                    run_seed(args, seed, &sum);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let sum = sum.into_inner();
    print(&sum);
    let unreached = sum.unreached();
    if args.reach {
        for what in &unreached {
            say!("FAILED: never reached: {what}");
        }
    }
    if let Some(path) = &args.ledger
        && let Err(error) = sum.append_to(path, args.seed)
    {
        say!("FAILED: the ledger could not be written: {error}");
        return false;
    }
    if args.note_failures
        && let Err(error) = note(&sum.failures, Path::new(FAILED_ONCE))
    {
        say!("FAILED: the failures could not be noted: {error}");
        return false;
    }
    sum.failures.is_empty() && (unreached.is_empty() || !args.reach)
}

/// What came of a search for a failure.
#[cfg(ringpost_canary)]
pub(crate) enum Search {
    Found { seeds: u64, failure: String },
    Nothing,
}

/// Runs seeds one after the other until one fails.
#[cfg(ringpost_canary)]
pub(crate) fn find(args: &Args, seeds_max: u64) -> Search {
    for count in 0..seeds_max {
        let setup = args.setup(args.seed + count);
        if let Some(failure) = setup.run(None).failure {
            let seeds = count + 1;
            return Search::Found { seeds, failure };
        }
    }
    Search::Nothing
}

fn run_seed(args: &Args, seed: u64, sum: &Mutex<Sum>) {
    let setup = args.setup(seed);
    let outcome = setup.run(None);
    let mut failure = outcome.failure.clone();
    let is_audited = seed.is_multiple_of(AUDIT) && failure.is_none();
    if is_audited {
        let again = setup.run(None);
        if again.hash != outcome.hash {
            let (first, second) = (outcome.hash, again.hash);
            failure = Some(format!(
                "G12: two runs have two hashes, {first:016x} and {second:016x}"
            ));
        }
    }
    let mut sum = sum.lock();
    sum.add(&outcome);
    sum.audited += u64::from(is_audited);
    if let Some(failure) = failure {
        sum.failures.push((setup, outcome, failure));
    }
}

fn progress(seeds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seeds);
    let template = "[{bar:40}] {pos}/{len} seeds, {per_sec}, {eta} left";
    // The template is a constant; without it the bar has its usual looks.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn print(sum: &Sum) {
    say!("faults:");
    for (fault, count) in &sum.faults {
        say!("  {count:>12}  {fault}");
    }
    say!("rare paths:");
    for (path, count) in &sum.rare {
        say!("  {count:>12}  {path}");
    }
    let struck = sum.struck();
    let kinds = sum.faults.values().filter(|count| **count > 0).count();
    let reached = sum.rare.values().filter(|count| **count > 0).count();
    say!(
        "{} seeds, {} of them twice; {} events; {:.1} hours of virtual time; {} messages handled, {} questions answered",
        sum.seeds,
        sum.audited,
        sum.events,
        sum.elapsed.as_secs_f64() / 3600.0,
        sum.handled,
        sum.answered
    );
    say!(
        "{struck} faults of {kinds} kinds out of {}; {reached} rare paths reached out of {}; {} failures",
        Fault::ALL.len(),
        Rare::ALL.len(),
        sum.failures.len()
    );
    for (setup, outcome, failure) in &sum.failures {
        print_failure(setup, outcome, failure);
    }
}

/// Says what is needed to see the failure again.
pub(crate) fn print_failure(setup: &Setup, outcome: &Outcome, failure: &str) {
    let (seed, hash) = (setup.seed, outcome.hash);
    say!("FAILED: seed {seed}, commit {}, hash {hash:016x}", commit());
    say!("  {failure}");
    for (time, event) in outcome.last_events.iter().rev().take(12).rev() {
        say!("  {:>14.6} ms  {event}", time.as_secs_f64() * 1e3);
    }
    let small = shrink(setup);
    say!("  again, made smaller: {}", arguments(&small));
    if let Some(failure) = small.run(None).failure {
        say!("    {failure}");
    }
}

/// The arguments that run this setup.
fn arguments(setup: &Setup) -> String {
    let micros = setup.faulty_for.as_micros();
    let mut text = format!(
        "--seed {} --nodes {} --cores {} --players {} --faulty-for {micros}",
        setup.seed, setup.nodes, setup.cores, setup.players
    );
    if setup.faults.kinds().next().is_none() {
        text += " --without all";
    }
    for kind in setup.faults.kinds() {
        text += &format!(" --only '{kind}'");
    }
    if !setup.has_rare_paths {
        text += " --no-rare-paths";
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::{Setup, note};

    #[test]
    fn a_failure_is_noted_once_and_only_if_its_seed_brings_it_back() {
        let list = env::temp_dir().join(format!("ringpost-failed-{}.txt", process::id()));
        fs::write(&list, "# failed\n7: before\n").unwrap();
        let failed = |setup: Setup| {
            let outcome = setup.run(None);
            (setup, outcome, "G3: gone\nsee above".to_owned())
        };
        let mut other = Setup::drawn(9, None, None);
        other.players += 1;
        let failures = [
            failed(Setup::drawn(7, None, None)),
            failed(Setup::drawn(8, None, None)),
            failed(other),
        ];
        note(&failures, &list).unwrap();
        let noted = fs::read_to_string(&list).unwrap();
        fs::remove_file(&list).unwrap();
        assert_eq!(noted, "# failed\n7: before\n8: G3: gone\n");
    }
}
