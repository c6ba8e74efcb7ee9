//! The order of runs where it does not matter how far apart cores are: each row's peers in turn, round
//! after round.

use core_affinity::CoreId;

use crate::child;
use crate::figure::{Cell, Figure, Measurement};
use crate::options::Effort;
use crate::peer::{Dash, Peer, Row};

/// Measures one row, with peers A B C, A B C, … so that what changes on the machine meanwhile changes
/// for all of them.
pub fn row(row: Row, peers: &[&'static Peer], cpus: &[CoreId], effort: Effort) -> Measurement {
    let cpus = &cpus[..row.cores];
    let speeds: Vec<_> = peers
        .iter()
        .map(|peer| probe(peer, row, cpus, effort))
        .collect();
    let mut runs: Vec<Result<Vec<f64>, Dash>> = speeds
        .iter()
        .map(|speed| speed.clone().map(|_| Vec::new()))
        .collect();
    for _ in 0..effort.rounds {
        for ((peer, speed), runs) in peers.iter().zip(&speeds).zip(&mut runs) {
            let (Ok(speed), Ok(taken)) = (speed, runs.as_mut()) else {
                continue;
            };
            match child::run(peer.name, row, size(row, *speed, effort), cpus) {
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
    Measurement {
        row,
        distance: None,
        cells: cells.collect(),
    }
}

/// About how many nanoseconds an operation takes.
pub fn probe(peer: &Peer, row: Row, cpus: &[CoreId], effort: Effort) -> Result<f64, Dash> {
    let first = row.workload.probe().min(row.workload.limit());
    let guess = child::run(peer.name, row, first, cpus)?.nanos_each();
    // A short probe says little about a long run, so it is asked twice.
    let measured = child::run(peer.name, row, size(row, guess, effort), cpus)?;
    Ok(measured.nanos_each())
}

/// How many operations of so many nanoseconds make a run of the right length.
pub fn size(row: Row, nanos: f64, effort: Effort) -> u64 {
    let wanted = effort.run_millis as f64 * 1e6;
    ((wanted / nanos) as u64).clamp(1, row.workload.limit())
}
