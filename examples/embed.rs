//! A node inside an ordinary program, used by its threads.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::thread::scope;

use ringpost::{Context, Node, Result, Routed, Worker};

/// Adds up what it is sent, and replies with the total so far.
struct Total(u64);

impl Worker for Total {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0 += *msg;
        ctx.send_message(msg.reply(), self.0).await
    }
}

const THREADS: u64 = 4;
const REQUESTS: u64 = 250;

fn main() -> Result<()> {
    let node = Node::builder().start()?;
    let handle = node.handle();
    handle.start_worker_blocking("total", || Total(0))?;

    scope(|threads| {
        for thread in 1..=THREADS {
            let handle = handle.clone();
            threads.spawn(move || {
                for _ in 0..REQUESTS {
                    let reply: Result<u64> = handle.request_blocking("total", thread);
                    if let Err(error) = reply {
                        println!("a request failed: {error}");
                    }
                }
            });
        }
    });

    let total: u64 = handle.request_blocking("total", 0u64)?;
    println!(
        "{THREADS} threads sent {} requests; the total is {total}",
        THREADS * REQUESTS
    );

    node.stop()?;
    match handle.send_message_blocking("total", 1u64) {
        Ok(()) => println!("a stopped node took a message"),
        Err(error) => println!("after the stop: {error}"),
    }
    Ok(())
}
