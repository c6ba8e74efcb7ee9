//! ringpost itself: the workloads of its own suites.

use ringpost_benches::{Arena, workloads};

use crate::peer::{Kind, MEMBERS, Outcome, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "ringpost",
    kind: Kind::Ours,
    package: "ringpost",
    setup: "mailboxes of 1024 from the same core and 512 from each other; all limits at their defaults",
    run,
};

fn run(task: &Task) -> Outcome {
    let arena = Arena::new(task.cores());
    let n = task.n;
    Ok(match task.workload {
        Workload::OneWay => arena.run(async move |ctx| workloads::counting(ctx, n).await),
        Workload::PingPong => arena.run(async move |ctx| workloads::ping_pong(ctx, n).await),
        Workload::Parked => arena.run(async move |ctx| workloads::parked_ping_pong(ctx, n).await),
        Workload::Request => arena.run(async move |ctx| workloads::requests(ctx, n, 1).await),
        Workload::FanIn => arena.run(async move |ctx| workloads::fan_in(ctx, n, PRODUCERS).await),
        Workload::Big => arena.run(async move |ctx| workloads::big(ctx, n, PLAYERS).await),
        Workload::ThreadRing => {
            arena.run(async move |ctx| workloads::thread_ring(ctx, n, MEMBERS as usize).await)
        }
        Workload::Create => arena.run(async move |ctx| workloads::fork_join_create(ctx, n).await),
        Workload::Lives => arena.run(async move |ctx| workloads::start_message_stop(ctx, n).await),
    })
}
