//! Savina's thread ring: one token, passed round by many.

use std::time::Instant;

use ringpost::{Context, Result, Route, Routed, Worker};

use super::stage::{Stage, announce};
use crate::Measured;

enum Word {
    /// Closes the ring: who comes after the receiver.
    Next(Box<Route>),
    /// The token, with the hops that are left.
    Token(u64),
}

ringpost::local_message!(Word);

struct Member {
    next: Route,
    driver: Route,
}

impl Worker for Member {
    type Message = Word;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Word>) -> Result<()> {
        match msg.take() {
            Word::Token(0) => ctx.send_message(&self.driver, true).await,
            Word::Token(left) => ctx.send_message(&self.next, Word::Token(left - 1)).await,
            Word::Next(next) => {
                self.next = *next;
                Ok(())
            }
        }
    }
}

/// `n` hops of one token round a ring of `members`, each on the core after the last one's.
///
/// # Errors
/// Those of the node.
pub async fn thread_ring(ctx: Context, n: u64, members: usize) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    // Each is started with the route of the one before it; the first of all learns its own at the end.
    let oldest = introduce(&mut stage, 0, Route::new()).await?;
    let mut youngest = oldest.clone();
    for number in 1..members {
        youngest = introduce(&mut stage, number, youngest).await?;
    }
    let closing = Word::Next(Box::new(youngest.clone()));
    stage.ctx().send_message(oldest, closing).await?;
    let start = Instant::now();
    stage.ctx().send_message(youngest, Word::Token(n)).await?;
    assert!(stage.report::<bool>().await?);
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, n + 1))
}

async fn introduce(stage: &mut Stage, number: usize, next: Route) -> Result<Route> {
    let driver = stage.driver();
    let core = number % stage.cores();
    stage
        .introduce(core, format!("member-{number}"), Member { next, driver })
        .await
}
