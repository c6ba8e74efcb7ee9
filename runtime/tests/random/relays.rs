//! Programs whose names live away from their homes, so that their messages pass by a relay: credits are
//! scarce, workers are stopped in the middle, and the node ends early. Each accepted message is handled
//! or reported, once, as its sender's; and nobody who asks is left without an answer (G3).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Any, Context, Error, ErrorKind, Limits, Reason, Result, Routed, Undelivered, Worker,
};
use ringpost_mailbox::sync::Mutex;

use crate::dice::{Dice, for_each_seed};

/// What is sent and counted.
type Parcel = u32;
/// What is asked.
type Question = u64;
/// What is answered.
type Answer = u16;

const NAMES: u64 = 4;
/// Far longer than any program runs.
const DEADLINE: Duration = Duration::from_secs(100);

fn name(number: u64) -> String {
    format!("away-{number}")
}

/// What became of the parcels, and what should not have happened.
#[derive(Debug, Default)]
struct Ledger {
    accepted: u64,
    taken: u64,
    reported: u64,
    /// Whether the node ends, which answers everybody at once.
    ending: bool,
    complaints: Vec<String>,
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Ledger>>);

impl Book {
    fn note<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        change(&mut self.0.lock())
    }

    fn report(&self, lost: &Undelivered) {
        self.note(|ledger| {
            if lost.type_name == std::any::type_name::<Parcel>() {
                ledger.reported += 1;
            }
            let is_relays = lost.from.to_string().contains("away-");
            if is_relays || lost.reason == Reason::LateReply && !ledger.ending {
                ledger.complaints.push(format!("{lost:?}"));
            }
        });
    }
}

/// Takes its time, and does not answer every question.
struct Slow {
    dice: Dice,
    book: Book,
}

impl Worker for Slow {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        if msg.is::<Parcel>() {
            self.book.note(|ledger| ledger.taken += 1);
        }
        ctx.sleep(Duration::from_micros(self.dice.roll(300))).await;
        if msg.is::<Parcel>() {
            return Ok(());
        }
        match self.dice.roll(8) {
            0 => {}
            1 => return Err(Error::other("fails at random")),
            2 if self.dice.roll(4) == 0 => panic!("panics at random"),
            3 => later(ctx, self.dice.roll(300), move |_| drop(msg))?,
            5 => {
                let back = msg.reply();
                let answer = move |own: &Context| own.try_send_message(back, Answer::MAX);
                later(ctx, self.dice.roll(300), move |own| drop(answer(own)))?;
            }
            4 => {
                let back = msg.reply();
                drop(msg);
                ctx.sleep(Duration::from_micros(self.dice.roll(300))).await;
                return Err(Error::other(format!("knows the way back: {back}")));
            }
            _ => return ctx.send_message(msg.reply(), Answer::MAX).await,
        }
        Ok(())
    }
}

/// Does something when the handler has long returned.
fn later(ctx: &Context, micros: u64, work: impl FnOnce(&Context) + 'static) -> Result<()> {
    let own = ctx.detached()?;
    ctx.spawn(async move {
        own.sleep(Duration::from_micros(micros)).await;
        work(&own);
    });
    Ok(())
}

/// Has a name live somewhere, for a while.
async fn host(ctx: &Context, dice: &mut Dice, book: &Book) {
    let slow = Slow {
        dice: dice.clone(),
        book: book.clone(),
    };
    let name = name(dice.roll(NAMES));
    let core = dice.roll(ctx.cores() as u64) as usize;
    match dice.roll(8) {
        0 => drop(ctx.stop_worker(name).await),
        1..=2 => drop(ctx.stop_worker_now(name).await),
        3..=6 => drop(ctx.start_worker_on(core, name, slow).await),
        _ => {
            let Ok(mut side) = ctx.new_detached(name).await else {
                return;
            };
            for _ in 0..dice.roll(20) {
                let wait = Duration::from_micros(200);
                if side.receive_timeout::<Parcel>(wait).await.is_ok() {
                    book.note(|ledger| ledger.taken += 1);
                }
            }
        }
    }
}

async fn send(ctx: &Context, dice: &mut Dice, book: &Book) {
    let name = name(dice.roll(NAMES));
    for _ in 0..dice.roll(30) {
        if dice.roll(8) == 0 {
            let asked = ctx.request::<Answer>(&*name, Question::MAX);
            if let Err(error) = asked.within(DEADLINE).await
                && matches!(error.kind(), ErrorKind::Timeout { .. })
            {
                book.note(|ledger| ledger.complaints.push(error.to_string()));
            }
        } else if ctx.send_message(&*name, Parcel::MAX).await.is_ok() {
            book.note(|ledger| ledger.accepted += 1);
        }
    }
    ctx.sleep(Duration::from_micros(dice.roll(500))).await;
}

fn limits(dice: &mut Dice) -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 1 + dice.roll(8) as u32;
    limits.link_credits = 1 + dice.roll(4) as u32;
    limits.links_max = 1 + dice.roll(4) as u32;
    limits
}

/// Runs hosts and senders side by side; the node ends while they are at it.
async fn play(ctx: Context, mut dice: Dice, book: Book) -> Result<()> {
    for player in 0..2 + dice.roll(5) {
        let own = ctx.detached()?;
        let mut dice = Dice(dice.0 ^ (player << 32));
        let book = book.clone();
        ctx.spawn(async move {
            for _ in 0..40 {
                match player {
                    0 => host(&own, &mut dice, &book).await,
                    _ => send(&own, &mut dice, &book).await,
                }
                own.sleep(Duration::from_micros(dice.roll(200))).await;
            }
        });
    }
    ctx.sleep(Duration::from_micros(dice.roll(20_000))).await;
    let end = dice.roll(3);
    if end == 0 {
        // The senders are left to come to their end; a request without an answer would show.
        ctx.sleep(2 * DEADLINE).await;
    }
    book.note(|ledger| ledger.ending = true);
    match end {
        1 => ctx.stop_now().await,
        _ => ctx.stop().await,
    }
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let limits = limits(&mut dice);
    let book = Book::default();
    let (hook, own) = (book.clone(), book.clone());
    let report = Sim::new(seed)
        .cores(2 + dice.roll(3) as u16)
        .limits(limits)
        .drain(Duration::from_micros(dice.roll(5_000)))
        .on_undelivered(move |lost| hook.report(lost))
        .run(async move |ctx: Context| play(ctx, dice, own).await);
    if let Err(error) = &report.output {
        panic!("seed {seed}: {error}");
    }
    book.note(|ledger| {
        assert!(
            ledger.complaints.is_empty() && ledger.accepted == ledger.taken + ledger.reported,
            "seed {seed}: {ledger:#?}, {:#?}",
            report.stats
        );
    });
}

/// G3 where messages are relayed.
#[test]
fn random_relays_lose_nothing() {
    for_each_seed(300, run);
}
