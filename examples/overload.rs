//! A producer ten times faster than its consumer: who is too fast waits, and memory stays flat.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::fs;
use std::time::Duration;

use ringpost::{Context, Limits, Load, Node, Result, Routed, Worker, async_worker};

/// Work for half a millisecond is simulated by sleeping so long.
const WORK: Duration = Duration::from_micros(500);
/// How often a line is printed, and how many times.
const EVERY: Duration = Duration::from_millis(200);
const LINES: u64 = 10;

/// Takes its time for each job.
struct Consumer;

#[async_worker]
impl Worker for Consumer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _job: Routed<u64>) -> Result<()> {
        ctx.sleep(WORK).await;
        Ok(())
    }
}

/// Makes ten jobs in the time of one, for as long as the node runs.
async fn produce(ctx: Context) {
    for number in 0u64.. {
        // Waits while the consumer has no room. That is all there is to it.
        if ctx.send_message("consumer", number).await.is_err() {
            return;
        }
        if number.is_multiple_of(10) {
            ctx.sleep(WORK).await;
        }
    }
}

/// Resident memory of this process, in KiB, where the system tells.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}

fn main() -> Result<()> {
    let mut limits = Limits::default();
    limits.mailbox_credits = 200;
    let load = Load {
        cores: 1,
        receivers: 1,
        senders: 1,
        outside: 0,
        payload: 8,
    };
    let budget = limits.budget(&load);
    println!("what messages may take:\n{budget}");
    let node = Node::builder().cores(1).limits(limits);
    node.run(async move |ctx: Context| {
        ctx.start_worker("consumer", Consumer).await?;
        let producer = ctx.detached()?;
        ctx.spawn(produce(producer));
        ctx.sleep(EVERY).await;
        let before = resident();
        let counted = |ctx: &Context| {
            let stats = ctx.handle().stats();
            let sent = stats.total(|core| core.sent_local);
            (sent, stats.total(|core| core.handled), stats.total(|core| core.senders_blocked))
        };
        let (mut sent_before, mut handled_before, _) = counted(&ctx);
        for _ in 0..LINES {
            ctx.sleep(EVERY).await;
            let (sent, handled, waits) = counted(&ctx);
            let depth = sent - handled;
            let goodput = (handled - handled_before) as f64 / EVERY.as_secs_f64();
            println!(
                "queue {depth}, credits {}, goodput {goodput:.0}/s, sent {}, waited {waits} times, {} KiB",
                u64::from(limits.mailbox_credits).saturating_sub(depth),
                sent - sent_before,
                resident()
            );
            (sent_before, handled_before) = (sent, handled);
        }
        let grown = resident().saturating_sub(before) * 1024;
        let flat = if grown <= budget.bytes() { "flat" } else { "NOT FLAT" };
        println!("memory: {flat}");
        ctx.stop_now().await
    })
}
