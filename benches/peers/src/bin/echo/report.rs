//! The tables, for people.

use std::fmt::Write;
use std::io;
use std::path::Path;

use crate::matrix::{CONNECTIONS, Cell, Matrix, SIZES, WINDOWS};
use crate::servers::{SERVERS, Speaks};

const BEGIN: &str = "<!-- echo: begin -->";
const END: &str = "<!-- echo: end -->";

/// The tables of a matrix: one for each size and kind of server, a row for each server.
pub fn markdown(matrix: &Matrix, machine: &str) -> String {
    let mut out = format!(
        "{machine}; the server on one CPU, the client on another, closed loop, medians. In each cell: thousands of echoes a \
         second / p99 in µs / µs of the server's processor time for each echo.\n"
    );
    for (speaks, title) in [
        (Speaks::Frames, "frames of"),
        (Speaks::Routes, "messages to the worker `echoer`, of"),
    ] {
        for size in SIZES {
            table(&mut out, matrix, speaks, &format!("{title} {size} B"), size);
        }
    }
    out += "\n";
    for server in SERVERS {
        let _ = writeln!(out, "- {}: {}.", server.name, server.setup);
    }
    out
}

fn table(out: &mut String, matrix: &Matrix, speaks: Speaks, title: &str, size: usize) {
    let cells = Cell::all(&[size], &CONNECTIONS, &WINDOWS);
    let _ = write!(out, "\n| {title}: connections × window |");
    for cell in &cells {
        let _ = write!(out, " {} × {} |", cell.connections, cell.window);
    }
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(cells.len()));
    for server in SERVERS.iter().filter(|server| server.speaks == speaks) {
        let _ = write!(out, "| {} |", server.name);
        for cell in &cells {
            let _ = match matrix.get(server.name, *cell) {
                None => write!(out, " not measured |"),
                Some(Err(reason)) => write!(out, " –: {reason} |"),
                Some(Ok(figures)) => write!(
                    out,
                    " {} / {:.0} / {:.2} |",
                    thousands(figures.rate),
                    figures.p99,
                    figures.cpu
                ),
            };
        }
        *out += "\n";
    }
}

/// A rate in thousands, with as many digits as it deserves.
fn thousands(rate: f64) -> String {
    match rate / 1e3 {
        small if small < 100.0 => format!("{small:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// Puts a text between the marks of a file.
pub fn write_into(path: &Path, text: &str) -> io::Result<()> {
    let old = std::fs::read_to_string(path)?;
    let missing = || io::Error::other(format!("{} lacks {BEGIN} or {END}", path.display()));
    let (before, rest) = old.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    std::fs::write(path, format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}
