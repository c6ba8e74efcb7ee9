//! Threads over crossbeam's bounded channel.

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::peer::{Kind, Peer};
use crate::threads::{self, ThreadChannel};

pub const PEER: Peer = Peer {
    name: "crossbeam threads",
    kind: Kind::Channels,
    package: "crossbeam-channel",
    mailbox: "bounded",
    idle: "spins and yields for some microseconds, then sleeps",
    setup: "channels of 1024 between threads",
    run: threads::run::<Crossbeam>,
};

struct Crossbeam;

impl ThreadChannel for Crossbeam {
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
        from.try_recv().ok()
    }
}
