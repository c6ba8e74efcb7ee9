//! Order where sends wait (G1).

#[path = "helpers/some_of.rs"]
mod some_of;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Limits, Result, Routed, SendMessage, Worker};
use ringpost_mailbox::sync::Mutex;
use some_of::some_of;

const MESSAGES: u64 = 2_000;

/// Writes down what it gets.
struct Recorder(Log);

type Log = Arc<Mutex<Vec<(u64, u64)>>>;

impl Worker for Recorder {
    type Message = (u64, u64);
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<(u64, u64)>) -> Result<()> {
        self.0.lock().push(msg.take());
        Ok(())
    }
}

/// Has several sends wait at any time.
struct Eager {
    number: u64,
    several: usize,
}

impl Worker for Eager {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        let mut waiting: VecDeque<Pin<Box<SendMessage<'_>>>> = VecDeque::new();
        for count in 0..MESSAGES {
            while waiting.len() >= self.several {
                some_of(&mut waiting).await?;
            }
            let mut send = Box::pin(ctx.send_message("recorder", (self.number, count)));
            match poll_fn(|polling| Poll::Ready(send.as_mut().poll(polling))).await {
                Poll::Ready(sent) => sent?,
                Poll::Pending => waiting.push_back(send),
            }
        }
        while !waiting.is_empty() {
            some_of(&mut waiting).await?;
        }
        ctx.send_message(msg.reply(), true).await
    }
}

/// G1: sends of one worker that wait for room are not overtaken by those that it begins later.
#[test]
fn g1_sends_that_wait_keep_their_order() {
    for (seed, credits) in [(1, 4), (2, 64), (3, 1024), (4, 200), (5, 300)] {
        for cores in [1, 2] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (log, all) = (Arc::clone(&seen), Arc::clone(&seen));
            let mut limits = Limits::default();
            limits.mailbox_credits = credits;
            limits.link_credits = credits;
            let sim = Sim::new(seed).cores(cores).limits(limits);
            let report = sim.run(async move |mut ctx: Context| {
                ctx.start_worker("recorder", Recorder(log)).await?;
                for number in 0..3 {
                    let name = format!("eager-{number}");
                    // Different, so that credits that come back end in the middle of somebody's.
                    let several = 4 + 3 * number as usize;
                    ctx.start_worker(name.as_str(), Eager { number, several })
                        .await?;
                    ctx.send_message(name, ()).await?;
                }
                for _ in 0..3 {
                    ctx.receive::<bool>().await?;
                }
                // Some may be on their way between two cores, and a stop does not wait for those.
                while all.lock().len() < 3 * MESSAGES as usize {
                    ctx.sleep(Duration::from_millis(1)).await;
                }
                // All is paid before a sleep.
                ctx.sleep(Duration::from_millis(1)).await;
                for core in 0..cores.into() {
                    let window = async move |ctx: Context| {
                        // As many as find room in a ring.
                        (0..u64::from(credits.min(600)))
                            .try_for_each(|count| ctx.try_send_message("recorder", (9, count)))
                    };
                    ctx.handle().run_on(core, window).await??;
                }
                ctx.stop().await
            });
            report.output.unwrap();
            for number in 0..3 {
                let seen = seen.lock();
                let of_one = seen.iter().filter(|(from, _)| *from == number);
                let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
                let wrong = of_one.windows(2).find(|pair| pair[0] >= pair[1]);
                assert_eq!(wrong, None, "{credits} credits, {cores} cores");
                assert_eq!(of_one.len() as u64, MESSAGES);
            }
        }
    }
}

/// Sends several messages at one time, now to this recorder and now to that one.
struct Fickle(u64);

const RECORDERS: u64 = 4;
const ROUNDS: u64 = 300;
const AT_ONE_TIME: u64 = 7;

impl Worker for Fickle {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<()>) -> Result<()> {
        for round in 0..ROUNDS {
            let to = format!("recorder-{}", (round * 3 + self.0) % RECORDERS);
            let mut waiting = VecDeque::new();
            for count in 0..AT_ONE_TIME {
                let message = (self.0, round * AT_ONE_TIME + count);
                let mut send = Box::pin(ctx.send_message(&*to, message));
                match poll_fn(|polling| Poll::Ready(send.as_mut().poll(polling))).await {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => waiting.push_back(send),
                }
            }
            while !waiting.is_empty() {
                some_of(&mut waiting).await?;
            }
        }
        ctx.send_message(msg.reply(), true).await
    }
}

/// G1: where links are fewer than receivers, and rings small, sends of one worker that wait for a link, a credit or
/// room do not overtake each other.
#[test]
fn g1_sends_that_wait_for_links_keep_their_order() {
    for seed in 0..40 {
        let logs: Vec<Log> = (0..RECORDERS).map(|_| Arc::default()).collect();
        let mut limits = Limits::default();
        limits.links_max = 3;
        limits.ring_slots = 4;
        limits.link_credits = 4;
        let there = logs.clone();
        let sim = Sim::new(seed).cores(2).limits(limits);
        let report = sim.run(async move |mut ctx: Context| {
            for (number, log) in there.into_iter().enumerate() {
                let name = format!("recorder-{number}");
                ctx.start_worker_on(1, name, Recorder(log)).await?;
            }
            for number in 0..5 {
                let name = format!("fickle-{number}");
                ctx.start_worker_on(0, &*name, Fickle(number)).await?;
                ctx.send_message(name, ()).await?;
            }
            for _ in 0..5 {
                ctx.receive::<bool>().await?;
            }
            ctx.stop().await
        });
        report.output.unwrap();
        for log in &logs {
            for number in 0..5 {
                let seen = log.lock();
                let of_one = seen.iter().filter(|(from, _)| *from == number);
                let of_one: Vec<u64> = of_one.map(|(_, count)| *count).collect();
                let wrong = of_one.windows(2).find(|pair| pair[0] >= pair[1]);
                assert_eq!(wrong, None, "seed {seed}, sender {number}");
            }
        }
    }
}

const CORES: usize = 8;

/// A name whose home is this core.
fn name_at(ctx: &Context, core: usize, name: &str) -> String {
    let mut names = (0..).map(|tag| format!("{{{tag}}}{name}"));
    let is_there = |name: &String| ctx.home(name.as_str()) == core;
    names.find(is_there).expect("a name")
}

/// Sends so many messages to each of its receivers in turn, and where one has to wait tries to send the next before it.
struct Pausing {
    to: Vec<String>,
    each: u64,
    /// How often it had to wait.
    pauses: Arc<Mutex<u64>>,
}

impl Worker for Pausing {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        for number in 0..self.each {
            for to in &self.to {
                let mut send = Box::pin(ctx.send_message(to.as_str(), (0u64, 2 * number)));
                match poll_fn(|polling| Poll::Ready(send.as_mut().poll(polling))).await {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => {
                        *self.pauses.lock() += 1;
                        let _ = ctx.try_send_message(to.as_str(), (0u64, 2 * number + 1));
                        send.await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Tries to send one message to each of these. Writes down after how many pauses it did, and to how many it could.
struct Trying {
    to: Vec<String>,
    pauses: Arc<Mutex<u64>>,
    seen: Log,
}

impl Worker for Trying {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        let could = |to: &&String| ctx.try_send_message(to.as_str(), (1u64, 0u64)).is_ok();
        let count = self.to.iter().filter(could).count();
        self.seen.lock().push((*self.pauses.lock(), count as u64));
        Ok(())
    }
}

/// G1, G7: who pauses in front of a core, whose ring has room, holds up its own messages and nobody else's.
#[test]
fn g1_who_pauses_keeps_the_order_of_its_own_messages_alone() {
    for seed in 0..20 {
        let logs: Vec<Log> = (1..CORES).map(|_| Arc::default()).collect();
        let (pauses, seen) = (Arc::<Mutex<u64>>::default(), Log::default());
        let each = u64::from(Limits::default().link_credits / 4);
        let (there, paused, its) = (logs.clone(), Arc::clone(&pauses), Arc::clone(&seen));
        let sim = Sim::new(seed).cores(CORES as u16);
        let report = sim.run(async move |ctx: Context| {
            let mut to = Vec::new();
            for (at, log) in there.into_iter().enumerate() {
                let name = name_at(&ctx, at + 1, "recorder");
                ctx.start_worker(name.clone(), Recorder(log)).await?;
                to.push(name);
            }
            let here = ctx.home(ctx.address());
            let names = ["pausing", "trying"].map(|name| name_at(&ctx, here, name));
            let pausing = Pausing {
                to: to.clone(),
                each,
                pauses: Arc::clone(&paused),
            };
            let trying = Trying {
                to,
                pauses: paused,
                seen: its,
            };
            ctx.start_worker(names[0].clone(), pausing).await?;
            ctx.start_worker(names[1].clone(), trying).await?;
            for name in names {
                ctx.send_message(name, ()).await?;
            }
            ctx.sleep(Duration::from_secs(1)).await;
            ctx.stop().await
        });
        report.output.unwrap();
        // After one pause, and to all of them.
        assert_eq!(*seen.lock(), [(1, logs.len() as u64)], "seed {seed}");
        for log in &logs {
            let log = log.lock();
            let of_one = log.iter().filter(|(from, _)| *from == 0);
            let of_one: Vec<u64> = of_one.map(|(_, number)| *number).collect();
            let wrong = of_one.windows(2).find(|pair| pair[0] >= pair[1]);
            assert_eq!(wrong, None, "seed {seed}");
            let sent = of_one.iter().filter(|number| *number % 2 == 0).count() as u64;
            assert_eq!((sent, log.len() - of_one.len()), (each, 1), "seed {seed}");
        }
    }
}
