//! Deadlines of requests on a core that always has something to do (G5).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, ErrorKind, Result, Routed, Worker};

/// Keeps what it is asked and never answers.
struct Silent(Vec<Routed<u64>>);

impl Worker for Silent {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.push(msg);
        Ok(())
    }
}

/// G5: the timers of requests are armed later where a core is busy, and they are, however busy it is: each passes no sooner than it
/// may, and soon after.
#[test]
fn g5_a_request_ends_in_time_on_a_core_that_is_never_idle() {
    for seed in 0..5 {
        for micros in [1, 500, 2_000] {
            let limit = Duration::from_micros(micros);
            let report = Sim::new(seed).run(async move |ctx: Context| {
                ctx.start_worker_with("silent", || Silent(Vec::new()))
                    .await?;
                let own = ctx.detached()?;
                ctx.spawn(async move {
                    loop {
                        own.yield_now().await;
                    }
                });
                let asked = ctx.request::<u64>("silent", 0u64).within(limit);
                let error = asked.await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Timeout { .. }));
                ctx.stop_now().await
            });
            report.output.unwrap();
            let (took, most) = (report.elapsed, limit + Duration::from_micros(300));
            assert!((limit..=most).contains(&took), "{took:?} for {limit:?}");
        }
    }
}
