//! actix: an arbiter on each core. Messages that expect no answer go by `do_send`, which knows no bound.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ::actix::prelude::*;
use core_affinity::CoreId;
use ringpost_benches::Measured;
use tokio::runtime::Builder;
use tokio::task::yield_now;

use crate::cores::stay_awake;
use crate::dice::Dice;
use crate::peer::{BURST, Kind, MEMBERS, Outcome, PAUSE, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "actix",
    kind: Kind::Actors,
    package: "actix",
    mailbox: "bounded, but not for `do_send`",
    idle: "sleeps at once",
    setup: "an arbiter on each core; do_send, which ignores the bound of a mailbox; asking by send",
    run,
};

fn run(task: &Task) -> Outcome {
    let system = System::new();
    let arbiters: Vec<_> = task.cpus.iter().copied().map(arbiter).collect();
    let cores = Cores(arbiters.iter().map(Arbiter::handle).collect());
    if task.workload.awake() {
        cores.0.iter().for_each(|core| {
            core.spawn(stay_awake());
        });
    }
    let n = task.n;
    let outcome = match task.workload {
        Workload::OneWay => fan_in(&cores, n, 1),
        Workload::FanIn => fan_in(&cores, n, PRODUCERS),
        Workload::PingPong | Workload::AwakePingPong => ping_pong(&cores, n, false),
        Workload::Parked => ping_pong(&cores, n, true),
        Workload::Request | Workload::AwakeRequest => requests(&cores, n),
        Workload::Big => big(&cores, n),
        Workload::ThreadRing => thread_ring(&cores, n),
        Workload::Create => create(&cores, n),
        Workload::Lives => lives(&cores, n),
    };
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().expect("an arbiter ends");
    }
    drop(system);
    Ok(outcome)
}

fn arbiter(cpu: CoreId) -> Arbiter {
    Arbiter::with_tokio_rt(move || {
        core_affinity::set_for_current(cpu);
        Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

struct Cores(Vec<ArbiterHandle>);

impl Cores {
    fn at(&self, number: usize) -> &ArbiterHandle {
        &self.0[number % self.0.len()]
    }

    fn elsewhere(&self, number: usize) -> &ArbiterHandle {
        match self.0.len() {
            1 => self.at(0),
            cores => self.at(1 + number % (cores - 1)),
        }
    }

    /// Runs a driver on the first core and waits for what it returns.
    fn run<T: Send + 'static>(&self, driver: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        self.at(0).spawn(async move {
            // The receiver waits below.
            let _ = sender.send(driver.await);
        });
        receiver.recv().expect("the driver ends")
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Increment;

#[derive(Message)]
#[rtype(result = "()")]
struct Done;

struct Counter {
    count: u64,
    producers: u64,
    report: mpsc::Sender<u64>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Increment> for Counter {
    type Result = ();

    fn handle(&mut self, _: Increment, _: &mut Context<Self>) {
        self.count += 1;
    }
}

impl Handler<Done> for Counter {
    type Result = ();

    fn handle(&mut self, _: Done, _: &mut Context<Self>) {
        self.producers -= 1;
        if self.producers == 0 {
            self.report.send(self.count).expect("the driver waits");
        }
    }
}

struct Producer {
    to: Addr<Counter>,
    left: u64,
}

impl Actor for Producer {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Produce;

impl Handler<Produce> for Producer {
    type Result = ();

    fn handle(&mut self, _: Produce, ctx: &mut Context<Self>) {
        let burst = self.left.min(BURST);
        (0..burst).for_each(|_| self.to.do_send(Increment));
        self.left -= burst;
        if self.left == 0 {
            self.to.do_send(Done);
        } else {
            ctx.notify(Produce);
        }
    }
}

fn fan_in(cores: &Cores, n: u64, producers: u64) -> Measured {
    let left = n.div_ceil(producers);
    let (report, reported) = mpsc::channel();
    let to = Counter::start_in_arbiter(cores.at(0), move |_| Counter {
        count: 0,
        producers,
        report,
    });
    let names: Vec<_> = (0..producers as usize)
        .map(|number| {
            let to = to.clone();
            Producer::start_in_arbiter(cores.elsewhere(number), move |_| Producer { to, left })
        })
        .collect();
    let start = Instant::now();
    names.iter().for_each(|producer| producer.do_send(Produce));
    let count = reported.recv().expect("the counter reports");
    let took = start.elapsed();
    assert_eq!(count, left * producers);
    Measured::new(took, count)
}

/// What is hit to and fro; with the time of the hit where that is measured.
#[derive(Message)]
#[rtype(result = "()")]
struct Ball(Option<Instant>);

/// To the one who opens the game.
#[derive(Message)]
#[rtype(result = "()")]
struct Serve(Addr<Player>);

struct Player {
    other: Option<Addr<Player>>,
    serves: bool,
    /// Whether everybody sleeps before each hit.
    pauses: bool,
    left: u64,
    took: Duration,
    report: mpsc::Sender<Duration>,
}

impl Actor for Player {
    type Context = Context<Self>;
}

impl Player {
    fn hit(&self, ctx: &mut Context<Self>) {
        let Some(other) = self.other.clone() else {
            return;
        };
        if self.pauses {
            ctx.run_later(PAUSE, move |_, _| other.do_send(Ball(Some(Instant::now()))));
        } else {
            other.do_send(Ball(None));
        }
    }
}

impl Handler<Serve> for Player {
    type Result = ();

    fn handle(&mut self, other: Serve, ctx: &mut Context<Self>) {
        self.other = Some(other.0);
        self.hit(ctx);
    }
}

impl Handler<Ball> for Player {
    type Result = ();

    fn handle(&mut self, ball: Ball, ctx: &mut Context<Self>) {
        self.left -= 1;
        self.took += ball.0.map_or(Duration::ZERO, |sent| sent.elapsed());
        if self.left > 0 || !self.serves {
            self.hit(ctx);
        }
        if self.left == 0 {
            self.report.send(self.took).expect("the driver waits");
        }
    }
}

/// Each player gets the ball `n` times. Played with pauses, only the time of the ball in the air counts.
fn ping_pong(cores: &Cores, n: u64, pauses: bool) -> Measured {
    let (report, reported) = mpsc::channel();
    let player = |core: &ArbiterHandle, other: Option<Addr<Player>>| {
        let report = report.clone();
        Player::start_in_arbiter(core, move |_| Player {
            serves: other.is_none(),
            other,
            pauses,
            left: n,
            took: Duration::ZERO,
            report,
        })
    };
    let pinger = player(cores.at(0), None);
    let ponger = player(cores.elsewhere(0), Some(pinger.clone()));
    let start = Instant::now();
    pinger.do_send(Serve(ponger));
    let flown = (0..2).map(|_| reported.recv().expect("the players report"));
    let flown: Duration = flown.sum();
    Measured::new(if pauses { flown } else { start.elapsed() }, n)
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Ask(u64);

struct Server;

impl Actor for Server {
    type Context = Context<Self>;
}

impl Handler<Ask> for Server {
    type Result = u64;

    fn handle(&mut self, ask: Ask, _: &mut Context<Self>) -> u64 {
        ask.0
    }
}

fn requests(cores: &Cores, n: u64) -> Measured {
    let server = Server::start_in_arbiter(cores.elsewhere(0), |_| Server);
    cores.run(async move {
        let start = Instant::now();
        for number in 0..n {
            assert_eq!(server.send(Ask(number)).await.ok(), Some(number));
        }
        Measured::new(start.elapsed(), n)
    })
}

#[derive(Message)]
#[rtype(result = "()")]
struct Neighbours(Arc<[Addr<Pinger>]>);

#[derive(Message)]
#[rtype(result = "()")]
struct Ping {
    from: usize,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Pong;

struct Pinger {
    me: usize,
    others: Arc<[Addr<Pinger>]>,
    left: u64,
    dice: Dice,
    report: mpsc::Sender<()>,
}

impl Actor for Pinger {
    type Context = Context<Self>;
}

impl Pinger {
    fn ping(&mut self) {
        if self.left == 0 {
            self.report.send(()).expect("the driver waits");
            return;
        }
        self.left -= 1;
        self.others[self.dice.below(self.others.len())].do_send(Ping { from: self.me });
    }
}

impl Handler<Neighbours> for Pinger {
    type Result = ();

    fn handle(&mut self, others: Neighbours, _: &mut Context<Self>) {
        self.others = others.0;
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Begin;

impl Handler<Begin> for Pinger {
    type Result = ();

    fn handle(&mut self, _: Begin, _: &mut Context<Self>) {
        self.ping();
    }
}

impl Handler<Ping> for Pinger {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Context<Self>) {
        self.others[ping.from].do_send(Pong);
    }
}

impl Handler<Pong> for Pinger {
    type Result = ();

    fn handle(&mut self, _: Pong, _: &mut Context<Self>) {
        self.ping();
    }
}

fn big(cores: &Cores, n: u64) -> Measured {
    let left = n.div_ceil(2 * PLAYERS);
    let (report, reported) = mpsc::channel();
    let player = |me: usize| {
        let report = report.clone();
        Pinger::start_in_arbiter(cores.at(me), move |_| Pinger {
            me,
            others: Arc::new([]),
            left,
            dice: Dice::new(me as u64 + 1),
            report,
        })
    };
    let players: Arc<[_]> = (0..PLAYERS as usize).map(player).collect();
    for player in players.iter() {
        player.do_send(Neighbours(Arc::clone(&players)));
    }
    let start = Instant::now();
    players.iter().for_each(|player| player.do_send(Begin));
    (0..PLAYERS).for_each(|_| reported.recv().expect("the players report"));
    Measured::new(start.elapsed(), 2 * left * PLAYERS)
}

#[derive(Message)]
#[rtype(result = "()")]
struct Token(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Close(Addr<Member>);

struct Member {
    next: Option<Addr<Member>>,
    report: mpsc::Sender<()>,
}

impl Actor for Member {
    type Context = Context<Self>;
}

impl Handler<Close> for Member {
    type Result = ();

    fn handle(&mut self, next: Close, _: &mut Context<Self>) {
        self.next = Some(next.0);
    }
}

impl Handler<Token> for Member {
    type Result = ();

    fn handle(&mut self, token: Token, _: &mut Context<Self>) {
        match (token.0, &self.next) {
            (0, _) | (_, None) => self.report.send(()).expect("the driver waits"),
            (left, Some(next)) => next.do_send(Token(left - 1)),
        }
    }
}

fn thread_ring(cores: &Cores, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let member = |number: usize, next: Option<Addr<Member>>| {
        let report = report.clone();
        Member::start_in_arbiter(cores.at(number), move |_| Member { next, report })
    };
    let oldest = member(0, None);
    let youngest =
        (1..MEMBERS as usize).fold(oldest.clone(), |next, number| member(number, Some(next)));
    oldest.do_send(Close(youngest.clone()));
    let start = Instant::now();
    youngest.do_send(Token(n));
    reported.recv().expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

#[derive(Message)]
#[rtype(result = "()")]
struct Sine(f64);

#[derive(Message)]
#[rtype(result = "()")]
struct Work(u64);

struct Fork {
    joiner: Addr<Joiner>,
}

impl Actor for Fork {
    type Context = Context<Self>;
}

impl Handler<Work> for Fork {
    type Result = ();

    fn handle(&mut self, work: Work, ctx: &mut Context<Self>) {
        self.joiner.do_send(Sine((work.0 as f64).sin()));
        ctx.stop();
    }
}

struct Joiner {
    left: u64,
    sum: f64,
    report: mpsc::Sender<f64>,
}

impl Actor for Joiner {
    type Context = Context<Self>;
}

impl Handler<Sine> for Joiner {
    type Result = ();

    fn handle(&mut self, sine: Sine, _: &mut Context<Self>) {
        self.sum += sine.0;
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.sum).expect("the driver waits");
        }
    }
}

fn create(cores: &Cores, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let joiner = Joiner::start_in_arbiter(cores.at(0), move |_| Joiner {
        left: n,
        sum: 0.0,
        report,
    });
    let start = Instant::now();
    cores.run(async move {
        for number in 0..n {
            let joiner = joiner.clone();
            Fork { joiner }.start().do_send(Work(number));
            if number % BURST == 0 {
                yield_now().await;
            }
        }
    });
    let sum = reported.recv().expect("the joiner reports");
    let took = start.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

/// Told to stop, it says how much it has seen.
#[derive(Message)]
#[rtype(result = "u64")]
struct Stop;

struct Mayfly {
    seen: u64,
}

impl Actor for Mayfly {
    type Context = Context<Self>;
}

impl Handler<Work> for Mayfly {
    type Result = ();

    fn handle(&mut self, work: Work, _: &mut Context<Self>) {
        self.seen += work.0;
    }
}

impl Handler<Stop> for Mayfly {
    type Result = u64;

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> u64 {
        ctx.stop();
        self.seen
    }
}

fn lives(cores: &Cores, n: u64) -> Measured {
    cores.run(async move {
        let start = Instant::now();
        for number in 0..n {
            let mayfly = Mayfly { seen: 0 }.start();
            mayfly.do_send(Work(number));
            assert_eq!(mayfly.send(Stop).await.ok(), Some(number));
        }
        Measured::new(start.elapsed(), n)
    })
}
