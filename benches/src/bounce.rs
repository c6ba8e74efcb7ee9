//! Two threads on two CPUs, and what a cache line takes from one to the other and back.
//!
//! A guest's CPUs are moved about by its host: the same two may share a cache now and be far apart a minute
//! later, and every figure of two cores changes with that. So each is shown with what a bounce took
//! just before and just after.
#![allow(clippy::disallowed_methods, reason = "benchmarks of the bare machine")]

use std::hint::spin_loop;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use ringpost_mailbox::sync::CachePadded;
use ringpost_mailbox::sync::atomic::AtomicU64;
use ringpost_mailbox::sync::atomic::Ordering::{Acquire, Release};

use crate::arena::Arena;

/// Bounces of one look: a millisecond at the most.
const LOOK: u64 = 2_000;

/// The CPUs of two threads; `None` leaves a thread to the system.
#[derive(Debug, Clone, Copy)]
pub struct CpuPair([Option<CoreId>; 2]);

impl CpuPair {
    /// Where a node has put its first two cores, if it has pinned them.
    ///
    /// # Panics
    /// If it has but one.
    #[must_use]
    pub fn of(arena: &Arena) -> Self {
        let placed = arena.placed();
        let cpu = |at: usize| {
            let id = placed[at].cpu.parse().ok().filter(|_| placed[at].pinned)?;
            Some(CoreId { id })
        };
        Self([cpu(0), cpu(1)])
    }

    /// These two.
    #[must_use]
    pub fn pinned(cpus: [CoreId; 2]) -> Self {
        Self(cpus.map(Some))
    }

    /// Runs both at the same time, each on its CPU, and returns what they measured together.
    ///
    /// # Panics
    /// If one of them does.
    pub fn run<A, B>(self, here: A, there: B) -> Duration
    where
        A: FnOnce() -> Duration + Send + 'static,
        B: FnOnce() -> Duration + Send + 'static,
    {
        let together = Arc::new(Barrier::new(2));
        let also = Arc::clone(&together);
        let [first, second] = self.0;
        let here = thread::spawn(move || {
            first.map(core_affinity::set_for_current);
            together.wait();
            here()
        });
        let there = thread::spawn(move || {
            second.map(core_affinity::set_for_current);
            also.wait();
            there()
        });
        here.join().expect("the first thread ends") + there.join().expect("the second thread ends")
    }

    /// The nanoseconds of a bounce, now.
    #[must_use]
    pub fn bounce_now(self) -> f64 {
        line_bounce(self, LOOK).as_secs_f64() * 1e9 / LOOK as f64
    }
}

/// One cache line, there and back, `n` times.
#[must_use]
pub fn line_bounce(cpus: CpuPair, n: u64) -> Duration {
    let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
    let partner = Arc::clone(&line);
    let answer = move || {
        for round in 0..n {
            while partner.load(Acquire) != 2 * round + 1 {
                spin_loop();
            }
            partner.store(2 * round + 2, Release);
        }
        Duration::ZERO
    };
    let ask = move || {
        let start = Instant::now();
        for round in 0..n {
            line.store(2 * round + 1, Release);
            while line.load(Acquire) != 2 * round + 2 {
                spin_loop();
            }
        }
        start.elapsed()
    };
    cpus.run(ask, answer)
}
