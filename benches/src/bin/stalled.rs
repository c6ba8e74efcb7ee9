//! Half of the peers send and do not read: what the others keep of their throughput.
//!
//! `cargo run --release -p ringpost-benches --bin stalled -- 2000`. The server is a process of its own, a node of one core whose
//! worker `echoer` is exposed, with the limits that nodes have. Half of the connections ask and are answered all the
//! time. In turns the other half is idle, or sends 700 KB and reads nothing, until the server has so much for it that it
//! reads it no more. Ends with code 1 where they keep less than 90 %, and with 2 where nothing can be said: the rates beside
//! idle ones, which should all be the same, differ by more than a tenth.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::disallowed_methods,
    reason = "it times sockets, outside of any node"
)]

use std::cell::Cell;
use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringpost::net::TcpStream;
use ringpost::{Context, Error, Node, Result, route};
use ringpost_benches::Machine;
use ringpost_benches::served::{SERVE, Server, allowed, serve};
use ringpost_router::wire::{Frame, Limits, VERSION};

const CONNECTIONS: u64 = 2000;
const PAYLOAD_BYTES: usize = 1000;
/// Requests of a peer that does not read.
const FLOOD: usize = 700;
const ROUNDS: usize = 5;
/// How long each is measured in a round.
const MEASURED: Duration = Duration::from_secs(3);
/// What the others keep at least, and how much the rates beside idle ones may differ, in percent.
const KEPT_MIN: f64 = 90.0;
const SPREAD_MAX: f64 = 10.0;
/// The rate has settled when it is nearly that of the second before; seconds until that is given up.
const NEARLY: f64 = 0.05;
const SETTLING_MAX: usize = 8;
/// How long the server may take nothing until it is taken to be full of a peer: much longer than a turn of it takes.
const FULL: Duration = Duration::from_secs(2);

fn request() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Frame::new(route!["echoer"], route!["me"], &[b'x'; PAYLOAD_BYTES])
        .encode(&Limits::default(), &mut bytes)
        .map_err(Error::other)?;
    Ok(bytes)
}

async fn connect(ctx: &Context, address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(ctx, address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&[VERSION]).await?;
    Ok(stream)
}

/// Asks and waits for the reply, for ever.
async fn read_all(mut stream: TcpStream, replies: Rc<Cell<u64>>) -> Result<()> {
    let request = request()?;
    stream.write_all(&request).await?;
    // A version and a greeting come before the first reply; a reply is as long as its request.
    let mut first = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while !first.ends_with(&[b'x'; PAYLOAD_BYTES]) {
        match stream.read(&mut piece).await? {
            0 => {
                return Err(Error::other(
                    "the server has closed a connection that reads",
                ));
            }
            count => first.extend_from_slice(&piece[..count]),
        }
    }
    let mut reply = vec![0; request.len()];
    loop {
        replies.set(replies.get() + 1);
        stream.write_all(&request).await?;
        stream.read_exact(&mut reply).await?;
        if !reply.ends_with(&[b'x'; PAYLOAD_BYTES]) {
            return Err(Error::other("a reply is not what was sent"));
        }
    }
}

/// Sends and does not read; the connection stands as long as the stream is kept.
async fn flood(mut stream: TcpStream) -> Result<TcpStream> {
    let all = request()?.repeat(FLOOD);
    stream.set_write_timeout(Some(FULL));
    // The server takes some of it, and at some time no more.
    let _ = stream.write_all(&all).await;
    Ok(stream)
}

/// Opens connections that flood the server, all at the same time, and waits until it has taken what it takes.
async fn stall(ctx: &Context, address: SocketAddr, count: u64) -> Result<Vec<TcpStream>> {
    let streams = Rc::new(Cell::new(Vec::new()));
    for _ in 0..count {
        let stream = connect(ctx, address).await?;
        let streams = Rc::clone(&streams);
        ctx.spawn(async move {
            if let Ok(stream) = flood(stream).await {
                let mut all = streams.take();
                all.push(stream);
                streams.set(all);
            }
        });
    }
    loop {
        ctx.sleep(FULL).await;
        let all = streams.take();
        if all.len() as u64 == count {
            return Ok(all);
        }
        streams.set(all);
    }
}

/// Replies a second.
async fn rate(ctx: &Context, replies: &Cell<u64>, duration: Duration) -> f64 {
    let (begin, before) = (Instant::now(), replies.get());
    ctx.sleep(duration).await;
    (replies.get() - before) as f64 / begin.elapsed().as_secs_f64()
}

/// Replies a second, once what came before is over: the server has to take what it takes of a flood, and to close what
/// was closed.
async fn settled_rate(ctx: &Context, replies: &Cell<u64>) -> f64 {
    let second = Duration::from_secs(1);
    let mut last = rate(ctx, replies, second).await;
    for _ in 0..SETTLING_MAX {
        let next = rate(ctx, replies, second).await;
        let is_near = last > 0.0 && (next - last).abs() <= NEARLY * last;
        last = next;
        if is_near {
            break;
        }
    }
    rate(ctx, replies, MEASURED).await
}

/// What the rounds show.
struct Rounds {
    /// The rates beside idle connections.
    alone: Vec<f64>,
    /// What is left of them beside stalled ones, in percent.
    shares: Vec<f64>,
}

impl Rounds {
    /// Says what they show, as the code to end with.
    fn judge(mut self) -> u8 {
        self.alone.sort_by(f64::total_cmp);
        self.shares.sort_by(f64::total_cmp);
        let (median, kept) = (self.alone[ROUNDS / 2], self.shares[ROUNDS / 2]);
        let spread = 100.0 * (self.alone[ROUNDS - 1] - self.alone[0]) / median;
        println!("they keep {kept:.1} % of their throughput (median of {ROUNDS} rounds)");
        if spread.is_nan() || spread > SPREAD_MAX {
            println!("nothing is shown: beside idle connections the rates differ by {spread:.0} %");
            2
        } else if kept < KEPT_MIN {
            println!("FAILED: less than {KEPT_MIN} %");
            1
        } else {
            0
        }
    }
}

async fn compare(ctx: &Context, server: &Server, count: u64) -> Result<Rounds> {
    let address = server.address().parse()?;
    let half = count / 2;
    let replies = Rc::new(Cell::new(0));
    for _ in 0..half {
        let reading = read_all(connect(ctx, address).await?, Rc::clone(&replies));
        ctx.spawn(async {
            if let Err(error) = reading.await {
                println!("{error}");
            }
        });
    }
    let mut rounds = Rounds {
        alone: Vec::new(),
        shares: Vec::new(),
    };
    for _ in 0..ROUNDS {
        let mut idle = Vec::new();
        for _ in 0..half {
            idle.push(connect(ctx, address).await?);
        }
        let alone = settled_rate(ctx, &replies).await;
        drop(idle);
        let stalled = stall(ctx, address, half).await?;
        let beside = settled_rate(ctx, &replies).await;
        println!(
            "{half} that read: {alone:.0} replies a second beside {half} idle ones, {beside:.0} beside {} stalled ones: {:.1} %; \
             the server holds {} MiB",
            stalled.len(),
            100.0 * beside / alone,
            server.memory() / 1024,
        );
        rounds.alone.push(alone);
        rounds.shares.push(100.0 * beside / alone);
        drop(stalled);
    }
    Ok(rounds)
}

fn main() -> Result<ExitCode> {
    let argument = env::args().nth(1);
    let node = || Node::builder().cores(1).pin(false);
    if argument.as_deref() == Some(SERVE) {
        return serve(node()).map(|()| ExitCode::SUCCESS);
    }
    let wanted = argument.map_or(Ok(CONNECTIONS), |count| count.parse());
    let count = allowed(wanted.map_err(Error::other)?)?;
    println!("{}", Machine::read());
    let server = Server::start()?;
    let (tell, told) = mpsc::channel();
    node().run(async move |ctx: Context| {
        let rounds = compare(&ctx, &server, count).await?;
        tell.send(rounds.judge()).map_err(Error::other)?;
        ctx.stop().await
    })?;
    told.recv().map(ExitCode::from).map_err(Error::other)
}
