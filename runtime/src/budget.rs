//! What the messages of a node can take of memory, at the most, as a sum of pools.

use std::fmt;

use ringpost_mailbox::pool::{CLASS_BYTES, PoolLimits};

use crate::envelope::Routes;
use crate::limits::Limits;

/// A message in a mailbox, in a core's queue, and in a ring.
const SET_ASIDE_BYTES: u64 = 56;
const QUEUED_BYTES: u64 = 64;
const SLOT_BYTES: u64 = 32;
/// A queue that doubles as it grows holds its old and its new places while it does: three for each value.
const GROWTH: u64 = 3;
/// The header of a block, and what the system's allocator adds.
const BLOCK_BYTES: u64 = 64;
/// Payloads up to this length lie in the message.
const INLINE_BYTES: u64 = 24;
/// The routes of a message of several hops lie in a block of their own.
const ROUTES_BYTES: u64 = size_of::<Routes>() as u64;
/// What is kept of a destination on another core, at both ends.
const LINK_BYTES: u64 = 512;
/// What is kept of a sender on another core, at both ends: its name, and what stands for its mailbox.
const KNOWN_BYTES: u64 = 256;
/// A message that waits for room, with its waiter, and one from a thread outside, with its task.
const WAITING_BYTES: u64 = 512;
const OUTSIDE_BYTES: u64 = 2048;
/// A place in an inbox, and what is put there.
const INBOX_BYTES: u64 = 32 + 256;

/// How a node is used: what its [`Limits`] do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// The most memory that the messages of a node take, under a load: made by [`Limits::budget`], and shown as a
/// table. It does not count what workers hold, nor what a node takes when it has nothing to do, nor what connections
/// read into and write from: their limits are those of their transport ([`TcpLimits`](crate::transport::TcpLimits)), and the free
/// blocks of their sizes are at most 7 MiB more for each core.
///
/// Nor does it count what no load of messages makes, but what workers do: a worker that passes requests on notes those
/// that are not answered yet, at about 64 bytes each, up to [`Limits::passed_on_max`], which is 1 MiB for each such worker
/// by default; whoever asks has a place for the answer, one for each request under way; a watch is kept at both ends until
/// it brings its message; and of calls that block there are [`Limits::blocking_threads`] and [`Limits::blocking_queue`],
/// with what their closures hold.
///
/// ```
/// use ringpost::{Limits, Load};
///
/// let load = Load { cores: 2, receivers: 1, senders: 8, outside: 0, payload: 8 };
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

impl Limits {
    /// The most memory that messages take in a node with these limits, under this load.
    ///
    /// It is what the limits allow, not what a load will take: each pool is counted as full, and all of them at one
    /// time. With the default limits, two cores and three receivers of 96 bytes that is 12 MiB, of which ten times
    /// the load that they can bear takes three. Where it is to be less, these are what the largest pools follow from:
    ///
    /// | pool | limits |
    /// |---|---|
    /// | senders known on other cores | `senders_known`; grows with the workers that have sent to another core |
    /// | payloads in blocks, messages set aside and in the queues of cores, each counted at all three | `mailbox_credits`, `link_credits` |
    /// | free blocks | none: what a core keeps of each size, up to that of the longest payload |
    /// | places in inboxes | `inbox_slots` |
    #[must_use]
    pub fn budget(&self, load: &Load) -> Budget {
        let cores = u64::from(load.cores);
        let pairs = cores * cores.saturating_sub(1);
        let windows = u64::from(self.link_credits).saturating_mul(2 * cores.saturating_sub(1));
        let urgent = u64::from(self.urgent_credits).saturating_mul(2 * cores);
        let each = u64::from(self.mailbox_credits)
            .saturating_add(windows)
            .saturating_add(urgent);
        let waiting = load.receivers.saturating_mul(each);
        let outside =
            u64::from(self.outside_credits).saturating_add(u64::from(self.urgent_credits));
        let outside = load.outside.saturating_mul(outside);
        let transit = cores * u64::from(self.inbox_slots);
        let payloads = waiting.saturating_add(load.senders).saturating_add(outside);
        let known = pairs * u64::from(self.senders_known_for(load.cores));
        let rings = 2 * pairs * u64::from(self.ring_slots_for(load.cores));
        let longest = usize::try_from(load.payload.max(ROUTES_BYTES)).unwrap_or(usize::MAX);
        let free = PoolLimits::default().bytes_max_up_to(longest);
        let pool = |name, holders, each| BudgetPool {
            name,
            holders,
            each,
        };
        let pools = vec![
            pool("messages set aside", waiting, GROWTH * SET_ASIDE_BYTES),
            pool(
                "messages in the queues of cores",
                waiting,
                GROWTH * QUEUED_BYTES,
            ),
            pool("slots of rings", rings, SLOT_BYTES),
            pool(
                "payloads in blocks",
                payloads + transit,
                block(load.payload),
            ),
            pool("free blocks", cores, free),
            pool(
                "links",
                pairs.saturating_mul(2 * load.receivers),
                LINK_BYTES,
            ),
            pool("senders known on other cores", known, KNOWN_BYTES),
            pool("messages that wait for room", load.senders, WAITING_BYTES),
            pool("messages from outside that wait", outside, OUTSIDE_BYTES),
            pool("places in inboxes", 2 * transit, INBOX_BYTES),
        ];
        Budget { pools }
    }
}

/// The bytes of the block for a payload of this length.
fn block(payload: u64) -> u64 {
    if payload <= INLINE_BYTES {
        return 0;
    }
    let classes = CLASS_BYTES.into_iter().map(u64::from);
    let class = classes.into_iter().find(|bytes| payload <= *bytes);
    class.unwrap_or(payload).saturating_add(BLOCK_BYTES)
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
        for pool in &self.pools {
            let (holders, each, kib) = (pool.holders, pool.each, pool.bytes().div_ceil(1024));
            writeln!(f, "{kib:>10} KiB  {}: {holders} of {each} bytes", pool.name)?;
        }
        write!(f, "{:>10} KiB  in all", self.bytes().div_ceil(1024))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks larger than for the longest payload are not counted, as none is made.
    #[test]
    fn free_blocks_are_counted_of_the_sizes_that_are_used() {
        let free = |payload| {
            let load = Load {
                cores: 2,
                receivers: 1,
                senders: 1,
                outside: 0,
                payload,
            };
            let budget = Limits::default().budget(&load);
            let free = budget.pools.iter().find(|pool| pool.name == "free blocks");
            free.map(BudgetPool::bytes)
        };
        let all = Some(2 * PoolLimits::default().bytes_max());
        assert_eq!(free(u64::MAX), all);
        assert_eq!(free(64 << 10), all);
        assert!(free(17 << 10) < all);
        assert_eq!(free(0), free(256), "routes lie in blocks of 256 bytes");
        assert!(free(257) > free(256));
    }
}
