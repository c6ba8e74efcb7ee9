//! Echo servers beside each other: the same client, the same cells, one server core, in the same run.
//!
//! The driver is this program; a server is this program again in a process of its own on the first CPU, and so is
//! the client, ringpost's load generator, on the second.

mod frames;
mod matrix;
mod report;
mod round;
mod servers;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use core_affinity::CoreId;
use ringpost_benches::{Arena, Machine};

use crate::matrix::{Cell, Figures, Matrix};
use crate::servers::{SERVERS, Server};

/// Echo servers beside each other: throughput, p99 and processor time, for each number of connections, window and size.
///
/// Results are kept in target/echo.csv, so that a part can be measured anew; the tables are of all that is there.
#[derive(Debug, Parser)]
struct Options {
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_values_t = matrix::CONNECTIONS)]
    connections: Vec<usize>,
    /// Messages under way on each connection.
    #[arg(long, value_delimiter = ',', default_values_t = matrix::WINDOWS)]
    windows: Vec<usize>,
    /// Bytes of a message.
    #[arg(long, value_delimiter = ',', default_values_t = matrix::SIZES)]
    sizes: Vec<usize>,
    /// Only servers whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// How often each server is measured in each cell, in turn with the others; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Milliseconds of each.
    #[arg(long, default_value_t = 500)]
    millis: u64,
    /// Measures nothing, and writes the tables of what is there.
    #[arg(long)]
    report: bool,
    /// Also puts the tables into README.md, in place of those there.
    #[arg(long)]
    readme: bool,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(round::SERVE) => return round::serve(arguments),
        Some(round::CLIENT) => return round::client(arguments),
        _ => {}
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let machine = Machine::read();
    let placed = Arena::new(machine.parallelism).placed();
    let ids = placed.iter().filter_map(|placed| placed.cpu.parse().ok());
    let cpus: Vec<CoreId> = ids.map(|id| CoreId { id }).collect();
    let [server_cpu, client_cpu, ..] = cpus[..] else {
        return Err(io::Error::other(
            "two CPUs are needed: one for the server, one for the client",
        ));
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = folder.join("target").join("echo.csv");
    let mut matrix = Matrix::load(&kept)?;
    println!("machine: {machine}");
    if !options.report {
        let wanted: Vec<&Server> = SERVERS
            .iter()
            .filter(|server| {
                let names = &options.servers;
                names.is_empty() || names.iter().any(|name| server.name.contains(name.as_str()))
            })
            .collect();
        for cell in Cell::all(&options.sizes, &options.connections, &options.windows) {
            measure(
                options,
                cell,
                &wanted,
                (server_cpu, client_cpu),
                &mut matrix,
            );
            matrix.save(&kept)?;
        }
    }
    let text = report::markdown(&matrix, &machine.to_string());
    if options.readme {
        report::write_into(&folder.join("README.md"), &text)?;
    }
    println!("\n{text}");
    Ok(())
}

/// Measures one cell: all servers take turns, round after round.
fn measure(
    options: &Options,
    cell: Cell,
    wanted: &[&'static Server],
    cpus: (CoreId, CoreId),
    matrix: &mut Matrix,
) {
    println!("\n{cell}:");
    let mut all: Vec<Vec<Figures>> = vec![Vec::new(); wanted.len()];
    let mut failed: Vec<Option<String>> = vec![None; wanted.len()];
    for round in 0..options.rounds {
        for turn in 0..wanted.len() {
            // Nobody always follows the same one.
            let at = (turn + round) % wanted.len();
            match round::run(wanted[at], cell, options.millis, cpus) {
                Ok(figures) => all[at].push(figures),
                Err(error) => failed[at] = Some(error.to_string()),
            }
        }
    }
    for (at, server) in wanted.iter().enumerate() {
        let outcome = match (failed[at].take(), Figures::median(&all[at])) {
            (None, Some(figures)) => Ok(figures),
            (reason, _) => Err(reason.unwrap_or_else(|| "nothing was measured".to_owned())),
        };
        match &outcome {
            Ok(figures) => println!("{:24} {figures}", server.name),
            Err(reason) => println!("{:24} –: {reason}", server.name),
        }
        matrix.put(server.name, cell, outcome);
    }
}
