//! What a node takes of the machine: memory under a flood, and processor time when it is idle.
//!
//! `cargo run --release -p ringpost-benches --bin resources`; read from what Linux says about the process.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::hint::black_box;
use std::time::Duration;

use ringpost::{Address, Context, Error, Limits, Node, NodeHandle, Result, Routed, Worker};
use ringpost_benches::Machine;
use ringpost_benches::process::{status, used};

/// Messages of the flood.
const MESSAGES: u64 = 10_000_000;
/// Workers that send them, half of them on each of two cores.
const PRODUCERS: u64 = 8;
/// How long nothing is done.
const IDLE: Duration = Duration::from_secs(5);

/// Takes much longer for a message than it takes to send one.
struct Slow {
    left: u64,
    done: Address,
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let mixed = (0..100).fold(*msg, |sum, round| black_box(sum.rotate_left(7) ^ round));
        black_box(mixed);
        self.left -= 1;
        if self.left == 0 {
            ctx.send_message(&self.done, true).await?;
        }
        Ok(())
    }
}

/// Sends as many messages as it is told to, as fast as it is let.
struct Producer;

impl Worker for Producer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for number in 0..*msg {
            ctx.send_message("slow", number).await?;
        }
        Ok(())
    }
}

async fn flood(ctx: Context, messages: u64) -> Result<()> {
    // By name, as the slow worker may live on another core.
    let mut end = ctx.new_detached("end").await?;
    let (left, done) = (messages, end.address());
    ctx.start_worker("slow", Slow { left, done }).await?;
    for number in 0..PRODUCERS {
        let core = number as usize % ctx.cores();
        let name = format!("producer-{number}");
        ctx.start_worker_on(core, name.as_str(), Producer).await?;
        ctx.send_message(name, messages / PRODUCERS).await?;
    }
    end.receive::<bool>().await?;
    for number in 0..PRODUCERS {
        ctx.stop_worker(format!("producer-{number}")).await?;
    }
    ctx.stop_worker("slow").await
}

fn run(handle: &NodeHandle, messages: u64) -> Result<()> {
    pollster::block_on(handle.run_on(0, async move |ctx: Context| flood(ctx, messages).await))?
}

fn main() -> Result<()> {
    println!("{}", Machine::read());
    let node = Node::builder().cores(2).start().map_err(Error::other)?;
    let handle = node.handle();
    run(&handle, 100_000)?;
    let before = status("self", "VmHWM");
    run(&handle, MESSAGES)?;
    let grown = status("self", "VmHWM").saturating_sub(before);
    let limits = Limits::default();
    let waiting = u64::from(limits.mailbox_credits + 2 * limits.link_credits);
    println!("flood of {MESSAGES} messages at a slow worker: resident memory grew by {grown} KiB");
    println!(
        "  what may wait there: {waiting} messages of 64 bytes, {} KiB",
        waiting / 16
    );

    let before = used("self");
    pollster::block_on(handle.run_on(0, async |ctx: Context| ctx.sleep(IDLE).await))?;
    let took = used("self").saturating_sub(before);
    println!(
        "idle for {IDLE:?}: {took:?} of processor time, {:.2} % of one CPU",
        100.0 * took.as_secs_f64() / IDLE.as_secs_f64()
    );
    node.stop()
}
