//! kanal's bounded channels: between tasks on one core, between threads on two.

use ::kanal::{Receiver, Sender, bounded};

use crate::cores::Flavor;
use crate::peer::{Kind, Outcome, Peer, Task, Workload};
use crate::tasks::{self, Channel};
use crate::threads::{self, ThreadChannel};

pub const PEER: Peer = Peer {
    name: "kanal",
    kind: Kind::Channels,
    package: "kanal",
    mailbox: "bounded",
    idle: "yields 256 times to the system, then sleeps",
    setup: "channels of 1024; tasks of tokio's current-thread runtime; threads where two cores have one partner each",
    run,
};

fn run(task: &Task) -> Outcome {
    match task.workload {
        Workload::OneWay | Workload::PingPong | Workload::AwakePingPong | Workload::Parked
            if task.cores() == 2 =>
        {
            threads::run::<Kanal>(task)
        }
        _ => tasks::run::<Kanal>(task, Flavor::PerCore),
    }
}

struct Kanal;

impl Channel for Kanal {
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn bounded<T: Send + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        bounded(capacity)
    }

    async fn send<T: Send + 'static>(to: &Sender<T>, value: T) {
        assert!(
            to.as_async().send(value).await.is_ok(),
            "the receiver is there"
        );
    }

    async fn receive<T: Send + 'static>(from: &mut Receiver<T>) -> Option<T> {
        from.as_async().recv().await.ok()
    }

    fn try_receive<T: Send + 'static>(from: &mut Receiver<T>) -> Option<T> {
        from.try_recv().ok().flatten()
    }
}

impl ThreadChannel for Kanal {
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn bounded<T: Send + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        bounded(capacity)
    }

    fn send<T: Send + 'static>(to: &mut Sender<T>, value: T) {
        assert!(to.send(value).is_ok(), "the receiver is there");
    }

    fn receive<T: Send + 'static>(from: &mut Receiver<T>) -> T {
        from.recv().expect("the sender is there")
    }

    fn try_receive<T: Send + 'static>(from: &mut Receiver<T>) -> Option<T> {
        from.try_recv().ok().flatten()
    }
}
