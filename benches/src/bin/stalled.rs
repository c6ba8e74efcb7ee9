//! Half of the peers send and do not read: what the others keep of their throughput.
//!
//! `cargo run --release -p ringpost-benches --bin stalled -- 2000`. The server is a process of its own, a node of one core whose
//! worker `echoer` is exposed, with the limits that nodes have. Half of the connections ask and are answered all the
//! time. In turns the other half is idle, or sends 700 KB and reads nothing, until the server has so much for it that it
//! reads it no more. What is kept in a round is the rate beside stalled ones as a share of the mean of the rates beside
//! idle ones before and after it; the median of all rounds is judged. Ends with code 1 where that is less than 90 %, and
//! with 2 where nothing can be said: half of the rounds differ by more than a fifth. Takes up to 140 seconds.
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
/// Many short rounds: what else the machine does is in few of them. No more are begun when so much time is over, and
/// fewer than the least say nothing.
const ROUNDS: usize = 15;
const ROUNDS_MIN: usize = 9;
const ENOUGH: Duration = Duration::from_secs(115);
/// How long each is measured in a round.
const MEASURED: Duration = Duration::from_millis(1200);
/// What the others keep at least, and how far the quartiles of that may be apart, in percent.
const KEPT_MIN: f64 = 90.0;
const APART_MAX: f64 = 20.0;
/// The rate has settled when it is nearly that of the moment before; how often that is tried.
const MOMENT: Duration = Duration::from_millis(400);
const NEARLY: f64 = 0.05;
const SETTLING_MAX: usize = 8;
/// How long the server may take nothing until it is taken to be full of a peer: much longer than a turn of it takes.
const FULL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

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
        ctx.sleep(LOOK).await;
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
    let mut last = rate(ctx, replies, MOMENT).await;
    for _ in 0..SETTLING_MAX {
        let next = rate(ctx, replies, MOMENT).await;
        let is_near = last > 0.0 && (next - last).abs() <= NEARLY * last;
        last = next;
        if is_near {
            break;
        }
    }
    rate(ctx, replies, MEASURED).await
}

/// Of sorted figures, the one that this part of them is not above.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (part * (sorted.len() - 1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Says what the shares that were kept show, as the code to end with.
fn judge(mut shares: Vec<f64>) -> u8 {
    shares.sort_by(f64::total_cmp);
    let [low, median, high] = [0.25, 0.5, 0.75].map(|part| quantile(&shares, part));
    println!(
        "judged: of {} rounds (at least {ROUNDS_MIN}), they keep {median:.1} % in the median (at least {KEPT_MIN}), half of \
         the rounds between {low:.1} and {high:.1} % (no more than {APART_MAX} apart)",
        shares.len()
    );
    if shares.len() < ROUNDS_MIN || high - low > APART_MAX {
        println!("nothing is shown: something else was going on");
        2
    } else if median < KEPT_MIN {
        println!("FAILED: they keep less than {KEPT_MIN} %");
        1
    } else {
        println!("ok");
        0
    }
}

/// The rate beside connections that say nothing.
async fn beside_idle(
    ctx: &Context,
    address: SocketAddr,
    count: u64,
    replies: &Cell<u64>,
) -> Result<f64> {
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(connect(ctx, address).await?);
    }
    Ok(settled_rate(ctx, replies).await)
}

/// What the connections that read keep of their throughput, in percent, in each round.
async fn compare(ctx: &Context, server: &Server, count: u64) -> Result<Vec<f64>> {
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
    let begin = Instant::now();
    let mut shares = Vec::new();
    let mut before = beside_idle(ctx, address, half, &replies).await?;
    while shares.len() < ROUNDS && begin.elapsed() < ENOUGH {
        let stalled = stall(ctx, address, half).await?;
        let beside = settled_rate(ctx, &replies).await;
        let memory = server.memory() / 1024;
        drop(stalled);
        let after = beside_idle(ctx, address, half, &replies).await?;
        let share = 200.0 * beside / (before + after);
        println!(
            "{half} that read: {before:.0} and {after:.0} replies a second beside {half} idle ones, {beside:.0} beside as many \
             stalled ones: {share:.1} %; the server holds {memory} MiB"
        );
        shares.push(share);
        before = after;
    }
    Ok(shares)
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
        let shares = compare(&ctx, &server, count).await?;
        tell.send(judge(shares)).map_err(Error::other)?;
        ctx.stop().await
    })?;
    told.recv().map(ExitCode::from).map_err(Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_that_is_disturbed_decides_nothing() {
        let rounds = |most: f64, others: &[f64]| {
            let mut shares = vec![most; ROUNDS_MIN];
            shares.extend_from_slice(others);
            judge(shares)
        };
        assert_eq!(rounds(99.0, &[20.0, 300.0]), 0);
        assert_eq!(rounds(80.0, &[99.0, 300.0]), 1);
        assert_eq!(rounds(99.0, &[50.0; 6]), 2);
        assert_eq!(judge(vec![99.0; ROUNDS_MIN - 1]), 2);
    }
}
