//! Kompact's other way: components joined by typed ports, over channels that are laid before the start.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use ::kompact::prelude::*;
use ringpost_benches::Measured;

use crate::cores::Flavor;
use crate::peer::{BURST, Dash, Kind, Outcome, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "kompact ports",
    kind: Kind::Actors,
    package: "kompact",
    mailbox: "unbounded",
    idle: "sleeps at once",
    setup: "components joined by ports; a thread of its pool for each core, which is where events at ports always run",
    run,
};

fn run(task: &Task) -> Outcome {
    Flavor::Stealing.check(task)?;
    let mut config = KompactConfig::default();
    config.set_config_value(&::kompact::config_keys::system::THREADS, task.cores());
    let system = config.build().wait();
    let system = system.map_err(|error| Dash(format!("cannot run here: {error:?}")))?;
    let n = task.n;
    let measured = match task.workload {
        Workload::OneWay => one_way(&system, n),
        Workload::PingPong | Workload::AwakePingPong => ping_pong(&system, n),
        _ => return task.dash("ports are joined before the start, so the rest is done by actors"),
    };
    system.shutdown_async();
    Ok(measured)
}

#[derive(Debug, Clone)]
enum Count {
    Increment,
    Done,
}

struct Counting;

impl Port for Counting {
    type Indication = Never;
    type Request = Count;
}

#[derive(ComponentDefinition, Actor)]
struct Counter {
    ctx: ComponentContext<Self>,
    port: ProvidedPort<Counting>,
    count: u64,
    report: mpsc::Sender<u64>,
}

ignore_lifecycle!(Counter);

impl Provide<Counting> for Counter {
    fn handle(&mut self, count: Count) -> HandlerResult {
        match count {
            Count::Increment => self.count += 1,
            Count::Done => self.report.send(self.count).expect("the driver waits"),
        }
        Handled::OK
    }
}

#[derive(Debug)]
struct Produce(u64);

#[derive(ComponentDefinition)]
struct Producer {
    ctx: ComponentContext<Self>,
    port: RequiredPort<Counting>,
}

ignore_lifecycle!(Producer);

impl Require<Counting> for Producer {
    fn handle(&mut self, _: Never) -> HandlerResult {
        Handled::OK
    }
}

impl Actor for Producer {
    type Message = Produce;

    fn receive_local(&mut self, produce: Produce) -> HandlerResult {
        let burst = produce.0.min(BURST);
        (0..burst).for_each(|_| self.port.trigger(Count::Increment));
        if produce.0 > burst {
            self.ctx.actor_ref().tell(Produce(produce.0 - burst));
        } else {
            self.port.trigger(Count::Done);
        }
        Handled::OK
    }
}

fn one_way(system: &KompactSystem, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let counter = Counter {
        ctx: ComponentContext::uninitialised(),
        port: ProvidedPort::uninitialised(),
        count: 0,
        report,
    };
    let producer = Producer {
        ctx: ComponentContext::uninitialised(),
        port: RequiredPort::uninitialised(),
    };
    let counter = system.create(move || counter);
    let producer = system.create(move || producer);
    let joined = biconnect_components::<Counting, _, _>(&counter, &producer);
    let _channel = joined.expect("the components are there");
    system.start_notify(&counter).wait();
    system.start_notify(&producer).wait();
    let start = Instant::now();
    producer.actor_ref().tell(Produce(n));
    let count = reported.recv().expect("the counter reports");
    let took = start.elapsed();
    assert_eq!(count, n);
    Measured::new(took, n)
}

struct Table;

#[derive(Debug, Clone)]
struct Ping;

#[derive(Debug, Clone)]
struct Pong;

impl Port for Table {
    type Indication = Pong;
    type Request = Ping;
}

#[derive(ComponentDefinition, Actor)]
struct Ponger {
    ctx: ComponentContext<Self>,
    port: ProvidedPort<Table>,
}

ignore_lifecycle!(Ponger);

impl Provide<Table> for Ponger {
    fn handle(&mut self, _: Ping) -> HandlerResult {
        self.port.trigger(Pong);
        Handled::OK
    }
}

#[derive(ComponentDefinition)]
struct Pinger {
    ctx: ComponentContext<Self>,
    port: RequiredPort<Table>,
    left: u64,
    start: Instant,
    report: mpsc::Sender<Duration>,
}

ignore_lifecycle!(Pinger);

impl Require<Table> for Pinger {
    fn handle(&mut self, _: Pong) -> HandlerResult {
        self.left -= 1;
        if self.left > 0 {
            self.port.trigger(Ping);
        } else {
            let took = self.start.elapsed();
            self.report.send(took).expect("the driver waits");
        }
        Handled::OK
    }
}

impl Actor for Pinger {
    type Message = Produce;

    fn receive_local(&mut self, rounds: Produce) -> HandlerResult {
        self.left = rounds.0;
        self.start = Instant::now();
        self.port.trigger(Ping);
        Handled::OK
    }
}

fn ping_pong(system: &KompactSystem, n: u64) -> Measured {
    let (report, reported) = mpsc::channel();
    let ponger = Ponger {
        ctx: ComponentContext::uninitialised(),
        port: ProvidedPort::uninitialised(),
    };
    let pinger = Pinger {
        ctx: ComponentContext::uninitialised(),
        port: RequiredPort::uninitialised(),
        left: 0,
        start: Instant::now(),
        report,
    };
    let ponger = system.create(move || ponger);
    let pinger = system.create(move || pinger);
    let joined = biconnect_components::<Table, _, _>(&ponger, &pinger);
    let _channel = joined.expect("the components are there");
    system.start_notify(&ponger).wait();
    system.start_notify(&pinger).wait();
    pinger.actor_ref().tell(Produce(n));
    Measured::new(reported.recv().expect("the pinger reports"), n)
}
