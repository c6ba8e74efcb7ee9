//! Processes that are killed under load, the one side and then the other: nothing hangs, every request ends, and the counts
//! add up.
//!
//! `cargo run --release -p ringpost-benches --bin restarts`. A process is killed without being asked (SIGKILL).
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::disallowed_methods,
    reason = "it times sockets, outside of any node"
)]

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ringpost::transport::Backoff;
use ringpost::{
    Context, Error, ErrorKind, Node, Result, Route, Routed, TCP, TcpConnectionOptions,
    TcpListenerOptions, TcpTransport, Worker,
};
use ringpost_benches::Machine;

/// Who asks at one time, and how often each does.
const CALLERS: u64 = 64;
const REQUESTS: u64 = 8000;
/// How long a process lives.
const LIFE: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(2);
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: u64 = 10;
const SERVE: &str = "--serve";
const ASK: &str = "--ask";

struct Echoer;

impl Worker for Echoer {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), *msg).await
    }
}

async fn listen(ctx: &Context, address: &str) -> Result<String> {
    ctx.start_replicated("echoer", || Echoer).await?;
    let tcp = TcpTransport::create(ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer");
    Ok(tcp.listen(address, options).await?.address())
}

fn serve(address: String) -> Result<()> {
    Node::builder().cores(1).serve(async move |ctx: Context| {
        println!("{}", listen(&ctx, &address).await?);
        Ok(())
    })
}

/// What came of some requests.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    answered: u64,
    disconnected: u64,
    late: u64,
    others: u64,
    /// The longest that any took to end.
    longest: Duration,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.disconnected += other.disconnected;
        self.late += other.late;
        self.others += other.others;
        self.longest = self.longest.max(other.longest);
    }

    fn ended(&self) -> u64 {
        self.answered + self.disconnected + self.late + self.others
    }
}

async fn ask(ctx: &Context, route: &Route, requests: u64) -> Result<Counts> {
    let mut counts = Counts::default();
    for number in 0..requests {
        let begin = Instant::now();
        let asked = ctx.request::<u64>(route.clone(), number).within(DEADLINE);
        match asked.await {
            Ok(reply) if reply == number => counts.answered += 1,
            Ok(reply) => return Err(Error::other(format!("{number} was answered by {reply}"))),
            Err(error) => match error.kind() {
                ErrorKind::Disconnected { .. } => counts.disconnected += 1,
                ErrorKind::Timeout { .. } => counts.late += 1,
                _ => counts.others += 1,
            },
        }
        counts.longest = counts.longest.max(begin.elapsed());
    }
    Ok(counts)
}

/// Has callers ask over a connection that is opened again and again, and tells what came of it.
async fn ask_all(ctx: Context, address: String, requests: u64, tell: Sender<Result<Counts>>) {
    let begun = async {
        let tcp = TcpTransport::create(&ctx).await?;
        let backoff = Backoff {
            first: Duration::from_millis(5),
            ..Backoff::default()
        };
        let options = TcpConnectionOptions::new().reconnect(backoff);
        tcp.connect(&address, options).await
    };
    if let Err(error) = begun.await {
        // Whoever listens has given up.
        let _ = tell.send(Err(error));
        return;
    }
    let route = Route::new().append_t(TCP, address).append("echoer");
    for _ in 0..CALLERS {
        let Ok(there) = ctx.detached() else { return };
        let (tell, route) = (tell.clone(), route.clone());
        ctx.spawn(async move {
            // As above.
            let _ = tell.send(ask(&there, &route, requests).await);
        });
    }
}

/// This program in another role; it ends with this.
struct Other(Child);

impl Other {
    fn start(role: &str, address: &str) -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .args([role, address])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self(child?))
    }

    /// Waits for its first line.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if let Some(out) = self.0.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills the server again and again while this process asks it.
fn kill_servers() -> Result<()> {
    let mut server = Some(Other::start(SERVE, "127.0.0.1:0")?);
    let address = server.as_mut().map_or(Ok(String::new()), Other::line)?;
    let node = Node::builder().cores(1).start()?;
    let (tell, told) = channel();
    let there = address.clone();
    let asks = async move |ctx: Context| ask_all(ctx, there, REQUESTS, tell).await;
    pollster::block_on(node.handle().run_on(0, asks))?;
    let (mut total, mut killed, mut left, begin) =
        (Counts::default(), 0u32, CALLERS, Instant::now());
    while left > 0 {
        if begin.elapsed() > PATIENCE {
            return Err(Error::other(format!(
                "{left} callers hang after {PATIENCE:?}: {total:?}"
            )));
        }
        match told.recv_timeout(LIFE) {
            Ok(counts) => {
                total.add(counts?);
                left -= 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                drop(server.take());
                killed += 1;
                let next = server.insert(Other::start(SERVE, &address)?);
                next.line()?;
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Error::other("a caller is gone")),
        }
    }
    let asked = CALLERS * REQUESTS;
    println!(
        "server killed {killed} times under load: {asked} requests, {} answered, {} ended with the connection, {} by their \
         deadline, {} otherwise; the longest took {:.2?}",
        total.answered, total.disconnected, total.late, total.others, total.longest
    );
    let stats = node.handle().stats();
    println!(
        "  connections opened {}, ended {}",
        stats.total(|core| core.transport.opened),
        stats.total(|core| core.transport.closed)
    );
    assert_eq!(total.ended(), asked, "every request ends");
    assert!(killed > 0 && total.answered > asked / 2);
    assert!(total.longest < DEADLINE + Duration::from_secs(1));
    node.stop()
}

/// The body of a client that is to be killed.
fn ask_for_ever(address: String) -> Result<()> {
    let (tell, told) = channel();
    let node = Node::builder().cores(1).start()?;
    let asks = async move |ctx: Context| ask_all(ctx, address, u64::MAX, tell).await;
    pollster::block_on(node.handle().run_on(0, asks))?;
    println!("asking");
    told.recv().map_err(Error::other)?.map(drop)
}

/// Kills clients while they ask this process.
fn kill_clients() -> Result<()> {
    let node = Node::builder().cores(1).start()?;
    let handle = node.handle();
    let begin = async |ctx: Context| listen(&ctx, "127.0.0.1:0").await;
    let address = pollster::block_on(handle.run_on(0, begin))??;
    for _ in 0..CLIENTS {
        let mut client = Other::start(ASK, &address)?;
        client.line()?;
        let pause = async |ctx: Context| ctx.sleep(LIFE).await;
        pollster::block_on(handle.run_on(0, pause))?;
    }
    // Whoever is there still is answered.
    let way = Route::new().append_t(TCP, &address).append("echoer");
    let ends = async move |ctx: Context| -> Result<Counts> {
        let counts = ask(&ctx, &way, 100).await?;
        for _ in 0..100 {
            let stats = ctx.handle().stats();
            if stats.total(|core| core.transport.closed) >= CLIENTS {
                break;
            }
            ctx.sleep(Duration::from_millis(50)).await;
        }
        Ok(counts)
    };
    let counts = pollster::block_on(handle.run_on(0, ends))??;
    let stats = handle.stats();
    let closed = stats.total(|core| core.transport.closed);
    println!(
        "{CLIENTS} clients killed while they asked: {} messages handled, {} replies reported as undelivered, {closed} \
         connections ended; then {} of 100 requests answered",
        stats.total(|core| core.handled),
        stats.undelivered_total(),
        counts.answered
    );
    assert_eq!(counts.answered, 100, "the others are served");
    assert_eq!(closed, CLIENTS, "nothing is kept of those that were killed");
    node.stop()
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some(SERVE), Some(address)) => return serve(address),
        (Some(ASK), Some(address)) => return ask_for_ever(address),
        _ => {}
    }
    println!("{}", Machine::read());
    kill_servers()?;
    kill_clients()
}
