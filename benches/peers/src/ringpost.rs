//! ringpost itself: the workloads of its own suites.

use ringpost_benches::{Arena, workloads};

use crate::peer::{Kind, MEMBERS, Outcome, PLAYERS, PRODUCERS, Peer, Task, Workload};

pub const PEER: Peer = Peer {
    name: "ringpost",
    kind: Kind::Ours,
    package: "ringpost",
    mailbox: "bounded",
    idle: "spins for 5 to 50 µs, as its runtime measures a wake-up to take, then sleeps",
    setup: "mailboxes of 1024 from the same core and 512 from each other; all limits at their defaults; along resolved routes",
    run,
};

pub const BY_NAME: Peer = Peer {
    name: "ringpost, by name",
    kind: Kind::OursByName,
    package: "ringpost",
    mailbox: "bounded",
    idle: "as ringpost",
    setup: "as ringpost, each message sent to an `Address`",
    run: run_by_name,
};

fn run(task: &Task) -> Outcome {
    let arena = Arena::new(task.cores());
    let n = task.n;
    Ok(match task.workload {
        Workload::OneWay => arena.run(async move |ctx| workloads::counting(ctx, n).await),
        Workload::PingPong | Workload::AwakePingPong => {
            arena.run(async move |ctx| workloads::ping_pong(ctx, n).await)
        }
        Workload::Parked => arena.run(async move |ctx| workloads::parked_ping_pong(ctx, n).await),
        Workload::Request | Workload::AwakeRequest => {
            arena.run(async move |ctx| workloads::requests(ctx, n, 1).await)
        }
        Workload::FanIn => arena.run(async move |ctx| workloads::fan_in(ctx, n, PRODUCERS).await),
        Workload::Big => arena.run(async move |ctx| workloads::big(ctx, n, PLAYERS).await),
        Workload::ThreadRing => {
            arena.run(async move |ctx| workloads::thread_ring(ctx, n, MEMBERS as usize).await)
        }
        Workload::Create => arena.run(async move |ctx| workloads::fork_join_create(ctx, n).await),
        Workload::Lives => arena.run(async move |ctx| workloads::start_message_stop(ctx, n).await),
    })
}

fn run_by_name(task: &Task) -> Outcome {
    let n = task.n;
    Ok(match task.workload {
        Workload::OneWay => {
            let arena = Arena::new(task.cores());
            arena.run(async move |ctx| workloads::counting_by_name(ctx, n).await)
        }
        Workload::PingPong | Workload::AwakePingPong => {
            let arena = Arena::new(task.cores());
            arena.run(async move |ctx| workloads::ping_pong_by_name(ctx, n).await)
        }
        _ => return task.dash("written along resolved routes only, or uses names already"),
    })
}
