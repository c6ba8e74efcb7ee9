//! A producer ten times faster than its consumer: who is too fast waits, memory stays within what the limits say, and the
//! consumer goes on as fast as ever. Ends with an error if one of that does not hold.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::disallowed_methods,
    reason = "it times a node, from outside of it"
)]

use std::fs;
use std::time::{Duration, Instant};

use ringpost::{Budget, Context, Error, Limits, Load, Node, Result, Routed, Worker, async_worker};

/// Work for half a millisecond is simulated by sleeping so long.
const WORK: Duration = Duration::from_micros(500);
/// A job of 256 bytes.
type Job = [u64; 32];
/// How long the consumer is flooded at a time, how long what it can do is measured after that, and how many times.
const FLOOD: Duration = Duration::from_millis(300);
const PEAK: Duration = Duration::from_millis(200);
const ROUNDS: u64 = 10;

/// Takes its time for each job.
struct Consumer;

#[async_worker]
impl Worker for Consumer {
    type Message = Job;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _job: Routed<Job>) -> Result<()> {
        ctx.sleep(WORK).await;
        Ok(())
    }
}

/// Makes ten jobs in the time of one, for so long. How many were sent.
async fn produce(ctx: &Context, time: Duration) -> Result<u64> {
    let (mut sent, begun) = (0_u64, Instant::now());
    while begun.elapsed() < time {
        for _ in 0..10 {
            // Waits while the consumer has no room. That is all there is to it.
            ctx.send_message("consumer", [sent; 32]).await?;
            sent += 1;
        }
        ctx.sleep(WORK).await;
    }
    Ok(sent)
}

/// How many jobs a second there can be: the work of each, done for so long with nobody sending.
async fn peak(ctx: &Context, time: Duration) -> f64 {
    let (mut done, begun) = (0, Instant::now());
    while begun.elapsed() < time {
        ctx.sleep(WORK).await;
        done += 1;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// Resident memory of this process, in bytes, where the system tells.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0) * 1024
}

/// What a run has shown.
#[derive(Default)]
struct Seen {
    sent: u64,
    goodput: f64,
    peak: f64,
    /// The most resident memory beyond what there was before.
    grown: u64,
}

async fn overload(ctx: &Context, credits: u64) -> Result<Seen> {
    let handled = || ctx.handle().stats().total(|core| core.handled);
    let mut seen = Seen::default();
    let before = resident();
    for _ in 0..ROUNDS {
        let (handled_before, begun) = (handled(), Instant::now());
        seen.sent += produce(ctx, FLOOD).await?;
        let goodput = (handled() - handled_before) as f64 / begun.elapsed().as_secs_f64();
        let depth = seen.sent - handled();
        seen.grown = seen.grown.max(resident().saturating_sub(before));
        let peak = peak(ctx, PEAK).await;
        println!(
            "queue {depth}, credits {}, goodput {goodput:.0}/s of {peak:.0}/s, {} KiB",
            credits.saturating_sub(depth),
            resident() / 1024
        );
        seen.goodput += goodput / ROUNDS as f64;
        seen.peak += peak / ROUNDS as f64;
    }
    Ok(seen)
}

/// Says whether what was promised holds. What does not is the error.
fn judge(seen: &Seen, budget: &Budget, handled: u64, undelivered: u64) -> Result<()> {
    let (grown, most) = (seen.grown / 1024, budget.bytes() / 1024);
    let share = seen.goodput / seen.peak;
    let judged = [
        (
            grown as f64 <= 1.05 * most as f64,
            format!("memory: {grown} KiB more than when idle, of a budget of {most} KiB and 5 %"),
        ),
        (
            share >= 0.9,
            format!(
                "goodput: {:.0} % of what can be done, of 90 % at least",
                100.0 * share
            ),
        ),
        (
            seen.sent == handled + undelivered,
            format!(
                "nothing lost in silence: {} sent, {handled} handled, {undelivered} reported",
                seen.sent
            ),
        ),
    ];
    for (holds, what) in &judged {
        println!("{what}: {}", if *holds { "holds" } else { "FAILED" });
    }
    match judged.iter().all(|(holds, _)| *holds) {
        true => Ok(()),
        false => Err(Error::other(
            "what is promised under overload does not hold",
        )),
    }
}

fn main() -> Result<()> {
    let mut limits = Limits::default();
    (
        limits.mailbox_credits,
        limits.urgent_credits,
        limits.inbox_slots,
    ) = (2000, 1, 16);
    let load = Load {
        cores: 1,
        receivers: 1,
        senders: 1,
        payload: size_of::<Job>() as u64,
        ..Load::default()
    };
    let budget = limits.budget(&load);
    println!("what messages may take:\n{budget}");
    let node = Node::builder()
        .cores(1)
        .limits(limits)
        .drain(Duration::from_secs(10));
    node.run(async move |ctx: Context| {
        ctx.start_worker("consumer", Consumer).await?;
        let seen = overload(&ctx, limits.mailbox_credits.into()).await?;
        // What waits is handled before the end.
        ctx.stop_worker("consumer").await?;
        let stats = ctx.handle().stats();
        let handled = stats.total(|core| core.handled);
        judge(&seen, &budget, handled, stats.undelivered_total())?;
        ctx.stop().await
    })
}
