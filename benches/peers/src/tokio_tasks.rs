//! Tasks of tokio over its own bounded channels.

use tokio::sync::mpsc;

use crate::cores::Flavor;
use crate::peer::{Kind, Peer};
use crate::tasks::{self, Channel};

pub const PER_CORE: Peer = Peer {
    name: "tokio tasks",
    kind: Kind::Channels,
    package: "tokio",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "mpsc channels of 1024; a current-thread runtime on each core",
    run: |task| tasks::run::<Mpsc>(task, Flavor::PerCore),
};

pub const STEALING: Peer = Peer {
    name: "tokio tasks, stealing",
    kind: Kind::Channels,
    package: "tokio",
    mailbox: "bounded",
    idle: "sleeps at once",
    setup: "mpsc channels of 1024; one multi-thread runtime with a worker on each core",
    run: |task| tasks::run::<Mpsc>(task, Flavor::Stealing),
};

struct Mpsc;

impl Channel for Mpsc {
    type Sender<T: Send + 'static> = mpsc::Sender<T>;
    type Receiver<T: Send + 'static> = mpsc::Receiver<T>;

    fn bounded<T: Send + 'static>(capacity: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(capacity)
    }

    async fn send<T: Send + 'static>(to: &mpsc::Sender<T>, value: T) {
        assert!(to.send(value).await.is_ok(), "the receiver is there");
    }

    async fn receive<T: Send + 'static>(from: &mut mpsc::Receiver<T>) -> Option<T> {
        from.recv().await
    }

    fn try_receive<T: Send + 'static>(from: &mut mpsc::Receiver<T>) -> Option<T> {
        from.try_recv().ok()
    }
}
