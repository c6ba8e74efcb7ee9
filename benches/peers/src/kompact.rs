//! Kompact: components that are also actors, on its own pool of threads. Mailboxes are unbounded.

mod game;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ::kompact::prelude::*;
use core_affinity::CoreId;
use ringpost_benches::Measured;

use self::game::Style;
use crate::dice::Dice;
use crate::peer::{BURST, Dash, Kind, MEMBERS, Outcome, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "kompact",
    kind: Kind::Actors,
    package: "kompact",
    mailbox: "unbounded",
    idle: "sleeps at once",
    setup: "strong actor references; a thread of its pool for each core; partners of two cores have a pinned thread each",
    run,
};

fn run(task: &Task) -> Outcome {
    let mut config = KompactConfig::default();
    config.set_config_value(&::kompact::config_keys::system::THREADS, task.cores());
    let system = config.build().wait();
    let system = system.map_err(|error| Dash(format!("cannot run here: {error:?}")))?;
    let place = Place {
        system: &system,
        cpus: &task.cpus,
    };
    let n = task.n;
    let measured = match task.workload {
        Workload::OneWay => fan_in(&place, n, 1),
        Workload::FanIn => fan_in(&place, n, PRODUCERS),
        Workload::PingPong => game::play(&place, n, Style::AsItComes),
        Workload::AwakePingPong => game::play(&place, n, Style::Awake),
        Workload::Parked => game::play(&place, n, Style::Asleep),
        Workload::Request => requests(&place, n),
        Workload::AwakeRequest => {
            return task.dash("its threads sleep unless components keep them busy, which asking leaves no room for");
        }
        Workload::Big => big(&place, n),
        Workload::ThreadRing => thread_ring(&place, n),
        Workload::Create => create(&place, n),
        Workload::Lives => lives(&place, n),
    };
    // What components still refer to each other keeps alive ends with the process.
    system.shutdown_async();
    Ok(measured)
}

struct Place<'a> {
    system: &'a KompactSystem,
    /// With more than one, each of two partners gets a thread of its own on one of them.
    cpus: &'a [CoreId],
}

impl Place<'_> {
    /// One of many: the pool runs it.
    fn pooled<C, M>(&self, component: C) -> ActorRefStrong<M>
    where
        C: ComponentDefinition + ActorRaw<Message = M> + Sized + 'static,
        M: MessageBounds,
    {
        self.started(&self.system.create(move || component))
    }

    /// The first or the second of two partners.
    fn partner<C, M>(&self, number: usize, component: C) -> ActorRefStrong<M>
    where
        C: ComponentDefinition + ActorRaw<Message = M> + Sized + 'static,
        M: MessageBounds,
    {
        if self.cpus.len() == 1 {
            return self.pooled(component);
        }
        let cpu = self.cpus[number];
        let component = self.system.create_dedicated_pinned(move || component, cpu);
        self.started(&component)
    }

    fn started<C, M>(&self, component: &Arc<Component<C>>) -> ActorRefStrong<M>
    where
        C: ComponentDefinition + ActorRaw<Message = M> + Sized + 'static,
        M: MessageBounds,
    {
        self.system.start_notify(component).wait();
        held(component)
    }
}

fn held<C, M>(component: &Arc<Component<C>>) -> ActorRefStrong<M>
where
    C: ComponentDefinition + ActorRaw<Message = M> + Sized + 'static,
    M: MessageBounds,
{
    component
        .actor_ref()
        .hold()
        .expect("the component is there")
}

#[derive(Debug)]
enum Count {
    Increment,
    Done,
}

#[derive(ComponentDefinition)]
struct Counter {
    ctx: ComponentContext<Self>,
    count: u64,
    producers: u64,
    report: mpsc::Sender<u64>,
}

ignore_lifecycle!(Counter);

impl Actor for Counter {
    type Message = Count;

    fn receive_local(&mut self, count: Count) -> HandlerResult {
        match count {
            Count::Increment => self.count += 1,
            Count::Done => {
                self.producers -= 1;
                if self.producers == 0 {
                    self.report.send(self.count).expect("the driver waits");
                }
            }
        }
        Handled::OK
    }
}

#[derive(Debug)]
struct Produce(u64);

#[derive(ComponentDefinition)]
struct Producer {
    ctx: ComponentContext<Self>,
    to: ActorRefStrong<Count>,
}

ignore_lifecycle!(Producer);

impl Actor for Producer {
    type Message = Produce;

    fn receive_local(&mut self, produce: Produce) -> HandlerResult {
        let burst = produce.0.min(BURST);
        (0..burst).for_each(|_| self.to.tell(Count::Increment));
        if produce.0 > burst {
            self.ctx.actor_ref().tell(Produce(produce.0 - burst));
        } else {
            self.to.tell(Count::Done);
        }
        Handled::OK
    }
}

fn fan_in(place: &Place<'_>, n: u64, producers: u64) -> Measured {
    let each = n.div_ceil(producers);
    let (report, reported) = mpsc::channel();
    let counter = Counter {
        ctx: ComponentContext::uninitialised(),
        count: 0,
        producers,
        report,
    };
    let to = place.partner(0, counter);
    let producer = |_| {
        let producer = Producer {
            ctx: ComponentContext::uninitialised(),
            to: to.clone(),
        };
        match producers {
            1 => place.partner(1, producer),
            _ => place.pooled(producer),
        }
    };
    let names: Vec<_> = (0..producers).map(producer).collect();
    let start = Instant::now();
    names
        .iter()
        .for_each(|producer| producer.tell(Produce(each)));
    let count = reported.recv().expect("the counter reports");
    let took = start.elapsed();
    assert_eq!(count, each * producers);
    Measured::new(took, count)
}

#[derive(ComponentDefinition)]
struct Server {
    ctx: ComponentContext<Self>,
}

ignore_lifecycle!(Server);

impl Actor for Server {
    type Message = Ask<u64, u64>;

    fn receive_local(&mut self, ask: Ask<u64, u64>) -> HandlerResult {
        ask.complete(|number| number).expect("the client waits");
        Handled::OK
    }
}

#[derive(ComponentDefinition)]
struct Client {
    ctx: ComponentContext<Self>,
    server: ActorRefStrong<Ask<u64, u64>>,
    report: mpsc::Sender<Duration>,
}

ignore_lifecycle!(Client);

impl Actor for Client {
    type Message = Produce;

    fn receive_local(&mut self, produce: Produce) -> HandlerResult {
        self.spawn_local(move |client| async move {
            let start = Instant::now();
            for number in 0..produce.0 {
                let answer = client.server.ask_with(Ask::of(number)).await;
                assert_eq!(answer.ok(), Some(number));
            }
            client
                .report
                .send(start.elapsed())
                .expect("the driver waits");
            Handled::OK
        });
        Handled::OK
    }
}

fn requests(place: &Place<'_>, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let server = place.partner(
        1,
        Server {
            ctx: ComponentContext::uninitialised(),
        },
    );
    let client = place.partner(
        0,
        Client {
            ctx: ComponentContext::uninitialised(),
            server,
            report,
        },
    );
    client.tell(Produce(n));
    Measured::new(reported.recv().expect("the client reports"), n)
}

#[derive(Debug)]
enum Word {
    Neighbours(Arc<[ActorRefStrong<Word>]>),
    Begin,
    Ping { from: usize },
    Pong,
}

#[derive(ComponentDefinition)]
struct Pinger {
    ctx: ComponentContext<Self>,
    me: usize,
    others: Arc<[ActorRefStrong<Word>]>,
    left: u64,
    dice: Dice,
    report: mpsc::Sender<()>,
}

ignore_lifecycle!(Pinger);

impl Actor for Pinger {
    type Message = Word;

    fn receive_local(&mut self, word: Word) -> HandlerResult {
        match word {
            Word::Neighbours(others) => self.others = others,
            Word::Ping { from } => self.others[from].tell(Word::Pong),
            Word::Begin | Word::Pong if self.left == 0 => {
                self.report.send(()).expect("the driver waits");
            }
            Word::Begin | Word::Pong => {
                self.left -= 1;
                let other = &self.others[self.dice.below(self.others.len())];
                other.tell(Word::Ping { from: self.me });
            }
        }
        Handled::OK
    }
}

fn big(place: &Place<'_>, n: u64) -> Measured {
    let left = n.div_ceil(2 * PLAYERS);
    let (report, reported) = mpsc::channel();
    let player = |me: usize| {
        place.pooled(Pinger {
            ctx: ComponentContext::uninitialised(),
            me,
            others: Arc::new([]),
            left,
            dice: Dice::new(me as u64 + 1),
            report: report.clone(),
        })
    };
    let players: Arc<[_]> = (0..PLAYERS as usize).map(player).collect();
    for player in players.iter() {
        player.tell(Word::Neighbours(Arc::clone(&players)));
    }
    let start = Instant::now();
    players.iter().for_each(|player| player.tell(Word::Begin));
    (0..PLAYERS).for_each(|_| reported.recv().expect("the players report"));
    Measured::new(start.elapsed(), 2 * left * PLAYERS)
}

#[derive(Debug)]
enum Ring {
    Close(ActorRefStrong<Ring>),
    Token(u64),
}

#[derive(ComponentDefinition)]
struct Member {
    ctx: ComponentContext<Self>,
    next: Option<ActorRefStrong<Ring>>,
    report: mpsc::Sender<()>,
}

ignore_lifecycle!(Member);

impl Actor for Member {
    type Message = Ring;

    fn receive_local(&mut self, ring: Ring) -> HandlerResult {
        match (ring, &self.next) {
            (Ring::Close(next), _) => self.next = Some(next),
            (Ring::Token(0), _) | (Ring::Token(_), None) => {
                self.report.send(()).expect("the driver waits");
            }
            (Ring::Token(left), Some(next)) => next.tell(Ring::Token(left - 1)),
        }
        Handled::OK
    }
}

fn thread_ring(place: &Place<'_>, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let member = |next| {
        place.pooled(Member {
            ctx: ComponentContext::uninitialised(),
            next,
            report: report.clone(),
        })
    };
    let oldest = member(None);
    let youngest = (1..MEMBERS).fold(oldest.clone(), |next, _| member(Some(next)));
    oldest.tell(Ring::Close(youngest.clone()));
    let start = Instant::now();
    youngest.tell(Ring::Token(n));
    reported.recv().expect("the token arrives");
    Measured::new(start.elapsed(), n + 1)
}

#[derive(Debug)]
struct Work(u64);

#[derive(Debug)]
struct Sine(f64);

#[derive(ComponentDefinition)]
struct Fork {
    ctx: ComponentContext<Self>,
    joiner: ActorRefStrong<Sine>,
}

ignore_lifecycle!(Fork);

impl Actor for Fork {
    type Message = Work;

    fn receive_local(&mut self, work: Work) -> HandlerResult {
        self.joiner.tell(Sine((work.0 as f64).sin()));
        Handled::SHUTDOWN
    }
}

#[derive(ComponentDefinition)]
struct Joiner {
    ctx: ComponentContext<Self>,
    left: u64,
    sum: f64,
    report: mpsc::Sender<f64>,
}

ignore_lifecycle!(Joiner);

impl Actor for Joiner {
    type Message = Sine;

    fn receive_local(&mut self, sine: Sine) -> HandlerResult {
        self.sum += sine.0;
        self.left -= 1;
        if self.left == 0 {
            self.report.send(self.sum).expect("the driver waits");
        }
        Handled::OK
    }
}

/// Starts forks, a burst of them at a time.
#[derive(ComponentDefinition)]
struct Forker {
    ctx: ComponentContext<Self>,
    joiner: ActorRefStrong<Sine>,
}

ignore_lifecycle!(Forker);

impl Actor for Forker {
    type Message = Produce;

    fn receive_local(&mut self, produce: Produce) -> HandlerResult {
        let burst = produce.0.min(BURST);
        for number in 0..burst {
            let joiner = self.joiner.clone();
            let fork = self.ctx.system().create(move || Fork {
                ctx: ComponentContext::uninitialised(),
                joiner,
            });
            self.ctx.system().start(&fork);
            fork.actor_ref().tell(Work(number));
        }
        if produce.0 > burst {
            self.ctx.actor_ref().tell(Produce(produce.0 - burst));
        }
        Handled::OK
    }
}

fn create(place: &Place<'_>, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let joiner = place.pooled(Joiner {
        ctx: ComponentContext::uninitialised(),
        left: n,
        sum: 0.0,
        report,
    });
    let forker = place.pooled(Forker {
        ctx: ComponentContext::uninitialised(),
        joiner,
    });
    let start = Instant::now();
    forker.tell(Produce(n));
    let sum = reported.recv().expect("the joiner reports");
    let took = start.elapsed();
    assert!(sum.is_finite());
    Measured::new(took, n)
}

/// Starts a server, asks it once and kills it, again and again: killing does not wait for what is
/// queued, asking does.
#[derive(ComponentDefinition)]
struct Keeper {
    ctx: ComponentContext<Self>,
    report: mpsc::Sender<Duration>,
}

ignore_lifecycle!(Keeper);

impl Actor for Keeper {
    type Message = Produce;

    fn receive_local(&mut self, produce: Produce) -> HandlerResult {
        self.spawn_local(move |keeper| async move {
            let start = Instant::now();
            for number in 0..produce.0 {
                let mayfly = keeper.ctx.system().create(|| Server {
                    ctx: ComponentContext::uninitialised(),
                });
                keeper.ctx.system().start(&mayfly);
                let answer = mayfly.actor_ref().ask_with(Ask::of(number)).await;
                assert_eq!(answer.ok(), Some(number));
                let killed = keeper.ctx.system().kill_notify(mayfly);
                killed.await.expect("the component ends");
            }
            keeper
                .report
                .send(start.elapsed())
                .expect("the driver waits");
            Handled::OK
        });
        Handled::OK
    }
}

fn lives(place: &Place<'_>, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let keeper = place.pooled(Keeper {
        ctx: ComponentContext::uninitialised(),
        report,
    });
    keeper.tell(Produce(n));
    Measured::new(reported.recv().expect("the keeper reports"), n)
}
