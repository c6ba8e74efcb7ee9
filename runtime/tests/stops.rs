//! How a node ends, and what its main function is told (G9).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, Error, ErrorKind, Limits, Node, Reason, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

/// Takes ten seconds for each message.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(10)).await;
        Ok(())
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// G9: who is in a hurry need not wait for a stop that gives workers time.
#[test]
fn g9_a_stop_that_drains_can_be_hastened() {
    for seed in 0..40 {
        let sim = Sim::new(seed).cores(2).drain(Duration::from_secs(3600));
        let report = sim.run(async |ctx: Context| {
            for name in NAMES {
                ctx.start_worker(name, Slow).await?;
                for number in 0..3u64 {
                    ctx.send_message(name, number).await?;
                }
            }
            let other = ctx.detached()?;
            ctx.spawn(async move {
                // Resolves with the other one.
                let _ = other.stop().await;
            });
            ctx.sleep(Duration::from_millis(1)).await;
            assert!(ctx.handle().is_stopping());
            ctx.stop_now().await
        });
        report.output.unwrap();
        assert!(report.elapsed < Duration::from_secs(1), "seed {seed}");
        let left = report.stats.undelivered(Reason::NodeStopped);
        assert_eq!(left, 2 * NAMES.len() as u64, "seed {seed}");
    }
}

/// Takes no time at all.
struct Quick;

impl Worker for Quick {
    type Message = u64;
    type Context = Context;
}

/// G9: also among many that end in the same turn, those that do not have a deadline each.
#[test]
fn g9_who_does_not_end_has_a_deadline_among_many_who_do() {
    const PAIRS: usize = 20;
    for seed in 0..10 {
        let sim = Sim::new(seed).drain(Duration::from_secs(1));
        let report = sim.run(async |ctx: Context| {
            for pair in 0..PAIRS {
                ctx.start_worker(format!("slow-{pair}"), Slow).await?;
                ctx.send_message(format!("slow-{pair}"), 0u64).await?;
                ctx.send_message(format!("slow-{pair}"), 1u64).await?;
                ctx.start_worker(format!("quick-{pair}"), Quick).await?;
            }
            ctx.sleep(Duration::from_millis(1)).await;
            for pair in 0..PAIRS {
                let other = ctx.detached()?;
                ctx.spawn(async move {
                    // That it is cut short is seen from how long all takes.
                    let _ = other.stop_worker(format!("slow-{pair}")).await;
                });
                ctx.send_message(format!("quick-{pair}"), 0u64).await?;
                ctx.stop_worker(format!("quick-{pair}")).await?;
            }
            ctx.sleep(Duration::from_secs(3)).await;
            for pair in 0..PAIRS {
                let gone = ctx.send_message(format!("slow-{pair}"), 2u64).await;
                assert!(matches!(
                    gone.unwrap_err().kind(),
                    ErrorKind::NotFound { .. }
                ));
                ctx.start_worker(format!("slow-{pair}"), Quick).await?;
            }
            ctx.stop_now().await
        });
        report.output.unwrap();
        // What each was handling is not reported.
        let left = report.stats.undelivered(Reason::Stopped);
        assert_eq!(left, PAIRS as u64, "seed {seed}");
    }
}

/// Stops the node from within its handler, and then takes its time.
struct Stops;

impl Worker for Stops {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            0 => ctx.stop().await?,
            _ => ctx.stop_now().await?,
        }
        ctx.sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

/// G9: workers whose handlers await the stop, one of them in a hurry, do not wait for each other.
#[test]
fn g9_workers_that_await_the_stop_end_after_their_handlers() {
    for seed in 0..40 {
        let report = Sim::new(seed).cores(2).run(async |mut ctx: Context| {
            for name in NAMES {
                ctx.start_worker(name, Stops).await?;
            }
            for (number, name) in NAMES.into_iter().enumerate() {
                // Those before may have stopped the node already.
                let _ = ctx.send_message(name, number as u64 % 2).await;
            }
            let error = ctx.receive::<u64>().await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Stopping);
            Ok(())
        });
        report.output.unwrap();
        assert!(report.elapsed < Duration::from_secs(1), "seed {seed}");
        let sent = report
            .stats
            .total(|core| core.sent_local + core.sent_remote);
        let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
        assert_eq!(sent, ended, "seed {seed}");
        assert_eq!(report.stats.total(|core| core.handler_errors), 0);
    }
}

/// Runs a node without time to drain, on which others are always ready before the main future, which stops it.
fn stop_without_time(
    seed: u64,
    go_on: impl AsyncFnOnce(Context) -> Result<()> + Send + 'static,
) -> Report<()> {
    let mut limits = Limits::default();
    (limits.turn_messages, limits.worker_burst) = (1, 1);
    let cores = 1 + (seed % 3) as u16;
    let sim = Sim::new(seed)
        .cores(cores)
        .limits(limits)
        .drain(Duration::ZERO);
    sim.run(async move |ctx: Context| {
        for _ in 0..5 {
            let other = ctx.detached()?;
            ctx.spawn(async move {
                loop {
                    other.yield_now().await;
                }
            });
        }
        match seed % 2 {
            0 => ctx.stop_now().await?,
            _ => ctx.stop().await?,
        }
        go_on(ctx).await
    })
}

/// G9: the main future goes on after the stop that it awaits, also where there is no time to drain.
#[test]
fn g9_a_stop_returns_to_main_also_without_time_to_drain() {
    for seed in 0..60 {
        let report = stop_without_time(seed, async |_| Ok(()));
        assert!(report.output.is_ok(), "seed {seed}: {:?}", report.output);
    }
}

#[test]
fn a_main_that_goes_on_without_end_is_cut_short_where_there_is_no_time() {
    let report = stop_without_time(1, async |ctx: Context| -> Result<()> {
        loop {
            ctx.yield_now().await;
        }
    });
    let error = report.output.unwrap_err();
    assert!(error.to_string().contains("did not return"), "{error}");
}

#[test]
fn a_main_that_fails_as_if_the_node_had_stopped_is_told_so() {
    let run = |main: fn(&Context) -> Result<()>| {
        let node = Node::builder().cores(1);
        node.run(async move |ctx: Context| {
            main(&ctx)?;
            ctx.stop().await
        })
    };
    let error = run(|_| Err(Error::new(ErrorKind::Stopping))).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Stopping);
    assert!(run(|_| Ok(())).is_ok());
}

#[test]
fn a_main_that_is_cut_short_by_a_stop_has_ended_well() {
    let node = Node::builder().cores(2);
    let outcome = node.run(async |mut ctx: Context| {
        let other = ctx.detached()?;
        ctx.spawn(async move {
            // Resolves when the node ends.
            let _ = other.stop().await;
        });
        ctx.receive::<u64>().await.map(drop)
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// Takes requests for somebody who never answers.
struct Keeps;

impl Worker for Keeps {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        drop(msg.return_route());
        Ok(())
    }
}

/// Sleeps for so many milliseconds, and notes that it has.
struct Sleeper(Slept);

type Slept = Arc<Mutex<Vec<u64>>>;

impl Worker for Sleeper {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(*msg)).await;
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// G9: sleeps last into the time to drain and not beyond it; requests that are still under way then fail.
#[test]
fn g9_sleeps_and_requests_end_with_the_node() {
    for seed in 0..20 {
        let slept = Slept::default();
        let seen = Arc::clone(&slept);
        let sim = Sim::new(seed).cores(2).drain(Duration::from_secs(1));
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("keeps", Keeps).await?;
            for (name, millis) in [("short", 500u64), ("long", 5_000)] {
                ctx.start_worker(name, Sleeper(Arc::clone(&slept))).await?;
                ctx.send_message(name, millis).await?;
                let own = ctx.detached()?;
                let slept = Arc::clone(&slept);
                ctx.spawn(async move {
                    own.sleep(Duration::from_millis(millis + 1)).await;
                    slept.lock().push(millis + 1);
                });
            }
            let own = ctx.detached()?;
            let other = ctx.detached()?;
            ctx.spawn(async move {
                // Resolves with the other one.
                let _ = other.stop().await;
            });
            let asked = own.request::<u64>("keeps", 0u64).without_deadline();
            let error = asked.await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Stopping, "seed {seed}");
            Ok(())
        });
        report.output.unwrap();
        assert_eq!(*seen.lock(), [500, 501], "seed {seed}");
        let elapsed = report.elapsed;
        assert!(elapsed < Duration::from_secs(3), "seed {seed}: {elapsed:?}");
    }
}

/// G9: without time to drain nobody waits for a main function that does not end, though nothing else happens then.
#[test]
fn g9_a_stop_without_time_to_drain_does_not_wait_for_main() {
    for seed in 0..10 {
        for cores in [1, 2] {
            let sim = Sim::new(seed).cores(cores).drain(Duration::ZERO);
            let report = sim.run(async |ctx: Context| {
                let handle = ctx.handle();
                ctx.spawn(async move {
                    // Dropped at the end.
                    let _ = handle.stop_now().await;
                });
                std::future::pending::<Result<()>>().await
            });
            // Not that nothing could go on.
            let error = report.output.unwrap_err().to_string();
            assert_eq!(error, "the main function did not return", "seed {seed}");
        }
    }
}
