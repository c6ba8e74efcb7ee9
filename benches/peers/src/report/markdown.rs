//! The tables.

use std::fmt::Write;

use super::{Report, nanos};
use crate::measure::{Figure, Measurement};
use crate::peer::{Dash, Kind, Peer};

/// The lock file tells which versions were measured.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The whole document.
pub fn document(report: &Report) -> String {
    format!("# ringpost beside other libraries\n\n{}", tables(report))
}

/// Everything but the title.
pub fn tables(report: &Report) -> String {
    let mut out = String::new();
    let Report {
        machine,
        cpus,
        compiler,
        command,
        rounds,
        run_millis,
        ..
    } = report;
    line(
        &mut out,
        &format!("Machine: {machine}; cores on CPUs {cpus}; {compiler}."),
    );
    line(&mut out, "");
    line(
        &mut out,
        &format!(
            "`{command}`: nanoseconds for one operation, the median of {rounds} runs of about {run_millis} ms each (best to worst in \
             brackets); the runs of all libraries take turns. Least is best. – with a number: not measured, for the reason below."
        ),
    );
    let mut reasons = Vec::new();
    for cores in core_counts(report) {
        line(&mut out, "");
        table_of(&mut out, report, cores, &mut reasons);
    }
    line(&mut out, "");
    summary(&mut out, report);
    line(&mut out, "");
    notes(&mut out, report, &reasons);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn core_counts(report: &Report) -> Vec<usize> {
    let mut counts: Vec<_> = report
        .measurements
        .iter()
        .map(|one| one.row.cores)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// The libraries against the workloads on so many cores.
fn table_of(out: &mut String, report: &Report, cores: usize, reasons: &mut Vec<String>) {
    let rows = report.measurements.iter();
    let rows: Vec<_> = rows.filter(|one| one.row.cores == cores).collect();
    let Some(first) = rows.first() else { return };
    let mut header = match cores {
        1 => "| same core |".to_owned(),
        2 => "| two cores |".to_owned(),
        cores => format!("| {cores} cores |"),
    };
    for one in &rows {
        let name = one.row.to_string();
        let name = name
            .rsplit_once(", ")
            .map_or(name.as_str(), |(name, _)| name);
        // Writing to a string cannot fail.
        let _ = write!(header, " {name}, a {} |", one.row.workload.operation());
    }
    line(out, &header);
    line(out, &format!("|---|{}", "---:|".repeat(rows.len())));
    for (at, cell) in first.cells.iter().enumerate() {
        let mut text = format!("| {} |", cell.peer.name);
        for one in &rows {
            let cell = match &one.cells[at].figure {
                Ok(figure) => shown(figure),
                Err(Dash(reason)) => format!("– <sup>{}</sup>", number_of(reason, reasons)),
            };
            let _ = write!(text, " {cell} |");
        }
        line(out, &text);
    }
}

fn shown(figure: &Figure) -> String {
    let Figure {
        median,
        best,
        worst,
    } = *figure;
    format!("{} ({}–{})", nanos(median), nanos(best), nanos(worst))
}

/// The number of a reason, counted from 1.
fn number_of(reason: &str, reasons: &mut Vec<String>) -> usize {
    if let Some(at) = reasons.iter().position(|known| known == reason) {
        return at + 1;
    }
    reasons.push(reason.to_owned());
    reasons.len()
}

/// How ringpost stands to the best of each kind.
fn summary(out: &mut String, report: &Report) {
    line(
        out,
        "How many times the time of ringpost the best of the others takes:",
    );
    line(out, "");
    line(
        out,
        "| workload | ringpost, ns | best actor library | best channels | floor |",
    );
    line(out, "|---|---:|---|---|---|");
    for one in &report.measurements {
        let Some(ours) = best(one, Kind::Ours) else {
            continue;
        };
        let mut text = format!("| {} | {} |", one.row, nanos(ours.1));
        for kind in [Kind::Actors, Kind::Channels, Kind::Floor] {
            let cell = best(one, kind).map_or("–".to_owned(), |(peer, median)| {
                format!("{} {:.2}×", peer.name, median / ours.1)
            });
            let _ = write!(text, " {cell} |");
        }
        line(out, &text);
    }
}

fn best(measurement: &Measurement, kind: Kind) -> Option<(&'static Peer, f64)> {
    let cells = measurement
        .cells
        .iter()
        .filter(|cell| cell.peer.kind == kind);
    let medians = cells.filter_map(|cell| Some((cell.peer, cell.figure.as_ref().ok()?.median)));
    medians.min_by(|(_, one), (_, other)| one.total_cmp(other))
}

fn notes(out: &mut String, report: &Report, reasons: &[String]) {
    line(out, "Why there is no figure:");
    line(out, "");
    for (at, reason) in reasons.iter().enumerate() {
        line(out, &format!("{}. {reason}", at + 1));
    }
    line(out, "");
    line(out, "| library | version | how it is used |");
    line(out, "|---|---|---|");
    let Some(first) = report.measurements.first() else {
        return;
    };
    for cell in &first.cells {
        let Peer {
            name,
            package,
            setup,
            ..
        } = cell.peer;
        let version = version(package).unwrap_or("?");
        line(out, &format!("| {name} | {package} {version} | {setup} |"));
    }
}

/// The version of a package in the lock file; the highest, which is the last, where there are several.
fn version(package: &str) -> Option<&'static str> {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line == name {
            let version = lines.next()?.strip_prefix("version = \"")?;
            found = version.strip_suffix('"');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{number_of, version};

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(version("tokio").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(version("no-such-package"), None);
    }

    #[test]
    fn a_reason_has_one_number() {
        let mut reasons = Vec::new();
        assert_eq!(number_of("a", &mut reasons), 1);
        assert_eq!(number_of("b", &mut reasons), 2);
        assert_eq!(number_of("a", &mut reasons), 1);
    }
}
