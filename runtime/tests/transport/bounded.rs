//! What one peer has waiting here is bounded, whatever it sends.

use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{
    Any, Context, Limits, Result, Route, Routed, TcpListenerOptions, TcpTransport, Worker, route,
};
use ringpost_router::wire::{Frame, Limits as FrameLimits, Note};

use crate::common::{SERVER, connected};
use crate::hostile::{Ends, until_closed};

/// Named like the place of a reply.
const LIKE_A_REPLY: &str = "aaaaaaaaaaaaaaaaaaaaaE";

/// Takes so long for each message.
struct Slow(Duration);

impl Worker for Slow {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<Any>) -> Result<()> {
        ctx.sleep(self.0).await;
        Ok(())
    }
}

/// Serves a slow worker of a usual name, and one of the name of a reply.
async fn serve(ctx: Context, each: Duration, limits: TcpLimits) -> Result<()> {
    let mut options = TcpListenerOptions::new().limits(limits);
    for name in ["slow", LIKE_A_REPLY] {
        ctx.start_worker(name, Slow(each)).await?;
        options = options.expose(name);
    }
    let tcp = TcpTransport::create(&ctx).await?;
    tcp.listen(SERVER, options).await?;
    Ok(())
}

fn put(onward: Route, back: Route, payload: &[u8], into: &mut Vec<u8>) {
    Frame::new(onward, back, payload)
        .encode(&FrameLimits::default(), into)
        .expect("it is within the limits");
}

/// What a peer of this make says first.
fn greeting() -> Vec<u8> {
    let mut bytes = vec![1];
    let (frames, watches) = (512, 0);
    let hello = Note::Hello { frames, watches }.encode();
    put(Route::new(), Route::new(), &hello, &mut bytes);
    bytes
}

/// Room for four messages at each worker.
fn little_room() -> Limits {
    let mut limits = Limits::default();
    (limits.mailbox_credits, limits.link_credits) = (4, 4);
    limits
}

#[test]
fn what_is_named_like_a_reply_and_is_none_is_bounded_too() {
    for cores in [1, 2] {
        let ends = Ends::default();
        let hour = Duration::from_secs(3600);
        let report = tracing::subscriber::with_default(ends.clone(), || {
            Sim::new(5)
                .cores(cores)
                .limits(little_room())
                .drain(Duration::ZERO)
                .beside(async move |ctx: Context| serve(ctx, hour, TcpLimits::default()).await)
                .run(async |ctx: Context| {
                    let _tcp = connected(&ctx, SERVER).await?;
                    let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
                    let mut bytes = greeting();
                    (0..2000)
                        .for_each(|_| put(route![LIKE_A_REPLY], Route::new(), b"", &mut bytes));
                    let _ = stream.write_all(&bytes).await;
                    until_closed(&mut stream).await;
                    Ok(())
                })
        });
        report.output.expect("it is cut off");
        assert!(report.elapsed < hour, "{:?}", report.elapsed);
        let ends = ends.take();
        assert!(
            ends.iter().any(|end| end.contains("(peer_credits)")),
            "{ends:?}"
        );
    }
}
