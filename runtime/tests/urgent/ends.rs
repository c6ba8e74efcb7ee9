//! What becomes of urgent messages that are given up, or whose receiver is stopped.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Any, Context, Reason, Result, Routed, Worker, route};

use crate::common::{Log, PANIC, URGENT, done, slow, tight};

/// Passes on whatever comes.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

/// G15, G3: urgent messages are accounted for like any other, also along routes, at ends, and when given up.
#[test]
fn g15_urgent_messages_are_accounted_for() {
    for seed in 0..40 {
        let log = Log::default();
        let report = Sim::new(seed)
            .cores(3)
            .limits(tight())
            .run(async move |ctx: Context| {
                for name in ["hop-a", "hop-b"] {
                    ctx.start_worker(name, Hop).await?;
                }
                for name in ["slow-a", "slow-b", "slow-c"] {
                    ctx.start_worker(name, slow(&log)).await?;
                    ctx.send_message(name, 0u64).await?;
                    ctx.send_urgent(route!["hop-a", "hop-b", name], URGENT)
                        .await?;
                    ctx.send_urgent(name, URGENT).await?;
                    ctx.send_urgent(name, PANIC).await?;
                    for number in 0..3u64 {
                        let _ = ctx.send_urgent(name, URGENT + number).await;
                        let _ = ctx.send_urgent("nobody", number).await;
                    }
                    // Given up while it waits.
                    for _ in 0..8 {
                        let own = ctx.detached()?;
                        let name = name.to_owned();
                        let send = async move { own.send_urgent(name, URGENT + 1).await };
                        let wait = ctx.sleep(Duration::from_micros(100));
                        first_of(send, wait).await;
                    }
                }
                ctx.sleep(Duration::from_millis(seed % 7)).await;
                ctx.stop_now().await
            });
        let wrong = report.stats.undelivered(Reason::WrongType);
        assert_eq!(wrong, 0, "seed {seed}");
        done(report);
    }
}

/// G15: the words of the node are above urgent messages: a stop that is in a hurry does not wait for them.
#[test]
fn g15_a_stop_in_a_hurry_passes_urgent_messages() {
    for seed in 0..20 {
        let sim = Sim::new(seed).cores(2).limits(tight());
        let report = sim.run(async move |ctx: Context| {
            for name in ["slow-a", "slow-b", "slow-c"] {
                let log = Log::default();
                ctx.start_worker(name, slow(&log)).await?;
                ctx.send_message(name, 1u64).await?;
                ctx.sleep(Duration::from_micros(100)).await;
                while ctx.try_send_urgent(name, URGENT).is_ok() {}
                ctx.sleep(Duration::from_micros(100)).await;
                // The handler that runs is cut short, and nothing more is handled.
                ctx.stop_worker_now(name).await?;
                assert_eq!(log.lock().len(), 0, "seed {seed}");
            }
            ctx.stop().await
        });
        assert_eq!(report.stats.undelivered(Reason::Stopped), 12);
        done(report);
    }
}

/// Whichever is done first.
async fn first_of(one: impl Future<Output = Result<()>>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|polling| match one.as_mut().poll(polling) {
        std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
        std::task::Poll::Pending => other.as_mut().poll(polling),
    })
    .await;
}
