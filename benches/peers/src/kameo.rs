//! kameo: bounded mailboxes, on tokio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kameo::actor::{ActorRef, Spawn};
use ::kameo::mailbox;
use ::kameo::message::{Context, Message};
use ::kameo::{Actor, Reply};
use ringpost_benches::Measured;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::cores::{Cores, Flavor};
use crate::dice::Dice;
use crate::peer::{
    Kind, MAILBOX, MEMBERS, Outcome, PAUSE, PLAYERS, PRODUCERS, Peer, Task, Workload,
};

pub const PER_CORE: Peer = Peer {
    name: "kameo",
    kind: Kind::Actors,
    package: "kameo",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "mailboxes of 1024, tell and ask; without the tracing feature; a current-thread runtime of tokio on each core",
    run: |task| run(task, Flavor::PerCore),
};

pub const STEALING: Peer = Peer {
    name: "kameo, stealing",
    kind: Kind::Actors,
    package: "kameo",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "as kameo, on one multi-thread runtime of tokio with a worker on each core",
    run: |task| run(task, Flavor::Stealing),
};

fn run(task: &Task, flavor: Flavor) -> Outcome {
    flavor.check(task)?;
    let cores = Arc::new(Cores::for_actors(flavor, task));
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
fn start<A: Actor<Args = A>>(core: &Handle, actor: A) -> ActorRef<A> {
    let _entered = core.enter();
    A::spawn_with_mailbox(actor, mailbox::bounded(MAILBOX))
}

struct Increment;
struct Done;

#[derive(Actor)]
struct Counter {
    count: u64,
    producers: u64,
    report: UnboundedSender<u64>,
}

impl Message<Increment> for Counter {
    type Reply = ();

    async fn handle(&mut self, _: Increment, _: &mut Context<Self, ()>) {
        self.count += 1;
    }
}

impl Message<Done> for Counter {
    type Reply = ();

    async fn handle(&mut self, _: Done, _: &mut Context<Self, ()>) {
        self.producers -= 1;
        if self.producers == 0 {
            self.report.send(self.count).expect("the driver waits");
        }
    }
}

struct Produce(u64);

#[derive(Actor)]
struct Producer {
    to: ActorRef<Counter>,
}

impl Message<Produce> for Producer {
    type Reply = ();

    async fn handle(&mut self, produce: Produce, _: &mut Context<Self, ()>) {
        for _ in 0..produce.0 {
            self.to.tell(Increment).await.expect("the counter is there");
        }
        self.to.tell(Done).await.expect("the counter is there");
    }
}

async fn fan_in(cores: Arc<Cores>, n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let (report, mut reported) = unbounded_channel();
    let counter = Counter {
        count: 0,
        producers,
        report,
    };
    let to = start(&cores.at(0), counter);
    let names: Vec<_> = (0..producers as usize)
        .map(|number| start(&cores.elsewhere(number), Producer { to: to.clone() }))
        .collect();
    let start = Instant::now();
    for producer in &names {
        producer.tell(Produce(each)).await.expect("it is there");
    }
    let count = reported.recv().await.expect("the counter reports");
    let took = start.elapsed();
    assert_eq!(count, each * producers);
    Measured::new(took, count)
}

/// What is hit to and fro; with the time of the hit where that is measured.
struct Ball(Option<Instant>);

/// To the one who opens the game.
struct Serve(ActorRef<Player>);

#[derive(Actor)]
struct Player {
    other: Option<ActorRef<Player>>,
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
            other.tell(ball).await.expect("the other is there");
        }
    }
}

impl Message<Serve> for Player {
    type Reply = ();

    async fn handle(&mut self, other: Serve, _: &mut Context<Self, ()>) {
        self.other = Some(other.0);
        self.hit().await;
    }
}

impl Message<Ball> for Player {
    type Reply = ();

    async fn handle(&mut self, ball: Ball, _: &mut Context<Self, ()>) {
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
    let player = |other: Option<ActorRef<Player>>| Player {
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
    pinger.tell(Serve(ponger)).await.expect("it is there");
    let mut flown = Duration::ZERO;
    for _ in 0..2 {
        flown += reported.recv().await.expect("the players report");
    }
    Measured::new(if pauses { flown } else { start.elapsed() }, n)
}

struct Ask(u64);

#[derive(Reply)]
struct Answer(u64);

#[derive(Actor)]
struct Server;

impl Message<Ask> for Server {
    type Reply = Answer;

    async fn handle(&mut self, ask: Ask, _: &mut Context<Self, Answer>) -> Answer {
        Answer(ask.0)
    }
}

async fn requests(cores: Arc<Cores>, n: u64) -> Measured {
    let server = start(&cores.elsewhere(0), Server);
    let start = Instant::now();
    for number in 0..n {
        let answer = server.ask(Ask(number)).await.expect("the server is there");
        assert_eq!(answer.0, number);
    }
    Measured::new(start.elapsed(), n)
}

struct Neighbours(Arc<[ActorRef<Pinger>]>);
struct Begin;
struct Ping {
    from: usize,
}
struct Pong;

#[derive(Actor)]
struct Pinger {
    me: usize,
    others: Arc<[ActorRef<Pinger>]>,
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
        other
            .tell(Ping { from: self.me })
            .await
            .expect("all are there");
    }
}

impl Message<Neighbours> for Pinger {
    type Reply = ();

    async fn handle(&mut self, others: Neighbours, _: &mut Context<Self, ()>) {
        self.others = others.0;
    }
}

impl Message<Begin> for Pinger {
    type Reply = ();

    async fn handle(&mut self, _: Begin, _: &mut Context<Self, ()>) {
        self.ping().await;
    }
}

impl Message<Ping> for Pinger {
    type Reply = ();

    async fn handle(&mut self, ping: Ping, _: &mut Context<Self, ()>) {
        self.others[ping.from]
            .tell(Pong)
            .await
            .expect("all are there");
    }
}

impl Message<Pong> for Pinger {
    type Reply = ();

    async fn handle(&mut self, _: Pong, _: &mut Context<Self, ()>) {
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
        let neighbours = Neighbours(Arc::clone(&players));
        player.tell(neighbours).await.expect("all are there");
    }
    let start = Instant::now();
    for player in players.iter() {
        player.tell(Begin).await.expect("all are there");
    }
    for _ in 0..PLAYERS {
        reported.recv().await.expect("the players report");
    }
    Measured::new(start.elapsed(), 2 * left * PLAYERS)
}

struct Token(u64);
struct Close(ActorRef<Member>);

#[derive(Actor)]
struct Member {
    next: Option<ActorRef<Member>>,
    report: UnboundedSender<()>,
}

impl Message<Close> for Member {
    type Reply = ();

    async fn handle(&mut self, next: Close, _: &mut Context<Self, ()>) {
        self.next = Some(next.0);
    }
}

impl Message<Token> for Member {
    type Reply = ();

    async fn handle(&mut self, token: Token, _: &mut Context<Self, ()>) {
        match (token.0, &self.next) {
            (0, _) | (_, None) => self.report.send(()).expect("the driver waits"),
            (left, Some(next)) => next.tell(Token(left - 1)).await.expect("all are there"),
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
    oldest
        .tell(Close(youngest.clone()))
        .await
        .expect("it is there");
    let start = Instant::now();
    youngest.tell(Token(n)).await.expect("it is there");
    reported.recv().await.expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

struct Work(u64);
struct Sine(f64);

#[derive(Actor)]
struct Fork {
    joiner: ActorRef<Joiner>,
}

impl Message<Work> for Fork {
    type Reply = ();

    async fn handle(&mut self, work: Work, ctx: &mut Context<Self, ()>) {
        let sine = Sine((work.0 as f64).sin());
        self.joiner.tell(sine).await.expect("the joiner is there");
        ctx.stop();
    }
}

#[derive(Actor)]
struct Joiner {
    left: u64,
    sum: f64,
    report: UnboundedSender<f64>,
}

impl Message<Sine> for Joiner {
    type Reply = ();

    async fn handle(&mut self, sine: Sine, _: &mut Context<Self, ()>) {
        self.sum += sine.0;
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.sum).expect("the driver waits");
        }
    }
}

async fn create(cores: Arc<Cores>, n: u64) -> Measured {
    let (report, mut reported): (_, UnboundedReceiver<f64>) = unbounded_channel();
    let joiner = Joiner {
        left: n,
        sum: 0.0,
        report,
    };
    let joiner = start(&cores.at(0), joiner);
    let begin = Instant::now();
    for number in 0..n {
        let joiner = joiner.clone();
        let fork = start(&cores.at(number as usize), Fork { joiner });
        fork.tell(Work(number)).await.expect("it is there");
    }
    let sum = reported.recv().await.expect("the joiner reports");
    let took = begin.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

#[derive(Actor)]
struct Mayfly {
    seen: u64,
}

impl Message<Work> for Mayfly {
    type Reply = ();

    async fn handle(&mut self, work: Work, _: &mut Context<Self, ()>) {
        self.seen += work.0;
    }
}

async fn lives(cores: Arc<Cores>, n: u64) -> Measured {
    let begin = Instant::now();
    for number in 0..n {
        let mayfly = start(&cores.elsewhere(0), Mayfly { seen: 0 });
        mayfly.tell(Work(number)).await.expect("it is there");
        mayfly.stop_gracefully().await.expect("it is there");
        mayfly.wait_for_shutdown().await;
    }
    Measured::new(begin.elapsed(), n)
}
