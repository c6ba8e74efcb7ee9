//! The order of runs: each row's peers in turn, round after round.

use core_affinity::CoreId;

use crate::child;
use crate::options::Effort;
use crate::peer::{Dash, Peer, Row};

/// The figures of one peer for one row.
#[derive(Debug, Clone)]
pub struct Cell {
    pub peer: &'static Peer,
    /// Nanoseconds of an operation, or why there are none.
    pub figure: Result<Figure, Dash>,
}

/// What came of several runs, in nanoseconds for an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    pub median: f64,
    pub best: f64,
    pub worst: f64,
}

impl Figure {
    /// Of at least one run.
    fn of(mut runs: Vec<f64>) -> Option<Self> {
        runs.sort_by(f64::total_cmp);
        let (best, worst) = (*runs.first()?, *runs.last()?);
        let (low, high) = (runs[(runs.len() - 1) / 2], runs[runs.len() / 2]);
        Some(Self {
            median: (low + high) / 2.0,
            best,
            worst,
        })
    }
}

/// A row with the figures of everybody.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub row: Row,
    pub cells: Vec<Cell>,
}

impl Measurement {
    /// Measures one row, with peers A B C, A B C, … so that what changes on the machine meanwhile
    /// changes for all of them.
    pub fn take(row: Row, peers: &[&'static Peer], cpus: &[CoreId], effort: Effort) -> Self {
        let cpus = &cpus[..row.cores];
        let sizes: Vec<_> = peers
            .iter()
            .map(|peer| calibrate(peer, row, cpus, effort))
            .collect();
        let mut runs: Vec<Result<Vec<f64>, Dash>> = sizes
            .iter()
            .map(|size| size.clone().map(|_| Vec::new()))
            .collect();
        for _ in 0..effort.rounds() {
            for ((peer, size), runs) in peers.iter().zip(&sizes).zip(&mut runs) {
                let (Ok(n), Ok(taken)) = (size, runs.as_mut()) else {
                    continue;
                };
                match child::run(peer.name, row, *n, cpus) {
                    Ok(measured) => taken.push(measured.nanos_each()),
                    Err(dash) => *runs = Err(dash),
                }
            }
        }
        let none = || Dash("no run".to_owned());
        let cells = peers.iter().zip(runs).map(|(peer, runs)| Cell {
            peer,
            figure: runs.and_then(|runs| Figure::of(runs).ok_or_else(none)),
        });
        Self {
            row,
            cells: cells.collect(),
        }
    }
}

/// How many operations make a run of the right length.
fn calibrate(peer: &Peer, row: Row, cpus: &[CoreId], effort: Effort) -> Result<u64, Dash> {
    let wanted = effort.run_millis() as f64 * 1e6;
    let limit = row.workload.limit();
    let mut n = row.workload.probe().min(limit);
    // A short probe says little about a long run, so it is asked twice.
    for _ in 0..2 {
        let measured = child::run(peer.name, row, n, cpus)?;
        n = ((wanted / measured.nanos_each()) as u64).clamp(1, limit);
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let figure = Figure::of(vec![3.0, 1.0, 9.0]).unwrap();
        assert_eq!((figure.best, figure.median, figure.worst), (1.0, 3.0, 9.0));
        assert_eq!(Figure::of(vec![1.0, 2.0, 4.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Figure::of(vec![]), None);
    }
}
