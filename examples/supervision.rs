//! A worker that fails is restarted in its place, with what waits at it; who watches it hears when it ends.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use ringpost::{Context, Ended, Group, Result, Routed, Supervision, Worker, async_worker};

/// Sums numbers, and cannot take 13.
struct Sum {
    name: &'static str,
    total: u64,
}

#[async_worker]
impl Worker for Sum {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert!(*msg != 13, "not this number");
        self.total += *msg;
        ctx.send_message(msg.reply(), self.total).await
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        println!("{} ends", self.name);
        Ok(())
    }
}

/// Sends numbers, and prints the sums that come back.
async fn add(ctx: &mut Context, to: &str, numbers: &[u64]) -> Result<()> {
    for &number in numbers {
        ctx.send_message(to, number).await?;
    }
    for _ in numbers.iter().filter(|number| **number != 13) {
        println!("{to}: {}", *ctx.receive::<u64>().await?);
    }
    Ok(())
}

#[ringpost::node]
async fn main(mut ctx: Context) -> Result<()> {
    let sum = |name| move || Sum { name, total: 0 };
    let twice = Supervision::transient().intensity(2, Duration::from_secs(60));
    ctx.start_supervised("alone", twice, sum("alone")).await?;
    ctx.watch("alone").await?;
    add(&mut ctx, "alone", &[1, 2, 13, 10, 20]).await?;
    add(&mut ctx, "alone", &[13, 13]).await?;
    println!("{}", *ctx.receive::<Ended>().await?);

    // When the first fails, the second is begun anew with it.
    let group = Group::rest_for_one()
        .worker("first", Supervision::permanent(), sum("first"))
        .worker("second", Supervision::permanent(), sum("second"));
    ctx.start_group("both", group).await?;
    add(&mut ctx, "second", &[1, 2]).await?;
    add(&mut ctx, "first", &[13, 3]).await?;
    add(&mut ctx, "second", &[4]).await?;
    ctx.stop_worker("both").await?;
    ctx.stop().await
}
