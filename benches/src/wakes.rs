//! Two threads that sleep in the kernel, and what it takes to wake them.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use ringpost_mailbox::sync::atomic::AtomicU64;
use ringpost_mailbox::sync::atomic::Ordering::{Acquire, Release};

use crate::bounce::CpuPair;

/// Long enough for a thread to fall asleep in the kernel.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that sleeps in its epoll until it is woken by an eventfd (elsewhere by what mio has in its place).
struct Sleeper {
    poll: Poll,
    events: Events,
}

impl Sleeper {
    /// A sleeper, and what wakes it. The waker must outlive the last wake's arrival: what a dropped
    /// one has not delivered is lost.
    fn new() -> (Self, Arc<Waker>) {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("a waker");
        let events = Events::with_capacity(4);
        (Self { poll, events }, Arc::new(waker))
    }

    fn sleep(&mut self) {
        let Self { poll, events } = self;
        poll.poll(events, None).expect("polling works");
    }
}

/// Two sleeping threads that wake each other in turn, `n` times there and back.
#[must_use]
pub fn in_turn(cpus: CpuPair, n: u64) -> Duration {
    let (mut here, wake_here) = Sleeper::new();
    let (mut there, wake_there) = Sleeper::new();
    let keep = (Arc::clone(&wake_here), Arc::clone(&wake_there));
    let answer = move || {
        for _ in 0..n {
            there.sleep();
            wake_here.wake().expect("waking works");
        }
        Duration::ZERO
    };
    let ask = move || {
        let start = Instant::now();
        for _ in 0..n {
            wake_there.wake().expect("waking works");
            here.sleep();
        }
        start.elapsed()
    };
    let took = cpus.run(ask, answer);
    drop(keep);
    took
}

/// As [`in_turn`] with a pause before each wake, in which the CPU of the sleeper falls asleep too.
/// Only the time from each wake to its arrival counts.
#[must_use]
pub fn after_pauses(cpus: CpuPair, n: u64) -> Duration {
    let start = Instant::now();
    let (mut here, wake_here) = Sleeper::new();
    let (mut there, wake_there) = Sleeper::new();
    let keep = (Arc::clone(&wake_here), Arc::clone(&wake_there));
    let sent = Arc::new(AtomicU64::new(0));
    let also_sent = Arc::clone(&sent);
    let now = move || start.elapsed().as_nanos() as u64;
    // Each stamp is read by the thread that its wake wakes, before that thread writes the next.
    let answer = move || {
        let mut took = 0;
        for _ in 0..n {
            there.sleep();
            took += now() - also_sent.load(Acquire);
            thread::sleep(PAUSE);
            also_sent.store(now(), Release);
            wake_here.wake().expect("waking works");
        }
        Duration::from_nanos(took)
    };
    let ask = move || {
        let mut took = 0;
        for _ in 0..n {
            thread::sleep(PAUSE);
            sent.store(now(), Release);
            wake_there.wake().expect("waking works");
            here.sleep();
            took += now() - sent.load(Acquire);
        }
        Duration::from_nanos(took)
    };
    let took = cpus.run(ask, answer);
    drop(keep);
    took
}
