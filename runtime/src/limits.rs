//! Every limit of a node, in one place.
//!
//! The memory that messages can hold is a sum over these: see [`Limits`].

use crate::error::{Error, ErrorKind, Result};

/// The most places that a core's inbox can have for threads outside.
const INBOX_SLOTS_MAX: u32 = 1 << 18;

/// The limits of a node, with their defaults.
///
/// At one worker of a node with `cores` cores there wait at the most
///
/// ```text
/// mailbox_credits + 2 * link_credits * (cores - 1)
/// ```
///
/// messages: each other core has one window for what it sends to the worker's name, and one for what it
/// sends to its place, as replies are. Messages that the worker itself [puts
/// back](crate::Context::put_back) can come on top, and if it [forwards](crate::Context::forward) requests,
/// one answer to each of those, on its way back; and if it [watches](crate::Context::watch) others, the news of
/// each that has ended. Of [urgent](crate::Context::send_urgent) messages there may be
/// `2 * urgent_credits * cores` more. Threads outside the node send by way of a core and
/// share its windows; of theirs, `outside_credits` more for each address wait for room, and `urgent_credits` of
/// urgent ones, and `inbox_slots` for each core are in transit. What is in the rings is part of this. Each takes 64 bytes of a queue, and
/// a block of its own if its payload has more than 24 bytes; [`budget`](Self::budget) adds it all up.
///
/// ```
/// let limits = ringpost::Limits::default();
/// assert!(limits.mailbox_credits >= limits.link_credits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages that workers of the same core may have waiting at one worker. Default 1,024.
    pub mailbox_credits: u32,
    /// Messages that the workers of one other core may have waiting at one worker, sent to its name, and
    /// as many sent to its place. Default 512.
    pub link_credits: u32,
    /// Urgent messages that the workers of one core may have waiting at one worker, sent to its name, and as many
    /// sent to its place; and how many threads outside the node may have under way to one address. Default 64.
    pub urgent_credits: u32,
    /// Messages that threads outside the node may have under way to one address. Default 256.
    pub outside_credits: u32,
    /// Messages in transit from threads outside the node to one core. Default 1,024.
    pub inbox_slots: u32,
    /// Slots of each ring, rounded up to a power of two from 8 to 65,536; 0 chooses by the number of
    /// cores: 4,096 / cores, from 64 to 1,024.
    pub ring_slots: u32,
    /// Destinations that one core keeps open on one other core. Who sends to one more waits until all
    /// messages to some other have been taken; if messages wait at all of them for long, there is one
    /// more, as what they wait for may wait for that. So there are more only where messages waited at
    /// more at the same time. Default 65,536.
    pub links_max: u32,
    /// Senders that one core knows of one other core, by the places of their workers, rounded up to a power of two
    /// up to 65,536. A message of any other comes with its sender's name, and takes the place of one that is known. 0 chooses by
    /// the number of cores: 32,768 / cores, from 256 to 8,192.
    pub senders_known: u32,
    /// Messages taken from one ring in one pass. Default 256.
    pub ring_burst: u32,
    /// Messages handled in one turn before timers and rings get theirs, and slots of the rings to other cores that a
    /// handler or future publishes before it waits for its next turn. Of these only those count that go to another core than
    /// the ones before. Also about how many messages it puts in the queue of its own core before it waits until those that are there
    /// have had their turn. Default 256.
    pub turn_messages: u32,
    /// Messages that one worker may have before it in the queue of its core while others wait, and how many it takes in
    /// its turn where there were more. So it delays others by two such bursts at the most. Default 64.
    ///
    /// Also how many slots of the rings to other cores, counted as for [`turn_messages`](Self::turn_messages), a handler or
    /// future has published, while others wait, when it waits for its next turn, and how many messages a connection
    /// brings in before others of its core have their turns.
    ///
    /// And how many urgent messages a worker takes in a row while others wait there, and how many a core handles
    /// before others get their turn, and the other way round.
    pub worker_burst: u32,
    /// Timers fired in one turn. Default 256.
    pub timers_burst: u32,
    /// Threads for [calls that block](crate::Context::spawn_blocking). Default 64.
    pub blocking_threads: u32,
    /// Calls that wait for such a thread; who comes then waits for a place. Default 1,024.
    pub blocking_queue: u32,
    /// Requests that the workers of one core, and its connections to other nodes, remember having passed on until they
    /// are answered. Where there are more, the oldest are forgotten of those workers that have passed on their share at least, which is
    /// this number divided by how many have passed any on: those answers come by there only if there is room, and are else
    /// reported as late. As many answers wait there at one time; more need room too. Default 65,536.
    pub passed_on_max: u32,
    /// Requests that the workers and futures of one core may have under way; who asks more is refused with
    /// [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached), and has the message back. Default 65,536.
    pub requests_max: u32,
    /// Starts and stops of workers, and names for contexts, that the workers and futures of one core may have under way; those
    /// that were given up count until they are answered. One more is refused with
    /// [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached). Default 65,536.
    pub starts_max: u32,
    /// Watches that the workers and futures of one core may have begun and not heard of, and news of others that wait at
    /// them until they are handled or received, together; one more watch is refused with
    /// [`ErrorKind::LimitReached`](crate::ErrorKind::LimitReached). Default 65,536.
    pub watches_max: u32,
    /// Unpublished slots after which a ring is published within a turn: so many where messages of one sender to one receiver
    /// follow each other, else half. Default 32.
    pub flush_slots: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailbox_credits: 1024,
            link_credits: 512,
            urgent_credits: 64,
            outside_credits: 256,
            inbox_slots: 1024,
            ring_slots: 0,
            links_max: 65_536,
            senders_known: 0,
            ring_burst: 256,
            turn_messages: 256,
            worker_burst: 64,
            timers_burst: 256,
            blocking_threads: 64,
            blocking_queue: 1024,
            passed_on_max: 65_536,
            requests_max: 65_536,
            starts_max: 65_536,
            watches_max: 65_536,
            flush_slots: 32,
        }
    }
}

impl Limits {
    /// Whether a node can work within these limits.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the limit.
    pub(crate) fn check(&self) -> Result<()> {
        let positive = [
            ("mailbox_credits", self.mailbox_credits),
            ("link_credits", self.link_credits),
            ("urgent_credits", self.urgent_credits),
            ("outside_credits", self.outside_credits),
            ("inbox_slots", self.inbox_slots),
            ("links_max", self.links_max),
            ("ring_burst", self.ring_burst),
            ("turn_messages", self.turn_messages),
            ("worker_burst", self.worker_burst),
            ("timers_burst", self.timers_burst),
            ("blocking_threads", self.blocking_threads),
            ("blocking_queue", self.blocking_queue),
            ("passed_on_max", self.passed_on_max),
            ("requests_max", self.requests_max),
            ("starts_max", self.starts_max),
            ("watches_max", self.watches_max),
            ("flush_slots", self.flush_slots),
        ];
        let zero = positive.iter().find(|(_, value)| *value == 0);
        let reason = match zero {
            Some((name, _)) => format!("limits.{name} = 0: nothing could ever move"),
            None if self.inbox_slots > INBOX_SLOTS_MAX => {
                format!(
                    "limits.inbox_slots = {}: the most is {INBOX_SLOTS_MAX}",
                    self.inbox_slots
                )
            }
            None => return Ok(()),
        };
        Err(Error::new(ErrorKind::Config { reason }))
    }

    /// The slots of one ring of a node with so many cores.
    #[must_use]
    pub fn ring_slots_for(&self, cores: u16) -> u32 {
        if self.ring_slots != 0 {
            // Cut first: beyond 2³¹ there is no power of two to round up to.
            return self.ring_slots.clamp(8, 1 << 16).next_power_of_two();
        }
        (4096 / u32::from(cores.max(1)))
            .next_power_of_two()
            .clamp(64, 1024)
    }

    /// Slots that are published together where messages do not follow each other. Each costs more then, so the other core is to
    /// begin with fewer.
    pub(crate) fn flush_mixed(&self) -> u32 {
        (self.flush_slots / 2).max(1)
    }

    /// Credits of a link that go to one sender at a time, where several wait: a burst, but no more than leaves some for
    /// seven others.
    pub(crate) fn link_share(&self) -> u32 {
        (self.link_credits / 8).clamp(1, self.worker_burst)
    }

    /// The senders that each core of a node with so many knows of each other.
    #[must_use]
    pub fn senders_known_for(&self, cores: u16) -> u32 {
        if self.senders_known != 0 {
            return self.senders_known.min(1 << 16).next_power_of_two();
        }
        (32_768 / u32::from(cores.max(1)))
            .next_power_of_two()
            .clamp(256, 8192)
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn any_number_of_ring_slots_becomes_one_that_rings_can_have() {
        let slots_for = |ring_slots, cores| {
            let limits = Limits {
                ring_slots,
                ..Limits::default()
            };
            limits.ring_slots_for(cores)
        };
        for (asked, given) in [
            (1, 8),
            (9, 16),
            (65_535, 65_536),
            (65_537, 65_536),
            (u32::MAX, 65_536),
        ] {
            assert_eq!(slots_for(asked, 2), given, "{asked}");
        }
        for (cores, given) in [(1, 1024), (4, 1024), (5, 1024), (9, 512), (1024, 64)] {
            assert_eq!(slots_for(0, cores), given, "{cores} cores");
        }
    }

    #[test]
    fn any_number_of_known_senders_becomes_one_that_is_a_mask() {
        let known_for = |senders_known, cores| {
            let limits = Limits {
                senders_known,
                ..Limits::default()
            };
            limits.senders_known_for(cores)
        };
        for (asked, given) in [(1, 1), (3, 4), (65_537, 65_536), (u32::MAX, 65_536)] {
            assert_eq!(known_for(asked, 2), given, "{asked}");
        }
        for (cores, given) in [
            (1, 8192),
            (4, 8192),
            (5, 8192),
            (16, 2048),
            (128, 256),
            (1024, 256),
        ] {
            assert_eq!(known_for(0, cores), given, "{cores} cores");
        }
    }
}
