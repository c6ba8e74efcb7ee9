//! What the tests of the transport share.

use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{
    Context, Error, Result, Route, Routed, TCP, TcpConnectionOptions, TcpListenerOptions,
    TcpTransport, Worker,
};

pub(crate) const SERVER: &str = "10.0.0.1:4000";
pub(crate) const MIDDLE: &str = "10.0.0.2:4000";

pub(crate) struct Echoer;

impl Worker for Echoer {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Serves `echoer`, and has `secret` beside it.
pub(crate) async fn serve(ctx: Context, limits: TcpLimits) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    ctx.start_worker("secret", Echoer).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer").limits(limits);
    tcp.listen(SERVER, options).await?;
    Ok(())
}

pub(crate) async fn server(ctx: Context) -> Result<()> {
    serve(ctx, TcpLimits::default()).await
}

/// The transport, once the peer listens.
pub(crate) async fn connected(ctx: &Context, peer: &str) -> Result<TcpTransport> {
    let tcp = TcpTransport::create(ctx).await?;
    for _ in 0..100 {
        match tcp.connect(peer, TcpConnectionOptions::new()).await {
            Ok(_) => return Ok(tcp),
            Err(_) => ctx.sleep(Duration::from_millis(1)).await,
        }
    }
    Err(Error::other("nobody listens"))
}

pub(crate) fn to(peer: &str, name: &str) -> Route {
    Route::new().append_t(TCP, peer).append(name)
}

pub(crate) fn on_seeds<F>(client: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    for seed in 0..10 {
        let sim = Sim::new(seed).cores(2).beside(server);
        let report = sim.run(client.clone());
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
