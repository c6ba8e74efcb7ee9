//! A message through three forwarding workers, and back along its return route.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ringpost::{Any, Context, Result, Routed, Worker, async_worker, route};

/// Prints the routes of what passes, and sends it on.
struct Hop;

#[async_worker]
impl Worker for Hop {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        println!(
            "{}: onward [{}], return [{}]",
            ctx.address(),
            msg.onward_route(),
            msg.return_route()
        );
        ctx.forward(msg).await
    }
}

/// Replies with what it got.
struct Echoer;

#[async_worker]
impl Worker for Echoer {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        println!(
            "{}: received '{}', return [{}]",
            ctx.address(),
            msg,
            msg.return_route()
        );
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

#[ringpost::node]
async fn main(mut ctx: Context) -> Result<()> {
    for name in ["h1", "h2", "h3"] {
        ctx.start_worker(name, Hop).await?;
    }
    ctx.start_worker("echoer", Echoer).await?;

    ctx.send_message(
        route!["h1", "h2", "h3", "echoer"],
        "Hello, route!".to_string(),
    )
    .await?;

    let reply = ctx.receive::<String>().await?;
    println!(
        "app: received '{}', return [{}]",
        reply,
        reply.return_route()
    );
    ctx.stop().await
}
