//! Ockam: the programming model that ringpost shares. Every message is encoded; mailboxes hold 8.

use std::sync::Arc;
use std::time::Instant;

use ockam_core::{
    Decodable, Encodable, Encoded, Message, Result, Routed, Worker, async_trait, deserialize,
    serialize,
};
use ockam_node::{Context, NodeBuilder};
use ringpost_benches::Measured;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::cores::Flavor;
use crate::dice::Dice;
use crate::peer::{Dash, Kind, MEMBERS, Outcome, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "ockam",
    kind: Kind::Actors,
    package: "ockam_node",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "as it comes: mailboxes of 8, on a multi-thread runtime of tokio with a worker on each core",
    run,
};

fn run(task: &Task) -> Outcome {
    Flavor::Stealing.check(task)?;
    let builder = NodeBuilder::new().no_logging();
    let (ctx, mut executor) = builder.with_runtime(runtime(task)).build();
    let (n, workload) = (task.n, task.workload);
    let done = executor.execute(async move {
        let measured = match workload {
            Workload::OneWay => fan_in(&ctx, n, 1).await?,
            Workload::FanIn => fan_in(&ctx, n, PRODUCERS).await?,
            Workload::PingPong | Workload::AwakePingPong => ping_pong(&ctx, n).await?,
            Workload::Request | Workload::AwakeRequest => requests(&ctx, n).await?,
            Workload::Big => big(&ctx, n).await?,
            Workload::ThreadRing => thread_ring(&ctx, n).await?,
            Workload::Create => create(&ctx, n).await?,
            Workload::Lives => lives(&ctx, n).await?,
            Workload::Parked => return Ok(None),
        };
        ctx.shutdown_node().await?;
        Ok::<_, ockam_core::Error>(Some(measured))
    });
    let failed = |error: ockam_core::Error| Dash(format!("failed: {error}"));
    match done.map_err(failed)?.map_err(failed)? {
        Some(measured) => Ok(measured),
        None => task.dash("two cores only"),
    }
}

/// As the one that Ockam makes for itself, on the given CPUs only.
fn runtime(task: &Task) -> Arc<Runtime> {
    let cpus = std::sync::Mutex::new(task.cpus.clone().into_iter().cycle());
    let pin = move || {
        let cpu = cpus.lock().expect("nobody panics here").next();
        cpu.map(core_affinity::set_for_current);
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(task.cores())
        .on_thread_start(pin)
        .enable_all()
        .build();
    Arc::new(runtime.expect("a runtime"))
}

/// The message of all workloads.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Word {
    Number(u64),
    Ping,
    Pong,
}

impl Message for Word {}

impl Encodable for Word {
    fn encode(self) -> Result<Encoded> {
        serialize(self)
    }
}

impl Decodable for Word {
    fn decode(encoded: &[u8]) -> Result<Self> {
        deserialize(encoded)
    }
}

struct Counter {
    left: u64,
    report: UnboundedSender<()>,
}

#[async_trait]
impl Worker for Counter {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, _: &mut Context, msg: Routed<Word>) -> Result<()> {
        let _one = msg.into_body()?;
        self.left -= 1;
        if self.left == 0 {
            self.report.send(()).expect("the driver waits");
        }
        Ok(())
    }
}

struct Producer;

#[async_trait]
impl Worker for Producer {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        if let Word::Number(each) = msg.into_body()? {
            for number in 0..each {
                ctx.send("counter", Word::Number(number)).await?;
            }
        }
        Ok(())
    }
}

async fn fan_in(ctx: &Context, n: u64, producers: u64) -> Result<Measured> {
    let each = n.div_ceil(producers);
    let left = each * producers;
    let (report, mut reported) = unbounded_channel();
    ctx.start_worker("counter", Counter { left, report })?;
    for number in 0..producers {
        ctx.start_worker(format!("producer-{number}"), Producer)?;
    }
    let start = Instant::now();
    for number in 0..producers {
        let producer = format!("producer-{number}");
        ctx.send(producer, Word::Number(each)).await?;
    }
    reported.recv().await.expect("the counter reports");
    Ok(Measured::new(start.elapsed(), left))
}

/// Replies along the return route.
struct Echo;

#[async_trait]
impl Worker for Echo {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        let route = msg.return_route().clone();
        let word = msg.into_body()?;
        ctx.send(route, word).await
    }
}

/// Bounces a countdown with the echo.
struct Countdown {
    report: UnboundedSender<()>,
}

#[async_trait]
impl Worker for Countdown {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match msg.into_body()? {
            Word::Number(0) => self.report.send(()).expect("the driver waits"),
            Word::Number(left) => ctx.send("echo", Word::Number(left - 1)).await?,
            Word::Ping | Word::Pong => {}
        }
        Ok(())
    }
}

async fn ping_pong(ctx: &Context, n: u64) -> Result<Measured> {
    let (report, mut reported) = unbounded_channel();
    ctx.start_worker("echo", Echo)?;
    ctx.start_worker("countdown", Countdown { report })?;
    let start = Instant::now();
    ctx.send("countdown", Word::Number(n)).await?;
    reported.recv().await.expect("the countdown reports");
    Ok(Measured::new(start.elapsed(), n))
}

async fn requests(ctx: &Context, n: u64) -> Result<Measured> {
    ctx.start_worker("echo", Echo)?;
    let start = Instant::now();
    for number in 0..n {
        let reply: Word = ctx.send_and_receive("echo", Word::Number(number)).await?;
        assert!(matches!(reply, Word::Number(same) if same == number));
    }
    Ok(Measured::new(start.elapsed(), n))
}

struct Pinger {
    left: u64,
    dice: Dice,
    report: UnboundedSender<()>,
}

#[async_trait]
impl Worker for Pinger {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        let route = msg.return_route().clone();
        match msg.into_body()? {
            Word::Ping => ctx.send(route, Word::Pong).await?,
            Word::Pong | Word::Number(_) if self.left == 0 => {
                self.report.send(()).expect("the driver waits");
            }
            Word::Pong | Word::Number(_) => {
                self.left -= 1;
                let other = self.dice.below(PLAYERS as usize);
                ctx.send(format!("pinger-{other}"), Word::Ping).await?;
            }
        }
        Ok(())
    }
}

async fn big(ctx: &Context, n: u64) -> Result<Measured> {
    let left = n.div_ceil(2 * PLAYERS);
    let (report, mut reported) = unbounded_channel();
    for number in 0..PLAYERS {
        let pinger = Pinger {
            left,
            dice: Dice::new(number + 1),
            report: report.clone(),
        };
        ctx.start_worker(format!("pinger-{number}"), pinger)?;
    }
    let start = Instant::now();
    for number in 0..PLAYERS {
        let pinger = format!("pinger-{number}");
        ctx.send(pinger, Word::Number(0)).await?;
    }
    for _ in 0..PLAYERS {
        reported.recv().await.expect("the players report");
    }
    Ok(Measured::new(start.elapsed(), 2 * left * PLAYERS))
}

struct Member {
    next: String,
    report: UnboundedSender<()>,
}

#[async_trait]
impl Worker for Member {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match msg.into_body()? {
            Word::Number(0) => self.report.send(()).expect("the driver waits"),
            Word::Number(left) => ctx.send(self.next.as_str(), Word::Number(left - 1)).await?,
            Word::Ping | Word::Pong => {}
        }
        Ok(())
    }
}

async fn thread_ring(ctx: &Context, n: u64) -> Result<Measured> {
    let (report, mut reported) = unbounded_channel();
    for number in 0..MEMBERS {
        let member = Member {
            next: format!("member-{}", (number + 1) % MEMBERS),
            report: report.clone(),
        };
        ctx.start_worker(format!("member-{number}"), member)?;
    }
    let start = Instant::now();
    ctx.send("member-0", Word::Number(n)).await?;
    reported.recv().await.expect("the token arrives");
    Ok(Measured::new(start.elapsed(), n + 1))
}

/// Handles one message, tells the counter, and ends.
struct Fork;

#[async_trait]
impl Worker for Fork {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        let word = msg.into_body()?;
        ctx.send("counter", word).await?;
        ctx.stop_primary_address()
    }
}

async fn create(ctx: &Context, n: u64) -> Result<Measured> {
    let (report, mut reported) = unbounded_channel();
    ctx.start_worker("counter", Counter { left: n, report })?;
    let start = Instant::now();
    for number in 0..n {
        let fork = format!("fork-{number}");
        ctx.start_worker(fork.as_str(), Fork)?;
        ctx.send(fork, Word::Number(number)).await?;
    }
    reported.recv().await.expect("the counter reports");
    Ok(Measured::new(start.elapsed(), n))
}

/// Handles one message, ends, and says so.
struct Mayfly {
    ended: UnboundedSender<()>,
}

#[async_trait]
impl Worker for Mayfly {
    type Message = Word;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        let _word = msg.into_body()?;
        ctx.stop_primary_address()
    }

    async fn shutdown(&mut self, _: &mut Context) -> Result<()> {
        self.ended.send(()).expect("the driver waits");
        Ok(())
    }
}

/// Stopping from outside would drop the message, so each ends itself.
async fn lives(ctx: &Context, n: u64) -> Result<Measured> {
    let (report, mut reported) = unbounded_channel();
    let start = Instant::now();
    for number in 0..n {
        let name = format!("mayfly-{number}");
        let ended = report.clone();
        ctx.start_worker(name.as_str(), Mayfly { ended })?;
        ctx.send(name, Word::Number(number)).await?;
        reported.recv().await.expect("the mayfly ends");
    }
    Ok(Measured::new(start.elapsed(), n))
}
