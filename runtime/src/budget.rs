//! What the messages of a node can take of memory, at the most, as a sum of pools.

mod formula;

use std::fmt;

/// How a node is used: what its [`Limits`](crate::Limits) do not say.
///
/// Where there is a limit too, what is counted is the smaller of the two: so a number that nobody knows may be `u64::MAX`.
///
/// ```
/// use ringpost::{Limits, Load};
///
/// let load = Load { cores: 1, receivers: 2, senders: 4, requests: u64::MAX, ..Load::default() };
/// assert!(Limits::default().budget(&load).bytes() > 0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Its cores.
    pub cores: u16,
    /// Workers, and contexts, that are sent more than they handle.
    pub receivers: u64,
    /// Sends under way at one time: workers and futures that wait for room.
    pub senders: u64,
    /// Addresses to which threads outside the node send.
    pub outside: u64,
    /// The longest payload.
    pub payload: u64,
    /// The most hops of a route, on its way or on its way back; nothing is counted for up to one.
    pub hops: u64,
    /// Requests under way at one time; [`Limits::requests_max`](crate::Limits) of each core at the most.
    pub requests: u64,
    /// Requests that workers have passed on, or connections brought in, and to which no answer has come by there, those to which none
    /// ever will included; [`Limits::passed_on_max`](crate::Limits) of each core at the most.
    pub passed_on: u64,
    /// Starts and stops of workers under way at one time; [`Limits::starts_max`](crate::Limits) of each core at the most.
    pub starts: u64,
    /// Watches that have brought no message yet, and such messages that nobody has taken; [`Limits::watches_max`](crate::Limits) of each core at the most.
    pub watches: u64,
    /// Calls that block, at one time; [`Limits::blocking_threads`](crate::Limits) and
    /// [`blocking_queue`](crate::Limits) together at the most.
    pub blocking: u64,
    /// Whether there is a worker for dead letters, which is sent more than it handles.
    pub dead_letters: bool,
}

/// The most memory that the messages of a node take, under a load: made by [`Limits::budget`](crate::Limits::budget), and
/// shown as a table of those pools of which there are any.
///
/// It does not count what workers hold, with their futures, sleeps, and what they start; nor what a node takes when it has nothing to
/// do; nor what connections read into and write from, and keep of their peers: their limits are those of their transport
/// ([`TcpLimits`](crate::transport::TcpLimits)), and the free blocks of their sizes are at most 7 MiB more for each core.
///
/// What is counted of a closure, its result or a message that is made of news is up to 128 bytes; a larger one is a
/// block of whoever made it. The threads for calls that block have stacks, which are the system's. And a request has
/// one answer: further ones, which nobody takes, are on their way from core to core as long as the worker that sends
/// them does not let its core go on.
///
/// ```
/// use ringpost::{Limits, Load};
///
/// let load = Load { cores: 2, receivers: 1, senders: 8, payload: 8, ..Load::default() };
/// let budget = Limits::default().budget(&load);
/// println!("{budget}");
/// assert!(budget.bytes() < 64 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// The parts of the sum.
    pub pools: Vec<BudgetPool>,
}

/// One part of a [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetPool {
    /// What it is.
    pub name: &'static str,
    /// How many of them there can be.
    pub holders: u64,
    /// The bytes of each.
    pub each: u64,
}

impl Budget {
    /// The sum.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let parts = self.pools.iter().map(BudgetPool::bytes);
        parts.fold(0, u64::saturating_add)
    }
}

impl BudgetPool {
    /// What all of them take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.holders.saturating_mul(self.each)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pool in self.pools.iter().filter(|pool| pool.bytes() > 0) {
            let (holders, each, kib) = (pool.holders, pool.each, pool.bytes().div_ceil(1024));
            writeln!(f, "{kib:>10} KiB  {}: {holders} of {each} bytes", pool.name)?;
        }
        write!(f, "{:>10} KiB  in all", self.bytes().div_ceil(1024))
    }
}
