//! Asks the worker `echoer` of another node, as the example `echo_server` serves it. Without an address it
//! starts such a node in the same process.
//!
//! ```text
//! cargo run --release --example echo_client -- 127.0.0.1:4000
//! ```
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::env;
use std::sync::mpsc::channel;

use ringpost::{
    Context, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};

struct Echoer;

impl Worker for Echoer {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// A node with the worker, and its address.
fn own_server() -> Result<(Node, String)> {
    let node = Node::builder().cores(1).start()?;
    let (address, found) = channel();
    let handle = node.handle();
    handle.start_worker_blocking("server", move || Server(address))?;
    let address = found.recv().unwrap_or_default();
    Ok((node, address))
}

/// Listens when it starts.
struct Server(std::sync::mpsc::Sender<String>);

impl Worker for Server {
    type Message = ();
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        ctx.start_worker("echoer", Echoer).await?;
        let tcp = TcpTransport::create(ctx).await?;
        let options = TcpListenerOptions::new().expose("echoer");
        let listener = tcp.listen("127.0.0.1:0", options).await?;
        // The receiver waits for it.
        let _ = self.0.send(listener.address());
        Ok(())
    }
}

fn main() -> Result<()> {
    let (server, address) = match env::args().nth(1) {
        Some(address) => (None, address),
        None => {
            let (node, address) = own_server()?;
            (Some(node), address)
        }
    };
    Node::builder().cores(1).run(async move |ctx: Context| {
        let _tcp = TcpTransport::create(&ctx).await?;
        let echoer = Route::new().append_t(TCP, address).append("echoer");
        for text in ["Hello!", "How far is it?", "Goodbye."] {
            let reply: String = ctx.request(echoer.clone(), text.to_string()).await?;
            println!("echoed: {reply}");
        }
        let nobody = echoer.append("nobody");
        if let Err(error) = ctx.request::<String>(nobody, "Hello?".to_string()).await {
            println!("refused: {error}");
        }
        ctx.stop().await
    })?;
    drop(server);
    Ok(())
}
