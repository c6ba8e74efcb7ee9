//! A server that echoes what it is sent over TCP, on every core: messages to its worker `echoer`, or bytes.
//!
//! ```text
//! cargo run --release --example echo_server -- --listen 127.0.0.1:4000
//! ```
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::env;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::transport::Acceptor;
use ringpost::{
    Any, Context, Error, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, Worker,
};

const USAGE: &str = "\
echo_server [--listen ADDRESS] [--cores N] [--raw] [--hand-over] [--check]

  --listen ADDRESS  where to listen; default 127.0.0.1:4000, port 0 for any
  --cores N         how many cores the node has; default all that the process may use
  --raw             echo bytes as they come, for any program that speaks TCP
  --hand-over       one core accepts connections and hands them to all in turn; else each core accepts its own
  --check           echo once what the program sends itself, and end";

#[derive(Clone)]
struct Options {
    listen: SocketAddr,
    cores: Option<usize>,
    raw: bool,
    hand_over: bool,
    check: bool,
}

fn options() -> Result<Options> {
    let mut options = Options {
        listen: "127.0.0.1:4000".parse()?,
        cores: None,
        raw: false,
        hand_over: false,
        check: false,
    };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Error::other(USAGE));
        match word.as_str() {
            "--listen" => options.listen = value()?.parse()?,
            "--cores" => options.cores = Some(value()?.parse()?),
            "--raw" => options.raw = true,
            "--hand-over" => options.hand_over = true,
            "--check" => options.check = true,
            _ => return Err(Error::other(USAGE)),
        }
    }
    Ok(options)
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

fn main() -> Result<()> {
    let options = options()?;
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
