//! Whose turn it is when messages leave at fixed times.

use std::ops::Range;

use crate::clock::{Nanos, SECOND};

/// The turns of one thread's connections in a stream of messages that goes round over all connections.
///
/// The times agree with those of [`Schedule::open`](crate::schedule::Schedule::open): this says which
/// connection is to be looked at, and its schedule says what leaves.
#[derive(Debug)]
pub(crate) struct Rounds {
    start: f64,
    /// The time between two messages of the whole stream.
    between: f64,
    /// The places of this thread's connections among all.
    places: Range<usize>,
    connections: usize,
    round: u64,
    place: usize,
    next: Nanos,
}

impl Rounds {
    pub(crate) fn new(start: Nanos, rate: f64, places: Range<usize>, connections: usize) -> Self {
        let mut rounds = Self {
            start: start as f64,
            between: SECOND as f64 / rate,
            place: places.start,
            places,
            connections,
            round: 0,
            next: start,
        };
        rounds.next = rounds.time();
        rounds
    }

    /// When the next turn is.
    pub(crate) fn next(&self) -> Nanos {
        self.next
    }

    /// Which of the thread's connections has its turn by now, if one has.
    #[inline]
    pub(crate) fn take(&mut self, now: Nanos) -> Option<usize> {
        if self.next > now || self.places.is_empty() {
            return None;
        }
        let taken = self.place - self.places.start;
        self.place += 1;
        if self.place >= self.places.end {
            self.place = self.places.start;
            self.round += 1;
        }
        self.next = self.time();
        Some(taken)
    }

    /// Passes over the turns up to now, however many they are.
    pub(crate) fn skip(&mut self, now: Nanos) {
        if self.next > now || self.places.is_empty() {
            return;
        }
        let turn = ((now.saturating_add(1) as f64 - self.start) / self.between).ceil() as u64;
        let connections = self.connections as u64;
        let (round, place) = (turn / connections, (turn % connections) as usize);
        (self.round, self.place) = match place {
            _ if place >= self.places.end => (round.saturating_add(1), self.places.start),
            _ => (round, place.max(self.places.start)),
        };
        self.next = self.time();
    }

    fn time(&self) -> Nanos {
        let first = self.start + self.between * self.place as f64;
        (first + self.between * self.connections as f64 * self.round as f64) as Nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    #[test]
    fn turns_come_when_the_schedules_are_due() {
        let (rate, connections) = (333_333.0, 5);
        let mut rounds = Rounds::new(1000, rate, 2..5, connections);
        let mut schedules: Vec<Schedule> = (2..5)
            .map(|place| Schedule::open(1000, rate, place, connections))
            .collect();
        for turn in 0..1000 {
            let now = rounds.next();
            let taken = rounds.take(now).unwrap();
            assert_eq!(taken, turn % 3);
            assert_eq!(schedules[taken].due(now), Some(now));
            schedules[taken].take();
            assert_eq!(schedules[taken].due(now), None);
        }
        assert_eq!(rounds.take(rounds.next() - 1), None);
        rounds.skip(SECOND);
        assert!(rounds.next() > SECOND && rounds.next() <= SECOND + 9000);
    }

    #[test]
    fn skipped_turns_are_those_that_would_have_been_taken() {
        for now in 5..200 {
            let rounds = || Rounds::new(3, SECOND as f64 / 10.0, 2..4, 7);
            let (mut skipped, mut taken) = (rounds(), rounds());
            skipped.skip(now);
            while taken.take(now).is_some() {}
            let state = |rounds: &Rounds| (rounds.next, rounds.round, rounds.place);
            assert_eq!(state(&skipped), state(&taken), "at {now}");
        }
    }

    #[test]
    fn turns_of_any_rate_are_skipped_at_once() {
        for rate in [1e8, 1e10, 9e17] {
            let mut rounds = Rounds::new(0, rate, 1..3, 4);
            rounds.skip(10 * SECOND);
            assert!(rounds.next() >= 10 * SECOND, "{rate}");
        }
    }
}
