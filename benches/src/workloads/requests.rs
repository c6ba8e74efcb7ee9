//! Requests that are awaited, one after the other or many at a time.

use std::time::Instant;

use ringpost::{Context, Result, Route};

use super::ping_pong::Echo;
use super::stage::Stage;
use crate::Measured;

/// `n` requests to one worker, `outstanding` of them under way at a time, each with the usual deadline.
///
/// # Errors
/// Those of the node.
pub async fn requests(ctx: Context, n: u64, outstanding: u64) -> Result<Measured> {
    let mut stage = Stage::new(ctx).await?;
    let echo = Echo {
        driver: stage.driver(),
    };
    let echo = stage.introduce(stage.other(), "echo", echo).await?;
    let each = n.div_ceil(outstanding);
    let start = Instant::now();
    if outstanding == 1 {
        ask(stage.ctx(), &echo, each).await?;
    } else {
        let driver = stage.driver();
        for _ in 0..outstanding {
            spawn_client(stage.ctx(), &echo, each, driver.clone())?;
        }
        for _ in 0..outstanding {
            assert!(stage.report::<bool>().await?);
        }
    }
    let took = start.elapsed();
    stage.end().await?;
    Ok(Measured::new(took, each * outstanding))
}

async fn ask(ctx: &Context, echo: &Route, n: u64) -> Result<()> {
    for number in 0..n {
        let reply: u64 = ctx.request(echo, number).await?;
        debug_assert_eq!(reply, number);
    }
    Ok(())
}

/// A client of its own, which asks `n` times in a row.
fn spawn_client(ctx: &Context, echo: &Route, n: u64, driver: Route) -> Result<()> {
    let client = ctx.detached()?;
    let echo = echo.clone();
    ctx.spawn(async move {
        let fine = ask(&client, &echo, n).await.is_ok();
        // The driver waits for this report; if it cannot be sent the node is ending.
        let _ = client.send_message(driver, fine).await;
    });
    Ok(())
}
