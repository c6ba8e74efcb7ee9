//! What the tests of the transport share.

use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{
    Context, Error, Result, Route, Routed, TCP, TcpConnectionOptions, TcpListenerOptions,
    TcpTransport, Worker, route,
};
use ringpost_router::wire::{Frame, Note, VERSION};

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

/// Asks an echoer, and is answered.
pub(crate) async fn asks(ctx: &Context, route: Route, text: &str) -> Result<()> {
    let reply: String = ctx.request(route, text.to_owned()).await?;
    assert_eq!(reply, text);
    Ok(())
}

/// Writes a frame behind others.
pub(crate) fn append(onward: Route, back: Route, payload: &[u8], bytes: &mut Vec<u8>) {
    Frame::new(onward, back, payload)
        .encode(&Default::default(), bytes)
        .expect("it is within the limits");
}

/// A message to `echoer`.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(route!["echoer"], route!["me"], payload, &mut bytes);
    bytes
}

/// What a node of this make says first, if it gives so many credits.
pub(crate) fn greeting(frames: u32) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let hello = Note::Hello { frames, watches: 0 }.encode();
    append(Route::new(), Route::new(), &hello, &mut bytes);
    bytes
}

/// Reads until the other side ends the connection.
pub(crate) async fn until_closed(stream: &mut TcpStream) {
    let mut answer = vec![0; 4096];
    stream.set_read_timeout(Some(Duration::from_secs(3600)));
    while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
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
