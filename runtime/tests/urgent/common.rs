//! What the tests of urgent messages share.

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Report;
use ringpost::{Context, Limits, NodeStats, Overflow, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;

pub(crate) fn assert_balanced(stats: &NodeStats) {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let ended = stats.total(|core| core.handled) + stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered: {stats:#?}");
}

pub(crate) fn done<T>(report: Report<T>) -> T {
    assert_balanced(&report.stats);
    report.output.expect("the main function succeeds")
}

pub(crate) type Log = Arc<Mutex<Vec<u64>>>;

/// From here on numbers are urgent.
pub(crate) const URGENT: u64 = 1_000;
pub(crate) const PANIC: u64 = 9_999;
pub(crate) const PAUSE: u64 = 0;

/// Takes its time over each number.
pub(crate) struct Slow {
    pub(crate) log: Log,
    pub(crate) pause: Duration,
    pub(crate) overflow: Overflow,
}

impl Worker for Slow {
    type Message = u64;
    type Context = Context;

    fn overflow(&self) -> Overflow {
        self.overflow
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.sleep(self.pause).await;
        assert_ne!(*msg, PANIC, "asked to");
        self.log.lock().push(*msg);
        Ok(())
    }
}

pub(crate) fn slow(log: &Log) -> Slow {
    Slow {
        log: Arc::clone(log),
        pause: Duration::from_millis(1),
        overflow: Overflow::Wait,
    }
}

pub(crate) fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.mailbox_credits = 4;
    limits.link_credits = 4;
    limits.urgent_credits = 4;
    limits.worker_burst = 4;
    limits
}

/// The numbers of one lane, which are in order.
pub(crate) fn lane(log: &[u64], is_urgent: bool) -> Vec<u64> {
    let is_its = |number: &&u64| (**number >= URGENT) == is_urgent;
    log.iter().filter(is_its).copied().collect()
}
