//! Counts the instructions of a message, and holds them to limits: see `benches/instructions.sh`.
//!
//! A simulated node runs on one thread, in an order drawn from a seed. So two runs execute the same
//! instructions, also where messages cross from one core to another, and a regression shows on the noisiest
//! of machines.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ringpost_benches::callgrind::{Executed, executed, locked_addresses};
use ringpost_benches::counted;

/// Operations of the two runs whose difference is taken.
const FEW: u64 = 4_800;
const MANY: u64 = 14_400;

/// How much more than its limit a figure may be.
const HEADROOM: f64 = 1.10;

/// What a compiler may add to a figure near 0.
const LOCKED_SLACK: f64 = 0.01;

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["run", name, cores, n] => run(name, cores, n),
        ["check", limits] => check(Path::new(limits)),
        ["update", limits] => update(Path::new(limits)),
        _ => Err("instructions check LIMITS | update LIMITS | run WORKLOAD CORES N".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What callgrind looks at.
fn run(name: &str, cores: &str, n: &str) -> Outcome<()> {
    let work = counted::find(name).ok_or_else(|| format!("there is no workload {name}"))?;
    let (Ok(cores), Ok(n)) = (cores.parse(), n.parse()) else {
        return Err("cores and operations are numbers".to_owned());
    };
    counted::simulate(cores, async move |ctx| work(ctx, n).await);
    Ok(())
}

/// The cost of one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    instructions: f64,
    locked: f64,
}

fn check(limits: &Path) -> Outcome<()> {
    let text = fs::read_to_string(limits).map_err(|error| format!("{limits:?}: {error}"))?;
    let probe = Probe::new()?;
    println!(
        "workload, cores: instructions (limit), atomic read-modify-writes (limit) of an operation"
    );
    let (mut findings, mut better) = (Vec::new(), 0);
    for (name, cores) in counted::all() {
        let cost = probe.cost(name, cores)?;
        let Some(limit) = limit_of(&text, name, cores) else {
            findings.push(format!("{name} on {cores}: there is no limit"));
            continue;
        };
        println!(
            "{name}, {cores}: {:.0} ({:.0}), {:.2} ({:.2})",
            cost.instructions, limit.instructions, cost.locked, limit.locked
        );
        if cost.instructions > limit.instructions * HEADROOM {
            findings.push(format!("{name} on {cores}: too many instructions"));
        }
        better += u32::from(cost.instructions * HEADROOM < limit.instructions);
        if cost.locked > limit.locked * HEADROOM + LOCKED_SLACK {
            findings.push(format!("{name} on {cores}: too many atomic operations"));
        }
    }
    if better > 0 {
        println!(
            "{better} are so much better that their limits should follow: benches/instructions.sh --update"
        );
    }
    if findings.is_empty() {
        return Ok(());
    }
    let remedy = "if this is what was wanted: benches/instructions.sh --update";
    Err(format!("{}\n{remedy}", findings.join("\n")))
}

fn update(limits: &Path) -> Outcome<()> {
    let probe = Probe::new()?;
    let mut text = "# What one operation costs on a simulated node: workload, cores, instructions,\n\
                    # atomic read-modify-writes and full fences. Written by benches/instructions.sh --update.\n"
        .to_owned();
    for (name, cores) in counted::all() {
        let Cost {
            instructions,
            locked,
        } = probe.cost(name, cores)?;
        println!("{name}, {cores}: {instructions:.0}, {locked:.2}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {cores} {instructions:.0} {locked:.2}");
    }
    fs::write(limits, text).map_err(|error| format!("{limits:?}: {error}"))
}

fn limit_of(text: &str, name: &str, cores: u16) -> Option<Cost> {
    let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let cores = cores.to_string();
    let line = lines.find(|line| line.len() == 4 && line[0] == name && line[1] == cores)?;
    Some(Cost {
        instructions: line[2].parse().ok()?,
        locked: line[3].parse().ok()?,
    })
}

/// This program, to be run under callgrind.
struct Probe {
    program: PathBuf,
    locked: HashSet<u64>,
}

impl Probe {
    fn new() -> Outcome<Self> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let disassembly = output(Command::new("objdump").arg("-d").arg(&program))?;
        let locked = locked_addresses(&disassembly);
        if cfg!(target_arch = "x86_64") && locked.is_empty() {
            return Err("the disassembly shows no atomic operation: it cannot be read".to_owned());
        }
        Ok(Self { program, locked })
    }

    fn cost(&self, name: &str, cores: u16) -> Outcome<Cost> {
        let few = self.executed(name, cores, FEW)?;
        let many = self.executed(name, cores, MANY)?;
        let each = |few: u64, many: u64| many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
        Ok(Cost {
            instructions: each(few.instructions, many.instructions),
            locked: each(few.locked, many.locked),
        })
    }

    fn executed(&self, name: &str, cores: u16, n: u64) -> Outcome<Executed> {
        let file = format!("ringpost-callgrind-{}.out", std::process::id());
        let file = std::env::temp_dir().join(file);
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--dump-instr=yes", "--quiet"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&self.program)
            .args(["run", name, &cores.to_string(), &n.to_string()]);
        output(&mut command)?;
        let profile = fs::read_to_string(&file).map_err(|error| format!("{file:?}: {error}"))?;
        // A file that stays is one more in a folder for such files.
        let _ = fs::remove_file(&file);
        let program = self.program.to_string_lossy();
        executed(&profile, &program, &self.locked)
            .ok_or_else(|| format!("the profile does not name {program}"))
    }
}

/// What a program prints, if it succeeds.
fn output(command: &mut Command) -> Outcome<String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {errors}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
