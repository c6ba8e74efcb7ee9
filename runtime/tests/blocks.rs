//! The memory of workers and senders that are gone, counted: none is kept.

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Result, Routed, Worker};

use counting::begin_count;

/// What becomes of a worker in the middle of the messages that it was sent.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Goes,
    Waits,
    Fails,
    Panics,
    Stops,
}

const FATES: [Fate; 5] = [
    Fate::Goes,
    Fate::Waits,
    Fate::Fails,
    Fate::Panics,
    Fate::Stops,
];

/// Meets its fate with the second message.
struct Brief(Fate);

impl Worker for Brief {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match self.0 {
            _ if *msg != 1 => {}
            Fate::Goes => {}
            Fate::Waits => ctx.sleep(Duration::from_millis(1)).await,
            Fate::Fails => return Err(Error::other("asked to")),
            Fate::Panics => panic!("asked to"),
            Fate::Stops => ctx.stop_worker(ctx.address()).await?,
        }
        Ok(())
    }
}

/// Starts workers on the other core, one after the other, each of which gets some messages from a sender of its own.
async fn rounds(ctx: &Context, count: usize) -> Result<u64> {
    let mut names = (0..).map(|number| format!("brief-{number}"));
    let name = names.find(|name| ctx.home(name.as_str()) != ctx.core());
    let name = name.unwrap_or_default();
    for fate in FATES.into_iter().cycle().take(count) {
        let sender = ctx.detached()?;
        ctx.start_worker(name.as_str(), Brief(fate)).await?;
        for number in 0..4u64 {
            sender.try_send_message(name.as_str(), number)?;
        }
        ctx.sleep(Duration::from_millis(5)).await;
        if !matches!(fate, Fate::Panics | Fate::Stops) {
            ctx.stop_worker(name.as_str()).await?;
        }
        drop(sender);
        ctx.sleep(Duration::from_millis(1)).await;
    }
    Ok(begin_count())
}

/// All is measured in one test: the counter belongs to the process.
#[test]
fn g4_what_a_worker_and_a_sender_took_is_free_when_they_are_gone() {
    const ROUNDS: usize = 500;
    // What else takes memory when somebody panics says nothing of ours.
    std::panic::set_hook(Box::new(|_| {}));
    let sim = Sim::new(5).cores(2).on_undelivered(|_| {});
    let report = sim.run(async |ctx: Context| {
        let before = rounds(&ctx, 100).await?;
        let kept = rounds(&ctx, ROUNDS).await?.saturating_sub(before);
        ctx.stop().await?;
        Ok(kept)
    });
    drop(std::panic::take_hook());
    let kept = report.output.unwrap_or_else(|error| panic!("{error}"));
    // One block of each would be some hundred bytes.
    assert!(kept < 20 * ROUNDS as u64, "{kept} bytes are kept");
}
