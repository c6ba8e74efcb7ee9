//! Workers of two nodes that wait for each other (G5).

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{
    Context, ErrorKind, Result, Route, Routed, TcpConnectionOptions, TcpListenerOptions,
    TcpTransport, Worker,
};

use crate::common::{SERVER, to};

/// Asks the worker of the other node that it hears of, within its time; answers with what came of that.
struct Asker(Option<Duration>);

impl Worker for Asker {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let back = msg.reply();
        let other = match msg.as_str() {
            "go" => to(SERVER, "there"),
            "ask" => match back.first() {
                Some(connection) => Route::new()
                    .append(connection.address.clone())
                    .append("here"),
                None => Route::new(),
            },
            _ => return ctx.send_message(back, "at last".to_owned()).await,
        };
        let next = if msg.as_str() == "go" { "ask" } else { "end" };
        let asked = ctx.request::<String>(other, next.to_owned());
        let answer = match self.0 {
            Some(long) => asked.within(long).await,
            None => asked.await,
        };
        let came = match answer {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::Timeout { .. }) => "late".to_owned(),
            Err(error) => return Err(error),
        };
        ctx.send_message(back, came).await
    }
}

/// G5: a worker asks one of another node, which asks it in turn; the deadline of the first request ends that, and both
/// go on.
#[test]
fn g5_a_circle_through_another_node_ends_with_a_deadline() {
    for seed in 0..10 {
        let serve = async |ctx: Context| {
            ctx.start_worker("there", Asker(None)).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            tcp.listen(SERVER, TcpListenerOptions::new().expose("there"))
                .await?;
            Ok(())
        };
        let sim = Sim::new(seed).cores(2).beside(serve);
        let report = sim.run(async |ctx: Context| {
            let tcp = TcpTransport::create(&ctx).await?;
            let options = || TcpConnectionOptions::new().expose("here");
            while tcp.connect(SERVER, options()).await.is_err() {}
            let second = Duration::from_secs(1);
            ctx.start_worker("here", Asker(Some(second))).await?;
            for _ in 0..3 {
                let came: String = ctx.request("here", "go".to_owned()).await?;
                assert_eq!(came, "late");
                ctx.sleep(second / 10).await;
            }
            ctx.stop().await
        });
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let elapsed = report.elapsed.as_millis();
        assert!(
            (3_300..3_400).contains(&elapsed),
            "seed {seed}: {elapsed} ms"
        );
    }
}
