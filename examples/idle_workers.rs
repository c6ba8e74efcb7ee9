//! A million workers started, each messaged once, and stopped; prints the memory of each.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ringpost::{Context, Result, Routed, Worker, async_worker};

const WORKERS: u64 = 1_000_000;

struct Idle {
    seen: u64,
}

#[async_worker]
impl Worker for Idle {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.seen += 1;
        ctx.send_message("app", *msg + self.seen).await
    }
}

fn name(number: u64) -> String {
    format!("idle-{number}")
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

#[ringpost::node]
async fn main(mut ctx: Context) -> Result<()> {
    let before = resident();
    for number in 0..WORKERS {
        ctx.start_worker(name(number), Idle { seen: 0 }).await?;
    }
    let started = resident();
    println!("workers started: {WORKERS}");
    println!("bytes per idle worker: {}", (started - before) / WORKERS);
    println!(
        "under 512 MiB: {}",
        if started < 512 << 20 { "yes" } else { "NO" }
    );

    let mut sum = 0u64;
    for number in 0..WORKERS {
        ctx.send_message(name(number), number).await?;
        // One message under way at a time is enough; this is about memory.
        if number % 512 == 511 {
            for _ in 0..512 {
                sum += ctx.receive::<u64>().await?.take();
            }
        }
    }
    for _ in 0..WORKERS % 512 {
        sum += ctx.receive::<u64>().await?.take();
    }
    let wanted = WORKERS * (WORKERS - 1) / 2 + WORKERS;
    println!(
        "each messaged once: {}",
        if sum == wanted { "right" } else { "WRONG" }
    );

    for number in 0..WORKERS {
        ctx.stop_worker(name(number)).await?;
    }
    let stats = ctx.handle().stats();
    println!(
        "workers stopped: {}",
        stats.total(|core| core.workers_ended)
    );
    println!("undelivered: {}", stats.undelivered_total());
    ctx.stop().await
}
