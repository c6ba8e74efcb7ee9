//! One run: a server and a client, each in a process of its own on a CPU of its own.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use core_affinity::CoreId;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::matrix::{Cell, Figures};
use crate::servers::{SERVERS, Server, Speaks};

/// The first argument of a server.
pub const SERVE: &str = "--serve";
/// The first argument of a client.
pub const CLIENT: &str = "--client";

/// The unit in which Linux gives processor time to programs.
const TICK: Duration = Duration::from_millis(10);

/// The body of a server.
pub fn serve(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut next = || arguments.next().unwrap_or_default();
    let (name, cpu) = (next(), next());
    let server = SERVERS.iter().find(|server| server.name == name);
    let (Some(server), Ok(id)) = (server, cpu.parse()) else {
        return ExitCode::FAILURE;
    };
    confine(CoreId { id });
    if let Err(error) = (server.serve)(CoreId { id }) {
        eprintln!("{error}");
    }
    ExitCode::FAILURE
}

/// The body of a client: the load generator.
pub fn client(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    if let Some(Ok(id)) = arguments.next().map(|cpu| cpu.parse()) {
        confine(CoreId { id });
    }
    let name = std::iter::once("ringpost-load".to_owned());
    ExitCode::from(ringpost_load::run(
        name.chain(arguments).map(OsString::from),
    ))
}

/// Keeps this process, and the threads it will start, on this CPU.
fn confine(cpu: CoreId) {
    let mut set = CpuSet::new();
    set.set(cpu.id);
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("the system refused to confine a process to its CPU: {error}");
    }
}

/// A process that ends with its guard.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures a server in a cell.
pub fn run(
    server: &Server,
    cell: Cell,
    millis: u64,
    (server_cpu, client_cpu): (CoreId, CoreId),
) -> io::Result<Figures> {
    let program = std::env::current_exe()?;
    let child = Command::new(&program)
        .args([SERVE, server.name, &server_cpu.id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut running = Running(child);
    let out = running.0.stdout.take();
    let mut address = String::new();
    BufReader::new(out.ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut address)?;
    let address = address.trim();
    if address.is_empty() {
        return Err(io::Error::other("it did not start"));
    }
    let target = match server.speaks {
        Speaks::Frames => format!("framed://{address}"),
        Speaks::Routes => format!("tcp://{address}/echoer"),
    };
    let id = running.0.id();
    let before = used(id)?;
    let output = Command::new(&program)
        .args([CLIENT, &client_cpu.id.to_string(), &target, "--json"])
        .args(["-t", "1", "-c", &cell.connections.to_string()])
        .args(["-w", &cell.window.to_string(), "-s", &cell.size.to_string()])
        .args([
            "-d",
            &format!("{millis}ms"),
            "--warm-up",
            &format!("{}ms", millis / 4),
        ])
        .output()?;
    let took = used(id)?.saturating_sub(before);
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told
            .lines()
            .chain(text.lines())
            .next()
            .unwrap_or("no output");
        return Err(io::Error::other(line.to_owned()));
    }
    let number = |name: &str| number(&text, name).ok_or_else(|| io::Error::other(text.clone()));
    Ok(Figures {
        rate: number("rate")?,
        p99: number("p99")? / 1e3,
        cpu: took.as_secs_f64() * 1e6 / number("answered")?,
    })
}

/// A number of the client's report.
fn number(report: &str, name: &str) -> Option<f64> {
    let (_, rest) = report.split_once(&format!("\"{name}\": "))?;
    rest.split([',', '}']).next()?.parse().ok()
}

/// Processor time of a process so far.
fn used(id: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // Behind the name, which may hold spaces, these are the 14th and the 15th field.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = rest.split(' ').skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_found_by_their_whole_names() {
        let report = r#"{"offered_rate": null, "rate": 5.5, "p99.9": 7, "p99": 6}"#;
        assert_eq!(number(report, "rate"), Some(5.5));
        assert_eq!(number(report, "p99"), Some(6.0));
        assert_eq!(number(report, "p50"), None);
    }
}
