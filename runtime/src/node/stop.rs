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
//! done with `Draining` comes too late, and is asked again). Its accesses are relaxed, as the lock orders
//! all that hangs on it:
//!
//! 1. A core that reads a new stage takes the lock ([`StopState::terms`]) before it does anything for
//!    that stage. Had it taken the lock before the writer did, its read would have come before the write
//!    and could not have seen it; so it comes after, and sees what the writer did and all that the cores
//!    did before they arrived: the kind of stop and the deadline, and what they put into rings and inboxes.
//! 2. After the write every core's bell is rung, so a core that sleeps looks again; the fence of the bell
//!    and that of the park protocol order the write before the look, or the ring before the sleep.
//! 3. Whoever has begun the stop, or found it begun, holds a stage in hand; no later look of that thread,
//!    or of one that it tells, finds an earlier one (a word does not go back for anybody). So what it
//!    sends then is refused.
//! 4. The last core to arrive wakes those who wait, notes that under the lock, and only then rings every core. A
//!    core that finds the note finds what the wakes did, too, and has the main future polled before it is dropped.
//!
//! Those who await the end of the workers wait for a permit that never comes ([`Semaphore`]), and hear of
//! its close; no code of theirs, not even of their wakers, runs under a lock.

use std::time::Duration;

use ringpost_mailbox::semaphore::Semaphore;
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering};

use crate::mailbox::Stop;
use crate::task::panics::guarded;

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
    /// Has no permits; closed when `Finishing` begins.
    waiters: Semaphore,
}

struct Inner {
    arrived: usize,
    stop: Stop,
    drain: Duration,
    /// Those who wait for `Finishing` have been woken.
    told: bool,
}

impl StopState {
    pub(crate) fn new(cores: usize) -> Self {
        let inner = Inner {
            arrived: 0,
            stop: Stop::Drain,
            drain: Duration::ZERO,
            told: false,
        };
        Self {
            stage: AtomicU32::new(Stage::Running as u32),
            cores,
            inner: Mutex::new(inner),
            waiters: Semaphore::new(0),
        }
    }

    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        // Relaxed: what hangs on it is ordered by the lock; see the proof page.
        Stage::of(self.stage.load(Ordering::Relaxed))
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

    /// How the workers are to end. Asked by each core for each stage that it sees begun, as this is what
    /// lets it see what was done before.
    pub(crate) fn terms(&self) -> (Stop, Duration) {
        let inner = self.inner.lock();
        (inner.stop, inner.drain)
    }

    /// A core is done with this stage. If it was the last, the next stage has begun, which comes back: the
    /// caller rings every core, and [tells](Self::tell_waiters) those who wait when it is `Finishing`.
    pub(crate) fn arrive(&self, stage: Stage) -> Option<Stage> {
        let mut inner = self.inner.lock();
        if self.stage() != stage {
            return None;
        }
        inner.arrived += 1;
        if inner.arrived < self.cores {
            return None;
        }
        inner.arrived = 0;
        let next = match stage {
            Stage::Running | Stage::Draining | Stage::Hastening => Stage::Finishing,
            Stage::Finishing => Stage::Sweeping,
            Stage::Sweeping | Stage::Gone => Stage::Gone,
        };
        self.advance(next);
        Some(next)
    }

    /// Waits until `Finishing` begins.
    pub(crate) async fn workers_ended(&self) {
        // There are no permits: this can only be the news that none will come.
        let _ = self.waiters.acquire().await;
    }

    /// Wakes those who wait for `Finishing`, all of them, also if a waker panics.
    pub(crate) fn tell_waiters(&self) {
        guarded("a waker panicked", None, || self.waiters.close());
        self.inner.lock().told = true;
    }

    /// Whether those who wait for `Finishing` have been woken, which is soon after it has begun.
    pub(crate) fn has_told(&self) -> bool {
        self.inner.lock().told
    }

    fn advance(&self, stage: Stage) {
        // Relaxed: as in `stage`.
        self.stage.store(stage as u32, Ordering::Relaxed);
    }
}
