//! Programs of workers that ask each other, each another at the most, by their own contexts and in the names of others: who
//! asks itself is refused, whoever can be answered is, and the circles that are left are named, and nothing else (G5).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, ErrorKind, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::dice::{Dice, for_each_seed};

/// What came of it, by worker.
type Book = Arc<Mutex<Vec<(usize, Outcome)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Answered,
    Refused,
    Failed,
}

/// Told to begin.
const GO: u64 = 1;
/// Asked.
const QUESTION: u64 = 2;
const SHORT: Duration = Duration::from_millis(1);

fn name(number: usize) -> String {
    format!("asker-{number}")
}

struct Asker {
    number: usize,
    of: Option<usize>,
    dice: Dice,
    book: Book,
}

impl Asker {
    async fn ask(&mut self, ctx: &Context, of: String) -> Result<u64> {
        let is_urgent = self.dice.roll(3) == 0;
        let by_handle = self.dice.roll(3) == 0;
        if by_handle {
            let handle = ctx.handle();
            return match is_urgent {
                true => handle.request_urgent(of, QUESTION).await,
                false => handle.request(of, QUESTION).await,
            };
        }
        let detached = ctx.detached()?;
        let from = if self.dice.roll(2) == 0 {
            ctx
        } else {
            &detached
        };
        match is_urgent {
            true => from.request(of, QUESTION).urgent().await,
            false => from.request(of, QUESTION).await,
        }
    }
}

impl Worker for Asker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == QUESTION {
            return ctx.send_message(msg.reply(), QUESTION).await;
        }
        let Some(of) = self.of else { return Ok(()) };
        // By then all have been told.
        ctx.sleep(SHORT).await;
        let outcome = match self.ask(ctx, name(of)).await {
            Ok(_) => Outcome::Answered,
            Err(error) if matches!(error.kind(), ErrorKind::WaitsForItself { .. }) => {
                Outcome::Refused
            }
            Err(_) => Outcome::Failed,
        };
        self.book.lock().push((self.number, outcome));
        Ok(())
    }
}

/// Whom each asks.
struct Plan(Vec<Option<usize>>);

impl Plan {
    fn draw(dice: &mut Dice) -> Self {
        let count = 2 + dice.roll(7);
        let of = |_| (dice.roll(5) > 0).then(|| dice.roll(count) as usize);
        Self((0..count).map(of).collect())
    }

    /// Where one comes that goes on from whom to whom, as long as there is somebody and no more often than there are workers.
    fn end_of(&self, from: usize) -> Option<usize> {
        let next = |at: usize| self.0[at].filter(|of| *of != at);
        (0..self.0.len()).try_fold(from, |at, _| next(at))
    }

    /// What is to be told of each circle of two and more.
    fn circles(&self) -> BTreeSet<BTreeSet<String>> {
        let ends = (0..self.0.len()).filter_map(|from| self.end_of(from));
        ends.map(|start| {
            let around =
                std::iter::successors(Some(start), |at| self.0[*at].filter(|of| *of != start));
            let wait = |at: usize| {
                Some(format!(
                    "0#{} waits for a reply of 0#{}",
                    name(at),
                    name(self.0[at]?)
                ))
            };
            around.filter_map(wait).collect()
        })
        .collect()
    }

    /// What comes of each that comes to an end.
    fn outcomes(&self) -> Vec<(usize, Outcome)> {
        let ending = (0..self.0.len()).filter(|from| self.end_of(*from).is_none());
        let outcome = |from: usize| match self.0[from]? == from {
            true => Some((from, Outcome::Refused)),
            false => Some((from, Outcome::Answered)),
        };
        ending.filter_map(outcome).collect()
    }
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let (plan, book) = (Plan::draw(&mut dice), Book::default());
    let asker = |(number, of): (usize, &Option<usize>)| Asker {
        number,
        of: *of,
        dice: Dice(seed ^ (1 + number as u64) << 32),
        book: Arc::clone(&book),
    };
    let askers: Vec<_> = plan.0.iter().enumerate().map(asker).collect();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    let sim = Sim::new(seed).cores(1 + dice.roll(3) as u16);
    let sim = sim.on_wait_cycle(move |cycle| hook.lock().push(cycle.to_string()));
    let report = sim.run(async move |ctx: Context| {
        let count = askers.len();
        for asker in askers {
            let core = dice.roll(ctx.cores() as u64) as usize;
            ctx.start_worker_on(core, name(asker.number), asker).await?;
        }
        for number in 0..count {
            ctx.send_message(name(number), GO).await?;
        }
        ctx.sleep(Duration::from_secs(1) + 2 * SHORT).await;
        // Those whose circle the stop ends may answer others yet.
        let outcomes = book.lock().clone();
        ctx.stop_now().await?;
        Ok::<_, Error>(outcomes)
    });
    let mut outcomes = report.output.unwrap();
    let told: Vec<BTreeSet<String>> = told
        .lock()
        .iter()
        .map(|told| told.split(", ").map(str::to_owned).collect())
        .collect();
    let what = format!("seed {seed}: {:?} {told:?}", plan.0);
    assert_eq!(
        told.iter().cloned().collect::<BTreeSet<_>>(),
        plan.circles(),
        "{what}"
    );
    assert_eq!(told.len(), plan.circles().len(), "{what}");
    outcomes.sort_unstable();
    assert_eq!(outcomes, plan.outcomes(), "{what}");
}

/// G5 whoever asks in whosever name.
#[test]
fn random_circles_of_questions_are_named() {
    for_each_seed(300, run);
}
