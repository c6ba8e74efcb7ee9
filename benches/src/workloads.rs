//! The workloads: what is done between two looks at the clock.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use ringpost::{Context, Result, Route, Routed, Worker};

/// Counts what it gets, and tells its starter when it has got everything.
#[derive(Debug)]
pub struct Counter {
    left: u64,
    report: Route,
}

impl Worker for Counter {
    type Message = u64;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.left -= 1;
        if self.left == 0 {
            return ctx.send_message(self.report.clone(), true).await;
        }
        Ok(())
    }
}

/// Replies to each message along its return route.
#[derive(Debug)]
pub struct Echo;

impl Worker for Echo {
    type Message = u64;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Replies to each message by its sender's name.
#[derive(Debug)]
pub struct EchoByName {
    to: String,
}

impl Worker for EchoByName {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(self.to.as_str(), msg.take()).await
    }
}

/// Bounces a number that counts down between itself and whoever sent it.
#[derive(Debug)]
pub struct Pinger {
    report: Route,
    echo: String,
    by_name: bool,
    started: bool,
}

impl Worker for Pinger {
    type Message = u64;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        let left = *msg;
        if left == 0 {
            return ctx.send_message(self.report.clone(), true).await;
        }
        // The first message comes from the benchmark; the partner replies to all others.
        if self.by_name || !std::mem::replace(&mut self.started, true) {
            return ctx.send_message(self.echo.as_str(), left - 1).await;
        }
        ctx.send_message(msg.reply(), left - 1).await
    }
}

/// Passes a countdown on to the next of a ring.
#[derive(Debug)]
pub struct RingMember {
    next: String,
    report: Route,
}

impl Worker for RingMember {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == 0 {
            return ctx.send_message(self.report.clone(), true).await;
        }
        ctx.send_message(self.next.as_str(), *msg - 1).await
    }
}

/// A producer that sends as much as it is told to, to a fixed receiver.
#[derive(Debug)]
pub struct Producer {
    to: String,
}

impl Worker for Producer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for number in 0..*msg {
            ctx.send_message(self.to.as_str(), number).await?;
        }
        Ok(())
    }
}

/// The route back to this context.
async fn route_to(ctx: &mut Context) -> Result<Route> {
    let me = ctx.address();
    ctx.send_message(me, ()).await?;
    Ok(ctx.receive::<()>().await?.reply())
}

/// A name that lives on this core, so that no message makes a detour.
#[must_use]
pub fn name_on(ctx: &Context, core: usize, stem: &str) -> String {
    let mut names = (0u64..).map(|number| format!("{stem}-{number}"));
    names
        .find(|name| ctx.home(name.as_str()) == core)
        .unwrap_or_default()
}

/// The other core, if there is one.
#[must_use]
pub fn other(ctx: &Context) -> usize {
    (ctx.core() + 1) % ctx.cores()
}

/// `n` messages from one worker to another, until the last is handled.
///
/// # Errors
/// Those of the node.
pub async fn one_way(mut ctx: Context, n: u64, cross: bool) -> Result<Duration> {
    let report = route_to(&mut ctx).await?;
    let core = if cross { other(&ctx) } else { ctx.core() };
    let counter = name_on(&ctx, core, "counter");
    let producer = name_on(&ctx, ctx.core(), "producer");
    ctx.start_worker(counter.as_str(), Counter { left: n, report })
        .await?;
    ctx.start_worker(
        producer.as_str(),
        Producer {
            to: counter.clone(),
        },
    )
    .await?;
    let start = Instant::now();
    ctx.send_message(producer.as_str(), n).await?;
    ctx.receive::<bool>().await?;
    let took = start.elapsed();
    ctx.stop_worker(producer).await?;
    ctx.stop_worker(counter).await?;
    Ok(took)
}

/// `n` round trips between two workers.
///
/// # Errors
/// Those of the node.
pub async fn ping_pong(mut ctx: Context, n: u64, cross: bool, by_name: bool) -> Result<Duration> {
    let report = route_to(&mut ctx).await?;
    let core = if cross { other(&ctx) } else { ctx.core() };
    let pinger = name_on(&ctx, ctx.core(), "pinger");
    let echo = name_on(&ctx, core, "echo");
    let worker = Pinger {
        report,
        echo: echo.clone(),
        by_name,
        started: false,
    };
    ctx.start_worker(pinger.as_str(), worker).await?;
    if by_name {
        ctx.start_worker(echo.as_str(), EchoByName { to: pinger.clone() })
            .await?;
    } else {
        ctx.start_worker(echo.as_str(), Echo).await?;
    }
    let start = Instant::now();
    ctx.send_message(pinger.as_str(), n).await?;
    ctx.receive::<bool>().await?;
    let took = start.elapsed();
    ctx.stop_worker(pinger).await?;
    ctx.stop_worker(echo).await?;
    Ok(took)
}

/// `n` requests, each awaited.
///
/// # Errors
/// Those of the node.
pub async fn requests(ctx: Context, n: u64, cross: bool) -> Result<Duration> {
    let core = if cross { other(&ctx) } else { ctx.core() };
    let echo = name_on(&ctx, core, "echo");
    ctx.start_worker(echo.as_str(), Echo).await?;
    let start = Instant::now();
    for number in 0..n {
        let reply: u64 = ctx.request(echo.as_str(), number).await?;
        debug_assert_eq!(reply, number);
    }
    let took = start.elapsed();
    ctx.stop_worker(echo).await?;
    Ok(took)
}

/// `n` hops of one token round a ring of `members`.
///
/// # Errors
/// Those of the node.
pub async fn thread_ring(mut ctx: Context, n: u64, members: u64) -> Result<Duration> {
    let report = route_to(&mut ctx).await?;
    let names: Vec<_> = (0..members)
        .map(|member| name_on(&ctx, ctx.core(), &format!("ring-{member}")))
        .collect();
    for (name, next) in names.iter().zip(names.iter().cycle().skip(1)) {
        let worker = RingMember {
            next: next.clone(),
            report: report.clone(),
        };
        ctx.start_worker(name.as_str(), worker).await?;
    }
    let start = Instant::now();
    ctx.send_message(names[0].as_str(), n).await?;
    ctx.receive::<bool>().await?;
    let took = start.elapsed();
    for name in names {
        ctx.stop_worker(name).await?;
    }
    Ok(took)
}

/// `n` messages in all from `producers` workers to one on another core.
///
/// # Errors
/// Those of the node.
pub async fn fan_in(mut ctx: Context, n: u64, producers: u64) -> Result<Duration> {
    let report = route_to(&mut ctx).await?;
    let each = (n / producers).max(1);
    let counter = name_on(&ctx, other(&ctx), "counter");
    ctx.start_worker(
        counter.as_str(),
        Counter {
            left: each * producers,
            report,
        },
    )
    .await?;
    let names: Vec<_> = (0..producers)
        .map(|producer| name_on(&ctx, ctx.core(), &format!("producer-{producer}")))
        .collect();
    for name in &names {
        ctx.start_worker(
            name.as_str(),
            Producer {
                to: counter.clone(),
            },
        )
        .await?;
    }
    let start = Instant::now();
    for name in &names {
        ctx.send_message(name.as_str(), each).await?;
    }
    ctx.receive::<bool>().await?;
    let took = start.elapsed();
    for name in names {
        ctx.stop_worker(name).await?;
    }
    ctx.stop_worker(counter).await?;
    Ok(took)
}

/// `n` times: start a worker, send it one message, stop it.
///
/// # Errors
/// Those of the node.
pub async fn start_stop(mut ctx: Context, n: u64) -> Result<Duration> {
    let report = route_to(&mut ctx).await?;
    let name = name_on(&ctx, ctx.core(), "short-lived");
    let start = Instant::now();
    for _ in 0..n {
        ctx.start_worker(
            name.as_str(),
            Counter {
                left: 2,
                report: report.clone(),
            },
        )
        .await?;
        ctx.send_message(name.as_str(), 1u64).await?;
        ctx.stop_worker(name.as_str()).await?;
    }
    Ok(start.elapsed())
}

/// `n` round trips with a pause before each, in which the other core goes to sleep.
///
/// # Errors
/// Those of the node.
pub async fn parked_round_trip(ctx: Context, n: u64) -> Result<Duration> {
    let echo = name_on(&ctx, other(&ctx), "echo");
    ctx.start_worker(echo.as_str(), Echo).await?;
    let mut took = Duration::ZERO;
    for number in 0..n {
        ctx.sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        let reply: u64 = ctx.request(echo.as_str(), number).await?;
        took += start.elapsed();
        debug_assert_eq!(reply, number);
    }
    ctx.stop_worker(echo).await?;
    Ok(took)
}
