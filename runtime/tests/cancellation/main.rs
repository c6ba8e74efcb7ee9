//! Futures that are dropped after any number of polls leave nothing behind: no lost message, no credit that is
//! gone, nobody who waits for ever (G3, G4).

mod blocking;
mod ends;
mod known;
mod messages;
mod sockets;
mod transport;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ringpost::{Context, Result, Routed, Worker};

/// So often is a future polled at the most; each of them is done by then.
const POLLS_MAX: usize = 60;
/// The worker to which all of them send, and those that are started and stopped.
const SLOW: &str = "slow";
const GUEST: &str = "guest";

/// Takes ten milliseconds for each message, and answers requests.
struct Slow;

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(Duration::from_millis(10)).await;
        match *msg {
            0 => Ok(()),
            number => ctx.send_message(msg.reply(), number).await,
        }
    }
}

/// Takes a while to start and to end.
#[derive(Clone)]
struct Guest;

impl Worker for Guest {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.sleep(Duration::from_millis(5)).await;
        Ok(())
    }
}

/// Polls a future so often, a few milliseconds apart, and drops it. What came of it, if it was done.
async fn drop_after<F: Future>(ctx: &Context, polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let poll = poll_fn(|polling| Poll::Ready(future.as_mut().poll(polling)));
        if let Poll::Ready(output) = poll.await {
            return Some(output);
        }
        ctx.sleep(Duration::from_millis(3)).await;
    }
    None
}

/// Polls the future that `attempt` makes once more each time, until it is done before it is dropped.
async fn drop_at_every_poll(mut attempt: impl AsyncFnMut(usize) -> Result<bool>) -> Result<()> {
    for polls in 0..=POLLS_MAX {
        if attempt(polls).await? {
            assert!(polls > 0, "it is done without having been polled");
            return Ok(());
        }
    }
    Err(ringpost::Error::other("it is never done"))
}
