//! The aims of ringpost, held against the figures.

use super::markdown::line;
use super::ratios::ours;
use super::{Report, nanos};
use crate::figure::Measurement;
use crate::peer::Workload::{
    self, AwakePingPong, Big, FanIn, Lives, OneWay, Parked, PingPong, Request, ThreadRing,
};

/// What is aimed at.
enum Aim {
    /// So many nanoseconds at the most.
    Nanos(f64),
    /// So many times the time of this floor at the most.
    Times(f64, &'static str),
}

/// The workload, the number of cores, and what is aimed at there.
const AIMS: [(Workload, usize, Aim); 13] = [
    (OneWay, 1, Aim::Nanos(10.0)),
    (PingPong, 1, Aim::Nanos(30.0)),
    (Request, 1, Aim::Nanos(50.0)),
    (FanIn, 1, Aim::Nanos(20.0)),
    (Big, 1, Aim::Nanos(15.0)),
    (ThreadRing, 1, Aim::Nanos(20.0)),
    (Lives, 1, Aim::Nanos(300.0)),
    (OneWay, 2, Aim::Nanos(15.0)),
    (OneWay, 2, Aim::Times(1.5, "floor: rtrb in batches")),
    (FanIn, 2, Aim::Nanos(20.0)),
    (Big, 2, Aim::Nanos(25.0)),
    (AwakePingPong, 2, Aim::Times(1.5, "floor: rtrb")),
    (Parked, 2, Aim::Times(1.5, "floor: eventfd")),
];

/// The table of aims.
pub fn write(out: &mut String, report: &Report) {
    line(out, "The aims of ringpost, in this run:\n");
    line(out, "| workload | aim | ringpost | |");
    line(out, "|---|---|---:|---|");
    for (workload, cores, aim) in &AIMS {
        let rows = report.measurements.iter();
        let rows = rows.filter(|one| one.row.workload == *workload && one.row.cores == *cores);
        for one in rows {
            if let Some(text) = held(one, aim) {
                line(out, &format!("| {one} | {text} |"));
            }
        }
    }
}

/// The aim, the figure, and whether it is met.
fn held(one: &Measurement, aim: &Aim) -> Option<String> {
    let ours = ours(one)?;
    let (aim, figure, met) = match *aim {
        Aim::Nanos(most) => (
            format!("≤ {} ns", nanos(most).trim_end_matches(".0")),
            format!("{} ns", nanos(ours)),
            ours <= most,
        ),
        Aim::Times(most, floor) => {
            let mut cells = one.cells.iter();
            let cell = cells.find(|cell| cell.peer.name == floor)?;
            let base = cell.figure.as_ref().ok()?.median;
            (
                format!("≤ {most} times {floor}, {} ns", nanos(base)),
                format!("{:.2} times, {} ns", ours / base, nanos(ours)),
                ours <= most * base,
            )
        }
    };
    let met = if met { "met" } else { "not met" };
    Some(format!("{aim} | {figure} | {met}"))
}
