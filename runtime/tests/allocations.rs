//! Allocations on the path of a message, counted: none once the node is warm.

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Result, Routed, Worker};

use counting::allocations;

/// Replies along the return route, or swallows what it gets.
struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 0 {
            Ok(())
        } else {
            ctx.send_message(msg.reply(), msg.take()).await
        }
    }
}

const WARM_UP: i64 = 5_000;
const COUNTED: i64 = 10_000;

/// Bounces a countdown with its partner, and reports to the main context at zero.
struct Bouncer;

impl Worker for Bouncer {
    type Message = i64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<i64>) -> Result<()> {
        match *msg {
            0 => ctx.send_message("app", true).await,
            // A negative number opens the game: its partner's name is the one that is not ours.
            open if open < 0 => {
                let ours = ctx.address().to_string();
                let partner = if ours.ends_with("left") {
                    "right"
                } else {
                    "left"
                };
                ctx.send_message(partner, -open).await
            }
            left => ctx.send_message(msg.reply(), left - 1).await,
        }
    }
}

/// Times that a sender had to wait so far; each costs a place in a queue.
fn blocked(ctx: &Context) -> u64 {
    ctx.handle().stats().total(|core| core.senders_blocked)
}

async fn requests(ctx: &Context, name: &str, count: u64) -> Result<u64> {
    let before = allocations();
    for number in 1..=count {
        let reply: u64 = ctx.request(name, number).await?;
        assert_eq!(reply, number);
    }
    Ok(allocations() - before)
}

async fn one_way(ctx: &Context, name: &str, count: u64) -> Result<u64> {
    let (before, waits) = (allocations(), blocked(ctx));
    for _ in 0..count {
        ctx.send_message(name, 0u64).await?;
    }
    ctx.sleep(Duration::from_millis(1)).await;
    let waits = blocked(ctx) - waits;
    Ok((allocations() - before).saturating_sub(3 * waits))
}

async fn round_trips(ctx: &mut Context, count: i64) -> Result<u64> {
    let before = allocations();
    ctx.send_message("left", -count).await?;
    ctx.receive::<bool>().await?;
    Ok(allocations() - before)
}

/// All measurements run in one test: the counter belongs to the process.
#[test]
fn a_message_allocates_nothing_once_the_node_is_warm() {
    for cores in [1, 2] {
        let report = Sim::new(5).cores(cores).run(async |mut ctx: Context| {
            for name in ["left", "right"] {
                ctx.start_worker(name, Bouncer).await?;
            }
            round_trips(&mut ctx, WARM_UP).await?;
            let bounced = round_trips(&mut ctx, COUNTED).await?;
            assert!(
                bounced < 32,
                "{bounced} allocations in {COUNTED} bounces and one report"
            );
            for name in ["echo-a", "echo-b", "echo-c"] {
                ctx.start_worker(name, Echo).await?;
                requests(&ctx, name, WARM_UP as u64).await?;
                let asked = requests(&ctx, name, COUNTED as u64).await?;
                // A flood before has grown the core's queue, which has half the slots when that is long over.
                assert!(asked <= 1, "{asked} allocations in requests of {name}");
                one_way(&ctx, name, WARM_UP as u64).await?;
                let sent = one_way(&ctx, name, COUNTED as u64).await?;
                assert!(
                    sent < 32,
                    "{sent} allocations in {COUNTED} one-way sends to {name}"
                );
            }
            ctx.stop().await
        });
        report.output.unwrap();
    }
}
