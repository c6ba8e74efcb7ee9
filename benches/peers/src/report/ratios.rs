//! How ringpost stands to the others, computed from the figures.

use std::fmt::Write;

use super::markdown::line;
use super::{Report, nanos};
use crate::figure::Measurement;
use crate::peer::Kind;

/// The others whose own column the table has: its head, and how their names begin.
const NAMED: [(&str, &str); 3] = [
    ("tokio", "tokio tasks"),
    ("glommio", "glommio tasks"),
    ("crossbeam-channel", "crossbeam threads"),
];

/// A library and its median, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: &'static str,
    median: f64,
}

/// The table of ratios, and what it says in sentences.
pub fn write(out: &mut String, report: &Report) {
    line(
        out,
        "\nHow many times the time of ringpost (along resolved routes) the others take; below 1 they are faster:\n",
    );
    let mut header =
        "| workload | ringpost, ns | fastest actor library | fastest channels |".to_owned();
    // Writing to a string cannot fail, here and below.
    for (head, _) in NAMED {
        let _ = write!(header, " {head} |");
    }
    line(out, &format!("{header} fastest floor |"));
    line(out, "|---|---:|---|---|---:|---:|---:|---|");
    for one in &report.measurements {
        let Some(ours) = ours(one) else { continue };
        let ratio = |entry: Entry| entry.median / ours;
        let named = |entry: Option<Entry>| {
            entry.map_or("–".to_owned(), |entry| {
                format!("{} {:.2}×", entry.name, ratio(entry))
            })
        };
        let mut text = format!("| {one} | {} |", nanos(ours));
        let _ = write!(text, " {} |", named(best(one, Kind::Actors)));
        let _ = write!(text, " {} |", named(best(one, Kind::Channels)));
        for (_, name) in NAMED {
            let cell = fastest(one, |_, peer| peer.starts_with(name));
            let cell = cell.map_or("–".to_owned(), |entry| format!("{:.2}×", ratio(entry)));
            let _ = write!(text, " {cell} |");
        }
        line(out, &format!("{text} {} |", named(best(one, Kind::Floor))));
    }
    sentences(out, report);
}

fn sentences(out: &mut String, report: &Report) {
    line(out, "\nIn short:\n");
    let mut groups: Vec<String> = report.measurements.iter().map(place).collect();
    groups.dedup();
    for group in &groups {
        let rows = report
            .measurements
            .iter()
            .filter(|one| place(one) == *group);
        let mut ratios: Vec<(f64, String)> = rows
            .filter_map(|one| {
                let (ours, actors) = (ours(one)?, best(one, Kind::Actors)?);
                let ratio = actors.median / ours;
                let workload = one.row.workload;
                Some((ratio, format!("{ratio:.1} in {workload} ({})", actors.name)))
            })
            .collect();
        ratios.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let texts: Vec<_> = ratios.into_iter().map(|(_, text)| text).collect();
        if !texts.is_empty() {
            let texts = texts.join(", ");
            line(
                out,
                &format!(
                    "- {group}: the fastest actor library takes this many times as long: {texts}."
                ),
            );
        }
    }
    let faster: Vec<_> = report.measurements.iter().flat_map(faster).collect();
    let faster = match faster.is_empty() {
        true => "nobody, in anything".to_owned(),
        false => faster.join("; "),
    };
    line(
        out,
        &format!("- Faster than ringpost, floors aside: {faster}.\n"),
    );
}

/// Where a row was measured, for a sentence.
fn place(one: &Measurement) -> String {
    let row = one.to_string();
    let workload = one.row.workload.to_string();
    row.trim_start_matches(&workload)
        .trim_start_matches(", ")
        .to_owned()
}

/// Those who are faster than ringpost in this row.
fn faster(one: &Measurement) -> Option<String> {
    let ours = ours(one)?;
    let cells = one.cells.iter().filter_map(|cell| {
        let ratio = cell.figure.as_ref().ok()?.median / ours;
        let counts = matches!(cell.peer.kind, Kind::Actors | Kind::Channels) && ratio < 1.0;
        counts.then(|| format!("{} {ratio:.2}×", cell.peer.name))
    });
    let cells: Vec<_> = cells.collect();
    (!cells.is_empty()).then(|| format!("{one}: {}", cells.join(", ")))
}

/// The median of ringpost, in nanoseconds.
pub fn ours(one: &Measurement) -> Option<f64> {
    best(one, Kind::Ours).map(|entry| entry.median)
}

fn best(one: &Measurement, kind: Kind) -> Option<Entry> {
    fastest(one, |of, _| of == kind)
}

/// The least median of those that are wanted.
fn fastest(one: &Measurement, wanted: impl Fn(Kind, &str) -> bool) -> Option<Entry> {
    let cells = one.cells.iter();
    let cells = cells.filter(|cell| wanted(cell.peer.kind, cell.peer.name));
    let entries = cells.filter_map(|cell| {
        Some(Entry {
            name: cell.peer.name,
            median: cell.figure.as_ref().ok()?.median,
        })
    });
    entries.min_by(|one, other| one.median.total_cmp(&other.median))
}
