//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// ringpost beside other libraries: the same workloads in the same run, interleaved.
///
/// Writes results/results.md and results/*.svg beside this package's manifest.
#[derive(Debug, Parser)]
pub struct Options {
    /// How long to measure.
    #[arg(long, value_enum, default_value_t = Level::Normal)]
    pub effort: Level,
    /// The same as --effort quick: every cell, in about two minutes.
    #[arg(long)]
    pub quick: bool,
    /// The same as --effort full: more rounds, for figures to be published.
    #[arg(long)]
    pub full: bool,
    /// Runs of each cell, in place of those of the effort.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Milliseconds of a run, in place of those of the effort.
    #[arg(long)]
    pub millis: Option<u64>,
    /// Only workloads whose id (see --list) contains one of these.
    #[arg(long, value_delimiter = ',')]
    pub workloads: Vec<String>,
    /// Only peers whose name (see --list) contains one of these.
    #[arg(long, value_delimiter = ',')]
    pub peers: Vec<String>,
    /// Names workloads and peers, and measures nothing.
    #[arg(long)]
    pub list: bool,
    /// Also puts the table into README.md, in place of the one there.
    #[arg(long)]
    pub readme: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    Quick,
    Normal,
    Full,
}

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Runs of each cell; on two cores, at each distance of the two.
    pub rounds: usize,
    /// How long one run should take.
    pub run_millis: u64,
    /// When rows of two cores end though runs are lacking.
    pub pairs_max: Duration,
}

impl Options {
    pub fn effort(&self) -> Effort {
        let level = match (self.quick, self.full) {
            (true, _) => Level::Quick,
            (_, true) => Level::Full,
            _ => self.effort,
        };
        let (rounds, run_millis, pairs_max) = match level {
            Level::Quick => (3, 40, 60),
            Level::Normal => (5, 120, 220),
            Level::Full => (9, 300, 1200),
        };
        Effort {
            rounds: self.rounds.unwrap_or(rounds),
            run_millis: self.millis.unwrap_or(run_millis),
            pairs_max: Duration::from_secs(pairs_max),
        }
    }

    pub fn wants_workload(&self, id: &str) -> bool {
        wanted(&self.workloads, id)
    }

    pub fn wants_peer(&self, name: &str) -> bool {
        wanted(&self.peers, name)
    }
}

fn wanted(parts: &[String], name: &str) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
}
