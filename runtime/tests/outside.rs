//! Messages from threads outside the node keep the order in which they were sent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringpost::sim::Sim;
use ringpost::{Context, Limits, Result, Routed, Worker};

/// Writes down what it gets; every so often it takes its time.
struct Recorder {
    log: Arc<Mutex<Vec<u64>>>,
    pause_every: u64,
}

impl Worker for Recorder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if (*msg).is_multiple_of(self.pause_every) {
            ctx.sleep(Duration::from_micros(50)).await;
        }
        self.log.lock().push(*msg);
        ctx.send_message(msg.reply(), *msg).await
    }
}

const COUNT: u64 = 300;

#[test]
fn g1_messages_from_one_thread_outside_are_handled_in_order() {
    for seed in 0..400 {
        let mut limits = Limits::default();
        limits.mailbox_credits = 1 + seed as u32 % 4;
        limits.outside_credits = 2 + seed as u32 % 7;
        limits.worker_burst = 2 + seed as u32 % 3;
        let log: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = Arc::clone(&log);
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |ctx: Context| {
            let pause_every = 2 + seed % 7;
            ctx.start_worker("recorder", Recorder { log, pause_every })
                .await?;
            let handle = ctx.handle();
            for number in 0..COUNT {
                if number % 11 == 0 {
                    let reply = handle.request::<u64>("recorder", number).await?;
                    assert_eq!(reply, number);
                } else {
                    handle.send_message("recorder", number).await?;
                }
                if number % (1 + seed % 5) == 0 {
                    ctx.sleep(Duration::from_micros(seed % 60)).await;
                }
            }
            ctx.sleep(Duration::from_secs(1)).await;
            Ok(())
        });
        report.output.unwrap();
        assert!(
            seen.lock().iter().copied().eq(0..COUNT),
            "seed {seed}: {:?}",
            seen.lock()
        );
    }
}
