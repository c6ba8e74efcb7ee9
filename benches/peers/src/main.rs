//! ringpost beside other libraries: the same workloads on the same machine in the same run.
//!
//! Each peer stands in a file of its own and is a line of [`table::PEERS`]. A run of a peer is a
//! process of its own ([`child`]); [`measure`] lets the peers take turns, [`pairs`] does so on two cores and
//! sorts the runs by how far apart the two were, and [`report`] writes the tables and the plots.

mod actix;
mod busy;
mod child;
mod cores;
mod crossbeam;
mod dice;
mod distance;
mod eventfd;
mod figure;
mod flume;
mod glommio;
mod kameo;
mod kanal;
mod kompact;
mod kompact_ports;
mod local_tasks;
mod measure;
mod monoio;
mod ockam;
mod options;
mod pairs;
mod peer;
mod ractor;
mod report;
mod ringpost;
mod rtrb;
mod table;
mod tasks;
mod threads;
mod tokio_tasks;
mod xtra;

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use core_affinity::CoreId;
use ringpost_benches::{Arena, Machine};

use crate::distance::Span;
use crate::figure::Measurement;
use crate::options::{Effort, Options};
use crate::peer::{Peer, Row};
use crate::report::{Report, nanos};
use crate::table::PEERS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::CHILD) {
        return child::main(arguments);
    }
    let options = Options::parse();
    let machine = Machine::read();
    let cpus = cpus(&machine);
    let rows = Row::all(cpus.len());
    let rows: Vec<Row> = rows
        .into_iter()
        .filter(|row| options.wants_workload(&row.id()))
        .collect();
    let peers: Vec<&Peer> = PEERS
        .iter()
        .filter(|peer| options.wants_peer(peer.name))
        .collect();
    if options.list {
        rows.iter()
            .for_each(|row| println!("{:16} {row}", row.id()));
        peers
            .iter()
            .for_each(|peer| println!("{:24} {}", peer.name, peer.setup));
        return ExitCode::SUCCESS;
    }
    if rows.is_empty() || peers.is_empty() {
        eprintln!("nothing is left to measure; --list names workloads and peers");
        return ExitCode::FAILURE;
    }
    let report = run(&options, &machine, &cpus, rows, &peers);
    println!("\n{}", report::markdown::tables(&report));
    match save(&report, options.readme) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the results could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The CPUs of the cores of a node, in their order.
fn cpus(machine: &Machine) -> Vec<CoreId> {
    let placed = Arena::new(machine.parallelism).placed();
    let ids = placed.iter().filter_map(|placed| placed.cpu.parse().ok());
    ids.map(|id| CoreId { id }).collect()
}

fn run(
    options: &Options,
    machine: &Machine,
    cpus: &[CoreId],
    rows: Vec<Row>,
    peers: &[&'static Peer],
) -> Report {
    let effort = options.effort();
    println!("machine: {machine}");
    let (pairs, others): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.cores == 2);
    let mut measurements = Vec::new();
    for row in others {
        let measurement = measure::row(row, peers, cpus, effort);
        say(&measurement);
        measurements.push(measurement);
    }
    let (spans, moved) = take_pairs(&pairs, peers, cpus, effort, &mut measurements);
    let ids: Vec<_> = cpus.iter().map(|cpu| cpu.id.to_string()).collect();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let command = format!("cargo run --release -- {}", arguments.join(" "));
    Report {
        machine: machine.to_string(),
        cpus: ids.join(", "),
        compiler: compiler(),
        command: command.trim_end_matches([' ', '-']).to_owned(),
        rounds: effort.rounds,
        run_millis: effort.run_millis,
        spans,
        moved,
        measurements,
    }
}

/// Measures the rows of two cores, if there are any.
fn take_pairs(
    rows: &[Row],
    peers: &[&'static Peer],
    cpus: &[CoreId],
    effort: Effort,
    measurements: &mut Vec<Measurement>,
) -> (Vec<Span>, usize) {
    if rows.is_empty() {
        return (Vec::new(), 0);
    }
    println!("\ntwo cores:");
    let outcome = pairs::rows(rows, peers, cpus, effort);
    outcome.measurements.iter().for_each(say);
    measurements.extend(outcome.measurements);
    (outcome.spans, outcome.moved)
}

fn say(measurement: &Measurement) {
    let operation = measurement.row.workload.operation();
    println!("\n{measurement}, ns for a {operation}:");
    for cell in &measurement.cells {
        match &cell.figure {
            Ok(figure) => println!("{:>12}  {}", nanos(figure.median), cell.peer.name),
            Err(dash) => println!("{:>12}  {}: {}", "–", cell.peer.name, dash.0),
        }
    }
}

/// What the compiler at hand calls itself: the one that has just built this, if cargo ran it.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "an unknown compiler".to_owned())
}

fn save(report: &Report, readme: bool) -> std::io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    report.write(&package.join("results"))?;
    if readme {
        report.write_into(&package.join("README.md"))?;
    }
    Ok(())
}
