//! Programs without a circle: each worker sends only to workers with higher numbers, wherever they
//! live. Whatever is scarce, all of their messages arrive at the end of the line (G5).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Any, Context, Error, Limits, Result, Routed, Worker, route};
use ringpost_mailbox::sync::Mutex;

use crate::dice::{Dice, for_each_seed};

/// How many messages have been counted at the end of the line.
type Arrived = Arc<Mutex<u64>>;

fn name(number: u64) -> String {
    format!("stage-{number}")
}

/// Passes each message on to one of the stages behind it, at times by way of others.
struct Stage {
    number: u64,
    stages: u64,
    dice: Dice,
    arrived: Arrived,
}

impl Stage {
    fn later(&mut self, number: u64) -> u64 {
        number + 1 + self.dice.roll(self.stages - 1 - number)
    }
}

impl Worker for Stage {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        if msg.onward_route().len() > 1 {
            return ctx.forward(msg).await;
        }
        if self.number + 1 == self.stages {
            *self.arrived.lock() += 1;
            if msg.is::<u16>() {
                return ctx.send_message(msg.reply(), 0u8).await;
            }
            return Ok(());
        }
        let next = self.later(self.number);
        match self.dice.roll(8) {
            0 => {
                ctx.request::<u8>(name(self.stages - 1), 7u16).await?;
            }
            1 if next + 1 < self.stages => {
                let last = self.later(next);
                let way = route![name(next), name(last)];
                return ctx.relay(msg, way).await;
            }
            2 => ctx.sleep(Duration::from_micros(self.dice.roll(50))).await,
            3 => ctx.yield_now().await,
            _ => {}
        }
        ctx.send_message(name(next), msg.take()).await
    }
}

fn limits(dice: &mut Dice) -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + dice.roll(3) as u32;
    limits.link_credits = 1 + dice.roll(3) as u32;
    limits.links_max = 1 + dice.roll(6) as u32;
    limits.ring_slots = 8;
    limits.turn_messages = 1 + dice.roll(16) as u32;
    limits.worker_burst = 1 + dice.roll(4) as u32;
    limits.ring_burst = 1 + dice.roll(16) as u32;
    limits
}

/// Starts the stages, and has messages sent to the first few. Returns how many.
async fn play(ctx: &Context, mut dice: Dice, arrived: &Arrived) -> Result<u64> {
    let stages = 3 + dice.roll(14);
    for number in 0..stages {
        let stage = Stage {
            number,
            stages,
            dice: Dice(dice.roll(u64::MAX)),
            arrived: Arc::clone(arrived),
        };
        match dice.roll(3) {
            0 => {
                let core = dice.roll(ctx.cores() as u64) as usize;
                ctx.start_worker_on(core, name(number), stage).await?;
            }
            _ => ctx.start_worker(name(number), stage).await?,
        }
    }
    let mut sent = 0;
    for _ in 0..1 + dice.roll(4) {
        let (own, count) = (ctx.detached()?, 10 + dice.roll(50));
        let first = name(dice.roll(stages));
        sent += count;
        ctx.spawn(async move {
            for _ in 0..count {
                if let Err(error) = own.send_message(&*first, 1u32).await {
                    panic!("a stage is gone: {error}");
                }
            }
        });
    }
    Ok(sent)
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let limits = limits(&mut dice);
    let cores = 2 + dice.roll(2) as u16;
    let arrived = Arrived::default();
    let count = Arc::clone(&arrived);
    let sim = Sim::new(seed).cores(cores).limits(limits);
    let report = sim.run(async move |ctx: Context| {
        let sent = play(&ctx, dice, &arrived).await?;
        for _ in 0..10_000 {
            if *arrived.lock() >= sent {
                return ctx.stop().await;
            }
            ctx.sleep(Duration::from_millis(1)).await;
        }
        Err(Error::other(format!("{sent} were sent, fewer arrived")))
    });
    let arrived = *count.lock();
    if let Err(error) = &report.output {
        panic!("seed {seed}: {error}: {arrived}: {:#?}", report.stats);
    }
}

/// G5 for programs without a circle, with a single link between two cores and upwards.
#[test]
fn random_pipelines_come_to_their_end() {
    for_each_seed(300, run);
}
