//! Tasks of monoio over the channels of its companion, local-sync.

use ::monoio::{FusionDriver, RuntimeBuilder};
use local_sync::mpsc::bounded::{Rx, Tx, channel};

use crate::local_tasks::{self, LocalRuntime};
use crate::peer::{Dash, Kind, Outcome, Peer, Task};

pub const PEER: Peer = Peer {
    name: "monoio tasks",
    kind: Kind::Channels,
    package: "monoio",
    mailbox: "bounded",
    idle: "–",
    setup: "channels of 1024 of local-sync",
    run,
};

fn run(task: &Task) -> Outcome {
    if task.cores() != 1 {
        return task.dash("its channels stay on one core");
    }
    let mut runtime = match RuntimeBuilder::<FusionDriver>::new().build() {
        Ok(runtime) => runtime,
        Err(error) => return Err(Dash(format!("cannot run here: {error}"))),
    };
    runtime.block_on(local_tasks::run::<Monoio>(task.clone()))
}

struct Monoio;

impl LocalRuntime for Monoio {
    type Sender<T: 'static> = Tx<T>;
    type Receiver<T: 'static> = Rx<T>;

    fn bounded<T: 'static>(capacity: usize) -> (Tx<T>, Rx<T>) {
        channel(capacity)
    }

    async fn send<T: 'static>(to: &Tx<T>, value: T) {
        assert!(to.send(value).await.is_ok(), "the receiver is there");
    }

    async fn receive<T: 'static>(from: &mut Rx<T>) -> Option<T> {
        from.recv().await
    }

    fn spawn<T: 'static>(
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        ::monoio::spawn(task)
    }

    fn launch(task: impl Future<Output = ()> + 'static) {
        ::monoio::spawn(task);
    }
}
