//! The command line.

use clap::{Parser, ValueEnum};

/// ringpost beside other libraries: the same workloads in the same run, interleaved.
///
/// Writes results/results.md and results/*.svg beside this package's manifest.
#[derive(Debug, Parser)]
pub struct Options {
    /// How long to measure.
    #[arg(long, value_enum, default_value_t = Effort::Normal)]
    pub effort: Effort,
    /// The same as --effort quick: every cell, in about a minute or two.
    #[arg(long)]
    pub quick: bool,
    /// The same as --effort full: more rounds, for figures to be published.
    #[arg(long)]
    pub full: bool,
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
pub enum Effort {
    Quick,
    Normal,
    Full,
}

impl Effort {
    pub fn rounds(self) -> usize {
        match self {
            Effort::Quick => 3,
            Effort::Normal => 5,
            Effort::Full => 9,
        }
    }

    /// How long one run should take.
    pub fn run_millis(self) -> u64 {
        match self {
            Effort::Quick => 60,
            Effort::Normal => 150,
            Effort::Full => 300,
        }
    }
}

impl Options {
    pub fn effort(&self) -> Effort {
        match (self.quick, self.full) {
            (true, _) => Effort::Quick,
            (_, true) => Effort::Full,
            _ => self.effort,
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
