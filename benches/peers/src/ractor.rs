//! ractor: one message type an actor, unbounded mailboxes, on tokio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};
use ringpost_benches::Measured;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::cores::{Cores, Flavor};
use crate::dice::Dice;
use crate::peer::{BURST, Kind, MEMBERS, Outcome, PAUSE, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PER_CORE: Peer = Peer {
    name: "ractor",
    kind: Kind::Actors,
    package: "ractor",
    mailbox: "unbounded",
    idle: "sleeps at once",
    setup: "cast and call; without span propagation; a current-thread runtime of tokio on each core",
    run: |task| run(task, Flavor::PerCore),
};

pub const STEALING: Peer = Peer {
    name: "ractor, stealing",
    kind: Kind::Actors,
    package: "ractor",
    mailbox: "unbounded",
    idle: "sleeps at once",
    setup: "as ractor, on one multi-thread runtime of tokio with a worker on each core",
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
        Workload::Create => cores.run(create(n)),
        Workload::Lives => cores.run(lives(n)),
    })
}

type Handled = Result<(), ActorProcessingErr>;

/// Starts an actor on a runtime; the actor's state is made of its arguments.
async fn start<A>(core: &Handle, actor: A, arguments: A::Arguments) -> ActorRef<A::Msg>
where
    A: Actor,
{
    let started = core.spawn(Actor::spawn(None, actor, arguments));
    let started = started.await.expect("the core runs");
    started.expect("the actor starts").0
}

fn cast<M: ::ractor::Message>(to: &ActorRef<M>, message: M) {
    assert!(to.cast(message).is_ok(), "the receiver is there");
}

enum Count {
    Increment,
    Done,
}

struct Counter;

struct Counted {
    count: u64,
    producers: u64,
    report: UnboundedSender<u64>,
}

impl Actor for Counter {
    type Msg = Count;
    type State = Counted;
    type Arguments = Counted;

    async fn pre_start(
        &self,
        _: ActorRef<Count>,
        state: Counted,
    ) -> Result<Counted, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Count>, count: Count, state: &mut Counted) -> Handled {
        match count {
            Count::Increment => state.count += 1,
            Count::Done => {
                state.producers -= 1;
                if state.producers == 0 {
                    state.report.send(state.count)?;
                }
            }
        }
        Ok(())
    }
}

struct Producer;

struct Produce(u64);

impl Actor for Producer {
    type Msg = Produce;
    type State = ActorRef<Count>;
    type Arguments = ActorRef<Count>;

    async fn pre_start(
        &self,
        _: ActorRef<Produce>,
        to: ActorRef<Count>,
    ) -> Result<ActorRef<Count>, ActorProcessingErr> {
        Ok(to)
    }

    async fn handle(
        &self,
        _: ActorRef<Produce>,
        produce: Produce,
        to: &mut ActorRef<Count>,
    ) -> Handled {
        for number in 1..=produce.0 {
            to.cast(Count::Increment)?;
            if number % BURST == 0 {
                yield_now().await;
            }
        }
        Ok(to.cast(Count::Done)?)
    }
}

async fn fan_in(cores: Arc<Cores>, n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let (report, mut reported) = unbounded_channel();
    let counted = Counted {
        count: 0,
        producers,
        report,
    };
    let to = start(&cores.at(0), Counter, counted).await;
    let mut names = Vec::new();
    for number in 0..producers as usize {
        names.push(start(&cores.elsewhere(number), Producer, to.clone()).await);
    }
    let start = Instant::now();
    names
        .iter()
        .for_each(|producer| cast(producer, Produce(each)));
    let count = reported.recv().await.expect("the counter reports");
    let took = start.elapsed();
    assert_eq!(count, each * producers);
    Measured::new(took, count)
}

enum Game {
    /// To the one who opens the game.
    Serve(ActorRef<Game>),
    /// What is hit to and fro; with the time of the hit where that is measured.
    Ball(Option<Instant>),
}

struct Player;

struct Playing {
    other: Option<ActorRef<Game>>,
    serves: bool,
    /// Whether everybody sleeps before each hit.
    pauses: bool,
    left: u64,
    took: Duration,
    report: UnboundedSender<Duration>,
}

impl Playing {
    async fn hit(&self) {
        let ball = if self.pauses {
            sleep(PAUSE).await;
            Game::Ball(Some(Instant::now()))
        } else {
            Game::Ball(None)
        };
        if let Some(other) = &self.other {
            cast(other, ball);
        }
    }
}

impl Actor for Player {
    type Msg = Game;
    type State = Playing;
    type Arguments = Playing;

    async fn pre_start(
        &self,
        _: ActorRef<Game>,
        state: Playing,
    ) -> Result<Playing, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Game>, game: Game, state: &mut Playing) -> Handled {
        match game {
            Game::Serve(other) => {
                state.other = Some(other);
                state.hit().await;
            }
            Game::Ball(sent) => {
                state.left -= 1;
                state.took += sent.map_or(Duration::ZERO, |sent| sent.elapsed());
                if state.left > 0 || !state.serves {
                    state.hit().await;
                }
                if state.left == 0 {
                    state.report.send(state.took)?;
                }
            }
        }
        Ok(())
    }
}

/// Each player gets the ball `n` times. Played with pauses, only the time of the ball in the air counts.
async fn ping_pong(cores: Arc<Cores>, n: u64, pauses: bool) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let player = |other: Option<ActorRef<Game>>| Playing {
        serves: other.is_none(),
        other,
        pauses,
        left: n,
        took: Duration::ZERO,
        report: report.clone(),
    };
    let pinger = start(&cores.at(0), Player, player(None)).await;
    let ponger = start(&cores.elsewhere(0), Player, player(Some(pinger.clone()))).await;
    let start = Instant::now();
    cast(&pinger, Game::Serve(ponger));
    let mut flown = Duration::ZERO;
    for _ in 0..2 {
        flown += reported.recv().await.expect("the players report");
    }
    Measured::new(if pauses { flown } else { start.elapsed() }, n)
}

struct Server;

struct Ask(u64, RpcReplyPort<u64>);

impl Actor for Server {
    type Msg = Ask;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Ask>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Ask>, Ask(number, reply): Ask, (): &mut ()) -> Handled {
        Ok(reply.send(number)?)
    }
}

async fn requests(cores: Arc<Cores>, n: u64) -> Measured {
    let server = start(&cores.elsewhere(0), Server, ()).await;
    let start = Instant::now();
    for number in 0..n {
        let answer = call!(server, |reply| Ask(number, reply));
        assert_eq!(answer.expect("the server answers"), number);
    }
    Measured::new(start.elapsed(), n)
}

enum Word {
    Neighbours(Arc<[ActorRef<Word>]>),
    Begin,
    Ping { from: usize },
    Pong,
}

struct Pinger;

struct Pinging {
    me: usize,
    others: Arc<[ActorRef<Word>]>,
    left: u64,
    dice: Dice,
    report: UnboundedSender<()>,
}

impl Pinging {
    fn ping(&mut self) -> Handled {
        if self.left == 0 {
            return Ok(self.report.send(())?);
        }
        self.left -= 1;
        let other = &self.others[self.dice.below(self.others.len())];
        Ok(other.cast(Word::Ping { from: self.me })?)
    }
}

impl Actor for Pinger {
    type Msg = Word;
    type State = Pinging;
    type Arguments = Pinging;

    async fn pre_start(
        &self,
        _: ActorRef<Word>,
        state: Pinging,
    ) -> Result<Pinging, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Word>, word: Word, state: &mut Pinging) -> Handled {
        match word {
            Word::Neighbours(others) => {
                state.others = others;
                Ok(())
            }
            Word::Ping { from } => Ok(state.others[from].cast(Word::Pong)?),
            Word::Begin | Word::Pong => state.ping(),
        }
    }
}

async fn big(cores: Arc<Cores>, n: u64) -> Measured {
    let left = n.div_ceil(2 * PLAYERS);
    let (report, mut reported) = unbounded_channel();
    let mut players = Vec::new();
    for me in 0..PLAYERS as usize {
        let pinging = Pinging {
            me,
            others: Arc::new([]),
            left,
            dice: Dice::new(me as u64 + 1),
            report: report.clone(),
        };
        players.push(start(&cores.at(me), Pinger, pinging).await);
    }
    let players: Arc<[_]> = players.into();
    for player in players.iter() {
        cast(player, Word::Neighbours(Arc::clone(&players)));
    }
    let start = Instant::now();
    players.iter().for_each(|player| cast(player, Word::Begin));
    for _ in 0..PLAYERS {
        reported.recv().await.expect("the players report");
    }
    Measured::new(start.elapsed(), 2 * left * PLAYERS)
}

enum Ring {
    Close(ActorRef<Ring>),
    Token(u64),
}

struct Member;

struct Belonging {
    next: Option<ActorRef<Ring>>,
    report: UnboundedSender<()>,
}

impl Actor for Member {
    type Msg = Ring;
    type State = Belonging;
    type Arguments = Belonging;

    async fn pre_start(
        &self,
        _: ActorRef<Ring>,
        state: Belonging,
    ) -> Result<Belonging, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Ring>, ring: Ring, state: &mut Belonging) -> Handled {
        match (ring, &state.next) {
            (Ring::Close(next), _) => state.next = Some(next),
            (Ring::Token(0), _) | (Ring::Token(_), None) => state.report.send(())?,
            (Ring::Token(left), Some(next)) => next.cast(Ring::Token(left - 1))?,
        }
        Ok(())
    }
}

async fn thread_ring(cores: Arc<Cores>, n: u64) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let member = async |number: usize, next: Option<ActorRef<Ring>>| {
        let report = report.clone();
        start(&cores.at(number), Member, Belonging { next, report }).await
    };
    let oldest = member(0, None).await;
    let mut youngest = oldest.clone();
    for number in 1..MEMBERS as usize {
        youngest = member(number, Some(youngest)).await;
    }
    cast(&oldest, Ring::Close(youngest.clone()));
    let start = Instant::now();
    cast(&youngest, Ring::Token(n));
    reported.recv().await.expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

struct Work(u64);

struct Sine(f64);

struct Fork;

impl Actor for Fork {
    type Msg = Work;
    type State = ActorRef<Sine>;
    type Arguments = ActorRef<Sine>;

    async fn pre_start(
        &self,
        _: ActorRef<Work>,
        joiner: ActorRef<Sine>,
    ) -> Result<ActorRef<Sine>, ActorProcessingErr> {
        Ok(joiner)
    }

    async fn handle(&self, me: ActorRef<Work>, work: Work, joiner: &mut ActorRef<Sine>) -> Handled {
        joiner.cast(Sine((work.0 as f64).sin()))?;
        me.stop(None);
        Ok(())
    }
}

struct Joiner;

struct Joining {
    left: u64,
    sum: f64,
    report: UnboundedSender<f64>,
}

impl Actor for Joiner {
    type Msg = Sine;
    type State = Joining;
    type Arguments = Joining;

    async fn pre_start(
        &self,
        _: ActorRef<Sine>,
        state: Joining,
    ) -> Result<Joining, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(&self, _: ActorRef<Sine>, sine: Sine, state: &mut Joining) -> Handled {
        state.sum += sine.0;
        state.left -= 1;
        if state.left == 0 {
            state.report.send(state.sum)?;
        }
        Ok(())
    }
}

async fn create(n: u64) -> Measured {
    let (report, mut reported) = unbounded_channel();
    let joining = Joining {
        left: n,
        sum: 0.0,
        report,
    };
    let joiner = Actor::spawn(None, Joiner, joining).await;
    let (joiner, _) = joiner.expect("the joiner starts");
    let start = Instant::now();
    for number in 0..n {
        let fork = Actor::spawn(None, Fork, joiner.clone()).await;
        cast(&fork.expect("the fork starts").0, Work(number));
    }
    let sum = reported.recv().await.expect("the joiner reports");
    let took = start.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

struct Mayfly;

impl Actor for Mayfly {
    type Msg = Work;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Work>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Work>, work: Work, seen: &mut u64) -> Handled {
        *seen += work.0;
        Ok(())
    }
}

async fn lives(n: u64) -> Measured {
    let start = Instant::now();
    for number in 0..n {
        let mayfly = Actor::spawn(None, Mayfly, ()).await;
        let (mayfly, _) = mayfly.expect("the mayfly starts");
        cast(&mayfly, Work(number));
        mayfly.drain_and_wait(None).await.expect("the mayfly ends");
    }
    Measured::new(start.elapsed(), n)
}
