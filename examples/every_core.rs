//! 100,000 workers over all cores, and messages between random pairs of them.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ringpost::{Context, Result, Routed, Worker, async_worker};

const WORKERS: u64 = 100_000;
const SPARKS: u64 = 1_000;
const HOPS: u64 = 1_000;

/// A message that hops from worker to worker, adding up where it has been.
#[derive(Clone, Copy)]
struct Spark {
    hops_left: u64,
    dice: u64,
    sum: u64,
}

ringpost::local_message!(Spark);

/// Passes sparks on to random others, and reports those that have come to their end.
struct Passer {
    number: u64,
}

#[async_worker]
impl Worker for Passer {
    type Message = Spark;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Spark>) -> Result<()> {
        let spark = next(*msg, self.number);
        if spark.hops_left == 0 {
            return ctx
                .send_message("app", (ctx.core() as u64, spark.sum))
                .await;
        }
        ctx.send_message(name(spark.dice % WORKERS), spark).await
    }
}

fn name(number: u64) -> String {
    format!("passer-{number}")
}

/// What a worker does to a spark.
fn next(spark: Spark, number: u64) -> Spark {
    let dice = spark
        .dice
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    Spark {
        hops_left: spark.hops_left - 1,
        dice: dice ^ (dice >> 29),
        sum: spark.sum.wrapping_mul(31).wrapping_add(number),
    }
}

/// What the sum of a spark must be in the end, computed without messages.
fn expected(mut spark: Spark) -> u64 {
    while spark.hops_left > 0 {
        let number = spark.dice % WORKERS;
        spark = next(spark, number);
    }
    spark.sum
}

#[ringpost::node]
async fn main(mut ctx: Context) -> Result<()> {
    let mut placed = vec![0u64; ctx.cores()];
    for number in 0..WORKERS {
        placed[ctx.home(name(number))] += 1;
        ctx.start_worker(name(number), Passer { number }).await?;
    }

    let mut wanted = 0u64;
    for dice in 0..SPARKS {
        let spark = Spark {
            hops_left: HOPS,
            dice,
            sum: 0,
        };
        wanted = wanted.wrapping_add(expected(spark));
        ctx.send_message(name(dice % WORKERS), spark).await?;
    }

    let mut sum = 0u64;
    for _ in 0..SPARKS {
        let (_, part) = ctx.receive::<(u64, u64)>().await?.take();
        sum = sum.wrapping_add(part);
    }

    let stats = ctx.handle().stats();
    let per_core: Vec<_> = stats
        .cores
        .iter()
        .zip(&placed)
        .enumerate()
        .map(|(core, (stats, workers))| {
            format!(
                "core {core}: {workers} workers, {} messages handled",
                stats.handled
            )
        })
        .collect();
    println!("{}", per_core.join("; "));
    println!("workers: {}", placed.iter().sum::<u64>());
    println!("messages: {}", stats.total(|core| core.handled));
    println!(
        "checksum: {}",
        if sum == wanted { "right" } else { "WRONG" }
    );
    ctx.stop().await
}
