//! Credits from node to node.
//!
//! Each side says in its greeting how many messages the other may have under way: sent, and not yet in a
//! mailbox there. They come back, some at a time, as messages find room. So a worker that is slow suspends
//! who sends to it from another node, while everything else on the connection goes on: it is always read.
//! Replies to requests need no credit, as the place of each was reserved by its request. What is sent back otherwise may
//! go beyond the credits, by half of what the greeting said; as each such message follows one of the other side's, that
//! side gives back the credits beyond its window whatever waits for it, and so nobody waits for ever.
//!
//! Nodes of other makes do not answer the greeting, and are not held to anything: they are read as long as there is
//! room, and TCP does the rest.

use std::time::Duration;

use crate::time::Time;

/// How long a peer that has no credit left waits for those of a batch.
const PATIENCE: Duration = Duration::from_secs(1);

/// What this side may send.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// How many more; less than none for what was sent before the greeting came. `None` for any number.
    left: Option<i64>,
    /// How many more than that may be sent back.
    overdraft: i64,
    /// Sent, and not come back.
    under_way: i64,
    /// How often any have come back.
    times: u64,
    /// How many messages were written, to the last byte, that the peer may still refuse.
    refusable: u64,
}

impl Allowance {
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        self.left.is_none_or(|left| left > 0)
    }

    /// Whether one more may be sent back, also beyond that.
    pub(super) fn may_overdraw(&self) -> bool {
        self.left.is_none_or(|left| left > -self.overdraft)
    }

    #[inline]
    pub(super) fn note_sent(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// So many messages were written.
    pub(super) fn note_written(&mut self, messages: usize) {
        self.refusable = self.refusable.saturating_add(messages as u64);
    }

    /// The peer refuses a message, which it can do once. Whether there is one left.
    pub(super) fn note_refused(&mut self) -> bool {
        let left = self.refusable.checked_sub(1);
        self.refusable = left.unwrap_or(0);
        left.is_some()
    }

    /// The peer's greeting has come.
    pub(super) fn greeted(&mut self, frames: u32) {
        if frames > 0 {
            self.left = Some(i64::from(frames).saturating_sub(self.under_way));
            self.overdraft = i64::from(frames.div_ceil(2));
        }
    }

    /// The peer will say nothing more: what waits is held back by what it takes alone.
    pub(super) fn lift(&mut self) {
        self.left = None;
    }

    /// How often credits have come back.
    pub(super) fn times(&self) -> u64 {
        self.times
    }

    /// Credits have come back. Whether so many were out.
    pub(super) fn returned(&mut self, frames: u32) -> bool {
        let frames = i64::from(frames);
        let was_out = frames > 0 && frames <= self.under_way;
        if was_out {
            self.under_way = self.under_way.saturating_sub(frames);
            self.left = self.left.map(|left| left.saturating_add(frames));
            self.times = self.times.wrapping_add(1);
        }
        was_out
    }
}

/// What the peer may send.
#[derive(Debug)]
pub(super) struct Grants {
    window: u32,
    /// Come, and not given back.
    taken: u32,
    /// Of these, how many have found room.
    settled: u32,
    /// When any were given back last.
    returned: Time,
}

impl Grants {
    pub(super) fn new(window: u32, now: Time) -> Self {
        Self {
            window,
            taken: 0,
            settled: 0,
            returned: now,
        }
    }

    /// A message has come.
    #[inline]
    pub(super) fn note_taken(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }

    /// A message has found room, or will not.
    #[inline]
    pub(super) fn note_settled(&mut self) {
        self.settled = self.settled.saturating_add(1);
    }

    /// Whether the peer has sent far more than it was allowed, or cannot have known yet.
    #[inline]
    pub(super) fn is_overdrawn(&self) -> bool {
        self.taken >= self.window.saturating_mul(2)
    }

    /// Whether none were given back for so long.
    pub(super) fn are_late(&self, now: Time, after: Duration) -> bool {
        now.saturating_since(self.returned) >= after
    }

    /// How many the peer has sent beyond its window.
    pub(super) fn beyond(&self) -> u32 {
        self.taken.saturating_sub(self.window)
    }

    /// How many to give back now, of so many at the most: some at a time, or after a while what there is, if the peer has
    /// no more. So it sees that this side goes on, however slowly.
    pub(super) fn take_settled(&mut self, now: Time, most: u32) -> Option<u32> {
        let count = self.settled.min(most);
        let is_awaited = || self.taken >= self.window && self.are_late(now, PATIENCE);
        if count == 0 || self.settled < self.window / 4 && !is_awaited() {
            return None;
        }
        self.returned = now;
        self.settled = self.settled.saturating_sub(count);
        self.taken = self.taken.saturating_sub(count);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_under_way_than_the_greeting_says() {
        for window in [1, 3, 4, 512] {
            let (mut allowance, mut grants) =
                (Allowance::default(), Grants::new(window, Time::ZERO));
            for _ in 0..2 {
                assert!(
                    allowance.may_send(),
                    "before the greeting there is no limit"
                );
                allowance.note_sent();
                grants.note_taken();
            }
            allowance.greeted(window);
            let mut sent = 2;
            for settled in 1..=1000u32 {
                while allowance.may_send() {
                    allowance.note_sent();
                    grants.note_taken();
                    sent += 1;
                }
                assert!(sent - (settled - 1) <= window.max(2), "{window}");
                assert!(sent >= settled, "nobody waits for ever");
                grants.note_settled();
                if let Some(frames) = grants.take_settled(Time::ZERO, u32::MAX) {
                    assert!(allowance.returned(frames));
                }
            }
        }
    }

    #[test]
    fn credits_that_were_not_out_are_not_taken() {
        let mut allowance = Allowance::default();
        allowance.greeted(2);
        allowance.note_sent();
        assert!(!allowance.returned(2) && !allowance.returned(0) && allowance.returned(1));
        allowance.note_sent();
        allowance.note_sent();
        assert!(!allowance.may_send());
    }

    #[test]
    fn a_peer_that_has_no_more_is_not_kept_waiting_for_a_batch() {
        let mut grants = Grants::new(8, Time::ZERO);
        (0..7).for_each(|_| grants.note_taken());
        grants.note_settled();
        let later = Time::ZERO.saturating_add(PATIENCE);
        assert_eq!(
            grants.take_settled(later, u32::MAX),
            None,
            "it has one more"
        );
        grants.note_taken();
        assert_eq!(
            grants.take_settled(Time::ZERO, u32::MAX),
            None,
            "others may follow"
        );
        assert_eq!(grants.take_settled(later, u32::MAX), Some(1));
        grants.note_taken();
        grants.note_settled();
        assert_eq!(grants.take_settled(later, u32::MAX), None);
    }

    #[test]
    fn what_is_sent_back_goes_beyond_the_credits_by_half_a_window() {
        for (window, beyond) in [(1, 1), (4, 2), (5, 3)] {
            let (mut allowance, mut grants) =
                (Allowance::default(), Grants::new(window, Time::ZERO));
            allowance.greeted(window);
            let mut sent = 0;
            while allowance.may_overdraw() {
                allowance.note_sent();
                grants.note_taken();
                sent += 1;
            }
            assert!(!allowance.may_send());
            assert_eq!((sent, grants.beyond()), (window + beyond, beyond));
            (0..sent).for_each(|_| grants.note_settled());
            let given = grants.take_settled(Time::ZERO, grants.beyond());
            assert_eq!(given, Some(beyond));
            assert!(allowance.returned(beyond) && !allowance.may_send());
            assert!(allowance.may_overdraw());
        }
    }

    #[test]
    fn a_peer_that_ignores_its_credits_is_noticed() {
        let mut grants = Grants::new(4, Time::ZERO);
        (0..7).for_each(|_| grants.note_taken());
        assert!(!grants.is_overdrawn());
        grants.note_taken();
        assert!(grants.is_overdrawn());
        (0..2).for_each(|_| grants.note_settled());
        assert_eq!(grants.take_settled(Time::ZERO, u32::MAX), Some(2));
        assert!(!grants.is_overdrawn());
    }
}
