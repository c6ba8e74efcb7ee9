//! One run in a process of its own, so that no library can disturb another, hang the harness or take
//! it along when it fails.

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use ringpost_benches::Measured;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::peer::{Dash, Outcome, Row, Task};
use crate::table::PEERS;

/// The first argument of a child.
pub const CHILD: &str = "--child";

/// A run is expected to take a fraction of a second, and a second or two where cores have just moved apart.
const PATIENCE: Duration = Duration::from_secs(8);

/// The body of a child: a short run to warm up, then the one that counts, whose outcome is the last
/// line of its output.
pub fn main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut next = || arguments.next().unwrap_or_default();
    let (peer, row, n, cpus) = (next(), next(), next(), next());
    let peer = PEERS.iter().find(|known| known.name == peer);
    let cpus: Vec<CoreId> = ids(&cpus);
    let row = Row::all(cpus.len().max(2))
        .into_iter()
        .find(|known| known.id() == row);
    let (Some(peer), Some(row), Ok(n)) = (peer, row, n.parse::<u64>()) else {
        return ExitCode::FAILURE;
    };
    confine(&cpus);
    let task = |n| Task {
        workload: row.workload,
        n,
        cpus: cpus.clone(),
    };
    let outcome = (peer.run)(&task(n.div_ceil(10))).and_then(|_| (peer.run)(&task(n)));
    match outcome {
        Ok(measured) => println!("\nok {} {}", measured.took.as_nanos(), measured.operations),
        Err(Dash(reason)) => println!("\nno {reason}"),
    }
    // Threads that a library has left running do not hold up the next run.
    std::process::exit(0)
}

/// Keeps this process, and the threads it will start, on these CPUs.
fn confine(cpus: &[CoreId]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(cpu.id));
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("the system refused to confine a run to its CPUs: {error}");
    }
}

/// Runs a task of a peer in a child.
pub fn run(peer: &str, row: Row, n: u64, cpus: &[CoreId]) -> Outcome {
    let list: Vec<_> = cpus.iter().map(|cpu| cpu.id.to_string()).collect();
    let program = std::env::current_exe().map_err(|error| Dash(error.to_string()))?;
    let spawned = Command::new(program)
        .args([CHILD, peer, &row.id(), &n.to_string(), &list.join(",")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|error| Dash(error.to_string()))?;
    let (output, errors) = (drained(child.stdout.take()), drained(child.stderr.take()));
    let deadline = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            // It may have ended by itself in this moment.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Dash(format!("did not end within {} s", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = output.join().unwrap_or_default();
    let errors = errors.join().unwrap_or_default();
    parse(&output).unwrap_or_else(|| {
        let mut lines = errors.lines().filter(|line| !line.trim().is_empty());
        let line = lines
            .find(|line| !line.starts_with("thread "))
            .unwrap_or("no output");
        Err(Dash(format!("failed: {line}")))
    })
}

/// Reads everything in a thread of its own, so that a child never waits for its reader.
fn drained(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            // What cannot be read is missed below.
            let _ = pipe.read_to_string(&mut text);
        }
        text
    })
}

fn parse(output: &str) -> Option<Outcome> {
    let line = output.lines().rev().find(|line| !line.is_empty())?;
    let (word, rest) = line.split_once(' ')?;
    match word {
        "no" => Some(Err(Dash(rest.to_owned()))),
        "ok" => {
            let (nanos, operations) = rest.split_once(' ')?;
            let took = Duration::from_nanos(nanos.parse().ok()?);
            Some(Ok(Measured::new(took, operations.parse().ok()?)))
        }
        _ => None,
    }
}

fn ids(list: &str) -> Vec<CoreId> {
    let ids = list.split(',').filter_map(|id| id.parse().ok());
    ids.map(|id| CoreId { id }).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::peer::Dash;

    #[test]
    fn the_last_line_is_the_outcome() {
        let measured = parse("noise\n\nok 1500 3\n").unwrap().unwrap();
        assert!((measured.nanos_each() - 500.0).abs() < 1e-9);
        assert_eq!(parse("no way\n"), Some(Err(Dash("way".into()))));
        assert_eq!(parse("thread panicked\n"), None);
    }
}
