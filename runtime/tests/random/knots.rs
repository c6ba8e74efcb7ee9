//! Programs of workers that wait for several others at the same time, for room, for urgent room and for replies, in whosever
//! name: whoever can go on does, each worker that is part of a circle is named within a second, with waits that there are,
//! and nobody else; and the same seed tells the same circles (G5, G12).

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Result, Routed, WaitCycle, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::dice::{Dice, for_each_seed};

/// How much of anything there may be.
const FEW: u32 = 4;
/// Told to begin.
const GO: u64 = 1;
/// Asked.
const QUESTION: u64 = 2;
/// Takes room.
const FILLING: u64 = 3;
const SHORT: Duration = Duration::from_millis(1);

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = FEW;
    limits.link_credits = FEW;
    limits.urgent_credits = FEW;
    limits.outside_credits = FEW;
    limits.ring_slots = 16;
    limits
}

fn name(number: usize) -> String {
    format!("knot-{number}")
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Fill,
    FillUrgent,
    Ask,
    AskUrgent,
}

/// What is done to whom, and whether in the name of a detached context.
#[derive(Debug, Clone, Copy)]
struct Wish {
    of: usize,
    deed: Deed,
    is_detached: bool,
}

impl Wish {
    fn draw(count: usize, dice: &mut Dice) -> Self {
        let deeds = [Deed::Fill, Deed::FillUrgent, Deed::Ask, Deed::AskUrgent];
        Self {
            of: dice.roll(count as u64) as usize,
            deed: deeds[dice.roll(4) as usize],
            is_detached: dice.roll(2) == 0,
        }
    }

    /// Does it, as often as there can be no room for.
    async fn fulfil(self, ctx: &Context) -> Result<()> {
        let (detached, of) = (ctx.detached()?, name(self.of));
        let from = if self.is_detached { &detached } else { ctx };
        for _ in 0..16 * FEW {
            match self.deed {
                Deed::Fill => from.send_message(of.as_str(), FILLING).await?,
                Deed::FillUrgent => from.send_urgent(of.as_str(), FILLING).await?,
                Deed::Ask => return from.request::<u64>(of, QUESTION).await.map(drop),
                Deed::AskUrgent => {
                    let asked = from.request::<u64>(of, QUESTION).urgent();
                    return asked.await.map(drop);
                }
            }
        }
        Ok(())
    }

    /// What may be told of it. A question waits for room too.
    fn waits(self, who: usize) -> Vec<String> {
        let awaited: &[&str] = match self.deed {
            Deed::Fill => &["room at"],
            Deed::FillUrgent => &["urgent room at"],
            Deed::Ask => &["room at", "a reply of"],
            Deed::AskUrgent => &["urgent room at", "a reply of"],
        };
        let (who, of) = (name(who), name(self.of));
        let wait = |what| format!("0#{who} waits for {what} 0#{of}");
        awaited.iter().map(wait).collect()
    }
}

struct Knot {
    number: usize,
    wishes: Vec<Wish>,
    /// Whose wishes have all come true.
    done: Arc<Mutex<BTreeSet<usize>>>,
}

impl Worker for Knot {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg != GO {
            let is_asked = *msg == QUESTION;
            return if is_asked {
                ctx.send_message(msg.reply(), QUESTION).await
            } else {
                Ok(())
            };
        }
        // By then all have been told.
        ctx.sleep(SHORT).await;
        let ctx: &Context = ctx;
        let wish = |wish: &Wish| Box::pin(wish.fulfil(ctx)) as Pin<Box<dyn Future<Output = _>>>;
        let mut doings: Vec<_> = self.wishes.iter().map(wish).collect();
        poll_fn(|polling| {
            doings.retain_mut(|doing| doing.as_mut().poll(polling).is_pending());
            if doings.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.done.lock().insert(self.number);
        Ok(())
    }
}

/// What each does to others, at the same time, and to each of them one thing.
struct Plan(Vec<Vec<Wish>>);

impl Plan {
    fn draw(dice: &mut Dice) -> Self {
        let count = 2 + dice.roll(6) as usize;
        let wishes = |who| {
            let mut of: BTreeSet<usize> = BTreeSet::from([who]);
            let mut wishes: Vec<_> = (0..dice.roll(4)).map(|_| Wish::draw(count, dice)).collect();
            wishes.retain(|wish| of.insert(wish.of));
            wishes
        };
        Self((0..count).map(wishes).collect())
    }

    /// Who can go on: who waits only for those who can.
    fn free(&self) -> BTreeSet<usize> {
        let mut free = BTreeSet::new();
        for _ in 0..self.0.len() {
            let goes_on = |who: &usize| self.0[*who].iter().all(|wish| free.contains(&wish.of));
            free = (0..self.0.len()).filter(goes_on).collect();
        }
        free
    }

    /// Who comes back to itself, from whom to whom of those it waits for.
    fn is_in_circle(&self, who: usize) -> bool {
        let mut reached = BTreeSet::from([who]);
        for _ in 0..self.0.len() {
            let next = reached.iter().flat_map(|at: &usize| &self.0[*at]);
            let next: Vec<_> = next.map(|wish| wish.of).collect();
            if next.contains(&who) {
                return true;
            }
            reached.extend(next);
        }
        false
    }
}

/// Plays it, and says which circles were told, and who has come to an end.
fn play(seed: u64, plan: &Plan, mut dice: Dice) -> (Vec<WaitCycle>, BTreeSet<usize>) {
    let (told, done) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
    let knot = |(number, wishes): (usize, &Vec<Wish>)| Knot {
        number,
        wishes: wishes.clone(),
        done: Arc::clone(&done),
    };
    let knots: Vec<_> = plan.0.iter().enumerate().map(knot).collect();
    let hook = Arc::clone(&told);
    let sim = Sim::new(seed)
        .cores(1 + dice.roll(3) as u16)
        .limits(tight());
    let sim = sim.on_wait_cycle(move |cycle| hook.lock().push(cycle.clone()));
    let (seen, ended) = (Arc::clone(&told), Arc::clone(&done));
    let report = sim.run(async move |ctx: Context| {
        let count = knots.len();
        for knot in knots {
            let core = dice.roll(ctx.cores() as u64) as usize;
            ctx.start_worker_on(core, name(knot.number), knot).await?;
        }
        for number in 0..count {
            ctx.send_message(name(number), GO).await?;
        }
        ctx.sleep(Duration::from_secs(1) + 2 * SHORT).await;
        let (told, done) = (seen.lock().clone(), ended.lock().clone());
        ctx.stop_now().await.map(|()| (told, done))
    });
    report.output.unwrap()
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let plan = Plan::draw(&mut dice);
    let (told, done) = play(seed, &plan, dice.clone());
    let what = format!("seed {seed}: {:?} {told:?}", plan.0);
    assert_eq!(play(seed, &plan, dice).0, told, "{what}: twice the same");
    let free = plan.free();
    assert_eq!(done, free, "{what}");
    let stuck = (0..plan.0.len()).filter(|who| !free.contains(who));
    let circling: BTreeSet<_> = stuck.filter(|who| plan.is_in_circle(*who)).collect();
    let (mut named, mut waits) = (BTreeSet::new(), BTreeSet::new());
    for wait in told.iter().flat_map(|cycle| &cycle.waits) {
        named.insert(wait.worker.to_string());
        // Else it is the forwarder at the home of a name, which waits for the worker elsewhere.
        if wait.worker != wait.of {
            waits.insert(wait.to_string());
        }
    }
    let names = circling.iter().map(|who| format!("0#{}", name(*who)));
    assert_eq!(named, names.collect(), "{what}");
    let true_waits = circling.iter().flat_map(|who| {
        let of_them = plan.0[*who]
            .iter()
            .filter(|wish| circling.contains(&wish.of));
        of_them.flat_map(|wish| wish.waits(*who))
    });
    let true_waits: BTreeSet<_> = true_waits.collect();
    let untrue: Vec<_> = waits.difference(&true_waits).collect();
    assert!(untrue.is_empty(), "{what}: {untrue:?}");
}

#[test]
fn g5_who_waits_for_several_is_named_in_each_circle() {
    for_each_seed(300, run);
}
