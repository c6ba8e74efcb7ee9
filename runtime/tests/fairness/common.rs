//! Workers that take turns, greedy and others, and what their tests count.

use std::sync::Arc;

use ringpost::sim::Report;
use ringpost::{Context, Limits, Result, Routed, Worker};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

/// How many messages the greedy worker has handled.
pub(crate) type Count = Arc<AtomicU64>;

pub(crate) fn done<T>(report: Report<T>) -> T {
    let sent = report
        .stats
        .total(|core| core.sent_local + core.sent_remote);
    let ended = report.stats.total(|core| core.handled) + report.stats.undelivered_total();
    assert_eq!(sent, ended, "sent = handled + undelivered");
    report.output.expect("the main function succeeds")
}

/// Sends itself another message for each that it handles, as long as it may: its mailbox stays as full as it was.
pub(crate) struct Greedy {
    pub(crate) handled: Count,
    /// Messages that are still to come back.
    pub(crate) left: u64,
    pub(crate) last: u64,
    pub(crate) manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Plain,
    /// Its handler suspends now and then.
    Suspends,
    /// It sends itself an urgent message now and then, and asks `prompt` over it.
    Urges,
}

pub(crate) const URGENT: u64 = u64::MAX;

impl Greedy {
    pub(crate) fn new(handled: &Count, left: u64) -> Self {
        let handled = Arc::clone(handled);
        Self {
            handled,
            left,
            last: 0,
            manner: Manner::Plain,
        }
    }
}

impl Worker for Greedy {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        if *msg == URGENT {
            return ctx.request("prompt", 0u64).urgent().await;
        }
        assert!(*msg > self.last, "{} after {}", *msg, self.last);
        self.last = *msg;
        self.handled.fetch_add(1, Ordering::Relaxed);
        match self.manner {
            Manner::Suspends if msg.is_multiple_of(100) => ctx.yield_now().await,
            Manner::Urges if msg.is_multiple_of(200) => {
                ctx.try_send_urgent(ctx.address(), URGENT)?;
            }
            _ => {}
        }
        if self.left > 0 {
            self.left -= 1;
            let next = *msg + u64::from(Limits::default().mailbox_credits);
            ctx.try_send_message(ctx.address(), next)?;
        }
        Ok(())
    }
}

/// How many messages each of the greedy workers has handled.
pub(crate) type Counts = Vec<Count>;

/// Notes how many each of the greedy workers had handled when a message came.
pub(crate) struct Modest {
    pub(crate) greedy: Counts,
    pub(crate) seen: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl Worker for Modest {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, _ctx: &mut Context, _msg: Routed<u64>) -> Result<()> {
        self.seen.lock().push(of_each(&self.greedy));
        Ok(())
    }
}

pub(crate) fn of_each(counts: &[Count]) -> Vec<u64> {
    let counts = counts.iter();
    counts.map(|it| it.load(Ordering::Relaxed)).collect()
}

/// The most that any of them has handled between two moments.
pub(crate) fn most_between(before: &[u64], after: &[u64]) -> u64 {
    let each = before
        .iter()
        .zip(after)
        .map(|(before, after)| after - before);
    each.max().unwrap_or(0)
}

pub(crate) fn name_of(number: usize) -> String {
    format!("{{of one core}}greedy-{number}")
}

/// Fills the mailboxes of so many greedy workers, such that their messages alternate in the queue of their core.
pub(crate) fn fill(ctx: &Context, workers: usize) -> Result<()> {
    (1..=u64::from(Limits::default().mailbox_credits)).try_for_each(|message| {
        (0..workers).try_for_each(|it| ctx.try_send_message(name_of(it).as_str(), message))
    })
}

/// The most of one worker that a message of another may have to wait for.
pub(crate) fn two_bursts() -> u64 {
    2 * u64::from(Limits::default().worker_burst)
}

/// Takes messages and does nothing.
pub(crate) struct Quiet;

impl Worker for Quiet {
    type Message = u64;
    type Context = Context;
}

/// Answers at once.
pub(crate) struct Prompt;

impl Worker for Prompt {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        ctx.send_message(msg.reply(), ()).await
    }
}
