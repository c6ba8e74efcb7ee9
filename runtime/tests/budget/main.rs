//! What a flooded node takes of memory, held to what its limits say (G4).

mod asks;
#[path = "../../../mailbox/tests/support/counting.rs"]
mod counting;
mod doings;

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Load, Overflow, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

use counting::{begin_count, counted_since};

/// One test at a time counts.
static TURN: Mutex<()> = Mutex::new(());

type Payload = [u64; 12];

/// Handles a tenth of what it is sent.
struct Slow(Overflow);

impl Worker for Slow {
    type Message = Payload;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.0
    }

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<Payload>) -> Result<()> {
        ctx.sleep(Duration::from_micros(1000)).await;
        Ok(())
    }
}

const RECEIVERS: u64 = 3;
const SENDERS: u64 = 12;

/// A minute (two seconds where nobody waits) of ten times the load that the workers can bear, from every core. What was held at the most besides
/// what the node held before, and how many messages were handled in a second.
fn flood(overflow: Overflow, limits: Limits, cores: u16) -> (u64, f64) {
    let seconds = if overflow == Overflow::Wait { 60 } else { 2 };
    let sim = Sim::new(7)
        .cores(cores)
        .limits(limits)
        .on_undelivered(|_| {});
    let report = sim.run(async move |ctx: Context| {
        for number in 0..RECEIVERS {
            ctx.start_worker(format!("slow-{number}"), Slow(overflow))
                .await?;
        }
        let before = begin_count();
        for sender in 0..SENDERS {
            let send = async move |ctx: Context| {
                let all = ctx.detached().ok();
                ctx.spawn(async move {
                    let Some(ctx) = all else { return };
                    loop {
                        // Twelve senders, three receivers, ten messages a millisecond for each.
                        let name = format!("slow-{}", sender % RECEIVERS);
                        let _ = ctx.send_message(name, [0u64; 12]).await;
                        ctx.sleep(Duration::from_micros(400)).await;
                    }
                });
            };
            let core = sender as usize % ctx.cores();
            ctx.handle().run_on(core, send).await?;
        }
        ctx.sleep(Duration::from_secs(seconds)).await;
        let held = counted_since(before);
        let handled = ctx.handle().stats().total(|core| core.handled);
        ctx.stop_now().await?;
        Ok((held, handled))
    });
    let (held, handled) = report.output.unwrap();
    (held, handled as f64 / seconds as f64)
}

/// G4: resident memory of a node that is offered ten times what it can bear stays within the budget, whatever
/// its workers do with what they have no room for; and it does nine tenths of what it can at least.
#[test]
fn g4_a_flooded_node_stays_within_its_budget() {
    let _turn = TURN.lock();
    let mut tight = Limits::default();
    tight.mailbox_credits = 256;
    tight.link_credits = 128;
    for (limits, cores) in [(tight, 1), (tight, 3), (Limits::default(), 2)] {
        let load = Load {
            cores,
            receivers: RECEIVERS,
            senders: SENDERS,
            payload: size_of::<Payload>() as u64,
            ..Load::default()
        };
        let budget = limits.budget(&load);
        for overflow in [
            Overflow::Wait,
            Overflow::Refuse,
            Overflow::DropNewest,
            Overflow::DropOldest,
        ] {
            let (held, goodput) = flood(overflow, limits, cores);
            let what = format!("{overflow:?} on {cores}: {held} bytes held\n{budget}");
            // What the flood has no use for is no excuse: free blocks, and places for threads outside.
            let others = [
                "free blocks",
                "places in inboxes",
                "senders known on other cores",
            ];
            let pools = budget.pools.iter();
            let unused = pools.filter(|pool| others.contains(&pool.name));
            let unused: u64 = unused.map(|pool| pool.bytes()).sum();
            assert!(held <= budget.bytes() - unused, "{what}");
            // What each can handle is a message a millisecond.
            let peak = 1000.0 * RECEIVERS as f64;
            assert!(goodput >= 0.9 * peak, "{goodput} a second: {what}");
        }
    }
}
