//! Messages from another core, handled where they have arrived (`core/inbound/in_place.rs`).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Address, Context, Result, Routed, Worker};
use ringpost_mailbox::sync::{Counter, Mutex};

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Writes down that it got something.
struct Writer(&'static str, Log);

impl Worker for Writer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.1.lock().push(self.0);
        Ok(())
    }
}

/// Does so too, and tells somebody of it: of another type, as a worker goes on with what the queue has for one of its own.
struct Teller(Address, Log);

impl Worker for Teller {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.1.lock().push("first");
        ctx.send_message(&self.0, *msg).await
    }
}

/// A name whose home is the other core.
fn name_away(ctx: &Context, what: &str) -> String {
    let mut names = (0..).map(|number| format!("{what}-{number}"));
    names
        .find(|name| ctx.home(name.as_str()) != ctx.core())
        .expect("a name")
}

/// What a handler sends to its own core does not wait for all that has come from another core behind the message which it handles:
/// that goes to the queue then, behind it.
#[test]
fn g7_what_is_in_the_queue_goes_before_what_has_arrived() {
    const MANY: usize = 20;
    for seed in 0..40 {
        let log = Log::default();
        let seen = Arc::clone(&log);
        let sim = Sim::new(seed).cores(2);
        let report = sim.run(async move |ctx: Context| {
            let names = ["first", "second", "third"].map(|what| name_away(&ctx, what));
            let second = || names[1].as_str().into();
            ctx.start_worker(names[0].as_str(), Teller(second(), Arc::clone(&log)))
                .await?;
            for (name, label) in names[1..].iter().zip(["second", "third"]) {
                let writer = Writer(label, Arc::clone(&log));
                ctx.start_worker(name.as_str(), writer).await?;
            }
            // By then all that the starts have left behind is over.
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.try_send_message(names[0].as_str(), 1u64)?;
            for number in 0..MANY as u64 {
                ctx.try_send_message(names[2].as_str(), number)?;
            }
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.stop().await
        });
        report.output.expect("it stops");
        let seen = seen.lock();
        assert_eq!(seen.len(), MANY + 2, "seed {seed}");
        assert_eq!(seen[..2], ["first", "second"], "seed {seed}");
    }
}

/// Notes which of two it is, and what it got; the first tells the second of that.
struct Twin(Option<Address>, Arc<Mutex<Vec<(&'static str, u64)>>>);

impl Worker for Twin {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let label = if self.0.is_some() { "first" } else { "second" };
        self.1.lock().push((label, *msg));
        match &self.0 {
            Some(second) => ctx.send_message(second, 100 + *msg).await,
            None => Ok(()),
        }
    }
}

/// G1, G2: what lies in a ring goes to whom it is for, also where another worker of the same type has handled something since the last
/// of it: that worker's messages look the same there.
#[test]
fn g1_what_has_arrived_is_for_no_other_worker_of_the_type() {
    const MANY: u64 = 20;
    for seed in 0..40 {
        let log = Arc::default();
        let seen = Arc::clone(&log);
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let [first, second] = ["first", "second"].map(|what| name_away(&ctx, what));
            let to = Some(second.as_str().into());
            ctx.start_worker(first.as_str(), Twin(to, Arc::clone(&log)))
                .await?;
            ctx.start_worker(second, Twin(None, log)).await?;
            // By then all that the starts have left behind is over.
            ctx.sleep(Duration::from_millis(10)).await;
            for number in 0..MANY {
                ctx.try_send_message(first.as_str(), number)?;
            }
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.stop().await
        });
        report.output.expect("it stops");
        let seen = seen.lock();
        for (label, least) in [("first", 0), ("second", 100)] {
            let its = seen.iter().filter(|(who, _)| *who == label);
            let numbers: Vec<_> = its.map(|(_, number)| *number).collect();
            let all: Vec<_> = (least..least + MANY).collect();
            assert_eq!(numbers, all, "{label}, seed {seed}");
        }
    }
}

/// Answers twice, and counts which of the answers have left when they were sent.
struct Answerer([Arc<Counter>; 2]);

impl Worker for Answerer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let sent = |ctx: &Context| ctx.handle().stats().total(|core| core.sent_remote);
        for (left, answer) in self.0.iter().zip([*msg, *msg + 1]) {
            let before = sent(ctx);
            ctx.send_message(msg.reply(), answer).await?;
            left.add(sent(ctx) - before);
        }
        Ok(())
    }
}

/// Asks again when it has had an answer for a while.
struct Asker(Address);

const ROUNDS: u64 = 20;

impl Worker for Asker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        // The first of the two answers leads to the next question.
        if *msg % 2 == 1 || *msg == 2 * ROUNDS {
            return Ok(());
        }
        ctx.sleep(Duration::from_millis(1)).await;
        ctx.send_message(&self.0, *msg + 2).await
    }
}

/// Where two cores take turns, an answer leaves when it is sent, and not when its handler is done (`core/prompt.rs`); what follows
/// leaves with all else that its core has sent.
#[test]
fn an_answer_to_a_message_that_came_alone_leaves_before_its_handler_ends() {
    let mut left = [0; 2];
    for seed in 0..20 {
        let counters = [(); 2].map(|()| Arc::<Counter>::default());
        let answerer = Answerer(counters.clone());
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let name = name_away(&ctx, "answerer");
            ctx.start_worker(name.as_str(), answerer).await?;
            ctx.start_worker_on(ctx.core(), "asker", Asker(name.into()))
                .await?;
            ctx.send_message("asker", 0u64).await?;
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop().await
        });
        report.output.expect("it stops");
        for (sum, counter) in left.iter_mut().zip(&counters) {
            *sum += counter.value();
        }
    }
    // One that comes together with something else may leave later.
    assert!(left[0] > 20 * ROUNDS / 2, "{left:?}");
    assert!(left[1] < 20 * ROUNDS / 10, "{left:?}");
}

/// Sends each number to another, less one, until none is left.
struct Bouncer(Address);

impl Worker for Bouncer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        match *msg {
            0 => Ok(()),
            left => ctx.send_message(&self.0, left - 1).await,
        }
    }
}

/// What leaves at once is counted as all else is, and as a batch of its own.
#[test]
fn what_leaves_at_once_is_a_batch_of_its_own() {
    for seed in 0..20 {
        let report = Sim::new(seed).cores(2).run(async move |ctx: Context| {
            let away = name_away(&ctx, "bouncer");
            ctx.start_worker(away.as_str(), Bouncer("here".into()))
                .await?;
            let here = Bouncer(away.as_str().into());
            ctx.start_worker_on(ctx.core(), "here", here).await?;
            ctx.sleep(Duration::from_millis(10)).await;
            ctx.send_message("here", 10 * ROUNDS).await?;
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop().await
        });
        report.output.expect("it stops");
        for (here, there) in [(0, 1), (1, 0)] {
            let out = report.stats.cores[here].pairs[there];
            let received = report.stats.cores[there].pairs[here].received;
            assert_eq!(out.sent, received, "seed {seed}: {out:?}");
            assert!(out.sent >= 5 * ROUNDS, "seed {seed}: {out:?}");
            assert!(out.batches >= out.sent, "seed {seed}: {out:?}");
        }
    }
}
