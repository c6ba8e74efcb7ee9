//! Workers that wait for each other in a circle are found and named (G5), and others are not.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::{Report, Sim};
use ringpost::{Context, ErrorKind, Limits, Result, Routed, WaitCycle, Worker};
use ringpost_mailbox::sync::Mutex;

type Cycles = Arc<Mutex<Vec<WaitCycle>>>;

/// The core of a worker, or where its name belongs.
const CORES: u16 = 3;

fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.urgent_credits = 4;
    limits.ring_slots = 16;
    limits
}

/// Runs `main`, and says which circles were reported.
fn cycles_of<F>(seed: u64, main: F) -> (Vec<WaitCycle>, Report<()>)
where
    F: AsyncFnOnce(Context, Cycles) -> Result<()> + Send + 'static,
{
    let cycles = Cycles::default();
    let (hook, seen, main_sees) = (Arc::clone(&cycles), Arc::clone(&cycles), cycles);
    let sim = Sim::new(seed).cores(CORES).limits(tight());
    let sim = sim.on_wait_cycle(move |cycle| hook.lock().push(cycle.clone()));
    let report = sim.run(async move |ctx: Context| main(ctx, main_sees).await);
    let seen = std::mem::take(&mut *seen.lock());
    let counted = report.stats.total(|core| core.wait_cycles);
    assert_eq!(counted, seen.len() as u64);
    (seen, report)
}

/// Who waits for whom, as text, wherever the circle is told to begin.
fn names(cycle: &WaitCycle) -> String {
    cycle.to_string()
}

/// Sends two messages to a partner for each that it gets.
struct Doubler(&'static str);

impl Worker for Doubler {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(self.0, *msg).await?;
        ctx.send_message(self.0, *msg).await
    }
}

/// G5: two workers that fill each other's mailboxes are named within a second; the rest of the node goes on.
#[test]
fn g5_workers_that_wait_for_room_at_each_other_are_named() {
    for seed in 0..10 {
        for (left, right) in [(0, 0), (0, 1), (2, 1)] {
            let (cycles, report) = cycles_of(seed, async move |ctx, cycles| {
                ctx.start_worker_on(left, "left", Doubler("right")).await?;
                ctx.start_worker_on(right, "right", Doubler("left")).await?;
                ctx.send_message("left", 1u64).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                assert!(!cycles.lock().is_empty(), "it is told within a second");
                ctx.sleep(Duration::from_secs(60)).await;
                ctx.stop_now().await
            });
            report.output.unwrap();
            let told: Vec<_> = cycles.iter().map(names).collect();
            let all = told.join("; ");
            let what = format!("seed {seed}, {left} and {right}: {all}");
            assert_eq!(cycles.len(), 1, "{what}");
            assert!(all.contains("0#left waits for room at"), "{what}");
            assert!(all.contains("waits for room at 0#left"), "{what}");
            assert!(all.contains("0#right"), "{what}");
        }
    }
}

/// Sends an urgent message to a partner five times for each message that it gets, which is more than may wait there.
struct Presser(&'static str);

impl Worker for Presser {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..5 {
            ctx.send_urgent(self.0, *msg).await?;
        }
        Ok(())
    }
}

/// G5, G15: so are workers that wait for room for urgent messages, also where a forwarder stands between them.
#[test]
fn g5_workers_that_wait_for_urgent_room_at_each_other_are_named() {
    for seed in 0..10 {
        for places in [[0, 0, 0], [0, 1, 2], [2, 1, 1]] {
            let (cycles, report) = cycles_of(seed, async move |ctx, cycles| {
                let ways = [("a", "b"), ("b", "c"), ("c", "a")];
                for ((name, next), core) in ways.into_iter().zip(places) {
                    ctx.start_worker_on(core, name, Presser(next)).await?;
                }
                for (name, _) in ways {
                    ctx.send_message(name, 1u64).await?;
                }
                ctx.sleep(Duration::from_secs(1)).await;
                let told = cycles.lock().len();
                assert!(told > 0, "seed {seed}, {places:?}: told within a second");
                ctx.sleep(Duration::from_secs(60)).await;
                ctx.stop_now().await
            });
            report.output.unwrap();
            let told: Vec<_> = cycles.iter().map(names).collect();
            let what = format!("seed {seed}, {places:?}: {told:?}");
            assert_eq!(cycles.len(), 1, "{what}");
            for wait in [
                "0#a waits for urgent room at 0#b",
                "0#b waits for urgent room at 0#c",
                "0#c waits for urgent room at 0#a",
            ] {
                assert!(told[0].contains(wait), "{what}");
            }
        }
    }
}

/// G5, G15: a circle of which one waits for a reply, and the other for room for an urgent message.
#[test]
fn g5_a_circle_of_a_request_and_urgent_messages_is_named() {
    for seed in 0..10 {
        for (left, right) in [(0, 0), (0, 1), (2, 1)] {
            let (cycles, report) = cycles_of(seed, async move |ctx, cycles| {
                ctx.start_worker_on(left, "left", asker("right", 0)).await?;
                ctx.start_worker_on(right, "right", Presser("left")).await?;
                ctx.send_message("left", 1u64).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                let told = cycles.lock().len();
                assert!(told > 0, "seed {seed}, {left} and {right}: told");
                ctx.stop_now().await
            });
            report.output.unwrap();
            let told: Vec<_> = cycles.iter().map(names).collect();
            let what = format!("seed {seed}, {left} and {right}: {told:?}");
            assert_eq!(cycles.len(), 1, "{what}");
            for wait in [
                "0#left waits for a reply of 0#right",
                "0#right waits for urgent room at 0#left",
            ] {
                assert!(told[0].contains(wait), "{what}");
            }
        }
    }
}

/// Asks the next before it answers.
struct Asker {
    next: Option<&'static str>,
    deadline: Option<Duration>,
}

impl Worker for Asker {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let answer = match self.next {
            Some(next) => {
                let asked = ctx.request::<u64>(next, *msg);
                match self.deadline {
                    Some(deadline) => asked.within(deadline).await?,
                    None => asked.without_deadline().await?,
                }
            }
            None => *msg,
        };
        ctx.send_message(msg.reply(), answer).await
    }
}

fn asker(next: &'static str, deadline: u64) -> Asker {
    Asker {
        next: Some(next),
        deadline: (deadline > 0).then(|| Duration::from_secs(deadline)),
    }
}

/// G5: requests that go round are named, with and without a deadline, within a core and between three.
#[test]
fn g5_requests_that_go_round_in_a_circle_are_named() {
    for seed in 0..10 {
        for (places, deadline) in [([0, 0, 0], 5), ([0, 1, 2], 5), ([1, 1, 2], 0)] {
            let (cycles, report) = cycles_of(seed, async move |ctx, cycles| {
                let ways = [("a", "b"), ("b", "c"), ("c", "a")];
                for ((name, next), core) in ways.into_iter().zip(places) {
                    ctx.start_worker_on(core, name, asker(next, deadline))
                        .await?;
                }
                ctx.send_message("a", 1u64).await?;
                ctx.sleep(Duration::from_secs(1)).await;
                assert!(
                    !cycles.lock().is_empty(),
                    "{seed} {places:?} {deadline}: told within a second"
                );
                ctx.sleep(Duration::from_secs(3)).await;
                ctx.stop_now().await
            });
            report.output.unwrap();
            let told: Vec<_> = cycles.iter().map(names).collect();
            let what = format!("seed {seed}, {places:?}: {told:?}");
            assert_eq!(cycles.len(), 1, "{what}");
            // Names away from their home are reached by way of a forwarder there.
            for wait in [
                "0#a waits for a reply of 0#b",
                "0#b waits for a reply of 0#c",
                "0#c waits for a reply of 0#a",
            ] {
                assert!(told[0].contains(wait), "{what}");
            }
        }
    }
}

/// Takes its time for each message, and then tells whoever sent it, waiting for room there.
struct Teller;

impl Worker for Teller {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for _ in 0..8 {
            ctx.send_message("app", *msg).await?;
        }
        Ok(())
    }
}

/// A context that asks a worker which waits for room in that context's mailbox.
#[test]
fn a_context_and_a_worker_that_wait_for_each_other_are_named() {
    for seed in 0..10 {
        let (cycles, report) = cycles_of(seed, async |ctx, _| {
            ctx.start_worker("teller", Teller).await?;
            ctx.send_message("teller", 1u64).await?;
            ctx.sleep(Duration::from_millis(1)).await;
            let asked = ctx.request::<u64>("teller", 2u64);
            let error = asked.within(Duration::from_secs(1)).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
            ctx.stop_now().await
        });
        report.output.unwrap();
        let told: Vec<_> = cycles.iter().map(names).collect();
        let expected = "0#app waits for a reply of 0#teller, 0#teller waits for room at 0#app";
        assert_eq!(told, [expected], "seed {seed}");
    }
}

/// Asks itself, and sends itself more than it has room for.
struct Narcissus;

impl Worker for Narcissus {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg > 0 {
            return Ok(());
        }
        let own = ctx.address();
        let itself = |error: &ringpost::Error| matches!(error.kind(), ErrorKind::WaitsForItself { address } if *address == own);
        let error = ctx.request::<u64>("narcissus", 7u64).await.unwrap_err();
        assert!(itself(&error), "{error}");
        assert_eq!(error.into_message::<u64>().unwrap(), 7);
        let mut sent = 0;
        let error = loop {
            match ctx.send_message("narcissus", 8u64).await {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(itself(&error), "{error}");
        assert_eq!(error.into_message::<u64>().unwrap(), 8);
        for _ in 0..tight().urgent_credits {
            ctx.send_urgent("narcissus", 9u64).await?;
        }
        let error = ctx.send_urgent("narcissus", 10u64).await.unwrap_err();
        assert!(itself(&error), "{error}");
        assert_eq!(error.into_message::<u64>().unwrap(), 10);
        ctx.send_message(msg.reply(), sent as u64).await
    }
}

/// G5: a request to oneself, and a message to oneself that would have to wait, are errors at once.
#[test]
fn g5_nobody_waits_for_itself() {
    let (cycles, report) = cycles_of(1, async |ctx, _| {
        for core in 0..usize::from(CORES) {
            ctx.start_worker_on(core, "narcissus", Narcissus).await?;
            let sent: u64 = ctx.request("narcissus", 0u64).await?;
            assert!((3..=8).contains(&sent), "{sent}");
            ctx.stop_worker("narcissus").await?;
        }
        let error = ctx.request::<u64>("app", 7u64).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WaitsForItself { .. }),
            "{error}"
        );
        ctx.stop().await
    });
    report.output.unwrap();
    assert!(report.elapsed < Duration::from_secs(1));
    assert!(cycles.is_empty(), "{cycles:?}");
}

/// Is busy for a while with each message.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(700)).await;
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Chains of workers that wait for a slow one, and requests that were given up, are no circles.
#[test]
fn waiting_without_a_circle_is_not_reported() {
    for seed in 0..10 {
        let (cycles, report) = cycles_of(seed, async |ctx, _| {
            let names: &[&'static str] = &["a", "b", "c", "d"];
            for (at, name) in names.iter().enumerate() {
                let next = names.get(at + 1).copied().unwrap_or("slow");
                ctx.start_worker(*name, asker(next, 2)).await?;
            }
            ctx.start_worker("slow", Slow).await?;
            for number in 0..8u64 {
                for name in names {
                    let asking = ctx.detached()?;
                    ctx.spawn(async move {
                        let asked = asking.request::<u64>(*name, number);
                        let _ = asked.within(Duration::from_secs(2)).await;
                    });
                }
            }
            // Gives up, and then makes the one that it asked wait for it.
            let asked = ctx.request::<u64>("slow", 1u64);
            let _ = asked.within(Duration::from_millis(50)).await;
            ctx.sleep(Duration::from_secs(20)).await;
            ctx.stop_now().await
        });
        report.output.unwrap();
        assert!(cycles.is_empty(), "seed {seed}: {cycles:?}");
    }
}

/// Asks, gives up soon, and then takes its time.
struct Impatient;

impl Worker for Impatient {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let asked = ctx.request::<u64>("asker", 1u64);
        assert!(asked.within(Duration::from_millis(50)).await.is_err());
        ctx.sleep(Duration::from_secs(3)).await;
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// A request that was given up, and lies where it was sent, is nobody's wait.
#[test]
fn a_request_that_was_given_up_closes_no_circle() {
    for seed in 0..10 {
        let (cycles, report) = cycles_of(seed, async |ctx, _| {
            ctx.start_worker("impatient", Impatient).await?;
            ctx.start_worker("asker", asker("impatient", 10)).await?;
            for name in ["impatient", "asker"] {
                ctx.send_message(name, 1u64).await?;
            }
            ctx.sleep(Duration::from_secs(4)).await;
            ctx.stop_now().await
        });
        report.output.unwrap();
        assert!(cycles.is_empty(), "seed {seed}: {cycles:?}");
    }
}

/// Sends on what it gets to a worker that has no room for it, at first after a while.
struct Late;

impl Worker for Late {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(*msg)).await;
        for _ in 0..10 {
            ctx.send_message("taker", 1u64).await?;
        }
        Ok(())
    }
}

/// G5: a circle is named within a second also if it closes where others have waited for long, and nothing else happens.
#[test]
fn g5_a_circle_that_closes_where_others_wait_is_named() {
    for seed in 0..10 {
        for (late, taker) in [(0, 0), (0, 1), (2, 1)] {
            let (cycles, report) = cycles_of(seed, async move |ctx, cycles| {
                ctx.start_worker_on(taker, "taker", asker("late", 60))
                    .await?;
                ctx.start_worker_on(late, "late", Late).await?;
                ctx.start_worker_on(late, "first", Late).await?;
                ctx.send_message("late", 10u64).await?;
                ctx.sleep(Duration::from_millis(1)).await;
                ctx.send_message("first", 0u64).await?;
                ctx.sleep(Duration::from_secs(9)).await;
                assert!(cycles.lock().is_empty(), "there is none yet");
                ctx.sleep(Duration::from_secs(2)).await;
                assert_eq!(cycles.lock().len(), 1, "it is told within a second");
                ctx.stop_now().await
            });
            report.output.unwrap();
            let all = names(&cycles[0]);
            let what = format!("seed {seed}, {late} and {taker}: {all}");
            assert!(all.contains("0#late waits for room at"), "{what}");
            assert!(all.contains("waits for a reply of 0#late"), "{what}");
        }
    }
}

/// Is at its first message for an hour.
struct Held;

impl Worker for Held {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    }
}

/// Who waits at one worker, beside a circle of two.
const WAITING: u64 = 20_000;

/// Names the circle of two that wait for room beside those that do so at one worker, or, if there is room, for replies.
fn circle_beside_many(room: u32, by_request: bool) -> usize {
    let mut limits = tight();
    limits.mailbox_credits = room;
    let cycles = Cycles::default();
    let hook = Arc::clone(&cycles);
    let sim = Sim::new(1).limits(limits).on_undelivered(|_| {});
    let sim = sim.on_wait_cycle(move |cycle| hook.lock().push(cycle.clone()));
    let report = sim.run(async move |ctx: Context| {
        ctx.start_worker("held", Held).await?;
        for number in 0..WAITING {
            let own = ctx.detached()?;
            ctx.spawn(async move {
                let _ = match by_request {
                    true => own.request::<u64>("held", number).await.map(drop),
                    false => own.send_message("held", number).await,
                };
            });
        }
        ctx.sleep(Duration::from_secs(1)).await;
        for (name, partner) in [("left", "right"), ("right", "left")] {
            match by_request {
                true => ctx.start_worker(name, asker(partner, 60)).await?,
                false => ctx.start_worker(name, Doubler(partner)).await?,
            }
        }
        for name in ["left", "right"] {
            ctx.send_message(name, 1u64).await?;
        }
        ctx.sleep(Duration::from_secs(1)).await;
        let told = cycles.lock().len();
        ctx.stop_now().await?;
        Ok(told)
    });
    report.output.unwrap()
}

/// G5: a circle is named within a second also where thousands wait at one worker beside it.
#[test]
fn g5_a_circle_is_named_where_thousands_wait() {
    for (room, by_request) in [(4, false), (100_000, true)] {
        let told = circle_beside_many(room, by_request);
        assert_eq!(told, 1, "by request: {by_request}");
    }
}

/// G5: a request of which nothing else is said has 30 seconds, and what waits for it goes on then.
#[test]
fn g5_a_request_ends_after_thirty_seconds() {
    let (_, report) = cycles_of(1, async |ctx, _| {
        ctx.start_worker("held", Held).await?;
        let error = ctx.request::<u64>("held", 1u64).await.unwrap_err();
        let after = Duration::from_secs(30);
        assert!(
            matches!(error.kind(), ErrorKind::Timeout { after: it, .. } if *it == after),
            "{error}"
        );
        ctx.stop_now().await
    });
    report.output.unwrap();
    let elapsed = report.elapsed.as_secs_f64();
    assert!((30.0..30.1).contains(&elapsed), "{elapsed} s");
}
