//! What workers send over connections while their node stops (G9).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Context, Result, Routed, TcpListenerOptions, TcpTransport, Worker};
use ringpost_mailbox::sync::Mutex;

use crate::common::{SERVER, connected, to};

type Log = Arc<Mutex<Vec<u64>>>;

/// Writes down what it gets.
struct Recorder(Log);

impl Worker for Recorder {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        self.0.lock().push(*msg);
        Ok(())
    }
}

/// Sends its number to the other node when it is taken down.
struct Leaver(u64);

impl Worker for Leaver {
    type Message = ();
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<()>) -> Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.yield_now().await;
        ctx.send_message(to(SERVER, "recorder"), self.0).await
    }
}

const LEAVERS: u64 = 50;

/// Starts workers that have something to say in the end, and stops its node.
async fn leave(ctx: Context) -> Result<()> {
    connected(&ctx, SERVER).await?;
    for number in 0..LEAVERS {
        let core = number as usize % ctx.cores();
        let name = format!("leaver-{number}");
        ctx.start_worker_on(core, name, Leaver(number)).await?;
    }
    ctx.stop().await
}

/// G9: connections end after all other workers, so what those send in their `shutdown` still gets out.
#[test]
fn g9_connections_end_after_the_workers() {
    for seed in 0..20 {
        let log = Log::default();
        let notes = Arc::clone(&log);
        let sim = Sim::new(seed).cores(2).beside(leave);
        let report = sim.run(async move |ctx: Context| {
            ctx.start_worker("recorder", Recorder(notes)).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            let options = TcpListenerOptions::new().expose("recorder");
            tcp.listen(SERVER, options).await?;
            ctx.sleep(Duration::from_secs(60)).await;
            Ok(())
        });
        report.output.unwrap();
        let mut numbers = std::mem::take(&mut *log.lock());
        numbers.sort_unstable();
        assert!(
            numbers.iter().copied().eq(0..LEAVERS),
            "seed {seed}: {numbers:?}"
        );
    }
}
