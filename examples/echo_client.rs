//! Asks the worker `echoer` of another node, as the example `echo_server` serves it. Without an address it
//! starts such a node in the same process.
//!
//! ```text
//! cargo run --release --example echo_client -- 127.0.0.1:4000
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::env;
use std::process::ExitCode;
use std::sync::mpsc::channel;

use ringpost::{
    Context, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};

const USAGE: &str = "\
echo_client [HOST:PORT]

  HOST:PORT  where an echo_server listens; default one in this process";

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

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Usage,
    /// To ask the server at this address, or one of its own.
    Ask(Option<String>),
}

/// Reads the command line; says what is wrong with it.
fn wanted(words: impl Iterator<Item = String>) -> std::result::Result<Wanted, String> {
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [] => Ok(Wanted::Ask(None)),
        [word] if word == "--help" || word == "-h" => Ok(Wanted::Usage),
        [word] if !word.starts_with('-') && word.contains(':') => {
            Ok(Wanted::Ask(Some(word.clone())))
        }
        [word] => Err(format!(
            "`{word}` is no address; write HOST:PORT, such as 127.0.0.1:4000"
        )),
        [_, word, ..] => Err(format!("`{word}` is one argument too many")),
    }
}

fn main() -> Result<ExitCode> {
    match wanted(env::args().skip(1)) {
        Ok(Wanted::Ask(address)) => ask(address).map(|()| ExitCode::SUCCESS),
        Ok(Wanted::Usage) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => {
            eprintln!("echo_client: {wrong}; --help says what is");
            Ok(ExitCode::from(2))
        }
    }
}

fn ask(address: Option<String>) -> Result<()> {
    let (server, address) = match address {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_asked_for() {
        let parse = |line: &str| wanted(line.split_whitespace().map(str::to_owned));
        assert_eq!(parse(""), Ok(Wanted::Ask(None)));
        let address = Some("localhost:4000".to_owned());
        assert_eq!(parse("localhost:4000"), Ok(Wanted::Ask(address)));
        assert_eq!(parse("--help"), Ok(Wanted::Usage));
        assert!(parse("4000").is_err() && parse("--raw").is_err());
        assert!(parse("h:1 h:2").unwrap_err().contains("`h:2`"));
    }
}
