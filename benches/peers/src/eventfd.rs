//! The floor of waking: two threads that sleep in the kernel's poll until an eventfd wakes them.

use ringpost_benches::bounce::CpuPair;
use ringpost_benches::{Measured, wakes};

use crate::peer::{Kind, Outcome, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "floor: eventfd",
    kind: Kind::Floor,
    package: "mio",
    mailbox: "none",
    idle: "sleeps at once",
    setup: "no messages: two threads that wake each other by mio's Waker, an eventfd on Linux",
    run,
};

fn run(task: &Task) -> Outcome {
    let [here, there] = task.cpus[..] else {
        return task.dash("waking is for two cores");
    };
    let (cpus, n) = (CpuPair::pinned([here, there]), task.n);
    let took = match task.workload {
        Workload::PingPong => wakes::in_turn(cpus, n),
        Workload::Parked => wakes::after_pauses(cpus, n),
        _ => return task.dash("it wakes, and carries no messages"),
    };
    Ok(Measured::new(took, n))
}
