//! Senders that keep messages they have begun to send, look after them now and then, and give some up:
//! what was granted to one of them must not keep the others from going on (G5), or be lost.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Limits, Result, Routed, SendMessage, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::dice::{Dice, for_each_seed};

#[derive(Default)]
struct Counts {
    sent: u64,
    handled: u64,
}

type Counted = Arc<Mutex<Counts>>;

/// Takes its time at some messages.
struct Target(Counted);

impl Worker for Target {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().handled += 1;
        ctx.sleep(Duration::from_micros(*msg)).await;
        Ok(())
    }
}

type Kept<'a> = Vec<Pin<Box<SendMessage<'a>>>>;

/// Looks after some of the messages that are kept, and gives some up.
async fn look_after(kept: &mut Kept<'_>, dice: &mut Dice, counted: &Counted) -> Result<()> {
    let mut at = 0;
    while at < kept.len() {
        match dice.roll(10) {
            0 => drop(kept.swap_remove(at)),
            1..=5 => match poll_fn(|polling| Poll::Ready(kept[at].as_mut().poll(polling))).await {
                Poll::Ready(sent) => {
                    drop(kept.swap_remove(at));
                    sent?;
                    counted.lock().sent += 1;
                }
                Poll::Pending => at += 1,
            },
            _ => at += 1,
        }
    }
    Ok(())
}

async fn hoard(ctx: &Context, mut dice: Dice, targets: u64, counted: &Counted) -> Result<()> {
    let mut kept = Kept::new();
    for _ in 0..150 {
        match dice.roll(5) {
            0 => ctx.sleep(Duration::from_micros(dice.roll(1500))).await,
            1 => ctx.yield_now().await,
            _ => {
                let wait = dice.roll(4) / 3 * dice.roll(2000);
                let to = format!("target-{}", dice.roll(targets));
                kept.push(Box::pin(ctx.send_message(to, wait)));
            }
        }
        look_after(&mut kept, &mut dice, counted).await?;
    }
    see_through(kept, counted).await
}

/// Waits for all of them at the same time: what one was granted may be what another waits for.
async fn see_through(mut kept: Kept<'_>, counted: &Counted) -> Result<()> {
    poll_fn(|polling| {
        let mut at = 0;
        while at < kept.len() {
            match kept[at].as_mut().poll(polling) {
                Poll::Pending => at += 1,
                Poll::Ready(sent) => {
                    drop(kept.swap_remove(at));
                    sent?;
                    counted.lock().sent += 1;
                }
            }
        }
        match kept.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    })
    .await
}

fn limits(dice: &mut Dice) -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + dice.roll(4) as u32;
    limits.link_credits = 1 + dice.roll(4) as u32;
    limits.links_max = 1 + dice.roll(3) as u32;
    limits.ring_slots = 8;
    limits
}

async fn play(ctx: &Context, mut dice: Dice, counted: &Counted) -> Result<()> {
    let targets = 3 + dice.roll(4);
    for number in 0..targets {
        let target = Target(Arc::clone(counted));
        ctx.start_worker(format!("target-{number}"), target).await?;
    }
    let hoarders = 2 + dice.roll(5);
    let done = Arc::new(Mutex::new(0));
    for number in 0..hoarders {
        let core = number as usize % ctx.cores();
        let (dice, counted) = (Dice(dice.roll(u64::MAX)), Arc::clone(counted));
        let done = Arc::clone(&done);
        let work = async move |ctx: Context| {
            if let Err(error) = hoard(&ctx, dice, targets, &counted).await {
                panic!("a target is gone: {error}");
            }
            *done.lock() += 1;
        };
        let handle = ctx.handle();
        ctx.spawn(async move { drop(handle.run_on(core, work).await) });
    }
    for _ in 0..10_000 {
        if *done.lock() == hoarders {
            return ctx.stop().await;
        }
        ctx.sleep(Duration::from_millis(1)).await;
    }
    Err(Error::other("some wait for ever"))
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let limits = limits(&mut dice);
    let cores = 1 + dice.roll(3) as u16;
    let counted = Counted::default();
    let count = Arc::clone(&counted);
    let sim = Sim::new(seed).cores(cores).limits(limits);
    let report = sim.run(async move |ctx: Context| play(&ctx, dice, &count).await);
    if let Err(error) = &report.output {
        panic!("seed {seed}: {error}: {:#?}", report.stats);
    }
    let Counts { sent, handled } = *counted.lock();
    // A message can be on its way already when it is given up.
    assert!(
        handled >= sent,
        "seed {seed}: {sent} sent, {handled} handled"
    );
}

/// G3 and G5 for sends that are begun, kept, and given up.
#[test]
fn random_hoarders_come_to_their_end() {
    for_each_seed(1500, run);
}
