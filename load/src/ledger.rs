//! What one connection has sent and what became of it.

use std::collections::BTreeSet;

use crate::clock::Nanos;

/// How many messages that were given up are remembered, to tell a late reply from a second one.
const GIVEN_UP_MAX: usize = 1 << 16;

/// In a slot: this message has been answered.
const ANSWERED: Nanos = 0;

/// The messages of one connection that wait for their replies, and the counts of all.
///
/// Numbers count up from 0. The slots hold the time of each message from the oldest unanswered one to
/// the youngest; if one is answered long after its successors the slots run out, and nothing is sent
/// until it is answered or given up.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The intended time of each message, one added; [`ANSWERED`] for those that are done.
    slots: Box<[Nanos]>,
    /// The oldest message that may be unanswered.
    oldest: u64,
    next: u64,
    in_flight: usize,
    window: usize,
    /// One more than the highest number that was answered.
    answered_to: u64,
    given_up: BTreeSet<u64>,
    counts: Counts,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Messages that were answered as they should, in time.
    pub(crate) answered: u64,
    /// Messages without a reply when the time for it was over, or the connection or the run.
    pub(crate) lost: u64,
    /// Replies to a message that had been answered already.
    pub(crate) duplicated: u64,
    /// Replies that are not, byte for byte, a message of this connection.
    pub(crate) corrupt: u64,
    /// Replies that came behind the reply to a younger message.
    pub(crate) reordered: u64,
    /// Replies that came when their message had been given up. Those messages count as lost.
    pub(crate) late: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.corrupt += other.corrupt;
        self.reordered += other.reordered;
        self.late += other.late;
    }
}

impl Ledger {
    /// At most `window` messages wait for replies at a time.
    pub(crate) fn new(window: usize) -> Self {
        let slots = window.saturating_mul(2).next_power_of_two().max(64);
        Self {
            slots: vec![ANSWERED; slots].into(),
            oldest: 0,
            next: 0,
            in_flight: 0,
            window,
            answered_to: 0,
            given_up: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The number of the message that is sent next.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many messages wait for their replies.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.window && self.next - self.oldest < self.slots.len() as u64
    }

    /// Notes a message that should leave at `intended`, and says its number. To be called if there
    /// [is room](Self::has_room).
    #[inline]
    pub(crate) fn send(&mut self, intended: Nanos) -> u64 {
        debug_assert!(self.has_room(), "more messages than the window allows");
        let number = self.next;
        *self.slot(number) = intended.saturating_add(1);
        self.next += 1;
        self.in_flight += 1;
        self.counts.sent += 1;
        number
    }

    /// Notes the reply to a message and says when that message should have left; `None` for a reply
    /// that tells nothing of a latency.
    #[inline]
    pub(crate) fn answer(&mut self, number: u64) -> Option<Nanos> {
        if number >= self.next {
            self.counts.corrupt += 1;
            return None;
        }
        if number < self.oldest {
            self.stray(number);
            return None;
        }
        let slot = self.slot(number);
        let intended = std::mem::replace(slot, ANSWERED);
        if intended == ANSWERED {
            self.stray(number);
            return None;
        }
        if number < self.answered_to {
            self.counts.reordered += 1;
        }
        self.answered_to = self.answered_to.max(number + 1);
        self.counts.answered += 1;
        self.close();
        Some(intended - 1)
    }

    /// Notes a reply that is not what was sent. It stands for the message it names, or for the oldest
    /// that waits, so that the window opens again.
    #[cold]
    pub(crate) fn corrupt(&mut self, number: Option<u64>) {
        self.counts.corrupt += 1;
        let number = number.unwrap_or(self.oldest);
        if (self.oldest..self.next).contains(&number) && *self.slot(number) != ANSWERED {
            *self.slot(number) = ANSWERED;
            self.close();
        }
    }

    /// Gives up the messages that should have left before `time`, and says of each when that was: they count as lost.
    pub(crate) fn give_up_before(&mut self, time: Nanos, mut each: impl FnMut(Nanos)) {
        while self.oldest < self.next {
            let number = self.oldest;
            let intended = self.slot(number).saturating_sub(1);
            // Times rise with the numbers.
            if intended >= time {
                return;
            }
            *self.slot(number) = ANSWERED;
            self.counts.lost += 1;
            each(intended);
            self.given_up.insert(number);
            if self.given_up.len() > GIVEN_UP_MAX {
                self.given_up.pop_first();
            }
            self.close();
        }
    }

    /// A reply to a message that waits for none.
    #[cold]
    fn stray(&mut self, number: u64) {
        match self.given_up.remove(&number) {
            true => self.counts.late += 1,
            false => self.counts.duplicated += 1,
        }
    }

    /// One message waits no more.
    #[inline]
    fn close(&mut self) {
        self.in_flight -= 1;
        while self.oldest < self.next && *self.slot(self.oldest) == ANSWERED {
            self.oldest += 1;
        }
    }

    #[inline]
    fn slot(&mut self, number: u64) -> &mut Nanos {
        // The length is a power of two.
        let at = number as usize & (self.slots.len() - 1);
        &mut self.slots[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(window: usize, messages: u64) -> Ledger {
        let mut ledger = Ledger::new(window);
        for number in 0..messages {
            assert!(ledger.has_room());
            assert_eq!(ledger.send(100 + number), number);
        }
        ledger
    }

    #[test]
    fn the_window_closes_and_opens() {
        let mut ledger = sent(2, 2);
        assert!(!ledger.has_room());
        assert_eq!(ledger.answer(0), Some(100));
        assert!(ledger.has_room());
        assert_eq!(ledger.send(7), 2);
        assert_eq!(ledger.answer(1), Some(101));
        assert_eq!(ledger.answer(2), Some(7));
        assert_eq!(ledger.in_flight(), 0);
        let counts = Counts {
            sent: 3,
            answered: 3,
            ..Counts::default()
        };
        assert_eq!(ledger.counts(), counts);
    }

    #[test]
    fn second_replies_are_duplicates_wherever_they_come() {
        let mut ledger = sent(4, 3);
        assert_eq!(ledger.answer(1), Some(101));
        assert_eq!(ledger.answer(1), None);
        assert_eq!(ledger.answer(0), Some(100));
        assert_eq!(ledger.answer(0), None);
        assert_eq!((ledger.counts().duplicated, ledger.in_flight()), (2, 1));
    }

    #[test]
    fn replies_behind_younger_ones_are_reordered() {
        let mut ledger = sent(4, 4);
        for number in [0, 3, 1, 2] {
            assert!(ledger.answer(number).is_some());
        }
        assert_eq!(
            (ledger.counts().reordered, ledger.counts().answered),
            (2, 4)
        );
    }

    #[test]
    fn numbers_never_sent_are_corrupt() {
        let mut ledger = sent(4, 1);
        assert_eq!(ledger.answer(1), None);
        assert_eq!(ledger.answer(u64::MAX), None);
        assert_eq!((ledger.counts().corrupt, ledger.in_flight()), (2, 1));
    }

    #[test]
    fn a_corrupt_reply_opens_the_window() {
        let mut ledger = sent(3, 3);
        ledger.corrupt(Some(1));
        ledger.corrupt(None);
        ledger.corrupt(Some(99));
        assert_eq!((ledger.counts().corrupt, ledger.in_flight()), (3, 1));
        assert_eq!(ledger.answer(2), Some(102));
        assert_eq!(ledger.counts().lost, 0);
    }

    #[test]
    fn what_is_given_up_is_lost_and_may_still_come_late() {
        let mut ledger = sent(3, 3);
        assert_eq!(ledger.answer(1), Some(101));
        let mut given_up = Vec::new();
        ledger.give_up_before(102, |intended| given_up.push(intended));
        assert_eq!(given_up, [100]);
        assert_eq!((ledger.counts().lost, ledger.in_flight()), (1, 1));
        assert_eq!(ledger.answer(0), None);
        assert_eq!(ledger.answer(0), None);
        assert_eq!((ledger.counts().late, ledger.counts().duplicated), (1, 1));
        ledger.give_up_before(Nanos::MAX, drop);
        assert_eq!((ledger.counts().lost, ledger.in_flight()), (2, 0));
    }

    #[test]
    fn a_message_without_a_reply_holds_up_no_more_than_the_slots() {
        let mut ledger = sent(2, 1);
        let mut others = 0;
        while ledger.has_room() {
            let number = ledger.send(200);
            assert!(ledger.answer(number).is_some());
            others += 1;
        }
        assert_eq!(others, 63);
        ledger.give_up_before(150, drop);
        assert!(ledger.has_room());
    }
}
