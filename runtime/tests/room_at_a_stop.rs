//! What waits for room when its node stops comes back to who has sent it (G9).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

/// Never comes to the end of its first message.
struct Stuck;

impl Worker for Stuck {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        loop {
            ctx.sleep(Duration::from_secs(3600)).await;
        }
    }
}

const ROOM: u32 = 4;
const SENDERS: u64 = 5;

fn narrow() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = ROOM;
    limits.link_credits = ROOM;
    limits
}

/// Sends until nothing goes, and says what it was told of the one that waited.
async fn fill(ctx: Context, number: u64, told: Arc<Mutex<Vec<(u64, u64)>>>) {
    for count in 0.. {
        if let Err(error) = ctx.send_message("stuck", 100 * number + count).await {
            let message = error.into_message::<u64>();
            let message = message.expect("it comes back with the error");
            told.lock().push((message, 100 * number + count));
            return;
        }
    }
}

/// G9: who waits for room at a stop, and is there to be told, gets an error with its message, the one that it had sent.
#[test]
fn g9_what_waits_for_room_comes_back_at_a_stop() {
    for seed in 0..30 {
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        let stuck = seed as usize % 2;
        let sim = Sim::new(seed).cores(2).limits(narrow());
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker_on(stuck, "stuck", Stuck).await?;
            for number in 0..SENDERS {
                let (sender, notes) = (ctx.detached()?, Arc::clone(&notes));
                ctx.spawn(fill(sender, number, notes));
            }
            ctx.sleep(Duration::from_secs(1)).await;
            match seed % 3 {
                0 => ctx.stop().await,
                _ => ctx.stop_now().await,
            }
        });
        report.output.unwrap();
        let told = std::mem::take(&mut *told.lock());
        assert_eq!(told.len() as u64, SENDERS, "seed {seed}");
        for (back, sent) in told {
            assert_eq!(back, sent, "seed {seed}");
        }
    }
}
