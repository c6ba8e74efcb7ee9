//! Requests: answered, answered late, never answered, and sent where nobody is.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::time::Duration;

use ringpost::{Context, ErrorKind, Result, Route, Routed, Worker, async_worker};

struct Square;

#[async_worker]
impl Worker for Square {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg * *msg).await
    }
}

/// Keeps what it is asked for, to answer it some day.
#[derive(Default)]
struct Silent {
    asked: Vec<Route>,
}

#[async_worker]
impl Worker for Silent {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.asked.push(msg.reply());
        Ok(())
    }
}

/// Lets go of what it is asked, without an answer.
struct Careless;

#[async_worker]
impl Worker for Careless {
    type Message = u64;
    type Context = Context;
}

#[ringpost::node]
async fn main(ctx: Context) -> Result<()> {
    ctx.start_worker("square", Square).await?;
    ctx.start_worker("silent", Silent::default()).await?;
    ctx.start_worker("careless", Careless).await?;

    for number in 3..6u64 {
        let squared: u64 = ctx.request("square", number).await?;
        println!("{number} squared is {squared}");
    }

    let patience = Duration::from_millis(50);
    match ctx.request::<u64>("silent", 1u64).within(patience).await {
        Ok(answer) => println!("unexpected answer {answer}"),
        Err(error) => println!("silent: {error}"),
    }
    match ctx.request::<u64>("careless", 1u64).await {
        Ok(answer) => println!("unexpected answer {answer}"),
        Err(error) => println!("careless: {error}"),
    }
    match ctx.request::<u64>("nobody", 1u64).await {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {
            println!("nobody: {error}");
        }
        other => println!("unexpected: {other:?}"),
    }
    match ctx.request::<u64>("square", "a word".to_string()).await {
        Ok(answer) => println!("unexpected answer {answer}"),
        Err(error) => println!("square: {error}"),
    }
    ctx.stop().await
}
