//! The stages of a node's end. All cores pass each stage before any enters the next.
//!
//! ```text
//! Running ─▶ Draining   new work is refused; every worker drains and runs `shutdown`
//!        (─▶ Hastening) somebody is in a hurry: workers drain no longer, and run `shutdown`
//!         ─▶ Finishing  whoever awaited the stop goes on; the main future may end
//!         ─▶ Sweeping   no user code is left; what is in the rings is flushed
//!         ─▶ Gone       each core takes what arrived, reports it undelivered, and its thread ends
//! ```
//!
//! # Proof page
//! The stage is one atomic word. It only grows, and is written under the lock by the last core to
//! arrive (or by whoever asks, for the steps to `Draining` and `Hastening`; a core that then says it is
//! done with `Draining` comes too late, and is asked again). Cores read it every turn with Acquire, which
//! pairs with the Release of the writer: what was written under the lock before (the kind of stop, the
//! deadline) is seen by whoever sees the stage. After the write every core's bell is rung, so a core
//! that sleeps looks again; the park protocol makes that ring one that cannot be lost.

use std::task::Waker;
use std::time::Duration;

use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering};

use crate::mailbox::Stop;

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Stage {
    Running,
    Draining,
    Hastening,
    Finishing,
    Sweeping,
    Gone,
}

impl Stage {
    fn of(word: u32) -> Self {
        match word {
            0 => Stage::Running,
            1 => Stage::Draining,
            2 => Stage::Hastening,
            3 => Stage::Finishing,
            4 => Stage::Sweeping,
            _ => Stage::Gone,
        }
    }
}

/// The state of a node's end.
pub(crate) struct StopState {
    stage: AtomicU32,
    cores: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    arrived: usize,
    stop: Stop,
    drain: Duration,
    waiters: Vec<Waker>,
}

impl StopState {
    pub(crate) fn new(cores: usize) -> Self {
        let inner = Inner {
            arrived: 0,
            stop: Stop::Drain,
            drain: Duration::ZERO,
            waiters: Vec::new(),
        };
        Self {
            stage: AtomicU32::new(Stage::Running as u32),
            cores,
            inner: Mutex::new(inner),
        }
    }

    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        // Acquire: pairs with the Release in `advance`.
        Stage::of(self.stage.load(Ordering::Acquire))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stage() != Stage::Running
    }

    /// Begins the end, if nobody has, or hastens one that gives workers time. The stage that this began.
    pub(crate) fn begin(&self, stop: Stop, drain: Duration) -> Option<Stage> {
        let mut inner = self.inner.lock();
        let stage = match (self.stage(), inner.stop, stop) {
            (Stage::Running, ..) => Stage::Draining,
            (Stage::Draining, Stop::Drain, Stop::Now) => Stage::Hastening,
            _ => return None,
        };
        inner.stop = stop;
        inner.drain = drain;
        inner.arrived = 0;
        self.advance(stage);
        Some(stage)
    }

    /// How the workers are to end.
    pub(crate) fn terms(&self) -> (Stop, Duration) {
        let inner = self.inner.lock();
        (inner.stop, inner.drain)
    }

    /// A core is done with this stage. If it was the last, the next stage has begun, and the caller
    /// rings every core and wakes the waiters that come back.
    pub(crate) fn arrive(&self, stage: Stage) -> Option<Vec<Waker>> {
        let mut inner = self.inner.lock();
        if self.stage() != stage {
            return None;
        }
        inner.arrived += 1;
        if inner.arrived < self.cores {
            return None;
        }
        inner.arrived = 0;
        self.advance(match stage {
            Stage::Running | Stage::Draining | Stage::Hastening => Stage::Finishing,
            Stage::Finishing => Stage::Sweeping,
            Stage::Sweeping | Stage::Gone => Stage::Gone,
        });
        Some(std::mem::take(&mut inner.waiters))
    }

    /// Waits until this stage is reached.
    pub(crate) fn poll_reached(&self, stage: Stage, waker: &Waker) -> bool {
        let mut inner = self.inner.lock();
        if self.stage() >= stage {
            return true;
        }
        if !inner.waiters.iter().any(|other| other.will_wake(waker)) {
            inner.waiters.push(waker.clone());
        }
        false
    }

    fn advance(&self, stage: Stage) {
        // Release: pairs with the Acquire in `stage`.
        self.stage.store(stage as u32, Ordering::Release);
    }
}
