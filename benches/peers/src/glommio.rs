//! Tasks of glommio: over its local channels on one core, over its shared channels between two.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ::glommio::channels::local_channel::{self, LocalReceiver, LocalSender};
use ::glommio::channels::shared_channel::{self, SharedReceiver, SharedSender};
use ::glommio::timer::sleep;
use ::glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, spawn_local};
use core_affinity::CoreId;
use ringpost_benches::Measured;

use crate::local_tasks::{self, LocalRuntime};
use crate::peer::{Dash, Kind, MAILBOX, Outcome, PAUSE, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "glommio tasks",
    kind: Kind::Channels,
    package: "glommio",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "channels of 1024, local on one core and shared between two; where nobody sleeps, executors spin for 1 ms",
    run,
};

fn run(task: &Task) -> Outcome {
    let (n, here) = (task.n, task.cpus[0]);
    if let [_] = task.cpus[..] {
        let task = task.clone();
        return on(here, Duration::ZERO, move || {
            local_tasks::run::<Glommio>(task)
        })
        .and_then(ended)?;
    }
    let there = task.cpus[1];
    match task.workload {
        Workload::OneWay => fan_in(n, 1, here, there),
        Workload::FanIn => fan_in(n, PRODUCERS, here, there),
        Workload::PingPong => ping_pong(n, here, there, Duration::ZERO),
        Workload::AwakePingPong => ping_pong(n, here, there, Duration::from_millis(1)),
        Workload::Parked => parked(n, here, there),
        _ => task.dash("its channels join two executors; more than that is routed by hand"),
    }
}

/// Runs a future on an executor of its own that is pinned to this CPU.
fn on<T, F>(
    cpu: CoreId,
    spin: Duration,
    future: impl FnOnce() -> F + Send + 'static,
) -> Result<ExecutorJoinHandle<T>, Dash>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let builder = LocalExecutorBuilder::new(Placement::Fixed(cpu.id)).spin_before_park(spin);
    let spawned = builder.spawn(future);
    spawned.map_err(|error| Dash(format!("cannot run here: {error}")))
}

fn ended<T: Send + 'static>(executor: ExecutorJoinHandle<T>) -> Result<T, Dash> {
    let joined = executor.join();
    joined.map_err(|error| Dash(format!("cannot run here: {error}")))
}

struct Glommio;

impl LocalRuntime for Glommio {
    // One sender of a local channel is shared by all who send.
    type Sender<T: 'static> = Rc<LocalSender<T>>;
    type Receiver<T: 'static> = LocalReceiver<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, LocalReceiver<T>) {
        let (sender, receiver) = local_channel::new_bounded(capacity);
        (Rc::new(sender), receiver)
    }

    async fn send<T: 'static>(to: &Self::Sender<T>, value: T) {
        assert!(to.send(value).await.is_ok(), "the receiver is there");
    }

    async fn receive<T: 'static>(from: &mut LocalReceiver<T>) -> Option<T> {
        from.recv().await
    }

    fn spawn<T: 'static>(
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        spawn_local(task)
    }

    fn launch(task: impl Future<Output = ()> + 'static) {
        spawn_local(task).detach();
    }
}

fn fan_in(n: u64, producers: u64, here: CoreId, there: CoreId) -> Outcome {
    let each = n.div_ceil(producers);
    let total = each * producers;
    let (sender, receiver) = shared_channel::new_bounded::<u64>(MAILBOX);
    let produce = on(there, Duration::ZERO, move || async move {
        let sender = Rc::new(sender.connect().await);
        let tasks: Vec<_> = (0..producers)
            .map(|_| {
                let sender = Rc::clone(&sender);
                spawn_local(async move {
                    for message in 0..each {
                        assert!(sender.send(message).await.is_ok());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    })?;
    let count = on(here, Duration::ZERO, move || async move {
        let receiver = receiver.connect().await;
        let start = Instant::now();
        for _ in 0..total {
            assert!(receiver.recv().await.is_some());
        }
        start.elapsed()
    })?;
    let took = ended(count)?;
    ended(produce)?;
    Ok(Measured::new(took, total))
}

type Pair<T> = (SharedSender<T>, SharedReceiver<T>);

fn ping_pong(n: u64, here: CoreId, there: CoreId, spin: Duration) -> Outcome {
    let (ping, pinged): Pair<u64> = shared_channel::new_bounded(MAILBOX);
    let (pong, ponged): Pair<u64> = shared_channel::new_bounded(MAILBOX);
    let ponger = on(there, spin, move || async move {
        let (pinged, pong) = (pinged.connect().await, pong.connect().await);
        for _ in 0..n {
            let number = pinged.recv().await.expect("the pinger is there");
            assert!(pong.send(number).await.is_ok());
        }
    })?;
    let pinger = on(here, spin, move || async move {
        let (ping, ponged) = (ping.connect().await, ponged.connect().await);
        let start = Instant::now();
        for number in 0..n {
            assert!(ping.send(number).await.is_ok());
            assert_eq!(ponged.recv().await, Some(number));
        }
        start.elapsed()
    })?;
    let took = ended(pinger)?;
    ended(ponger)?;
    Ok(Measured::new(took, n))
}

fn parked(n: u64, here: CoreId, there: CoreId) -> Outcome {
    let (ping, pinged): Pair<Instant> = shared_channel::new_bounded(MAILBOX);
    let (pong, ponged): Pair<Instant> = shared_channel::new_bounded(MAILBOX);
    let ponger = on(there, Duration::ZERO, move || async move {
        let (pinged, pong) = (pinged.connect().await, pong.connect().await);
        let mut took = Duration::ZERO;
        for _ in 0..n {
            let sent = pinged.recv().await.expect("the pinger is there");
            took += sent.elapsed();
            sleep(PAUSE).await;
            assert!(pong.send(Instant::now()).await.is_ok());
        }
        took
    })?;
    let pinger = on(here, Duration::ZERO, move || async move {
        let (ping, ponged) = (ping.connect().await, ponged.connect().await);
        let mut took = Duration::ZERO;
        for _ in 0..n {
            sleep(PAUSE).await;
            assert!(ping.send(Instant::now()).await.is_ok());
            took += ponged.recv().await.expect("the ponger is there").elapsed();
        }
        took
    })?;
    let took = ended(pinger)? + ended(ponger)?;
    Ok(Measured::new(took, n))
}
