//! Three nodes in a row: a message goes from the first by way of the second to a worker of the third, and
//! the reply comes back the same way. They run in one process here, and talk over TCP.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::sync::mpsc::{Sender, channel};

use ringpost::{
    Context, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};

/// Replies with the way that the message took back.
struct Responder;

impl Worker for Responder {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        println!(
            "responder: got {:?}, {} hops from home",
            msg.as_str(),
            msg.reply().len()
        );
        ctx.send_message(msg.reply(), msg.take().to_uppercase())
            .await
    }
}

/// Listens with these options, and tells where.
struct Listening(TcpListenerOptions, Sender<String>);

impl Worker for Listening {
    type Message = ();
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        let tcp = TcpTransport::create(ctx).await?;
        let listener = tcp.listen("127.0.0.1:0", self.0.clone()).await?;
        // The receiver waits for it.
        let _ = self.1.send(listener.address());
        Ok(())
    }
}

/// A node that listens, and its address.
fn listening(options: TcpListenerOptions) -> Result<(Node, String)> {
    let node = Node::builder().cores(1).start()?;
    let (tell, told) = channel();
    let start = move || Listening(options, tell);
    node.handle().start_worker_blocking("listening", start)?;
    Ok((node, told.recv().unwrap_or_default()))
}

fn main() -> Result<()> {
    let options = TcpListenerOptions::new().expose("responder");
    let (third, responder) = listening(options)?;
    third
        .handle()
        .start_worker_blocking("responder", || Responder)?;
    // The middle relays to the third node, and nothing else.
    let options = TcpListenerOptions::new().relay_to(&responder);
    let (second, middle) = listening(options)?;

    Node::builder().cores(1).run(async move |ctx: Context| {
        let _tcp = TcpTransport::create(&ctx).await?;
        let route = Route::new()
            .append_t(TCP, middle)
            .append_t(TCP, responder)
            .append("responder");
        let reply: String = ctx.request(route, "over two hops".to_string()).await?;
        println!("initiator: got {reply:?}");
        ctx.stop().await
    })?;
    second.stop()?;
    third.stop()
}
