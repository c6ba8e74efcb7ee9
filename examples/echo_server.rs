//! A server that echoes what it is sent over TCP, on every core: messages to its worker `echoer`, or bytes.
//!
//! ```text
//! cargo run --release --example echo_server -- --listen 127.0.0.1:4000
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::env;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::transport::Acceptor;
use ringpost::{
    Any, Context, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};

const USAGE: &str = "\
echo_server [--listen HOST:PORT] [--cores N] [--raw] [--hand-over] [--check]

  --listen HOST:PORT  where to listen; default 127.0.0.1:4000, port 0 for any
  --cores N           how many cores the node has; default all that the process may use
  --raw               echo bytes as they come, for any program that speaks TCP
  --hand-over         one core accepts connections and hands them to all in turn; else each core accepts its own
  --check             echo once what the program sends itself, and end";

#[derive(Clone, Debug, PartialEq)]
struct Options {
    listen: SocketAddr,
    cores: Option<usize>,
    raw: bool,
    hand_over: bool,
    check: bool,
}

/// What the command line asks for; `None` if that is the usage. Otherwise, what is wrong with it.
fn options(
    mut words: impl Iterator<Item = String>,
) -> std::result::Result<Option<Options>, String> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
        cores: None,
        raw: false,
        hand_over: false,
        check: false,
    };
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("{word} without its value"))
        };
        match word.as_str() {
            "--listen" => options.listen = resolve(&value()?)?,
            "--cores" => options.cores = Some(cores(&value()?)?),
            "--raw" => options.raw = true,
            "--hand-over" => options.hand_over = true,
            "--check" => options.check = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("no argument `{word}` is known")),
        }
    }
    Ok(Some(options))
}

/// The first address that a host and a port stand for.
fn resolve(text: &str) -> std::result::Result<SocketAddr, String> {
    let expected = "write HOST:PORT, such as 127.0.0.1:4000 or localhost:4000";
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| format!("--listen {text}: {error}; {expected}"))?;
    found
        .next()
        .ok_or_else(|| format!("--listen {text}: the name has no address; {expected}"))
}

fn cores(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(cores @ 1..) => Ok(cores),
        _ => Err(format!("--cores {text}: write how many, at least 1")),
    }
}

/// Sends every message back, whatever it is.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Serves the worker `echoer`, of which every core has an instance. Returns the address.
async fn serve_worker(ctx: &Context, options: &Options) -> Result<String> {
    ctx.start_replicated("echoer", || Echoer).await?;
    let tcp = TcpTransport::create(ctx).await?;
    let acceptor = match options.hand_over {
        true => Acceptor::HandOver,
        false => Acceptor::ReusePort,
    };
    let exposed = TcpListenerOptions::new()
        .expose("echoer")
        .acceptor(acceptor);
    let listener = tcp.listen(options.listen.to_string(), exposed).await?;
    Ok(listener.address())
}

/// Accepts connections on its core.
struct Listens(SocketAddr);

impl Worker for Listens {
    type Message = ();
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        let shared = ListenOptions::default().shared(true);
        let listener = TcpListener::bind(ctx, self.0, &shared)?;
        let there = ctx.detached()?;
        ctx.spawn(accept_all(there, listener));
        Ok(())
    }
}

async fn accept_all(ctx: Context, mut listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => ctx.spawn(async {
                // A peer that is gone ends its own connection and nothing else.
                let _ = echo_all(stream).await;
            }),
            Err(_) => ctx.sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Accepts on this core and hands each connection to the next one.
async fn hand_over(ctx: Context, mut listener: TcpListener) {
    let node = ctx.handle();
    for core in (0..ctx.cores()).cycle() {
        match listener.accept_detached().await {
            Ok((accepted, _)) => {
                let node = node.clone();
                ctx.spawn(async move {
                    let serve = async move |there: Context| {
                        if let Ok(stream) = TcpStream::attach(&there, accepted) {
                            let _ = echo_all(stream).await;
                        }
                    };
                    // It fails if the node ends first.
                    let _ = node.run_on(core, serve).await;
                });
            }
            Err(_) => ctx.sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn echo_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut bytes).await? {
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count]).await?,
        }
    }
}

/// Accepts for every core. The address is the one that was asked for, with its port.
async fn serve_raw(ctx: &Context, options: &Options) -> Result<SocketAddr> {
    let asked = options.listen;
    if options.hand_over {
        let listener = TcpListener::bind(ctx, asked, &ListenOptions::default())?;
        let address = listener.local_addr()?;
        ctx.spawn(hand_over(ctx.detached()?, listener));
        return Ok(address);
    }
    // Sockets that share an address do not notice those of another server: one that does not share it does.
    let alone = TcpListener::bind(ctx, asked, &ListenOptions::default())?;
    let address = alone.local_addr()?;
    drop(alone);
    for core in 0..ctx.cores() {
        let name = format!("acceptor-{core}");
        ctx.start_worker_on(core, name, Listens(address)).await?;
    }
    Ok(address)
}

/// Sends the server a line and prints what comes back.
async fn check_raw(ctx: &Context, address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(ctx, address).await?;
    stream.set_read_timeout(Some(Duration::from_secs(10)));
    stream.write_all(b"Hello, sockets!").await?;
    let mut bytes = [0; 15];
    stream.read_exact(&mut bytes).await?;
    println!("echoed: {}", String::from_utf8_lossy(&bytes));
    ctx.stop().await
}

fn main() -> Result<ExitCode> {
    match options(env::args().skip(1)) {
        Ok(Some(options)) => serve(options).map(|()| ExitCode::SUCCESS),
        Ok(None) => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => {
            eprintln!("echo_server: {wrong}; --help says what is");
            Ok(ExitCode::from(2))
        }
    }
}

fn serve(options: Options) -> Result<()> {
    let mut node = Node::builder();
    if let Some(cores) = options.cores {
        node = node.cores(cores);
    }
    node.serve(async move |ctx: Context| {
        if !options.raw {
            let address = serve_worker(&ctx, &options).await?;
            println!("echoer at {address} on {} cores", ctx.cores());
            if options.check {
                let route = Route::new().append_t(TCP, address).append("echoer");
                let reply: String = ctx.request(route, "Hello, worker!".to_string()).await?;
                println!("echoed: {reply}");
                ctx.stop().await?;
            }
            return Ok(());
        }
        let address = serve_raw(&ctx, &options).await?;
        println!("listening at {address} on {} cores, raw", ctx.cores());
        if options.check {
            check_raw(&ctx, address).await?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> std::result::Result<Option<Options>, String> {
        options(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_names_are_resolved() {
        let options = parse("--listen localhost:4001 --cores 2 --raw").unwrap();
        let options = options.expect("it is to serve");
        assert!(options.listen.ip().is_loopback() && options.listen.port() == 4001);
        assert_eq!((options.cores, options.raw), (Some(2), true));
        assert_eq!(parse("--raw --help"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said_on_one_line() {
        for (line, part) in [
            ("--lisen 127.0.0.1:4000", "no argument `--lisen`"),
            ("--listen", "--listen without its value"),
            ("--listen 4000", "write HOST:PORT, such as"),
            ("--cores x", "--cores x: write how many"),
            ("--cores 0", "at least 1"),
        ] {
            let wrong = parse(line).unwrap_err();
            assert!(wrong.contains(part) && !wrong.contains('\n'), "{wrong}");
        }
    }
}
