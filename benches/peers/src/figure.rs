//! What comes of runs.

use std::fmt;

use crate::distance::Distance;
use crate::peer::{Dash, Peer, Row};

/// What came of several runs, in nanoseconds for an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    pub median: f64,
    pub best: f64,
    pub worst: f64,
    pub runs: usize,
}

impl Figure {
    /// Of at least one run.
    pub fn of(mut runs: Vec<f64>) -> Option<Self> {
        runs.sort_by(f64::total_cmp);
        let (best, worst) = (*runs.first()?, *runs.last()?);
        let (low, high) = (runs[(runs.len() - 1) / 2], runs[runs.len() / 2]);
        Some(Self {
            median: (low + high) / 2.0,
            best,
            worst,
            runs: runs.len(),
        })
    }
}

/// The figures of one peer for one row.
#[derive(Debug, Clone)]
pub struct Cell {
    pub peer: &'static Peer,
    /// Nanoseconds of an operation, or why there are none.
    pub figure: Result<Figure, Dash>,
}

/// A row with the figures of everybody.
#[derive(Debug, Clone)]
pub struct Measurement {
    pub row: Row,
    /// How far apart the two cores of the row were, where they were two.
    pub distance: Option<Distance>,
    pub cells: Vec<Cell>,
}

impl Measurement {
    /// A name for files.
    pub fn id(&self) -> String {
        let row = self.row.id().replace('@', "-");
        match self.distance {
            Some(distance) => format!("{row}-{distance}"),
            None => row,
        }
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.row)?;
        match self.distance {
            Some(distance) => write!(f, ", {distance}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let figure = Figure::of(vec![3.0, 1.0, 9.0]).unwrap();
        assert_eq!((figure.best, figure.median, figure.worst), (1.0, 3.0, 9.0));
        assert_eq!(figure.runs, 3);
        assert_eq!(Figure::of(vec![1.0, 2.0, 4.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Figure::of(vec![]), None);
    }
}
