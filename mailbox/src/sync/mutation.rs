//! Mutants: one atomic operation of the source, weakened while a model runs.
//!
//! Not in an ordinary build. The runner in `loom-tests` reads the source, lists every operation worth
//! weakening by the place of its call, and starts the models once for each with [`MUTANT`] set. The
//! facade's atomics ask here, with the place they were called from, which ordering to use. Nothing
//! is rebuilt, and the source carries no marks.
//!
//! A mutant is written `file:line:column=change`, the place being that of the method's name (or of
//! `fence`), and the change one of `skip`, or `first:ORDERING` or `second:ORDERING` for the call's
//! first or second ordering.

use std::collections::HashSet;
use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::sync::{Once, OnceLock};

/// The environment variable that names the mutant to apply.
pub const MUTANT: &str = "RINGPOST_MUTANT";

/// The environment variable that names a file to which each ordering used is written, a line each:
/// `file:line:column first Acquire`.
pub const SITES: &str = "RINGPOST_SITES";

/// What is said, with the place, when the mutant is first applied.
pub const APPLIED: &str = "mutant applied at";

/// Which ordering of a call: a compare-exchange has two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operand {
    /// The only one, or that of success.
    First,
    /// That of failure.
    Second,
}

#[derive(Debug)]
enum Change {
    Skip,
    Order(Operand, Ordering),
}

#[derive(Debug)]
struct Mutant {
    file: String,
    line: u32,
    column: u32,
    change: Change,
}

impl Mutant {
    fn is_at(&self, place: &Location<'_>) -> bool {
        self.line == place.line() && self.column == place.column() && self.file == place.file()
    }
}

/// The ordering that the calling operation is to use.
#[track_caller]
pub(super) fn order(operand: Operand, written: Ordering) -> Ordering {
    let place = Location::caller();
    record(place, operand, written);
    match change_at(place) {
        Some(Change::Order(which, weaker)) if *which == operand => *weaker,
        _ => written,
    }
}

/// Whether the calling operation is to be left out.
#[track_caller]
pub(super) fn skipped() -> bool {
    matches!(change_at(Location::caller()), Some(Change::Skip))
}

/// The change of the mutant, if it is for this place.
fn change_at(place: &Location<'_>) -> Option<&'static Change> {
    static SAID: Once = Once::new();
    let mutant = mutant().filter(|mutant| mutant.is_at(place))?;
    SAID.call_once(|| {
        // A closed pipe is no reason to fail.
        let _ = writeln!(io::stderr(), "{APPLIED} {place}");
    });
    Some(&mutant.change)
}

fn mutant() -> Option<&'static Mutant> {
    static MUTANT_CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();
    MUTANT_CHOSEN
        .get_or_init(|| env::var(MUTANT).ok().map(|text| parse(&text)))
        .as_ref()
}

fn parse(text: &str) -> Mutant {
    let (place, change) = text
        .split_once('=')
        .expect("a mutant is written place=change");
    let change = match change.split_once(':') {
        None if change == "skip" => Change::Skip,
        Some(("first", order)) => Change::Order(Operand::First, ordering(order)),
        Some(("second", order)) => Change::Order(Operand::Second, ordering(order)),
        _ => panic!("unknown change {change:?}"),
    };
    let mut parts = place.rsplitn(3, ':');
    let mut number = || parts.next()?.parse().ok();
    let (column, line) = (number(), number());
    let (Some(file), Some(line), Some(column)) = (parts.next(), line, column) else {
        panic!("a place is written file:line:column, not {place:?}");
    };
    Mutant {
        file: file.to_owned(),
        line,
        column,
        change,
    }
}

fn ordering(name: &str) -> Ordering {
    match name {
        "Relaxed" => Ordering::Relaxed,
        "Acquire" => Ordering::Acquire,
        "Release" => Ordering::Release,
        "AcqRel" => Ordering::AcqRel,
        _ => panic!("unknown ordering {name:?}"),
    }
}

#[allow(
    clippy::disallowed_types,
    reason = "the log of places is not part of the model"
)]
fn record(place: &Location<'_>, operand: Operand, order: Ordering) {
    type Log = std::sync::Mutex<(HashSet<String>, File)>;
    static LOG: OnceLock<Option<Log>> = OnceLock::new();
    let open = || {
        let path = env::var_os(SITES)?;
        let file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .expect("the log opens");
        Some(Log::new((HashSet::new(), file)))
    };
    if let Some(log) = LOG.get_or_init(open) {
        let mut log = log.lock().expect("no writer of the log panics");
        let operand = match operand {
            Operand::First => "first",
            Operand::Second => "second",
        };
        let text = format!("{place} {operand} {order:?}");
        if !log.0.contains(&text) {
            writeln!(log.1, "{text}").expect("the log is written");
            log.0.insert(text);
        }
    }
}
