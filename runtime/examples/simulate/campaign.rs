//! Many seeds, on all CPUs.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use ringpost::sim::{Fault, Rare};
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

use crate::Args;
use crate::cluster::{Outcome, Setup};
use crate::shrink::shrink;

/// One seed in so many runs twice, and has to do the same.
const AUDIT: u64 = 50;
/// Failures after which a campaign ends early.
const FAILURES_MAX: usize = 8;

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
    sum.failures.is_empty()
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
    println!("faults:");
    for (fault, count) in &sum.faults {
        println!("  {count:>12}  {fault}");
    }
    println!("rare paths:");
    for (path, count) in &sum.rare {
        println!("  {count:>12}  {path}");
    }
    let struck = sum.faults.values().sum::<u64>();
    let kinds = sum.faults.values().filter(|count| **count > 0).count();
    let reached = sum.rare.values().filter(|count| **count > 0).count();
    println!(
        "{} seeds, {} of them twice; {} events; {:.1} hours of virtual time; {} messages handled, {} questions answered",
        sum.seeds,
        sum.audited,
        sum.events,
        sum.elapsed.as_secs_f64() / 3600.0,
        sum.handled,
        sum.answered
    );
    println!(
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
    println!("FAILED: seed {}, hash {:016x}", setup.seed, outcome.hash);
    println!("  {failure}");
    for (time, event) in outcome.last_events.iter().rev().take(12).rev() {
        println!("  {:>14.6} ms  {event}", time.as_secs_f64() * 1e3);
    }
    let small = shrink(setup);
    println!("  again, made smaller: {}", arguments(&small));
    if let Some(failure) = small.run(None).failure {
        println!("    {failure}");
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
