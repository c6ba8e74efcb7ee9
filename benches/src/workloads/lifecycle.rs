//! Short lives: a worker is started, gets a message and is stopped.

use std::time::Instant;

use ringpost::{Context, Result, Routed, Worker};

use super::stage::Stage;
use crate::Measured;

/// Takes what it gets.
struct Mayfly {
    seen: u64,
}

impl Worker for Mayfly {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.seen += *msg;
        Ok(())
    }

    async fn shutdown(&mut self, _ctx: &mut Context) -> Result<()> {
        assert_eq!(self.seen, 1, "stopping handles what is queued");
        Ok(())
    }
}

/// Lives that are led at least, as one alone shows little: what is left of the last one is met by the
/// next.
const LIVES_MIN: u64 = 4;

/// `n` times: start a worker, send it one message, stop it, all at one address.
///
/// # Errors
/// Those of the node.
pub async fn start_message_stop(ctx: Context, n: u64) -> Result<Measured> {
    let stage = Stage::new(ctx).await?;
    let name = stage.name_on(stage.other(), "mayfly");
    let ctx = stage.ctx();
    let lives = n.max(LIVES_MIN);
    let start = Instant::now();
    for _ in 0..lives {
        ctx.start_worker(name.clone(), Mayfly { seen: 0 }).await?;
        ctx.send_message(&name, 1u64).await?;
        ctx.stop_worker(name.clone()).await?;
    }
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, lives))
}
