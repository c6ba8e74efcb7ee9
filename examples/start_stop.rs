//! 2,000 nodes started, used and stopped in one process: nothing is left of them.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ringpost::{Context, Node, Result, Routed, Worker};

struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

const NODES: u64 = 2_000;
const WARM_UP: u64 = 200;

fn one_node(number: u64) -> Result<()> {
    let node = Node::builder().cores(2).start()?;
    let handle = node.handle();
    for name in ["echo-a", "echo-b", "echo-c"] {
        handle.start_worker_blocking(name, || Echo)?;
        let reply: u64 = handle.request_blocking(name, number)?;
        if reply != number {
            return Err(format!("sent {number}, got {reply}").into());
        }
    }
    node.stop()
}

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

/// The threads of this process. The kernel lists a thread for a moment after it has been joined, so
/// the count is taken again, for as long as it may still fall to the main thread alone.
fn threads() -> usize {
    let count = || entries("/proc/self/task");
    let mut lowest = count();
    for _ in 0..100_000 {
        if lowest <= 1 {
            break;
        }
        std::thread::yield_now();
        lowest = lowest.min(count());
    }
    lowest
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn main() -> Result<()> {
    for number in 0..WARM_UP {
        one_node(number)?;
    }
    let (threads_before, files_before) = (threads(), entries("/proc/self/fd"));
    let memory = resident();
    for number in WARM_UP..NODES {
        one_node(number)?;
    }
    let grown = resident().saturating_sub(memory);
    println!("nodes started and stopped: {NODES}");
    println!(
        "threads left over: {}",
        threads().saturating_sub(threads_before)
    );
    println!(
        "descriptors left over: {}",
        entries("/proc/self/fd").saturating_sub(files_before)
    );
    println!("resident memory grown by: {grown} KiB after warm-up");
    println!(
        "memory: {}",
        if grown < 4096 { "steady" } else { "GROWING" }
    );
    Ok(())
}
