//! The plots, written by hand: dots on a logarithmic scale, as times of one row lie orders of
//! magnitude apart, and lines over cores.

use std::fmt::Write;

use super::nanos;
use crate::distance::Distance;
use crate::figure::{Cell, Figure, Measurement};
use crate::peer::{Kind, Workload};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 56.0;
const LINE: f64 = 22.0;

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).max(0.1);
        let high = values.fold(0.1, f64::max);
        Self {
            low: low.log10().floor() as i32,
            high: (high.log10().ceil() as i32).max(low.log10().floor() as i32 + 1),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + (self.to - self.from) * share
    }

    /// The powers of ten.
    fn marks(&self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10f64.powi(power))
    }
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Ours | Kind::OursByName => "#c2410c",
        Kind::Actors => "#1d4ed8",
        Kind::Channels => "#047857",
        Kind::Floor => "#6b7280",
    }
}

fn begin(height: f64, title: &str, subtitle: &str) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n\
         <text x=\"16\" y=\"41\" fill=\"#555\">{subtitle}</text>\n"
    );
    out
}

/// One row: each library's median as a dot, from its best to its worst as a line; the fastest first.
pub fn dots(measurement: &Measurement) -> String {
    let mut cells: Vec<(&Cell, Figure)> = measurement
        .cells
        .iter()
        .filter_map(|cell| Some((cell, cell.figure.clone().ok()?)))
        .collect();
    cells.sort_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
    let height = TOP + LINE * (cells.len() as f64 + 2.0);
    let title = measurement.to_string();
    let operation = measurement.row.workload.operation();
    let subtitle =
        format!("nanoseconds for a {operation}, median and best to worst; further left is faster");
    let mut out = begin(height, &title, &subtitle);
    let values = cells
        .iter()
        .flat_map(|(_, figure)| [figure.best, figure.worst]);
    let axis = Axis::over(values, LEFT, WIDTH - RIGHT);
    let bottom = TOP + LINE * cells.len() as f64;
    for mark in axis.marks() {
        let x = axis.place(mark);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            bottom + 18.0,
            nanos(mark).trim_end_matches(".0"),
        );
    }
    for (at, (cell, figure)) in cells.iter().enumerate() {
        let y = TOP + LINE * (at as f64 + 0.5);
        let colour = colour(cell.peer.kind);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            LEFT - 10.0,
            y + 4.0,
            cell.peer.name,
            axis.place(figure.best),
            axis.place(figure.worst),
            axis.place(figure.median),
            axis.place(figure.worst) + 10.0,
            y + 4.0,
            nanos(figure.median),
        );
    }
    out.push_str("</svg>\n");
    out
}

/// Savina's big over the number of cores, a line for each library, with two cores at this distance;
/// `None` if it was measured on fewer than two numbers of cores, or two cores were never so.
pub fn scaling(measurements: &[Measurement], distance: Distance) -> Option<String> {
    if !measurements
        .iter()
        .any(|one| one.distance == Some(distance))
    {
        return None;
    }
    let of_big = measurements.iter().filter(|one| {
        one.row.workload == Workload::Big && one.distance.is_none_or(|at| at == distance)
    });
    let mut big: Vec<_> = of_big.collect();
    big.sort_by_key(|one| one.row.cores);
    let (first, last) = (big.first()?, big.last()?);
    if first.row.cores == last.row.cores {
        return None;
    }
    let height = 480.0;
    let (low, high) = (height - 44.0, TOP + 10.0);
    let mut out = begin(
        height,
        &format!("big, over cores, two of them {distance}"),
        "nanoseconds of the whole machine for a message, median; lower is faster",
    );
    let figures = big.iter().flat_map(|one| &one.cells);
    let medians: Vec<f64> = figures
        .filter_map(|cell| Some(cell.figure.as_ref().ok()?.median))
        .collect();
    let axis = Axis::over(medians.iter().copied(), low, high);
    for mark in axis.marks() {
        let y = axis.place(mark);
        let _ = writeln!(
            out,
            "<line x1=\"70\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"62\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            WIDTH - RIGHT - 80.0,
            y + 4.0,
            nanos(mark).trim_end_matches(".0"),
        );
    }
    let steps = (last.row.cores as f64 / first.row.cores as f64).log2();
    let x_of = |cores: usize| {
        let share = (cores as f64 / first.row.cores as f64).log2() / steps;
        80.0 + (WIDTH - RIGHT - 170.0) * share
    };
    for one in &big {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            x_of(one.row.cores),
            height - 18.0,
            one.row.cores,
        );
    }
    let mut ends: Vec<End> = (0..first.cells.len())
        .filter_map(|at| line_of(&mut out, &big, at, &axis, x_of))
        .collect();
    label(&mut out, &mut ends, low);
    out.push_str("</svg>\n");
    Some(out)
}

/// Where the line of a library ends.
struct End {
    x: f64,
    y: f64,
    name: &'static str,
    colour: &'static str,
}

/// Draws the line of the library at this place of the table, unless it has but one point.
fn line_of(
    out: &mut String,
    big: &[&Measurement],
    at: usize,
    axis: &Axis,
    x_of: impl Fn(usize) -> f64,
) -> Option<End> {
    let points = big.iter().filter_map(|one| {
        let figure = one.cells[at].figure.as_ref().ok()?;
        Some((x_of(one.row.cores), axis.place(figure.median)))
    });
    let points: Vec<_> = points.collect();
    let [_, .., (x, y)] = points[..] else {
        return None;
    };
    let peer = big[0].cells[at].peer;
    let colour = colour(peer.kind);
    let path: Vec<_> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let _ = writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
         <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>",
        path.join(" "),
    );
    Some(End {
        x,
        y,
        name: peer.name,
        colour,
    })
}

/// Writes the names at the ends of the lines, pushed apart where they would cover each other.
fn label(out: &mut String, ends: &mut [End], bottom: f64) {
    const APART: f64 = 14.0;
    ends.sort_by(|one, other| other.y.total_cmp(&one.y));
    let mut below = bottom + APART;
    for End { x, y, name, colour } in ends {
        let at = y.min(below - APART);
        below = at;
        let _ = writeln!(
            out,
            "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" fill=\"{colour}\">{name}</text>",
            *x + 5.0,
            *x + 22.0,
            *x + 26.0,
            at + 4.0,
        );
    }
}
