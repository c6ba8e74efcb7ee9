//! Order (G1) of messages that go to the place of a worker, which whoever had one from it knows; from workers and from
//! threads outside.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Error, Limits, NodeHandle, Result, Route, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

type Log = Arc<Mutex<Vec<(u64, u64)>>>;

/// Writes down what it gets, taking its time now and then; sends who asks for it a message, by which its place is known.
struct Recorder {
    log: Log,
    pause_every: u64,
}

impl Worker for Recorder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        let (from, count) = *msg;
        if from == ASKS {
            return ctx.send_message(msg.reply(), true).await;
        }
        if count.is_multiple_of(self.pause_every) {
            ctx.sleep(Duration::from_micros(40)).await;
        }
        self.log.lock().push((from, count));
        Ok(())
    }
}

const ASKS: u64 = 99;
const SENDERS: u64 = 5;
const EACH: u64 = 250;

/// Learns where the recorder is, and sends there.
struct Sender(u64);

impl Worker for Sender {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let place = place_of(ctx).await?;
        for count in 0..EACH {
            ctx.send_message(&place, (self.0, count)).await?;
        }
        ctx.send_message(msg.reply(), ()).await
    }
}

async fn place_of(ctx: &mut Context) -> Result<Route> {
    ctx.send_message("recorder", (ASKS, 0u64)).await?;
    Ok(ctx.receive::<bool>().await?.return_route())
}

async fn send_from_outside(handle: NodeHandle, place: Route) -> Result<()> {
    for count in 0..EACH {
        handle.send_message(&place, (0u64, count)).await?;
    }
    Ok(())
}

/// G1: by place, wherever that is, and wherever its senders are.
#[test]
fn g1_messages_to_the_place_of_a_worker_keep_their_order() {
    for seed in 0..40 {
        let mut limits = Limits::default();
        limits.mailbox_credits = 1 + seed as u32 % 5;
        limits.link_credits = 1 + seed as u32 % 7;
        limits.outside_credits = 1 + seed as u32 % 3;
        limits.ring_slots = 16;
        limits.links_max = 3;
        let log = Log::default();
        let seen = Arc::clone(&log);
        let sim = Sim::new(seed).cores(3).limits(limits);
        let report = sim.run(async move |mut ctx: Context| {
            let pause_every = 2 + seed % 9;
            let recorder = Recorder { log, pause_every };
            // At the home of its name, or elsewhere.
            let core = seed as usize % 3;
            ctx.start_worker_on(core, "recorder", recorder).await?;
            let place = place_of(&mut ctx).await?;
            for number in 1..SENDERS {
                let name = format!("sender-{number}");
                let core = number as usize % 3;
                ctx.start_worker_on(core, &*name, Sender(number)).await?;
                ctx.send_message(name, ()).await?;
            }
            send_from_outside(ctx.handle(), place).await?;
            for _ in 1..SENDERS {
                ctx.receive::<()>().await?;
            }
            ctx.sleep(Duration::from_millis(100)).await;
            ctx.stop().await.map_err(Error::other)
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for sender in 0..SENDERS {
            let seen = seen.lock();
            let of_one = seen.iter().filter(|(from, _)| *from == sender);
            let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
            assert!(of_one.into_iter().eq(0..EACH), "seed {seed}, {sender}");
        }
    }
}

/// Greets `there`, so that it knows this place, and minds being taken for whoever awaits an answer.
struct Greeter;

const GREETS: u64 = 0;
const ASKED: u64 = 1;
const ANSWER: u64 = 2;

impl Worker for Greeter {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert_ne!(*msg, ANSWER, "an answer is whose it is");
        match *msg {
            GREETS => ctx.send_message("there", GREETS).await,
            _ => Ok(()),
        }
    }
}

/// Answers by asking back, and greets back, which opens a link to that place.
struct AsksBack;

impl Worker for AsksBack {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == GREETS {
            return ctx.send_message(msg.reply(), ASKED).await;
        }
        let asked = ctx.request::<u64>(msg.reply(), ANSWER);
        let nobody = asked.within(Duration::from_micros(1)).await;
        assert!(nobody.is_err(), "an answer is not answered");
        Ok(())
    }
}

/// A request that goes where an answer is awaited is that answer, though a worker's place on that core has the same number.
#[test]
fn a_request_to_who_awaits_an_answer_is_the_answer() {
    let report = Sim::new(3).cores(2).run(async |ctx: Context| {
        let here = ctx.core();
        ctx.start_worker_on(1 - here, "there", AsksBack).await?;
        for number in 0..60 {
            let name = format!("greeter-{number}");
            ctx.start_worker_on(here, name.as_str(), Greeter).await?;
            ctx.send_message(name, GREETS).await?;
        }
        ctx.sleep(Duration::from_millis(1)).await;
        for _ in 0..60 {
            let asked = ctx.request::<u64>("there", ASKED);
            let answer = asked.within(Duration::from_millis(1)).await?;
            assert_eq!(answer, ANSWER);
        }
        ctx.stop().await
    });
    report
        .output
        .unwrap_or_else(|error: Error| panic!("{error}"));
}
