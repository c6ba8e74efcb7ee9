//! What is left of a run: a table, and plots.

mod aims;
pub mod markdown;
mod ratios;
mod svg;

use std::fs;
use std::io;
use std::path::Path;

use crate::distance::{Distance, Span};
use crate::figure::Measurement;

/// The figures of a run and how they were come by.
#[derive(Debug)]
pub struct Report {
    pub machine: String,
    /// The CPUs of the cores, in order.
    pub cpus: String,
    pub compiler: String,
    pub command: String,
    pub rounds: usize,
    pub run_millis: u64,
    /// How far apart two cores were seen to be.
    pub spans: Vec<Span>,
    /// Runs of two cores that do not count.
    pub moved: usize,
    pub measurements: Vec<Measurement>,
}

impl Report {
    /// Writes the tables and a plot for each row, and those of scaling.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        remove_plots(folder)?;
        fs::write(folder.join("results.md"), markdown::document(self))?;
        let figures = |one: &&Measurement| one.cells.iter().any(|cell| cell.figure.is_ok());
        for measurement in self.measurements.iter().filter(figures) {
            let name = format!("{}.svg", measurement.id());
            fs::write(folder.join(name), svg::dots(measurement))?;
        }
        for distance in Distance::ALL {
            if let Some(plot) = svg::scaling(&self.measurements, distance) {
                fs::write(folder.join(format!("scaling-{distance}.svg")), plot)?;
            }
        }
        Ok(())
    }

    /// Puts the tables between the marks of a document.
    pub fn write_into(&self, readme: &Path) -> io::Result<()> {
        const BEGIN: &str = "<!-- results: begin -->";
        const END: &str = "<!-- results: end -->";
        let text = fs::read_to_string(readme)?;
        let missing = || io::Error::other("the document has no marks for results");
        let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
        let (_, after) = rest.split_once(END).ok_or_else(missing)?;
        let tables = markdown::tables(self);
        fs::write(readme, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"))
    }
}

/// What an earlier run has left must not stand beside what this one writes.
fn remove_plots(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Nanoseconds, with as many digits as mean something.
pub fn nanos(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{Report, markdown, nanos};
    use crate::distance::{Distance, Span};
    use crate::figure::{Cell, Figure, Measurement};
    use crate::peer::{Dash, Row, Workload};
    use crate::table::PEERS;

    /// A row in which the first peer takes so long, and others twice as long, or nothing.
    fn row(workload: Workload, distance: Option<Distance>, ours: f64) -> Measurement {
        let cells = PEERS.iter().enumerate().map(|(at, peer)| Cell {
            peer,
            figure: match at {
                0 => Ok(Figure::of(vec![ours]).unwrap()),
                _ if at % 2 == 0 => Ok(Figure::of(vec![2.0 * ours; 3]).unwrap()),
                _ => Err(Dash("a reason".into())),
            },
        });
        Measurement {
            row: Row {
                workload,
                cores: 1 + usize::from(distance.is_some()),
            },
            distance,
            cells: cells.collect(),
        }
    }

    fn report() -> Report {
        let mut span = Span::of(44.0);
        span.add(51.0);
        Report {
            machine: "a machine".into(),
            cpus: "0, 1".into(),
            compiler: "a compiler".into(),
            command: "a command".into(),
            rounds: 3,
            run_millis: 1,
            spans: vec![span, Span::of(410.0)],
            moved: 2,
            measurements: vec![
                row(Workload::OneWay, None, 9.0),
                row(Workload::OneWay, Some(Distance::Near), 16.0),
                row(Workload::OneWay, Some(Distance::Far), 50.0),
            ],
        }
    }

    #[test]
    fn each_distance_has_a_table_ratios_and_aims() {
        let text = markdown::tables(&report());
        for part in [
            "44 to 51 ns are near, 410 to 410 ns are far; 2 runs were both and do not count.",
            "\n| two cores, near | mailbox | one way, a message |",
            "\n| two cores, far | mailbox | one way, a message |",
            "| ringpost | bounded | 16.0 (16.0–16.0; 1 run) |",
            "| one way, two cores, far | 50.0 | ",
            "- two cores, near: the fastest actor library takes this many times as long: 2.0 in one way (",
            "- Faster than ringpost, floors aside: nobody, in anything.",
            "| one way, same core | ≤ 10 ns | 9.0 ns | met |",
            "| one way, two cores, near | ≤ 15 ns | 16.0 ns | not met |",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_distance_without_figures_has_no_table() {
        let mut report = report();
        for cell in &mut report.measurements[2].cells {
            cell.figure = Err(Dash("too few runs".into()));
        }
        let text = markdown::tables(&report);
        assert!(text.contains("any figure while the two cores were far."));
        assert!(!text.contains("| two cores, far |"), "in\n{text}");
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(nanos(9.96), "10.0");
        assert_eq!(nanos(123.4), "123");
        assert_eq!(nanos(1_234_567.0), "1,234,567");
    }
}
