//! Messages that are put back by who had them in hand, and then panics or is stopped (G3, G14): each is reported once, if it
//! is not handled.

#[path = "random/dice.rs"]
mod dice;

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, Error, Group, Limits, Overflow, Reason, Result, Routed, Supervision, Worker,
    local_message,
};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

use dice::{Dice, for_each_seed};

/// Puts what it is given back, and then panics or waits.
struct Returns {
    panics: bool,
}

impl Worker for Returns {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 0 {
            panic!("asked to");
        }
        ctx.put_back(msg);
        assert!(!self.panics, "asked to");
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    }
}

/// G3: it waits when its worker panics, and is reported for that alone.
#[test]
fn g3_a_message_that_was_put_back_is_not_in_hand() {
    for is_supervised in [false, true] {
        let report = Sim::new(1)
            .on_undelivered(|_| {})
            .run(async move |ctx: Context| {
                let build = || Returns { panics: true };
                match is_supervised {
                    false => ctx.start_worker("returns", build()).await?,
                    true => {
                        let terms = Supervision::transient();
                        ctx.start_supervised("returns", terms, build).await?;
                    }
                }
                ctx.send_message("returns", 1u64).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                ctx.stop().await
            });
        report.output.expect("the books are right");
        assert_eq!(report.stats.undelivered(Reason::Panicked), 1);
        assert_eq!(report.stats.undelivered_total(), 1);
    }
}

/// G3: one that was put back, and dropped for a newer one since, is reported for that alone.
#[test]
fn g3_a_message_that_was_put_back_and_dropped_is_not_in_hand() {
    struct Panics;

    impl Worker for Panics {
        type Message = u64;
        type Context = Context;

        fn overflow(&self) -> Overflow {
            Overflow::DropOldest
        }

        async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
            ctx.put_back(msg);
            ctx.sleep(Duration::from_millis(1)).await;
            panic!("asked to");
        }
    }

    let mut limits = Limits::default();
    limits.mailbox_credits = 1;
    let sim = Sim::new(1).limits(limits).on_undelivered(|_| {});
    let report = sim.run(async |ctx: Context| {
        ctx.start_worker("panics", Panics).await?;
        ctx.send_message("panics", 1u64).await?;
        ctx.yield_now().await;
        ctx.send_message("panics", 2u64).await?;
        ctx.sleep(Duration::from_secs(1)).await;
        ctx.stop().await
    });
    report.output.expect("the books are right");
    assert_eq!(report.stats.undelivered(Reason::Overflow), 1);
    assert_eq!(report.stats.undelivered(Reason::Panicked), 1);
    assert_eq!(report.stats.undelivered_total(), 2);
}

/// G14: a group takes its worker down, which comes back and is given the message again.
#[test]
fn g14_a_message_that_was_put_back_outlives_a_restart() {
    let report = Sim::new(1)
        .on_undelivered(|_| {})
        .run(async |ctx: Context| {
            let terms = Supervision::transient;
            let build = || Returns { panics: false };
            let group = Group::one_for_all()
                .worker("returns", terms(), build)
                .worker("fails", terms(), build);
            ctx.start_group("group", group).await?;
            ctx.send_message("returns", 1u64).await?;
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.send_message("fails", 0u64).await?;
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop_now().await
        });
    report.output.expect("the books are right");
    assert_eq!(report.stats.undelivered(Reason::InHand), 1, "the other's");
    assert_eq!(report.stats.undelivered(Reason::NodeStopped), 1);
}

/// Counts itself where it is dropped, unless it was dealt with.
struct Parcel {
    lost: Arc<AtomicU64>,
    is_done: bool,
}

local_message!(Parcel);

impl Drop for Parcel {
    fn drop(&mut self) {
        if !self.is_done {
            // Relaxed: a sum, read when all has ended.
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Receives, keeps and puts back as it comes, and does not always come to an end.
struct Juggler {
    dice: Dice,
    is_supervised: bool,
    kept: Vec<Routed<Parcel>>,
}

/// What a call was given. Of a worker without supervision it counts as handled when that is cancelled.
struct Given<'a>(Option<Routed<Parcel>>, &'a bool);

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if let Some(parcel) = &mut self.0
            && !*self.1
            && !std::thread::panicking()
        {
            parcel.is_done = true;
        }
    }
}

impl Worker for Juggler {
    type Message = Parcel;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Parcel>) -> Result<()> {
        let mut given = Given(Some(msg), &self.is_supervised);
        let mut received = Vec::new();
        let wait = Duration::from_micros(self.dice.roll(50));
        for _ in 0..self.dice.roll(6) {
            match self.dice.roll(9) {
                0 => given.0.take().into_iter().for_each(|it| ctx.put_back(it)),
                // What it has put back may be reported if it is received again.
                1 | 2 if self.is_supervised || given.0.is_some() => {
                    if let Ok(mut parcel) = ctx.receive_timeout::<Parcel>(wait).await {
                        parcel.is_done = true;
                        received.push(parcel);
                    }
                }
                3 => {
                    let back = received.pop().into_iter();
                    back.for_each(|mut parcel| {
                        parcel.is_done = false;
                        ctx.put_back(parcel);
                    });
                }
                // Without supervision it is not noted which it is that is put back.
                4 if self.is_supervised => self.kept.extend(given.0.take()),
                5 if self.is_supervised && self.kept.len() > 1 => {
                    let mut parcel = self.kept.remove(0);
                    parcel.is_done = false;
                    ctx.put_back(parcel);
                }
                6 => ctx.sleep(wait).await,
                7 if self.dice.roll(4) == 0 => panic!("as it comes"),
                _ => {}
            }
        }
        self.kept
            .iter_mut()
            .for_each(|parcel| parcel.is_done = true);
        given.0.iter_mut().for_each(|parcel| parcel.is_done = true);
        match self.dice.roll(8) {
            0 => Err(Error::other("as it comes")),
            _ => Ok(()),
        }
    }
}

async fn start(ctx: &Context, dice: &mut Dice) -> Result<()> {
    let juggler = |dice: &Dice, is_supervised| {
        let dice = dice.clone();
        move || Juggler {
            dice: Dice(dice.0 + 1),
            is_supervised,
            kept: Vec::new(),
        }
    };
    let terms = Supervision::transient().intensity(10, Duration::from_millis(100));
    match dice.roll(3) {
        0 => ctx.start_worker_with("juggler", juggler(dice, false)).await,
        1 => {
            let build = juggler(dice, true);
            ctx.start_supervised("juggler", terms, build).await
        }
        _ => {
            let group = Group::one_for_all().intensity(10, Duration::from_millis(100));
            let group = group
                .worker("juggler", terms.clone(), juggler(dice, true))
                .worker("other", terms, juggler(&Dice(dice.roll(1000)), true));
            ctx.start_group("group", group).await
        }
    }
}

async fn play(ctx: Context, mut dice: Dice, lost: Arc<AtomicU64>) -> Result<()> {
    start(&ctx, &mut dice).await?;
    for _ in 0..60 {
        let parcel = Parcel {
            lost: Arc::clone(&lost),
            is_done: false,
        };
        let to = ["juggler", "other"][dice.roll(4) as usize / 3];
        let wait = Duration::from_micros(dice.roll(100));
        let sent = match dice.roll(4) {
            0 => ctx.request::<u64>(to, parcel).within(wait).await.map(drop),
            1 => ctx.send_urgent(to, parcel).await,
            _ => ctx.send_message(to, parcel).await,
        };
        if let Some(Ok(mut parcel)) = sent.err().map(Error::into_message::<Parcel>) {
            parcel.is_done = true;
        }
        match dice.roll(8) {
            0 => ctx.sleep(wait).await,
            1 if dice.roll(20) == 0 => drop(ctx.stop_worker_now("juggler").await),
            _ => {}
        }
    }
    ctx.sleep(Duration::from_micros(dice.roll(1000))).await;
    match dice.roll(2) {
        0 => ctx.stop().await,
        _ => ctx.stop_now().await,
    }
}

/// G3, G14: whatever is received, kept and put back, each message is dealt with or reported, and none is both.
#[test]
fn g3_what_is_put_back_is_handled_or_reported_once() {
    for_each_seed(300, |seed| {
        let lost: Arc<AtomicU64> = Arc::default();
        let seen = Arc::clone(&lost);
        let mut dice = Dice(seed);
        let sim = Sim::new(seed).cores(1 + dice.roll(3) as u16);
        let sim = sim.drain(Duration::from_millis(1)).on_undelivered(|_| {});
        let report = sim.run(async move |ctx: Context| play(ctx, dice, lost).await);
        report.output.expect("the books are right");
        // Relaxed: all has ended.
        let lost = seen.load(Ordering::Relaxed);
        assert_eq!(lost, report.stats.undelivered_total(), "seed {seed}");
    });
}
