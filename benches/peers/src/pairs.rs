//! The order of runs on two cores, which counts by how far apart the two are: sweeps over all rows and
//! peers, in which each takes the runs that it lacks at the distance of the moment.

use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

use crate::child;
use crate::distance::{Distance, Span, bounce};
use crate::figure::{Cell, Figure, Measurement};
use crate::measure::{probe, size};
use crate::options::Effort;
use crate::peer::{Dash, Peer, Row};

/// Fewer runs than this make no figure.
const RUNS_MIN: usize = 3;

/// How long to wait for a change where all that can be measured at the distance of the moment is.
const WAIT: Duration = Duration::from_millis(50);

/// What came of the sweeps.
#[derive(Debug)]
pub struct Outcome {
    pub measurements: Vec<Measurement>,
    /// The distances that were seen.
    pub spans: Vec<Span>,
    /// Runs that do not count, as the CPUs were moved meanwhile.
    pub moved: usize,
}

/// The runs of one peer for one row.
struct Series {
    row: Row,
    peer: &'static Peer,
    /// Or why there can be none.
    runs: Result<Runs, Dash>,
}

struct Runs {
    /// What an operation took in the probe.
    probed: f64,
    /// Nanoseconds of an operation in each run, at each distance.
    at: [Vec<f64>; 2],
}

impl Runs {
    /// What an operation takes at this distance, as far as is known.
    fn speed(&self, distance: Distance) -> f64 {
        let known = self.at[distance as usize].last();
        *known.unwrap_or(&self.probed)
    }

    fn lacks(&self, distance: Distance, effort: Effort) -> bool {
        self.at[distance as usize].len() < effort.rounds
    }
}

struct Sweeps<'a> {
    cpus: &'a [CoreId],
    effort: Effort,
    series: Vec<Series>,
    spans: [Option<Span>; 2],
    moved: usize,
    deadline: Instant,
}

/// Measures rows of two cores until every peer has all its runs at each distance that was seen, or the
/// time for it is over.
pub fn rows(rows: &[Row], peers: &[&'static Peer], cpus: &[CoreId], effort: Effort) -> Outcome {
    let cpus = &cpus[..2];
    let deadline = Instant::now() + effort.pairs_max;
    let series = rows.iter().flat_map(|row| {
        let probed = |peer: &&'static Peer| Series {
            row: *row,
            peer,
            runs: probe(peer, *row, cpus, effort).map(|probed| Runs {
                probed,
                at: [Vec::new(), Vec::new()],
            }),
        };
        peers.iter().map(probed)
    });
    let mut sweeps = Sweeps {
        cpus,
        effort,
        series: series.collect(),
        spans: [None, None],
        moved: 0,
        deadline,
    };
    while sweeps.lack() && Instant::now() < deadline {
        sweeps.sweep();
    }
    sweeps.outcome(rows, peers.len())
}

impl Sweeps<'_> {
    fn bounce(&self) -> f64 {
        bounce([self.cpus[0], self.cpus[1]])
    }

    /// Whether runs are lacking at a distance that was seen, or none was.
    fn lack(&self) -> bool {
        let mut seen = self.spans.iter().flatten().peekable();
        seen.peek().is_none()
            || seen.any(|span| {
                let mut runs = self.series.iter().filter_map(|one| one.runs.as_ref().ok());
                runs.any(|runs| runs.lacks(span.distance, self.effort))
            })
    }

    /// One run at the most of each peer for each row.
    fn sweep(&mut self) {
        let mut idle = true;
        for at in 0..self.series.len() {
            if Instant::now() >= self.deadline {
                return;
            }
            idle &= !self.step(at);
        }
        self.say();
        if idle {
            thread::sleep(WAIT);
        }
    }

    /// A run, if this one lacks any at the distance of the moment.
    fn step(&mut self, at: usize) -> bool {
        let Ok(runs) = &self.series[at].runs else {
            return false;
        };
        let before = self.bounce();
        let distance = Distance::of(before);
        if !runs.lacks(distance, self.effort) {
            return false;
        }
        let (row, peer) = (self.series[at].row, self.series[at].peer);
        let n = size(row, runs.speed(distance), self.effort);
        let ran = child::run(peer.name, row, n, self.cpus);
        let after = self.bounce();
        let measured = match ran {
            Ok(measured) => measured.nanos_each(),
            Err(dash) => {
                self.series[at].runs = Err(dash);
                return true;
            }
        };
        if Distance::of(after) != distance {
            self.moved += 1;
            return true;
        }
        if let Ok(runs) = &mut self.series[at].runs {
            runs.at[distance as usize].push(measured);
        }
        let span = self.spans[distance as usize].get_or_insert_with(|| Span::of(before));
        span.add(before);
        span.add(after);
        true
    }

    /// How far it is.
    fn say(&self) {
        for span in self.spans.iter().flatten() {
            let runs = self.series.iter().filter_map(|one| one.runs.as_ref().ok());
            let left = runs.map(|runs| {
                self.effort
                    .rounds
                    .saturating_sub(runs.at[span.distance as usize].len())
            });
            let left: usize = left.sum();
            print!("{}: {left} runs left  ", span.distance);
        }
        println!("({} moved)", self.moved);
    }

    fn outcome(self, rows: &[Row], peers: usize) -> Outcome {
        let spans: Vec<Span> = self.spans.iter().flatten().copied().collect();
        let mut measurements = Vec::new();
        for span in &spans {
            let of_rows = self.series.chunks(peers).zip(rows);
            measurements.extend(of_rows.map(|(series, row)| {
                Measurement {
                    row: *row,
                    distance: Some(span.distance),
                    cells: series
                        .iter()
                        .map(|one| cell(one, span.distance, self.effort))
                        .collect(),
                }
            }));
        }
        Outcome {
            measurements,
            spans,
            moved: self.moved,
        }
    }
}

fn cell(series: &Series, distance: Distance, effort: Effort) -> Cell {
    let few = || Dash(format!("too few runs while the CPUs were {distance}"));
    let figure = series.runs.as_ref().map_err(Clone::clone).and_then(|runs| {
        let runs = &runs.at[distance as usize];
        let enough = runs.len() >= RUNS_MIN.min(effort.rounds);
        let figure = enough.then(|| Figure::of(runs.clone())).flatten();
        figure.ok_or_else(few)
    });
    Cell {
        peer: series.peer,
        figure,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Distance, Runs, Series, cell};
    use crate::options::Effort;
    use crate::peer::{Dash, Row, Workload};
    use crate::table::PEERS;

    const EFFORT: Effort = Effort {
        rounds: 4,
        run_millis: 1,
        pairs_max: Duration::from_secs(1),
    };

    fn series(near: &[f64], far: &[f64]) -> Series {
        Series {
            row: Row {
                workload: Workload::OneWay,
                cores: 2,
            },
            peer: &PEERS[0],
            runs: Ok(Runs {
                probed: 7.0,
                at: [near.to_vec(), far.to_vec()],
            }),
        }
    }

    #[test]
    fn runs_count_at_their_distance_only() {
        let series = series(&[1.0, 2.0, 3.0], &[10.0, 20.0]);
        let near = cell(&series, Distance::Near, EFFORT).figure.unwrap();
        assert_eq!((near.median, near.runs), (2.0, 3));
        let Err(Dash(few)) = cell(&series, Distance::Far, EFFORT).figure else {
            panic!("two runs make no figure");
        };
        assert!(few.contains("far"), "{few}");
    }

    #[test]
    fn a_run_is_sized_by_the_last_one_at_its_distance() {
        let series = series(&[1.0, 2.0], &[]);
        let runs = series.runs.unwrap();
        assert_eq!(runs.speed(Distance::Near), 2.0);
        assert_eq!(runs.speed(Distance::Far), 7.0);
        assert!(runs.lacks(Distance::Near, EFFORT));
    }
}
