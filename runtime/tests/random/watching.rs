//! Watches of workers that start, fail, come back and end as it comes, under few names (G13): each brings one message, or
//! none if it was given up in time; and the books are right (G3).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, Ended, Error, Group, Limits, Outcome, Overflow, Result, Routed, Supervision, Worker,
    local_message, route,
};

use crate::dice::{Dice, for_each_seed};

const NAMES: u64 = 6;

fn name(dice: &mut Dice) -> String {
    format!("fickle-{}", dice.roll(NAMES))
}

fn soon(dice: &mut Dice) -> Duration {
    Duration::from_micros(dice.roll(40))
}

async fn pause(ctx: &Context, wait: Duration) -> Result<()> {
    ctx.sleep(wait).await;
    Ok(())
}

/// Does anything, and does not always come to an end.
#[derive(Clone)]
struct Fickle(Dice, Overflow);

impl Worker for Fickle {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.1
    }

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        match self.0.roll(12) {
            0 => Err(Error::other("as it comes")),
            1 => panic!("as it comes"),
            2 => pause(ctx, soon(&mut self.0)).await,
            _ => Ok(()),
        }
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let wait = soon(&mut self.0);
        match self.0.roll(14) {
            0 => panic!("as it comes"),
            1 => ctx.stop_worker(ctx.address()).await,
            2 => Err(Error::other("as it comes")),
            3 => pause(ctx, wait).await,
            4 => ctx.try_send_message(name(&mut self.0), 1u64),
            5 => {
                ctx.put_back(msg);
                ctx.sleep(wait).await;
                assert!(self.0.roll(3) > 0, "as it comes");
                Ok(())
            }
            6 => ctx.send_message(msg.reply(), 9u64).await,
            7 => ctx.forward(msg).await,
            8 => {
                let received = ctx.receive_timeout::<u64>(wait).await?;
                match self.0.roll(3) {
                    0 => {
                        ctx.put_back(received);
                        Ok(())
                    }
                    1 => ctx.relay(received, name(&mut self.0)).await,
                    _ => panic!("as it comes"),
                }
            }
            _ => Ok(()),
        }
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        match self.0.roll(6) {
            0 => panic!("as it comes"),
            1 => pause(ctx, soon(&mut self.0)).await,
            _ => Ok(()),
        }
    }
}

/// News for the watch of this number.
struct News(u64);

local_message!(News);

/// Starts a worker, or several, in one of all ways.
async fn start(ctx: &Context, dice: &mut Dice) -> Result<()> {
    let overflows = [
        Overflow::Wait,
        Overflow::Refuse,
        Overflow::DropNewest,
        Overflow::DropOldest,
    ];
    let fickle = Fickle(Dice(dice.roll(1 << 40)), overflows[dice.roll(4) as usize]);
    let (to, core) = (name(dice), dice.roll(ctx.cores() as u64) as usize);
    let again = fickle.clone();
    let build = move || again.clone();
    match dice.roll(5) {
        0 => ctx.start_worker(to, fickle).await,
        1 => ctx.start_worker_on(core, to, fickle).await,
        2 => ctx.start_replicated(to, build).await,
        3 => {
            let terms = Supervision::permanent().on_error(Outcome::Restart);
            let terms = terms.intensity(3, Duration::from_secs(1));
            ctx.start_supervised(to, terms, build).await
        }
        _ => {
            let kinds = [Group::one_for_all, Group::one_for_one, Group::rest_for_one];
            let (mild, strict) = (Supervision::transient(), Supervision::permanent());
            let group = kinds[dice.roll(3) as usize]()
                .worker(name(dice), mild, build.clone())
                .worker(name(dice), strict.on_error(Outcome::Escalate), build)
                .intensity(3, Duration::from_secs(1));
            ctx.start_group(to, group).await
        }
    }
}

/// One who watches, and what is known of its watches.
struct Watcher {
    ctx: Context,
    dice: Dice,
    begun: u64,
    given_up: Vec<u64>,
}

impl Watcher {
    async fn watch(&mut self) -> Result<()> {
        let number = self.begun;
        self.begun += 1;
        let to = name(&mut self.dice);
        let tell = move |_: Ended| News(number);
        let watch = self.ctx.watch_as(to, tell).await?;
        if self.dice.roll(3) == 0 {
            self.ctx.sleep(soon(&mut self.dice)).await;
            if self.ctx.unwatch(watch) {
                self.given_up.push(number);
            }
        }
        Ok(())
    }

    async fn play(mut self) -> Result<()> {
        for _ in 0..60 {
            let (to, wait) = (name(&mut self.dice), soon(&mut self.dice));
            let ctx = &self.ctx;
            // What comes of it is as it comes.
            match self.dice.roll(16) {
                0..=3 => drop(start(ctx, &mut self.dice).await),
                4 => drop(ctx.stop_worker(to).await),
                5 => drop(ctx.stop_worker_now(to).await),
                6..=9 => self.watch().await?,
                10 => ctx.sleep(wait).await,
                11 => drop(ctx.request::<u64>(&*to, 1u64).within(wait).await),
                12 => drop(ctx.send_urgent(&*to, 1u64).await),
                13 => {
                    let way = route![&*to, name(&mut self.dice)];
                    drop(ctx.request::<u64>(way, 1u64).urgent().within(wait).await);
                }
                _ => (0..self.dice.roll(30)).for_each(|_| {
                    drop(ctx.try_send_message(&*to, 1u64));
                }),
            }
        }
        self.conclude().await
    }

    /// Ends all workers, and counts what is told.
    async fn conclude(mut self) -> Result<()> {
        for round in 1..20 {
            for number in 0..NAMES {
                drop(self.ctx.stop_worker_now(format!("fickle-{number}")).await);
            }
            self.ctx.sleep(Duration::from_millis(50 * round)).await;
        }
        let (mut told, long) = (Vec::new(), Duration::from_secs(1));
        while let Ok(news) = self.ctx.receive_timeout::<News>(long).await {
            told.push(news.0);
        }
        told.append(&mut self.given_up);
        told.sort_unstable();
        let all: Vec<_> = (0..self.begun).collect();
        assert_eq!(told, all, "each is told of once, or was given up");
        Ok(())
    }
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + dice.roll(8) as u32;
    limits.link_credits = 1 + dice.roll(8) as u32;
    limits.worker_burst = 1 + dice.roll(8) as u32;
    limits.turn_messages = 1 + dice.roll(16) as u32;
    let sim = Sim::new(seed).cores(1 + dice.roll(3) as u16).limits(limits);
    let sim = sim.rare_paths(seed).on_undelivered(|_| {});
    let report = sim.run(async move |mut ctx: Context| {
        let watchers = 1 + dice.roll(3);
        for number in 0..watchers {
            let (own, done) = (ctx.detached()?, ctx.address());
            let watcher = Watcher {
                ctx: ctx.detached()?,
                dice: Dice(dice.roll(1 << 40) + number),
                begun: 0,
                given_up: Vec::new(),
            };
            ctx.spawn(async move {
                watcher.play().await.expect("it can watch");
                own.send_message(done, true).await.expect("there is room");
            });
        }
        for _ in 0..watchers {
            ctx.receive_timeout::<bool>(Duration::from_secs(3600))
                .await?;
        }
        ctx.stop().await
    });
    report
        .output
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

#[test]
fn g13_each_watch_brings_one_message_whatever_becomes_of_the_worker() {
    for_each_seed(150, run);
}
