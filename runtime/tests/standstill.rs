//! Workers that wait for each other in a circle for good: the node sleeps meanwhile (G8), a stop ends it (G9), and a
//! simulation in which nothing can go on says so.

use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, Limits, NodeStats, Result, Routed, Worker};

const WORKERS: usize = 10;
const CORES: u16 = 3;

/// Sends two messages to the next for each that it gets.
struct Doubler(String);

impl Worker for Doubler {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(self.0.as_str(), *msg).await?;
        ctx.send_message(self.0.as_str(), *msg).await
    }
}

/// Where the workers live: all on one core, each on the next, or where their names belong.
#[derive(Debug, Clone, Copy)]
enum Places {
    One,
    Each,
    Home,
}

const PLACES: [Places; 3] = [Places::One, Places::Each, Places::Home];

fn name(number: usize) -> String {
    format!("worker-{}", number % WORKERS)
}

async fn start_circle(ctx: &Context, places: Places) -> Result<()> {
    for number in 0..WORKERS {
        let (own, next) = (name(number), Doubler(name(number + 1)));
        match places {
            Places::One => ctx.start_worker_on(1, own, next).await?,
            Places::Each => {
                let core = number % usize::from(CORES);
                ctx.start_worker_on(core, own, next).await?;
            }
            Places::Home => ctx.start_worker(own, next).await?,
        }
    }
    Ok(())
}

/// Runs `main` on workers that wait for each other after a few messages.
fn with_circle<F>(seed: u64, places: Places, main: F) -> Report<()>
where
    F: AsyncFnOnce(&Context) -> Result<()> + Send + 'static,
{
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    let sim = Sim::new(seed).cores(CORES).limits(limits);
    let sim = sim.on_undelivered(|_| {}).on_wait_cycle(|_| {});
    sim.run(async move |ctx: Context| {
        start_circle(&ctx, places).await?;
        for number in 0..WORKERS {
            ctx.send_message(name(number), 1u64).await?;
        }
        main(&ctx).await
    })
}

fn sent(stats: &NodeStats) -> u64 {
    stats.total(|core| core.sent_local + core.sent_remote)
}

/// G9: a stop ends a circle, in a hurry or when the time to drain is over, and accounts for every message.
#[test]
fn g9_a_stop_ends_a_circle_and_accounts_for_it() {
    for seed in 0..10 {
        for places in PLACES {
            for drains in [true, false] {
                let report = with_circle(seed, places, async move |ctx| {
                    ctx.sleep(Duration::from_secs(5)).await;
                    match drains {
                        true => ctx.stop().await,
                        false => ctx.stop_now().await,
                    }
                });
                let what = format!("seed {seed}, {places:?}, drains: {drains}");
                report.output.unwrap();
                let stats = &report.stats;
                assert!(stats.total(|core| core.wait_cycles) > 0, "{what}");
                let handled = stats.total(|core| core.handled);
                assert_eq!(
                    sent(stats),
                    handled + stats.undelivered_total(),
                    "{what}: {stats:?}"
                );
                assert!(report.elapsed < Duration::from_secs(60), "{what}");
            }
        }
    }
}

/// G8: a circle that has been told is not looked at any more: the node sleeps as long as nothing else happens.
#[test]
fn g8_a_node_whose_workers_wait_for_each_other_sleeps() {
    let turns = |seed, places, seconds| {
        let report = with_circle(seed, places, async move |ctx| {
            ctx.sleep(Duration::from_secs(seconds)).await;
            ctx.stop_now().await
        });
        report.output.unwrap();
        assert!(report.stats.total(|core| core.wait_cycles) > 0);
        report.stats.total(|core| core.turns)
    };
    for seed in 0..10 {
        for places in PLACES {
            let (short, long) = (turns(seed, places, 10), turns(seed, places, 10_000));
            assert!(
                long <= short + 50,
                "seed {seed}, {places:?}: {short} turns and {long}"
            );
        }
    }
}

/// A main function that waits for room in a circle waits for ever, which the simulation says at once.
#[test]
fn a_simulation_that_stands_still_says_so() {
    for seed in 0..10 {
        for places in PLACES {
            let report = with_circle(seed, places, async |ctx| {
                loop {
                    ctx.send_message(name(0), 1u64).await?;
                }
            });
            let what = format!("seed {seed}, {places:?}");
            let error = report.output.expect_err(&what).to_string();
            assert!(error.contains("nothing can go on"), "{what}: {error}");
            assert!(report.elapsed < Duration::from_secs(60), "{what}");
        }
    }
}
