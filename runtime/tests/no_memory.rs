//! Real nodes, of a program whose allocator has no memory for anything long: what a peer sends waits, or what a worker sends
//! comes back. A program that asks where it cannot be refused ends here with a message of Rust's.

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use std::time::Duration;

use counting::refuse_from;
use ringpost::{
    Buf, Context, ErrorKind, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport,
    Worker,
};
use serde::{Deserialize, Serialize};

struct Echo;

impl Worker for Echo {
    type Message = Buf;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Buf>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Takes a block of two kibibytes.
#[derive(Serialize, Deserialize, ringpost::Message, Clone, PartialEq, Debug)]
struct Large(Vec<u64>, [[u64; 25]; 8]);

impl Large {
    fn new() -> Self {
        Self(vec![7], [[7; 25]; 8])
    }
}

/// Handles nothing before it is told to.
struct Slow(u64);

impl Worker for Slow {
    type Message = Large;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, _msg: Routed<Large>) -> Result<()> {
        if self.0 == 0 {
            ctx.receive::<()>().await?;
        }
        self.0 += 1;
        Ok(())
    }
}

fn payload(bytes: usize) -> Buf {
    Buf::from(vec![7; bytes])
}

/// The end of what is refused, whatever happens.
struct Refusing;

impl Refusing {
    fn from(bytes: u64) -> Self {
        refuse_from(bytes);
        Self
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        refuse_from(u64::MAX);
    }
}

async fn listen(ctx: &Context) -> Result<Route> {
    let tcp = TcpTransport::create(ctx).await?;
    let options = TcpListenerOptions::new().expose("echo");
    let listener = tcp.listen("127.0.0.1:0", options).await?;
    let address = listener.address().to_string();
    Ok(Route::new().append_t(TCP, address).append("echo"))
}

/// A frame that is longer than there is memory for waits, and is answered once there is; other requests of the node do not
/// notice.
async fn long_frames_wait(ctx: &Context) -> Result<()> {
    ctx.start_worker("echo", Echo).await?;
    let route = listen(ctx).await?;
    for bytes in [10, 40_000, 300_000, 10] {
        let answer: Buf = ctx.request(route.clone(), payload(bytes)).await?;
        assert_eq!(answer.len(), bytes);
    }
    let (long, short) = (payload(300_000), payload(10));
    let before = ctx.handle().stats().total(|core| core.memory_refused);
    let refusing = Refusing::from(100_000);
    let asking = ctx.detached()?;
    let answered = asking.request::<Buf>(route.clone(), long);
    let mut answered = std::pin::pin!(answered.within(Duration::from_secs(20)));
    let early = std::future::poll_fn(|polling| {
        std::task::Poll::Ready(answered.as_mut().poll(polling).is_ready())
    });
    assert!(!early.await);
    ctx.sleep(Duration::from_millis(100)).await;
    let answer: Buf = ctx.request("echo", short).await?;
    assert_eq!(answer.len(), 10);
    drop(refusing);
    assert_eq!(answered.await?.len(), 300_000);
    let after = ctx.handle().stats().total(|core| core.memory_refused);
    assert!(after > before + 3, "{before} {after}");
    Ok(())
}

/// Messages that need blocks come back when there are none left; those that were accepted are handled.
async fn sends_come_back(ctx: &Context) -> Result<()> {
    ctx.start_worker("slow", Slow(0)).await?;
    ctx.send_message("slow", Large::new()).await?;
    ctx.yield_now().await;
    let message = Large::new();
    let refusing = Refusing::from(1_000);
    let mut accepted = 0;
    let error = loop {
        match ctx.try_send_message("slow", message.clone()) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 300, "there are no more free blocks");
    };
    let ErrorKind::NoMemory { bytes } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(*bytes, size_of::<Large>());
    assert_eq!(error.into_message::<Large>()?, message);
    drop(refusing);
    ctx.send_message("slow", message).await?;
    let handled = ctx.handle().stats().total(|core| core.handled);
    ctx.send_message("slow", ()).await?;
    ctx.stop_worker("slow").await?;
    let handled = ctx.handle().stats().total(|core| core.handled) - handled;
    // The one that told it to go on, too.
    assert_eq!(handled, accepted + 2);
    Ok(())
}

/// G3, G4: one test, as the allocator is that of the program.
#[test]
fn g4_a_node_goes_on_when_the_system_has_no_memory_for_it() {
    let node = Node::builder()
        .cores(1)
        .on_undelivered(|lost| panic!("{lost:?}"));
    node.run(async |ctx: Context| {
        sends_come_back(&ctx).await?;
        long_frames_wait(&ctx).await?;
        ctx.stop().await
    })
    .expect("it goes on");
}
