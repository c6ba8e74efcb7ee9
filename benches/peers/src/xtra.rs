//! xtra: bounded mailboxes, on tokio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::xtra::{Actor, Address, Context, Handler, Mailbox};
use ringpost_benches::Measured;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::cores::{Cores, Flavor};
use crate::dice::Dice;
use crate::peer::{
    BURST, Kind, MAILBOX, MEMBERS, Outcome, PAUSE, PLAYERS, PRODUCERS, Peer, Task, Workload,
};

pub const PEER: Peer = Peer {
    name: "xtra",
    kind: Kind::Actors,
    package: "xtra",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "mailboxes of 1024, detached sends and awaited ones; a current-thread runtime of tokio on each core",
    run,
};

fn run(task: &Task) -> Outcome {
    let cores = Arc::new(Cores::for_actors(Flavor::PerCore, task));
    let (here, n) = (Arc::clone(&cores), task.n);
    Ok(match task.workload {
        Workload::OneWay => cores.run(fan_in(here, n, 1)),
        Workload::FanIn => cores.run(fan_in(here, n, PRODUCERS)),
        Workload::PingPong | Workload::AwakePingPong => cores.run(ping_pong(here, n, false)),
        Workload::Parked => cores.run(ping_pong(here, n, true)),
        Workload::Request | Workload::AwakeRequest => cores.run(requests(here, n)),
        Workload::Big => cores.run(big(here, n)),
        Workload::ThreadRing => cores.run(thread_ring(here, n)),
        Workload::Create => cores.run(create(here, n)),
        Workload::Lives => cores.run(lives(here, n)),
    })
}

/// Starts an actor on a runtime.
fn start<A: Actor<Stop = ()>>(core: &Handle, actor: A) -> Address<A> {
    let _entered = core.enter();
    ::xtra::spawn_tokio(actor, Mailbox::bounded(MAILBOX))
}

/// Sends without waiting for the handler.
async fn tell<A: Handler<M, Return = ()>, M: Send + 'static>(to: &Address<A>, message: M) {
    // The future it gives would wait for the handler.
    let sent = to.send(message).detach().await;
    assert!(sent.is_ok(), "the receiver is there");
}

macro_rules! actors {
    ($($name:ty),*) => {$(
        impl Actor for $name {
            type Stop = ();

            async fn stopped(self) {}
        }
    )*};
}

actors!(
    Counter, Producer, Player, Server, Pinger, Member, Fork, Joiner, Mayfly
);

struct Increment;

/// Detached sends that have to wait for room may overtake each other, so nothing marks the end: it
/// knows how many to expect.
struct Counter {
    left: u64,
    report: UnboundedSender<()>,
}

impl Handler<Increment> for Counter {
    type Return = ();

    async fn handle(&mut self, _: Increment, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            self.report.send(()).expect("the driver waits");
        }
    }
}

struct Produce(u64);

struct Producer {
    to: Address<Counter>,
}

impl Handler<Produce> for Producer {
    type Return = ();

    async fn handle(&mut self, produce: Produce, _: &mut Context<Self>) {
        for _ in 0..produce.0 {
            tell(&self.to, Increment).await;
        }
    }
}

async fn fan_in(cores: Arc<Cores>, n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let left = each * producers;
    let (report, mut reported) = unbounded_channel();
    let to = start(&cores.at(0), Counter { left, report });
    let names: Vec<_> = (0..producers as usize)
        .map(|number| start(&cores.elsewhere(number), Producer { to: to.clone() }))
        .collect();
    let start = Instant::now();
    for producer in &names {
        tell(producer, Produce(each)).await;
    }
    reported.recv().await.expect("the counter reports");
    Measured::new(start.elapsed(), left)
}

/// What is hit to and fro; with the time of the hit where that is measured.
struct Ball(Option<Instant>);

/// To the one who opens the game.
struct Serve(Address<Player>);

struct Player {
    other: Option<Address<Player>>,
    serves: bool,
    /// Whether everybody sleeps before each hit.
    pauses: bool,
    left: u64,
    took: Duration,
    report: UnboundedSender<Duration>,
}

impl Player {
    async fn hit(&self) {
        let ball = if self.pauses {
            sleep(PAUSE).await;
            Ball(Some(Instant::now()))
        } else {
            Ball(None)
        };
        if let Some(other) = &self.other {
            tell(other, ball).await;
        }
    }
}

impl Handler<Serve> for Player {
    type Return = ();

    async fn handle(&mut self, other: Serve, _: &mut Context<Self>) {
        self.other = Some(other.0);
        self.hit().await;
    }
}

impl Handler<Ball> for Player {
    type Return = ();

    async fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        self.left -= 1;
        self.took += ball.0.map_or(Duration::ZERO, |sent| sent.elapsed());
        if self.left > 0 || !self.serves {
            self.hit().await;
        }
        if self.left == 0 {
            self.report.send(self.took).expect("the driver waits");
        }
    }
}

/// Each player gets the ball `n` times. Played with pauses, only the time of the ball in the air counts.
async fn ping_pong(cores: Arc<Cores>, n: u64, pauses: bool) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let player = |other: Option<Address<Player>>| Player {
        serves: other.is_none(),
        other,
        pauses,
        left: n,
        took: Duration::ZERO,
        report: report.clone(),
    };
    let pinger = start(&cores.at(0), player(None));
    let ponger = start(&cores.elsewhere(0), player(Some(pinger.clone())));
    let start = Instant::now();
    tell(&pinger, Serve(ponger)).await;
    let mut flown = Duration::ZERO;
    for _ in 0..2 {
        flown += reported.recv().await.expect("the players report");
    }
    Measured::new(if pauses { flown } else { start.elapsed() }, n)
}

struct Ask(u64);

struct Server;

impl Handler<Ask> for Server {
    type Return = u64;

    async fn handle(&mut self, ask: Ask, _: &mut Context<Self>) -> u64 {
        ask.0
    }
}

async fn requests(cores: Arc<Cores>, n: u64) -> Measured {
    let server = start(&cores.elsewhere(0), Server);
    let start = Instant::now();
    for number in 0..n {
        assert_eq!(server.send(Ask(number)).await, Ok(number));
    }
    Measured::new(start.elapsed(), n)
}

struct Neighbours(Arc<[Address<Pinger>]>);
struct Begin;
struct Ping {
    from: usize,
}
struct Pong;

struct Pinger {
    me: usize,
    others: Arc<[Address<Pinger>]>,
    left: u64,
    dice: Dice,
    report: UnboundedSender<()>,
}

impl Pinger {
    async fn ping(&mut self) {
        if self.left == 0 {
            self.report.send(()).expect("the driver waits");
            return;
        }
        self.left -= 1;
        let other = &self.others[self.dice.below(self.others.len())];
        tell(other, Ping { from: self.me }).await;
    }
}

impl Handler<Neighbours> for Pinger {
    type Return = ();

    async fn handle(&mut self, others: Neighbours, _: &mut Context<Self>) {
        self.others = others.0;
    }
}

impl Handler<Begin> for Pinger {
    type Return = ();

    async fn handle(&mut self, _: Begin, _: &mut Context<Self>) {
        self.ping().await;
    }
}

impl Handler<Ping> for Pinger {
    type Return = ();

    async fn handle(&mut self, ping: Ping, _: &mut Context<Self>) {
        tell(&self.others[ping.from], Pong).await;
    }
}

impl Handler<Pong> for Pinger {
    type Return = ();

    async fn handle(&mut self, _: Pong, _: &mut Context<Self>) {
        self.ping().await;
    }
}

async fn big(cores: Arc<Cores>, n: u64) -> Measured {
    let left = n.div_ceil(2 * PLAYERS);
    let (report, mut reported) = unbounded_channel();
    let player = |me: usize| {
        let pinger = Pinger {
            me,
            others: Arc::new([]),
            left,
            dice: Dice::new(me as u64 + 1),
            report: report.clone(),
        };
        start(&cores.at(me), pinger)
    };
    let players: Arc<[_]> = (0..PLAYERS as usize).map(player).collect();
    for player in players.iter() {
        tell(player, Neighbours(Arc::clone(&players))).await;
    }
    let start = Instant::now();
    for player in players.iter() {
        tell(player, Begin).await;
    }
    for _ in 0..PLAYERS {
        reported.recv().await.expect("the players report");
    }
    Measured::new(start.elapsed(), 2 * left * PLAYERS)
}

struct Token(u64);
struct Close(Address<Member>);

struct Member {
    next: Option<Address<Member>>,
    report: UnboundedSender<()>,
}

impl Handler<Close> for Member {
    type Return = ();

    async fn handle(&mut self, next: Close, _: &mut Context<Self>) {
        self.next = Some(next.0);
    }
}

impl Handler<Token> for Member {
    type Return = ();

    async fn handle(&mut self, token: Token, _: &mut Context<Self>) {
        match (token.0, &self.next) {
            (0, _) | (_, None) => self.report.send(()).expect("the driver waits"),
            (left, Some(next)) => tell(next, Token(left - 1)).await,
        }
    }
}

async fn thread_ring(cores: Arc<Cores>, n: u64) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let member = |number: usize, next| {
        let report = report.clone();
        start(&cores.at(number), Member { next, report })
    };
    let oldest = member(0, None);
    let youngest =
        (1..MEMBERS as usize).fold(oldest.clone(), |next, number| member(number, Some(next)));
    tell(&oldest, Close(youngest.clone())).await;
    let start = Instant::now();
    tell(&youngest, Token(n)).await;
    reported.recv().await.expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

struct Work(u64);
struct Sine(f64);

struct Fork {
    joiner: Address<Joiner>,
}

impl Handler<Work> for Fork {
    type Return = ();

    async fn handle(&mut self, work: Work, ctx: &mut Context<Self>) {
        tell(&self.joiner, Sine((work.0 as f64).sin())).await;
        ctx.stop_self();
    }
}

struct Joiner {
    left: u64,
    sum: f64,
    report: UnboundedSender<f64>,
}

impl Handler<Sine> for Joiner {
    type Return = ();

    async fn handle(&mut self, sine: Sine, _: &mut Context<Self>) {
        self.sum += sine.0;
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.sum).expect("the driver waits");
        }
    }
}

async fn create(cores: Arc<Cores>, n: u64) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let joiner = Joiner {
        left: n,
        sum: 0.0,
        report,
    };
    // Unbounded: thousands of senders that wait for room take time that grows with their square.
    let joiner = {
        let core = cores.at(0);
        let _entered = core.enter();
        ::xtra::spawn_tokio(joiner, Mailbox::unbounded())
    };
    let begin = Instant::now();
    for number in 0..n {
        let joiner = joiner.clone();
        let fork = start(&cores.at(number as usize), Fork { joiner });
        tell(&fork, Work(number)).await;
        if number % BURST == 0 {
            yield_now().await;
        }
    }
    let sum: f64 = reported.recv().await.expect("the joiner reports");
    let took = begin.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

/// Told to stop, it says how much it has seen.
struct Stop;

struct Mayfly {
    seen: u64,
}

impl Handler<Work> for Mayfly {
    type Return = ();

    async fn handle(&mut self, work: Work, _: &mut Context<Self>) {
        self.seen += work.0;
    }
}

impl Handler<Stop> for Mayfly {
    type Return = u64;

    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> u64 {
        ctx.stop_self();
        self.seen
    }
}

async fn lives(cores: Arc<Cores>, n: u64) -> Measured {
    let begin = Instant::now();
    for number in 0..n {
        let mayfly = start(&cores.elsewhere(0), Mayfly { seen: 0 });
        tell(&mayfly, Work(number)).await;
        assert_eq!(mayfly.send(Stop).await, Ok(number));
        mayfly.join().await;
    }
    Measured::new(begin.elapsed(), n)
}
