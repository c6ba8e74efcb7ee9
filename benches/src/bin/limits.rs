//! What the sizes of batches, budgets and windows cost: the same work within other limits, in turn with the defaults.
//!
//! `cargo run --release -p ringpost-benches --bin limits -- flush_slots`; without a name all of them, in some five minutes.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::pin::Pin;
use std::process::ExitCode;

use ringpost::{Context, Limits, Result};
use ringpost_benches::bounce::CpuPair;
use ringpost_benches::{Arena, Machine, Measured, workloads};

/// Runs of each workload within each limit, of which the median is shown.
const ROUNDS: usize = 5;

/// A limit, the cores that it matters to, other values, and how it is set.
struct Sweep {
    name: &'static str,
    cores: usize,
    values: &'static [u32],
    set: fn(&mut Limits, u32),
}

const SWEEPS: &[Sweep] = &[
    Sweep {
        name: "turn_messages",
        cores: 1,
        values: &[64, 128, 512, 1024],
        set: |limits, value| limits.turn_messages = value,
    },
    Sweep {
        name: "worker_burst",
        cores: 1,
        values: &[8, 16, 32, 128, 256],
        set: |limits, value| limits.worker_burst = value,
    },
    Sweep {
        name: "mailbox_credits",
        cores: 1,
        values: &[64, 256, 4096],
        set: |limits, value| limits.mailbox_credits = value,
    },
    Sweep {
        name: "flush_slots",
        cores: 2,
        values: &[1, 4, 8, 16, 64],
        set: |limits, value| limits.flush_slots = value,
    },
    Sweep {
        name: "ring_burst",
        cores: 2,
        values: &[16, 64, 1024],
        set: |limits, value| limits.ring_burst = value,
    },
    Sweep {
        name: "ring_slots",
        cores: 2,
        values: &[64, 256, 4096],
        set: |limits, value| limits.ring_slots = value,
    },
    Sweep {
        name: "link_credits",
        cores: 2,
        values: &[128, 256, 1024, 4096],
        set: |limits, value| limits.link_credits = value,
    },
];

/// A workload of a node.
type Work = fn(Context, u64) -> Pin<Box<dyn Future<Output = Result<Measured>>>>;

/// Operations of a run on one core and on two, and what they are.
const WORK: &[(&str, [u64; 2], Work)] = &[
    ("one way", [2_000_000, 2_000_000], |ctx, n| {
        Box::pin(workloads::counting(ctx, n))
    }),
    ("round trip", [600_000, 150_000], |ctx, n| {
        Box::pin(workloads::ping_pong(ctx, n))
    }),
    ("fan-in of 64", [1_000_000, 1_000_000], |ctx, n| {
        Box::pin(workloads::fan_in(ctx, n, 64))
    }),
    ("big of 120", [1_000_000, 1_000_000], |ctx, n| {
        Box::pin(workloads::big(ctx, n, 120))
    }),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_known = |name: &String| SWEEPS.iter().any(|sweep| sweep.name == name);
    if !wanted.iter().all(is_known) {
        let names: Vec<_> = SWEEPS.iter().map(|sweep| sweep.name).collect();
        eprintln!("limits [NAME…], of: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    println!("machine: {}", Machine::read());
    println!("nanoseconds an operation, medians of {ROUNDS}, the least and the most\n");
    for sweep in SWEEPS {
        if wanted.is_empty() || wanted.iter().any(|name| name == sweep.name) {
            run(sweep);
        }
    }
    ExitCode::SUCCESS
}

fn run(sweep: &Sweep) {
    let mut arenas = vec![("default".to_owned(), Arena::new(sweep.cores))];
    for value in sweep.values {
        let mut limits = Limits::default();
        (sweep.set)(&mut limits, *value);
        arenas.push((value.to_string(), Arena::within(sweep.cores, limits)));
    }
    let cpus = (sweep.cores > 1).then(|| CpuPair::of(&arenas[0].1));
    for (name, operations, work) in WORK {
        let n = operations[sweep.cores - 1];
        let bounce = || cpus.map_or(String::new(), bounce);
        let before = bounce();
        let mut taken = vec![Vec::new(); arenas.len()];
        for _ in 0..ROUNDS {
            for ((_, arena), taken) in arenas.iter().zip(&mut taken) {
                let work = *work;
                let measured = arena.run(async move |ctx| work(ctx, n).await);
                taken.push(measured.nanos_each());
            }
        }
        println!(
            "{}, {name}, {} cores{before}{}",
            sweep.name,
            sweep.cores,
            bounce()
        );
        for ((value, _), taken) in arenas.iter().zip(&mut taken) {
            taken.sort_by(f64::total_cmp);
            let (least, median) = (taken[0], taken[ROUNDS / 2]);
            println!(
                "  {value:>8} {median:6.1} ({least:.1} to {:.1})",
                taken[ROUNDS - 1]
            );
        }
    }
    println!();
}

/// What a cache line takes from one of them to the other and back.
fn bounce(cpus: CpuPair) -> String {
    format!(", bounce {:.0} ns", cpus.bounce_now())
}
