//! The counters of a node: written by their core alone, readable from anywhere.

use ringpost_mailbox::sync::{CachePadded, Counter};

use crate::error::Reason;
use crate::transport::{TransportStats, TransportTally};

/// The counters that one core keeps of itself.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent_local: Counter,
    pub(crate) sent_remote: Counter,
    pub(crate) replies: Counter,
    pub(crate) handled: Counter,
    pub(crate) handler_errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) started: Counter,
    pub(crate) ended: Counter,
    pub(crate) restarted: Counter,
    pub(crate) letters_dropped: Counter,
    pub(crate) blocked: Counter,
    pub(crate) refused: Counter,
    pub(crate) memory_refused: Counter,
    pub(crate) wait_cycles: Counter,
    pub(crate) turns: Counter,
    pub(crate) wakes: Counter,
    pub(crate) parks: Counter,
    pub(crate) wakes_spurious: Counter,
    pub(crate) found_after_timeout: Counter,
    pub(crate) pins_refused: Counter,
    pub(crate) undelivered: [Counter; Reason::COUNT],
    pub(crate) transport: TransportTally,
}

impl Tally {
    pub(crate) fn undelivered(&self, reason: Reason) {
        self.undelivered[reason as usize].add(1);
    }
}

/// The counters that one core keeps of its way to and from one other. All of a core's are written by that
/// core, so they need not keep apart from each other; the alignment keeps them off what others write.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct PairTally {
    pub(crate) sent: Counter,
    pub(crate) batches: Counter,
    pub(crate) ring_full: Counter,
    pub(crate) credit_waits: Counter,
    pub(crate) spill_depth: Counter,
    pub(crate) spill_depth_max: Counter,
    pub(crate) received: Counter,
    pub(crate) bursts: Counter,
}

/// All counters of one core, on lines of their own.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) core: CachePadded<Tally>,
    /// Written by the watchdog alone.
    pub(crate) stalls: CachePadded<Counter>,
    pub(crate) pairs: Box<[PairTally]>,
}

impl Counters {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            core: CachePadded::default(),
            stalls: CachePadded::default(),
            pairs: (0..cores).map(|_| PairTally::default()).collect(),
        }
    }

    pub(crate) fn snapshot(&self) -> CoreStats {
        let tally = &self.core;
        CoreStats {
            sent_local: tally.sent_local.value(),
            sent_remote: tally.sent_remote.value(),
            replies: tally.replies.value(),
            handled: tally.handled.value(),
            handler_errors: tally.handler_errors.value(),
            panics: tally.panics.value(),
            workers_started: tally.started.value(),
            workers_ended: tally.ended.value(),
            workers_restarted: tally.restarted.value(),
            letters_dropped: tally.letters_dropped.value(),
            senders_blocked: tally.blocked.value(),
            refused: tally.refused.value(),
            memory_refused: tally.memory_refused.value(),
            stalls: self.stalls.value(),
            wait_cycles: tally.wait_cycles.value(),
            turns: tally.turns.value(),
            wakes: tally.wakes.value(),
            parks: tally.parks.value(),
            wakes_spurious: tally.wakes_spurious.value(),
            found_after_timeout: tally.found_after_timeout.value(),
            pins_refused: tally.pins_refused.value(),
            undelivered: std::array::from_fn(|reason| tally.undelivered[reason].value()),
            transport: tally.transport.snapshot(),
            pairs: self.pairs.iter().map(PairTally::snapshot).collect(),
        }
    }
}

impl PairTally {
    fn snapshot(&self) -> PairStats {
        PairStats {
            sent: self.sent.value(),
            batches: self.batches.value(),
            ring_full: self.ring_full.value(),
            credit_waits: self.credit_waits.value(),
            spill_depth: self.spill_depth.value(),
            spill_depth_max: self.spill_depth_max.value(),
            received: self.received.value(),
            bursts: self.bursts.value(),
        }
    }
}

/// The counters of a node, as they were when [`NodeHandle::stats`](crate::NodeHandle::stats) was
/// called. Cores go on while they are read, so figures of a busy node need not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// One entry for each core.
    pub cores: Vec<CoreStats>,
}

impl NodeStats {
    /// A figure summed over all cores.
    pub fn total(&self, figure: impl Fn(&CoreStats) -> u64) -> u64 {
        self.cores.iter().map(figure).sum()
    }

    /// Messages that were accepted and not handled, for this reason, on all cores.
    #[must_use]
    pub fn undelivered(&self, reason: Reason) -> u64 {
        self.total(|core| core.undelivered(reason))
    }

    /// Messages that were accepted and not handled, for any reason, on all cores.
    #[must_use]
    pub fn undelivered_total(&self) -> u64 {
        self.total(|core| core.undelivered.iter().sum())
    }
}

/// The counters of one core.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreStats {
    /// Messages accepted for workers of this core from senders of this core, connections included: what has come over
    /// one counts, whether or not somebody takes it.
    pub sent_local: u64,
    /// Messages accepted for workers of other cores.
    pub sent_remote: u64,
    /// Replies to requests, which need no credit.
    pub replies: u64,
    /// Messages that a handler or `receive` has taken. Connections have taken those that they carry away, as long as
    /// nothing is heard of their end.
    pub handled: u64,
    /// Handlers that returned an error.
    pub handler_errors: u64,
    /// Panics of workers and spawned futures.
    pub panics: u64,
    /// Workers started.
    pub workers_started: u64,
    /// Workers ended.
    pub workers_ended: u64,
    /// Times that a supervised worker was to be restarted.
    pub workers_restarted: u64,
    /// Undelivered messages that the worker for dead letters did not get, as it had no room or was not there.
    pub letters_dropped: u64,
    /// Times that a sender had to wait for a credit, for room, or for its next turn as it had sent much.
    pub senders_blocked: u64,
    /// Sends that a full mailbox refused, as its worker wants it: see [`Overflow`](crate::Overflow).
    pub refused: u64,
    /// Times that something of this core was put off or refused as there was no memory for it.
    pub memory_refused: u64,
    /// Times that a handler was reported for holding this core: see [`Stall`](crate::Stall).
    pub stalls: u64,
    /// Circles of workers waiting for each other that this core has reported: see [`WaitCycle`](crate::WaitCycle).
    pub wait_cycles: u64,
    /// Turns of the loop; not what a core that listens handles between two of them.
    pub turns: u64,
    /// Times that this core woke another that slept.
    pub wakes: u64,
    /// Times that this core went to sleep.
    pub parks: u64,
    /// Times that this core was woken and found nothing to do.
    pub wakes_spurious: u64,
    /// Times that work was found after a sleep that nobody had ended: lost wake-ups. Always 0, but for an answer that left while this core was
    /// falling asleep, from a handler that ran on for milliseconds: its core rings when that has returned or suspended.
    pub found_after_timeout: u64,
    /// Times that the system refused to pin the loop.
    pub pins_refused: u64,
    undelivered: [u64; Reason::COUNT],
    /// Connections to other nodes.
    pub transport: TransportStats,
    /// For each core: the way there and back.
    pub pairs: Vec<PairStats>,
}

impl CoreStats {
    /// Messages that were accepted and not handled, for this reason.
    #[must_use]
    pub fn undelivered(&self, reason: Reason) -> u64 {
        self.undelivered[reason as usize]
    }
}

/// The counters of one core about one other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PairStats {
    /// Messages sent there.
    pub sent: u64,
    /// Times that the rings to there were published; `sent / batches` is the mean batch.
    pub batches: u64,
    /// Times that a sender found no room in the ring.
    pub ring_full: u64,
    /// Times that a sender found no credit.
    pub credit_waits: u64,
    /// Control messages that wait to get into the ring now.
    pub spill_depth: u64,
    /// The most that ever waited.
    pub spill_depth_max: u64,
    /// Messages received from there.
    pub received: u64,
    /// Bursts in which they were taken; `received / bursts` is the mean burst.
    pub bursts: u64,
}
