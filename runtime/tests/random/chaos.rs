//! Programs in which anything may happen: workers come and go, messages are sent, awaited,
//! cancelled and refused, with limits so small that everything is full at times. Whatever happens, the
//! node ends, and every accepted message is accounted for (G3, G4, G5, G9).

use std::future::Future;
use std::pin::pin;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost::sim::{Faults, Sim};
use ringpost::{
    Any, Context, Ended, Error, Group, Limits, Outcome, Result, Routed, Supervision, Worker, route,
};

use crate::dice::{Dice, for_each_seed};

/// Does something different with each message.
#[derive(Clone)]
struct Chaotic(Dice);

impl Worker for Chaotic {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match self.0.roll(8) {
            0 => Err(Error::other("refuses to start")),
            1 => {
                ctx.sleep(Duration::from_micros(self.0.roll(500))).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let other = name(self.0.roll(WORKERS));
        match self.0.roll(24) {
            0..=7 => ctx.send_message(msg.reply(), *msg).await,
            8..=9 => ctx.send_message(other, *msg / 2).await,
            10 => ctx.try_send_message(other, *msg),
            11 => {
                ctx.sleep(Duration::from_micros(self.0.roll(2_000))).await;
                Ok(())
            }
            12 => {
                ctx.yield_now().await;
                ctx.send_urgent(msg.reply(), 1u64).await
            }
            13 => {
                let wait = Duration::from_micros(self.0.roll(1_000));
                ctx.request::<u64>(other, 5u64).within(wait).await.map(drop)
            }
            14 => ctx.stop_worker(ctx.address()).await,
            15 => ctx
                .receive_timeout::<u64>(Duration::from_micros(300))
                .await
                .map(drop),
            16 if self.0.roll(4) == 0 => panic!("panics at random"),
            17 => Err(Error::other("fails at random")),
            18 => {
                let received = ctx.receive_timeout::<u64>(Duration::from_micros(50)).await;
                received.map(|message| ctx.put_back(message))
            }
            _ => Ok(()),
        }
    }
}

/// Forwards whatever comes.
struct Hop;

impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.forward(msg).await
    }
}

const WORKERS: u64 = 12;

fn name(number: u64) -> String {
    format!("chaotic-{number}")
}

/// Polls a future a few times, then drops it.
async fn cancelled<F: Future>(future: F, polls: u64) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |polling: &mut Polling<'_>| {
        if left == 0 || future.as_mut().poll(polling).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        polling.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn terms(dice: &mut Dice) -> Supervision {
    let outcome = [Outcome::Stop, Outcome::Restart][dice.roll(2) as usize];
    let terms = [Supervision::permanent(), Supervision::transient()][dice.roll(2) as usize].clone();
    terms
        .on_error(outcome)
        .intensity(dice.roll(20) as u32, Duration::from_millis(dice.roll(100)))
}

/// A group of some of the workers, perhaps with another within.
fn group(dice: &mut Dice) -> Group {
    let kinds = [Group::one_for_one, Group::one_for_all, Group::rest_for_one];
    let mut group = kinds[dice.roll(3) as usize]();
    for _ in 0..dice.roll(4) {
        let chaotic = Chaotic(dice.clone());
        let build = move || chaotic.clone();
        group = group.worker(name(dice.roll(WORKERS)), terms(dice), build);
    }
    if dice.roll(4) == 0 {
        group = group.group("inner", self::group(dice));
    }
    group.intensity(dice.roll(20) as u32, Duration::from_millis(dice.roll(100)))
}

/// Watches, and waits a while for the end, or does not care.
async fn watch(ctx: &mut Context, dice: &mut Dice, target: String) {
    let Ok(watch) = ctx.watch(target).await else {
        return;
    };
    match dice.roll(3) {
        0 => drop(ctx.unwatch(watch)),
        1 => {
            let wait = Duration::from_micros(dice.roll(3_000));
            drop(ctx.receive_timeout::<Ended>(wait).await);
        }
        _ => {}
    }
}

/// One random step; its failures are part of the game.
async fn step(ctx: &mut Context, dice: &mut Dice) {
    let target = name(dice.roll(WORKERS));
    let wait = Duration::from_micros(dice.roll(3_000));
    match dice.roll(29) {
        0..=1 => drop(ctx.start_worker(target, Chaotic(dice.clone())).await),
        2 => {
            let core = dice.roll(ctx.cores() as u64) as usize;
            drop(
                ctx.start_worker_on(core, target, Chaotic(dice.clone()))
                    .await,
            );
        }
        3 => drop(ctx.stop_worker(target).await),
        4 => drop(ctx.stop_worker_now(target).await),
        5..=7 => drop(ctx.send_message(target, dice.roll(100)).await),
        8 => drop(ctx.try_send_message(target, dice.roll(100))),
        9 => drop(ctx.request::<u64>(target, 3u64).within(wait).await),
        10 => cancelled(ctx.request::<u64>(target, 4u64), dice.roll(4)).await,
        11 => {
            let polls = dice.roll(3);
            cancelled(ctx.send_message(target, 6u64), polls).await;
        }
        12 => drop(ctx.send_message(route!["hop", target], 7u64).await),
        13 => drop(ctx.receive_timeout::<u64>(wait).await),
        14 => drop(
            ctx.send_message(target, "of another type".to_string())
                .await,
        ),
        15 => {
            let chaotic = Chaotic(dice.clone());
            let start = ctx.start_replicated(target, move || chaotic.clone());
            cancelled(start, dice.roll(80)).await;
        }
        16 => {
            let core = dice.roll(ctx.cores() as u64) as usize;
            let start = ctx.start_worker_on(core, target, Chaotic(dice.clone()));
            cancelled(start, dice.roll(6)).await;
        }
        17 => {
            if let Ok(mut side) = ctx.new_detached(target).await {
                drop(side.receive_timeout::<u64>(wait).await);
            }
        }
        18 => cancelled(ctx.new_detached(target), dice.roll(6)).await,
        19..=20 => {
            let chaotic = Chaotic(dice.clone());
            let build = move || chaotic.clone();
            drop(ctx.start_supervised(target, terms(dice), build).await);
        }
        21 => watch(ctx, dice, target).await,
        22..=23 => {
            let group = group(dice);
            drop(
                ctx.start_group(format!("group-{}", dice.roll(3)), group)
                    .await,
            );
        }
        24 => drop(ctx.stop_worker(format!("group-{}", dice.roll(3))).await),
        25 => drop(ctx.send_urgent(target, dice.roll(100)).await),
        26 => cancelled(ctx.send_urgent(target, 8u64), dice.roll(4)).await,
        27 => drop(ctx.send_urgent(route!["hop", target], 9u64).await),
        _ => ctx.sleep(wait).await,
    }
}

fn limits(dice: &mut Dice) -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + dice.roll(4) as u32;
    limits.link_credits = 1 + dice.roll(4) as u32;
    limits.urgent_credits = 1 + dice.roll(4) as u32;
    limits.links_max = 1 + dice.roll(8) as u32;
    limits.ring_slots = 8 << dice.roll(3);
    limits.turn_messages = 1 + dice.roll(16) as u32;
    limits.worker_burst = 1 + dice.roll(4) as u32;
    limits.ring_burst = 1 + dice.roll(16) as u32;
    limits
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let limits = limits(&mut dice);
    let cores = 1 + dice.roll(4) as u16;
    let sim = Sim::new(seed)
        .cores(cores)
        .limits(limits)
        .drain(Duration::from_millis(5))
        // With faults, even none of them, goes a look at the bounds of mailboxes.
        .faults(Faults::none());
    let report = sim.run(async move |ctx: Context| {
        ctx.start_worker("hop", Hop).await?;
        let players = 1 + dice.roll(4);
        for player in 0..players {
            let mut own = ctx.detached()?;
            let mut dice = Dice(seed ^ (player << 32));
            ctx.spawn(async move {
                for _ in 0..60 {
                    step(&mut own, &mut dice).await;
                }
            });
        }
        ctx.sleep(Duration::from_millis(dice.roll(60))).await;
        ctx.stop().await
    });
    if let Err(error) = &report.output {
        panic!("seed {seed}: {error}");
    }
    let sent = report
        .stats
        .total(|core| core.sent_local + core.sent_remote);
    let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
    let late = report.stats.undelivered(ringpost::Reason::LateReply);
    assert_eq!(
        sent,
        ended - late,
        "seed {seed}: sent = handled + undelivered: {:#?}",
        report.stats
    );
    assert!(
        report.elapsed < Duration::from_secs(60),
        "seed {seed}: {:?}",
        report.elapsed
    );
}

/// G3, G5, G9 for programs that nobody thought of.
#[test]
fn random_programs_end_and_account_for_every_message() {
    for_each_seed(300, run);
}
