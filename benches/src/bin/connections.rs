//! Many idle connections held by one process: what each takes, and whether each answers afterwards.
//!
//! `cargo run --release -p ringpost-benches --bin connections -- 19000`. The server is a process of its own, a node whose
//! worker `echoer` is exposed; memory is read from what Linux says about it.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::disallowed_methods,
    reason = "it times sockets, outside of any node"
)]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringpost::{
    Any, Context, Error, Node, Result, Routed, TcpListenerOptions, TcpTransport, Worker,
};
use ringpost_benches::{Machine, process};
use ringpost_router::route;
use ringpost_router::wire::{Frame, Limits, VERSION};
use rustix::process::{Resource, getrlimit, setrlimit};

const CONNECTIONS: u64 = 19_000;
/// Descriptors that a process needs besides its connections.
const DESCRIPTORS: u64 = 100;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
const SERVE: &str = "--serve";

/// Sends back whatever it gets.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

fn serve() -> Result<()> {
    Node::builder().serve(async |ctx: Context| {
        ctx.start_replicated("echoer", || Echoer).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().expose("echoer");
        println!("{}", tcp.listen("127.0.0.1:0", options).await?.address());
        Ok(())
    })
}

/// The server, which ends with this.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .arg(SERVE)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child?;
        let mut address = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut address)?;
        }
        let address = address.trim().to_owned();
        Ok(Self { child, address })
    }

    fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        process::status(&self.id(), "VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process, and the server that it starts, open so many connections, or as many as the system allows.
fn allowed(wanted: u64) -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(Error::other)?;
    let most = limit
        .maximum
        .unwrap_or(u64::MAX)
        .saturating_sub(DESCRIPTORS);
    if most < wanted {
        println!("the system allows {most} connections here, not {wanted} (ulimit -H -n)");
    }
    Ok(most.min(wanted))
}

/// Connects, and waits for the first word of the server.
fn connect(address: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[VERSION])?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    Ok(stream)
}

/// Sends a message that no other connection sends, and waits until it comes back.
fn ping(stream: &mut TcpStream, number: u64) -> Result<()> {
    let payload = [b"ping".as_slice(), &number.to_be_bytes()].concat();
    let mut sent = Vec::new();
    Frame::new(route!["echoer"], route!["me"], &payload)
        .encode(&Limits::default(), &mut sent)
        .map_err(Error::other)?;
    stream.write_all(&sent)?;
    let (mut arrived, mut piece) = (Vec::new(), [0; 512]);
    while !arrived.ends_with(&payload) {
        match stream.read(&mut piece)? {
            0 => return Err(Error::other(format!("connection {number} was closed"))),
            count => arrived.extend_from_slice(&piece[..count]),
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let argument = env::args().nth(1);
    if argument.as_deref() == Some(SERVE) {
        return serve();
    }
    let wanted = argument.map_or(Ok(CONNECTIONS), |count| count.parse());
    let count = allowed(wanted.map_err(Error::other)?)?;
    println!("{}", Machine::read());
    let server = Server::start()?;
    // What the first one takes is the server's and not its own.
    ping(&mut connect(&server.address)?, 0)?;
    let before = server.memory();
    let begin = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(connect(&server.address)?);
    }
    let opened = begin.elapsed();
    let each = |memory: u64| memory.saturating_sub(before) * 1024 / count.max(1);
    let idle = server.memory();
    println!(
        "{count} connections opened in {opened:.2?}; the server holds {idle} KiB, {before} before"
    );
    println!(
        "memory of an idle connection that was never used: {} bytes",
        each(idle)
    );
    let begin = Instant::now();
    for (number, stream) in (0..).zip(&mut streams) {
        ping(stream, number)?;
    }
    let pinged = begin.elapsed();
    let used = server.memory();
    println!("each of {count} has answered, one after the other, in {pinged:.2?}");
    println!(
        "memory of an idle connection that was used: {} bytes",
        each(used)
    );
    Ok(())
}
