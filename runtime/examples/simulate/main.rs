//! Whole clusters on one thread, from a seed: replays one seed, or runs a campaign of many.
//!
//! ```text
//! cargo run --release -p ringpost --example simulate -- --seed 42 --nodes 3 --cores 4 --trace
//! cargo run --release -p ringpost --example simulate -- --seeds 20000
//! ```

/// Prints a line. Who reads may have seen enough: that is no failure.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod campaign;
#[cfg(ringpost_canary)]
mod canaries;
mod cluster;
mod dice;
mod ledger;
mod players;
mod scale;
mod shrink;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ringpost::sim::{Event, Fault};

use crate::cluster::Setup;

/// Runs clusters of nodes in simulation, with faults, and checks what they promise.
#[derive(Debug, Parser)]
struct Args {
    /// The seed to replay, or the first of a campaign.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run a campaign of so many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// Run larger and larger clusters, without faults, and print what they take.
    #[arg(long)]
    scale: bool,
    /// Print the hashes of so many seeds, and nothing else.
    #[arg(long)]
    hashes: Option<u64>,
    /// Nodes of each cluster; drawn by the seed if left out.
    #[arg(long)]
    nodes: Option<u16>,
    /// Cores of each node; drawn by the seed if left out.
    #[arg(long)]
    cores: Option<u16>,
    /// Plant each of the known bugs, and look for it in so many seeds.
    #[cfg(ringpost_canary)]
    #[arg(long)]
    canaries: Option<u64>,
    /// Print each event of the replay.
    #[arg(long)]
    trace: bool,
    /// Threads of a campaign; as many as there are CPUs if left out.
    #[arg(long)]
    threads: Option<usize>,
    /// Leave out a kind of fault, or `all`.
    #[arg(long)]
    without: Vec<String>,
    /// Fail also if there is a fault that never struck, or a rare path that was never taken.
    #[arg(long)]
    reach: bool,
    /// Add a line about the campaign to this file.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Add seeds that fail to the list of those that the tests run for good.
    #[arg(long)]
    note_failures: bool,
    /// Take no rare paths.
    #[arg(long)]
    no_rare_paths: bool,
    /// Players of each node; drawn by the seed if left out.
    #[arg(long)]
    players: Option<u64>,
    /// How long faults strike, in microseconds; drawn by the seed if left out.
    #[arg(long)]
    faulty_for: Option<u64>,
    /// Only these kinds of faults, of those that the seed draws.
    #[arg(long)]
    only: Vec<String>,
}

impl Args {
    fn setup(&self, seed: u64) -> Setup {
        let mut setup = Setup::drawn(seed, self.nodes, self.cores);
        let leaves_out = |fault: &Fault| {
            let name = fault.to_string();
            let is_without = self
                .without
                .iter()
                .any(|other| *other == name || other == "all");
            is_without || !self.only.is_empty() && !self.only.contains(&name)
        };
        for fault in Fault::ALL.iter().filter(|fault| leaves_out(fault)) {
            setup.faults = setup.faults.without(*fault);
        }
        setup.players = self.players.unwrap_or(setup.players);
        if let Some(micros) = self.faulty_for {
            setup.faulty_for = Duration::from_micros(micros);
        }
        setup.has_rare_paths &= !self.no_rare_paths;
        setup
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // Workers panic on purpose, and what goes wrong is reported here.
    std::panic::set_hook(Box::new(|_| {}));
    drop(tracing::subscriber::set_global_default(
        tracing::subscriber::NoSubscriber::new(),
    ));
    #[cfg(ringpost_canary)]
    if let Some(seeds) = args.canaries {
        return match canaries::run(&args, seeds) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    if args.scale {
        return match scale::run() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let is_well = match (args.hashes, args.seeds) {
        (Some(seeds), _) => print_hashes(&args, seeds),
        (None, Some(seeds)) => campaign::run(&args, seeds),
        (None, None) => replay(&args),
    };
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_hashes(args: &Args, seeds: u64) -> bool {
    for seed in args.seed..args.seed.saturating_add(seeds) {
        say!("{seed} {:016x}", args.setup(seed).run(None).hash);
    }
    true
}

/// Runs one seed, and says what came of it.
fn replay(args: &Args) -> bool {
    let setup = args.setup(args.seed);
    let outcome = setup.run(args.trace.then_some(print_event as fn(Duration, &Event)));
    say!(
        "seed {}: {} nodes of {} cores, {} players each, faults for {:?}: {:?}",
        setup.seed,
        setup.nodes,
        setup.cores,
        setup.players,
        setup.faulty_for,
        setup.faults
    );
    say!(
        "{} events, {:?} of virtual time, {} messages handled, {} questions answered",
        outcome.events,
        outcome.elapsed,
        outcome.handled,
        outcome.answered
    );
    say!("hash {:016x}", outcome.hash);
    if let Some(failure) = &outcome.failure {
        campaign::print_failure(&setup, &outcome, failure);
    }
    outcome.failure.is_none()
}

fn print_event(time: Duration, event: &Event) {
    say!("{:>14.6} ms  {event}", time.as_secs_f64() * 1e3);
}

/// Seeds that once failed, with what they failed by.
#[cfg(test)]
const FAILED_ONCE: &str = include_str!("failed.txt");

#[cfg(test)]
mod tests {
    use super::{FAILED_ONCE, Setup};

    /// The setup of a line like `810: what was wrong`.
    fn setup(line: &str) -> Setup {
        let (seed, _) = line.split_once(':').expect("a line says what was wrong");
        let seed = seed.parse().expect("a line begins with a seed");
        Setup::drawn(seed, None, None)
    }

    /// What was mended stays so.
    #[test]
    fn seeds_that_failed_once_do_not_fail_again() {
        let lines = FAILED_ONCE.lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let failure = setup(line).run(None).failure;
            assert_eq!(failure, None, "{line}");
        }
    }

    /// G12: the same events, in the same order.
    #[test]
    fn g12_clusters_with_faults_repeat_themselves() {
        let mut hashes = Vec::new();
        for seed in 0..12 {
            let setup = Setup::drawn(seed, Some(3), Some(2));
            let outcomes = [setup.run(None), setup.run(None)];
            assert_eq!(outcomes[0].failure, None, "seed {seed}");
            assert_eq!(outcomes[0].hash, outcomes[1].hash, "seed {seed}");
            hashes.push(outcomes[0].hash);
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 12);
    }
}
