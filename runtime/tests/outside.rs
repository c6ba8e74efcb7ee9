//! Messages from threads outside the node keep the order in which they were sent.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Result, Route, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

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
    (0..400).for_each(|seed| send_in_order(seed, false));
}

#[test]
fn g15_urgent_messages_from_one_thread_outside_are_handled_in_order() {
    (0..200).for_each(|seed| send_in_order(seed, true));
}

fn send_in_order(seed: u64, is_urgent: bool) {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + seed as u32 % 4;
    limits.outside_credits = 2 + seed as u32 % 7;
    limits.urgent_credits = 2 + seed as u32 % 5;
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
            match (number % 11, is_urgent) {
                (0, false) => {
                    let reply = handle.request::<u64>("recorder", number).await?;
                    assert_eq!(reply, number);
                }
                (0, true) => {
                    let reply = handle.request_urgent::<u64>("recorder", number).await?;
                    assert_eq!(reply, number);
                }
                (_, false) => handle.send_message("recorder", number).await?,
                (_, true) => handle.send_urgent("recorder", number).await?,
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

/// Answers nobody, and keeps the ways back, so that nobody is told.
#[derive(Default)]
struct Silent(Vec<Route>);

impl Worker for Silent {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.push(msg.reply());
        Ok(())
    }
}

/// Asks from outside for at most 50 ms, while others hold all that may be under way for so long.
fn ask_beside_others(seed: u64, others: Duration) {
    let mut limits = Limits::default();
    limits.outside_credits = 4;
    let report = Sim::new(seed)
        .cores(2)
        .limits(limits)
        .run(async move |ctx: Context| {
            ctx.start_worker("silent", Silent::default()).await?;
            for number in 0..4u64 {
                let handle = ctx.handle();
                ctx.spawn(async move {
                    let other = handle.request_within::<u64>(others, "silent", number);
                    assert!(other.await.is_err(), "nobody is answered");
                });
            }
            ctx.sleep(Duration::from_millis(1)).await;
            let ask = Duration::from_millis(50);
            let handle = ctx.handle();
            let asked = handle.request_within::<u64>(ask, "silent", 9u64);
            Ok(asked.await.unwrap_err())
        });
    let error = report.output.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
    assert_eq!(
        error.into_message::<u64>().ok(),
        (others.as_millis() > 50).then_some(9)
    );
    let elapsed = report.elapsed.as_millis();
    assert!((51..53).contains(&elapsed), "seed {seed}: {elapsed} ms");
}

#[test]
fn a_request_from_outside_counts_its_wait_to_be_sent() {
    for seed in 0..20 {
        // To the end of its time, and for a part of it.
        ask_beside_others(seed, Duration::from_secs(3));
        ask_beside_others(seed, Duration::from_millis(30));
    }
}
