//! Bugs that are planted on purpose, to see that they are found.
//!
//! Each of these is in the code of the lock-free layer, the router or the runtime, behind `--cfg
//! ringpost_canary`; without that flag, [`is_planted`] is a constant `false` and nothing of them is compiled. In a
//! build with the flag, a program plants one of them at a time.

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Canary {
    /// A core that sleeps is not woken by the last flush to it.
    LostWake = 1,
    /// Now and then a message from another node is delivered twice.
    DoubleDelivery,
    /// One of several credits that go back is forgotten.
    DroppedCredit,
    /// A handle is good for whoever uses its place now.
    StaleGeneration,
    /// What was granted to a sender that gave up is lost.
    LeakOnCancel,
    /// Who waits is served last come first.
    UnfairQueue,
    /// Peers reach what is not exposed.
    SkippedAccess,
    /// What is pushed across the wrap of a ring's positions is not published.
    WrapOffByOne,
    /// A worker is restarted without end.
    RestartStorm,
    /// Messages that wait for a busy worker change places.
    ReorderedPair,
    /// What a stopped worker leaves is not reported.
    LostReport,
    /// What a core writes before it goes to sleep is not flushed.
    ForgottenFlush,
    /// Room of a mailbox where messages wait is lost with each that is taken.
    LostRoom,
}

impl Canary {
    /// Every one.
    pub const ALL: [Canary; 13] = [
        Canary::LostWake,
        Canary::DoubleDelivery,
        Canary::DroppedCredit,
        Canary::StaleGeneration,
        Canary::LeakOnCancel,
        Canary::UnfairQueue,
        Canary::SkippedAccess,
        Canary::WrapOffByOne,
        Canary::RestartStorm,
        Canary::ReorderedPair,
        Canary::LostReport,
        Canary::ForgottenFlush,
        Canary::LostRoom,
    ];
}

/// Whether this bug is planted.
#[cfg(not(ringpost_canary))]
#[inline(always)]
pub const fn is_planted(_bug: Canary) -> bool {
    false
}

#[cfg(ringpost_canary)]
pub use planted::{is_planted, plant};

#[cfg(ringpost_canary)]
mod planted {
    use super::Canary;
    use crate::sync::atomic::{AtomicU32, Relaxed};

    static PLANTED: AtomicU32 = AtomicU32::new(0);

    /// Whether this bug is planted.
    pub fn is_planted(bug: Canary) -> bool {
        // Relaxed: written before the threads that read it begin.
        PLANTED.load(Relaxed) == bug as u32
    }

    /// Plants one bug in this process, or none.
    pub fn plant(bug: Option<Canary>) {
        // Relaxed: as above.
        PLANTED.store(bug.map_or(0, |bug| bug as u32), Relaxed);
    }
}
