//! The floor: rtrb's bare ring between two threads that never sleep. No mailboxes, no names, nobody to
//! be woken.

use std::hint::spin_loop;
use std::time::Instant;

use ::rtrb::{Consumer, Producer, RingBuffer};
use core_affinity::CoreId;
use ringpost_benches::Measured;

use crate::peer::{Kind, MAILBOX, Outcome, Peer, Task, Workload};
use crate::threads::pair;

pub const SINGLE: Peer = Peer {
    name: "floor: rtrb",
    kind: Kind::Floor,
    package: "rtrb",
    mailbox: "bounded",
    idle: "spins for ever",
    setup: "ring of 1024 slots of 32 B, one at a time; both threads spin",
    run: |task| run(task, 1),
};

pub const BATCHED: Peer = Peer {
    name: "floor: rtrb in batches",
    kind: Kind::Floor,
    package: "rtrb",
    mailbox: "bounded",
    idle: "spins for ever",
    setup: "as rtrb, slots written 32 at a time and read as many as there are",
    run: |task| run(task, BATCH),
};

/// What ringpost gathers before it publishes.
const BATCH: usize = 32;

/// As large as a slot of ringpost.
type Slot = [u64; 4];

fn run(task: &Task, batch: usize) -> Outcome {
    if task.cores() != 2 {
        return task.dash("a ring is for two cores");
    }
    let (n, here, there) = (task.n, task.cpus[0], task.cpus[1]);
    Ok(match task.workload {
        Workload::OneWay if batch > 1 => in_batches(n, here, there),
        Workload::OneWay => one_way(n, here, there),
        Workload::AwakePingPong if batch == 1 => ping_pong(n, here, there),
        Workload::AwakePingPong => return task.dash("one message under way makes no batch"),
        Workload::PingPong | Workload::Parked => return task.dash("a bare ring wakes nobody"),
        _ => return task.dash("one producer, one consumer"),
    })
}

fn push(ring: &mut Producer<Slot>, slot: Slot) {
    while ring.push(slot).is_err() {
        spin_loop();
    }
}

fn pop(ring: &mut Consumer<Slot>) -> Slot {
    loop {
        if let Ok(slot) = ring.pop() {
            return slot;
        }
        spin_loop();
    }
}

fn one_way(n: u64, here: CoreId, there: CoreId) -> Measured {
    let (mut producer, mut consumer) = RingBuffer::new(MAILBOX);
    let produce = move || (0..n).for_each(|number| push(&mut producer, [number; 4]));
    let count = move || {
        let start = Instant::now();
        for number in 0..n {
            assert_eq!(pop(&mut consumer)[0], number);
        }
        start.elapsed()
    };
    let (took, ()) = pair(here, there, count, produce);
    Measured::new(took, n)
}

fn in_batches(n: u64, here: CoreId, there: CoreId) -> Measured {
    let batches = n.div_ceil(BATCH as u64);
    let total = batches * BATCH as u64;
    let (mut producer, mut consumer) = RingBuffer::<Slot>::new(MAILBOX);
    let produce = move || {
        for batch in 0..batches {
            let chunk = loop {
                match producer.write_chunk_uninit(BATCH) {
                    Ok(chunk) => break chunk,
                    Err(_) => spin_loop(),
                }
            };
            let first = batch * BATCH as u64;
            chunk.fill_from_iter((first..first + BATCH as u64).map(|number| [number; 4]));
        }
    };
    let count = move || {
        let mut seen = 0;
        let start = Instant::now();
        while seen < total {
            let Ok(chunk) = consumer.read_chunk(consumer.slots()) else {
                continue;
            };
            for slot in chunk {
                assert_eq!(slot[0], seen);
                seen += 1;
            }
        }
        start.elapsed()
    };
    let (took, ()) = pair(here, there, count, produce);
    Measured::new(took, total)
}

fn ping_pong(n: u64, here: CoreId, there: CoreId) -> Measured {
    let (mut ping, mut pinged) = RingBuffer::new(MAILBOX);
    let (mut pong, mut ponged) = RingBuffer::new(MAILBOX);
    let ponger = move || {
        for _ in 0..n {
            let slot = pop(&mut pinged);
            push(&mut pong, slot);
        }
    };
    let pinger = move || {
        let start = Instant::now();
        for number in 0..n {
            push(&mut ping, [number; 4]);
            assert_eq!(pop(&mut ponged)[0], number);
        }
        start.elapsed()
    };
    let (took, ()) = pair(here, there, pinger, ponger);
    Measured::new(took, n)
}
