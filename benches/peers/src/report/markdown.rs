//! The tables.

use std::fmt::Write;

use super::{Report, aims, nanos, ratios};
use crate::distance::{Distance, Span};
use crate::figure::{Figure, Measurement};
use crate::peer::{Dash, Peer};

/// The lock file tells which versions were measured.
const LOCK: &str = include_str!("../../Cargo.lock");

/// What one has to know of single figures, found by looking into them.
const NOTES: &str = include_str!("notes.md");

/// The whole document.
pub fn document(report: &Report) -> String {
    format!("# ringpost beside other libraries\n\n{}", tables(report))
}

/// Everything but the title.
pub fn tables(report: &Report) -> String {
    let mut out = String::new();
    heading(&mut out, report);
    let mut reasons = Vec::new();
    for cores in core_counts(report) {
        for distance in [None].into_iter().chain(Distance::ALL.map(Some)) {
            table_of(&mut out, report, cores, distance, &mut reasons);
        }
    }
    why(&mut out, &reasons);
    line(&mut out, NOTES);
    ratios::write(&mut out, report);
    aims::write(&mut out, report);
    libraries(&mut out, report);
    out
}

pub fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn heading(out: &mut String, report: &Report) {
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
        out,
        &format!("Machine: {machine}; cores on CPUs {cpus}; {compiler}.\n"),
    );
    line(
        out,
        &format!(
            "`{command}`: nanoseconds for one operation, the median of {rounds} runs of about {run_millis} ms each (best to worst in \
             brackets); the runs of all libraries take turns. Least is best. – with a number: not measured, for the reason below."
        ),
    );
    if report.spans.is_empty() {
        return;
    }
    let span = |span: &Span| {
        let Span {
            distance,
            least,
            most,
        } = span;
        format!("{least:.0} to {most:.0} ns are {distance}")
    };
    let spans: Vec<_> = report.spans.iter().map(span).collect();
    let moved = match report.moved {
        0 => "no run was both".to_owned(),
        1 => "one run was both and does not count".to_owned(),
        moved => format!("{moved} runs were both and do not count"),
    };
    let spans = spans.join(", ");
    line(
        out,
        &format!(
            "\nRuns of two cores are sorted by what a cache line took from one core to the other and back, just before and just after: \
             {spans}; {moved}."
        ),
    );
    for distance in Distance::ALL {
        if !report.spans.iter().any(|span| span.distance == distance) {
            line(
                out,
                &format!("\nThe two cores were never {distance} in this run."),
            );
        }
    }
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

/// The libraries against the workloads on so many cores, if there are figures at this distance.
fn table_of(
    out: &mut String,
    report: &Report,
    cores: usize,
    distance: Option<Distance>,
    reasons: &mut Vec<String>,
) {
    let rows = report.measurements.iter();
    let rows: Vec<_> = rows
        .filter(|one| one.row.cores == cores && one.distance == distance)
        .collect();
    let Some(first) = rows.first() else { return };
    let has_figures = |one: &&Measurement| one.cells.iter().any(|cell| cell.figure.is_ok());
    if let Some(distance) = distance.filter(|_| !rows.iter().any(has_figures)) {
        return line(
            out,
            &format!("\nToo few runs for any figure while the two cores were {distance}."),
        );
    }
    let mut header = match (cores, distance) {
        (1, _) => "\n| same core | mailbox |".to_owned(),
        (2, Some(distance)) => format!("\n| two cores, {distance} | mailbox |"),
        (cores, _) => format!("\n| {cores} cores | mailbox |"),
    };
    for one in &rows {
        let workload = one.row.workload;
        // Writing to a string cannot fail, here and below.
        let _ = write!(header, " {workload}, a {} |", workload.operation());
    }
    line(out, &header);
    line(out, &format!("|---|---|{}", "---:|".repeat(rows.len())));
    for (at, cell) in first.cells.iter().enumerate() {
        let mut text = format!("| {} | {} |", cell.peer.name, cell.peer.mailbox);
        for one in &rows {
            let _ = write!(text, " {} |", shown(one, at, report.rounds, reasons));
        }
        line(out, &text);
    }
}

fn shown(row: &Measurement, at: usize, rounds: usize, reasons: &mut Vec<String>) -> String {
    match &row.cells[at].figure {
        Ok(figure) => {
            let Figure {
                median,
                best,
                worst,
                runs,
            } = *figure;
            let few = match runs {
                _ if runs >= rounds => String::new(),
                1 => "; 1 run".to_owned(),
                _ => format!("; {runs} runs"),
            };
            format!("{} ({}–{}{few})", nanos(median), nanos(best), nanos(worst))
        }
        Err(Dash(reason)) => format!("– <sup>{}</sup>", number_of(reason, reasons)),
    }
}

/// The number of a reason, counted from 1.
fn number_of(reason: &str, reasons: &mut Vec<String>) -> usize {
    if let Some(at) = reasons.iter().position(|known| known == reason) {
        return at + 1;
    }
    reasons.push(reason.to_owned());
    reasons.len()
}

fn why(out: &mut String, reasons: &[String]) {
    line(out, "\nWhy there is no figure:\n");
    for (at, reason) in reasons.iter().enumerate() {
        line(out, &format!("{}. {reason}", at + 1));
    }
    line(out, "");
}

fn libraries(out: &mut String, report: &Report) {
    line(
        out,
        "\n| library | version | mailbox | with nothing to do, on two cores | how it is used |",
    );
    line(out, "|---|---|---|---|---|");
    let Some(first) = report.measurements.first() else {
        return;
    };
    for cell in &first.cells {
        let Peer {
            name,
            package,
            mailbox,
            idle,
            setup,
            ..
        } = cell.peer;
        let version = version(package).unwrap_or("?");
        line(
            out,
            &format!("| {name} | {package} {version} | {mailbox} | {idle} | {setup} |"),
        );
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
