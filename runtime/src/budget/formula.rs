//! The sum itself: how many of what the limits of a node let there be, and what each of them takes.

use ringpost_mailbox::pool::{CLASS_BYTES, PoolLimits};

use super::{Budget, BudgetPool, Load};
use crate::core::SPARES;
use crate::core::kept::KEPT_MAX;
use crate::core::passed_on::NOTE_BYTES;
use crate::core::replies::PLACE_BYTES;
use crate::core::unanswered::UNANSWERED_BYTES;
use crate::envelope::Routes;
use crate::error::DeadLetter;
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
/// The routes of a message of several hops lie in a block of their own, and each of their hops beside it.
const ROUTES_BYTES: u64 = size_of::<Routes>() as u64;
const HOP_BYTES: u64 = 64;
/// What is kept of a destination on another core, at both ends.
const LINK_BYTES: u64 = 512;
/// What is kept of a sender on another core, at both ends: its name, and what stands for its mailbox.
const KNOWN_BYTES: u64 = 256;
/// A message that waits for room, with its waiter, and one from a thread outside, with its task.
const WAITING_BYTES: u64 = 512;
const OUTSIDE_BYTES: u64 = 2048;
/// A place in an inbox, and what is put there.
const INBOX_BYTES: u64 = 32 + 256;
/// A timer: its place in the wheel, and what it is for.
const TIMER_BYTES: u64 = GROWTH * (32 + 32);
/// An answer on its way back to another core: its box, and its place in what waits for the ring.
const RETURNING_BYTES: u64 = 256 + GROWTH * SLOT_BYTES;
/// What is done for a start or a stop on another core, up to this size, its place in what waits for the ring, and what is
/// kept of whoever is to be told, or has given it up.
const STARTING_BYTES: u64 = 256 + GROWTH * SLOT_BYTES + 128;
/// A watch at both its ends, with what is to be made of its news.
const WATCH_BYTES: u64 = 1024;
/// What its news are made of, up to this size, and who they seem to be from.
const NEWS_BYTES: u64 = 128;
/// A call that blocks, with its closure, its place in the queue, and what its result comes by.
const BLOCKING_BYTES: u64 = 768;

/// What the spare blocks of a core take.
fn spare_blocks() -> u64 {
    let most = SPARES.map(u64::from).into_iter();
    let bytes = CLASS_BYTES.map(u64::from).into_iter();
    most.zip(bytes)
        .map(|(most, bytes)| most * block(bytes))
        .sum()
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
    /// | routes kept for connections | none: 1,024 blocks on each core, where messages have several hops |
    /// | places in inboxes | `inbox_slots` |
    /// | requests under way, and their answers | `requests_max` |
    /// | requests passed on, and answers on their way back | `passed_on_max` |
    /// | starts and stops under way | `starts_max` |
    /// | watches, and news of ends that wait | `watches_max` |
    #[must_use]
    pub fn budget(&self, load: &Load) -> Budget {
        let cores = u64::from(load.cores);
        let pairs = cores * cores.saturating_sub(1);
        let waiting = load.receivers.saturating_mul(self.waiting_at_one(cores));
        let outside =
            u64::from(self.outside_credits).saturating_add(u64::from(self.urgent_credits));
        let outside = load.outside.saturating_mul(outside);
        let transit = cores * u64::from(self.inbox_slots);
        let payloads = waiting.saturating_add(load.senders).saturating_add(outside) + transit;
        let known = pairs * u64::from(self.senders_known_for(load.cores));
        let rings = 2 * pairs * u64::from(self.ring_slots_for(load.cores));
        let links = pairs.saturating_mul(2 * load.receivers);
        let letter = u64::from(load.dead_letters) * size_of::<DeadLetter>() as u64;
        let longest = load.payload.max(ROUTES_BYTES).max(letter);
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        let free = PoolLimits::default().bytes_max_up_to(longest);
        let kept = match load.hops {
            0 | 1 => 0,
            _ => cores * KEPT_MAX,
        };
        let mut pools = vec![
            pool("messages set aside", waiting, GROWTH * SET_ASIDE_BYTES),
            pool(
                "messages in the queues of cores",
                waiting,
                GROWTH * QUEUED_BYTES,
            ),
            pool("slots of rings", rings, SLOT_BYTES),
            pool("payloads in blocks", payloads, block(load.payload)),
            pool("routes in blocks", payloads, routes(load)),
            pool("routes kept for connections", kept, block(ROUTES_BYTES)),
            pool("free blocks", cores, free),
            pool("spare blocks", cores, spare_blocks()),
            pool("links", links, LINK_BYTES),
            pool("senders known on other cores", known, KNOWN_BYTES),
            pool("messages that wait for room", load.senders, WAITING_BYTES),
            pool("messages from outside that wait", outside, OUTSIDE_BYTES),
            pool("places in inboxes", 2 * transit, INBOX_BYTES),
        ];
        pools.extend(self.of_doings(load));
        Budget { pools }
    }

    /// What is noted of what workers do.
    fn of_doings(&self, load: &Load) -> [BudgetPool; 8] {
        let cores = u64::from(load.cores);
        let up_to = |count: u64, most: u32| count.min(cores * u64::from(most));
        let requests = up_to(load.requests, self.requests_max);
        let passed_on = up_to(load.passed_on, self.passed_on_max);
        let watches = up_to(load.watches, self.watches_max);
        let starts = up_to(load.starts, self.starts_max);
        let calls = u64::from(self.blocking_threads) + u64::from(self.blocking_queue);
        let let_go = match requests {
            0 => 0,
            _ => load.receivers.saturating_add(cores),
        };
        let letters = match load.dead_letters {
            true => self.waiting_at_one(cores),
            false => 0,
        };
        let queued = GROWTH * (SET_ASIDE_BYTES + QUEUED_BYTES);
        // The place of a watch is that of its news.
        let watch = WATCH_BYTES + queued + block(NEWS_BYTES) + KNOWN_BYTES;
        let letter = queued + block(size_of::<DeadLetter>() as u64);
        // An answer may wait for the ring to another core, and then at the place.
        let answer = block(load.payload).saturating_add(2 * GROWTH * SLOT_BYTES);
        let back = (queued + RETURNING_BYTES + routes(load)).saturating_add(block(load.payload));
        [
            pool(
                "requests under way",
                requests,
                answer.saturating_add(PLACE_BYTES + TIMER_BYTES),
            ),
            pool("requests passed on", passed_on, NOTE_BYTES),
            pool("answers on their way back", passed_on, back),
            pool("requests let go of", let_go, UNANSWERED_BYTES),
            pool(
                "starts and stops under way",
                starts,
                PLACE_BYTES + STARTING_BYTES,
            ),
            pool("watches, and news of ends", watches, watch),
            pool("calls that block", load.blocking.min(calls), BLOCKING_BYTES),
            pool(
                "dead letters",
                letters,
                letter.saturating_add(block(load.payload)),
            ),
        ]
    }

    /// Messages that wait at one worker at the most.
    fn waiting_at_one(&self, cores: u64) -> u64 {
        let windows = u64::from(self.link_credits).saturating_mul(2 * cores.saturating_sub(1));
        let urgent = u64::from(self.urgent_credits).saturating_mul(2 * cores);
        let own = u64::from(self.mailbox_credits);
        own.saturating_add(windows).saturating_add(urgent)
    }
}

fn pool(name: &'static str, holders: u64, each: u64) -> BudgetPool {
    BudgetPool {
        name,
        holders,
        each,
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

/// The bytes of a message's routes, beyond what lies in it.
fn routes(load: &Load) -> u64 {
    match load.hops {
        0 | 1 => 0,
        hops => block(ROUTES_BYTES).saturating_add(hops.saturating_mul(2 * HOP_BYTES)),
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
                payload,
                ..Load::default()
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

    /// What a load says is counted, and no more than the limits let there be.
    #[test]
    fn what_both_load_and_limits_bound_is_the_smaller_of_the_two() {
        let mut limits = Limits::default();
        (limits.requests_max, limits.passed_on_max) = (10, 20);
        limits.starts_max = 15;
        (
            limits.watches_max,
            limits.blocking_queue,
            limits.blocking_threads,
        ) = (30, 40, 5);
        let holders = |count, name| {
            let load = Load {
                cores: 2,
                requests: count,
                passed_on: count,
                watches: count,
                starts: count,
                blocking: count,
                ..Load::default()
            };
            let pools = limits.budget(&load).pools;
            let pool = pools.into_iter().find(|pool| pool.name == name);
            pool.map(|pool| pool.holders)
        };
        for (name, most) in [
            ("requests under way", 20),
            ("requests passed on", 40),
            ("answers on their way back", 40),
            ("starts and stops under way", 30),
            ("watches, and news of ends", 60),
            ("calls that block", 45),
        ] {
            assert_eq!(holders(7, name), Some(7), "{name}");
            assert_eq!(holders(u64::MAX, name), Some(most), "{name}");
        }
    }
}
