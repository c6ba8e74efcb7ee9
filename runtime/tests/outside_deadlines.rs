//! Questions of a `NodeHandle` end by their deadlines wherever they wait (G5).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Limits, Result, Routed, Worker};

const SECOND: Duration = Duration::from_secs(1);
/// How much of anything there may be.
const FEW: u32 = 4;

/// Takes an hour for its first message, and asks itself by way of itself, if it is to.
struct Slow {
    asks: bool,
    is_done: bool,
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if !std::mem::replace(&mut self.is_done, true) {
            ctx.sleep(SECOND).await;
            if self.asks {
                ask(ctx, &["slow", "nobody"]).await;
                return Ok(());
            }
            ctx.sleep(3600 * SECOND).await;
        }
        ctx.send_message(msg.reply(), *msg).await
    }
}

/// Asks for a second, and has its message back then.
async fn ask(ctx: &Context, route: &[&str]) {
    let route = route
        .iter()
        .fold(ringpost::Route::new(), |route, hop| route.append(*hop));
    let asked = ctx
        .handle()
        .request_within::<u64>(SECOND, route, 7u64)
        .await;
    let error = asked.unwrap_err();
    let after = match error.kind() {
        ErrorKind::Timeout { after, .. } => *after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after, SECOND);
    assert_eq!(error.into_message::<u64>().unwrap(), 7);
}

/// G5: also where others wait before them for room at the same worker; with the message; and others are not held up by that.
#[test]
fn g5_a_question_from_outside_ends_in_time_where_others_wait_before_it() {
    for seed in 0..10 {
        for (core, asks) in [(0, false), (1, false), (0, true), (1, true)] {
            let mut limits = Limits::default();
            limits.mailbox_credits = FEW;
            limits.link_credits = FEW;
            let report = Sim::new(seed)
                .cores(2)
                .limits(limits)
                .run(async move |ctx: Context| {
                    let slow = Slow {
                        asks,
                        is_done: false,
                    };
                    ctx.start_worker_on(core, "slow", slow).await?;
                    let handle = ctx.handle();
                    for number in 0..16 * u64::from(FEW) {
                        handle.try_send_message("slow", number)?;
                        ctx.sleep(SECOND / 1000).await;
                    }
                    if !asks {
                        ask(&ctx, &["slow"]).await;
                        ask(&ctx, &["slow"]).await;
                        ctx.sleep(3600 * SECOND).await;
                    } else {
                        ctx.sleep(3 * SECOND).await;
                    }
                    let answer: u64 = handle.request_within(SECOND, "slow", 8u64).await?;
                    assert_eq!(answer, 8, "seed {seed} {core} {asks}");
                    ctx.stop().await
                });
            assert_eq!(report.output.map_err(|error| error.to_string()), Ok(()));
        }
    }
}
