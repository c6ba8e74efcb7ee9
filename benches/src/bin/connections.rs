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
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ringpost::{Error, Node, Result};
use ringpost_benches::Machine;
use ringpost_benches::served::{SERVE, Server, allowed, serve};
use ringpost_router::route;
use ringpost_router::wire::{Frame, Limits, VERSION};

const CONNECTIONS: u64 = 19_000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
        return serve(Node::builder());
    }
    let wanted = argument.map_or(Ok(CONNECTIONS), |count| count.parse());
    let count = allowed(wanted.map_err(Error::other)?)?;
    println!("{}", Machine::read());
    let server = Server::start()?;
    // What the first one takes is the server's and not its own.
    ping(&mut connect(server.address())?, 0)?;
    let before = server.memory();
    let begin = Instant::now();
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(connect(server.address())?);
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
