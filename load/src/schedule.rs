//! When the messages of one connection are to leave.

use crate::clock::{Nanos, SECOND};

/// What never left is told in so many groups at most.
const GROUPS_MAX: u64 = 1000;

/// When the messages of one connection are to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    /// No message is due from here on.
    stop: Nanos,
    /// No message leaves from here on, also of those that were due before the stop.
    leave: Nanos,
    /// So many messages may still leave.
    left: u64,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    /// As soon as a reply has made room.
    Closed,
    /// At times that are fixed in advance, whatever the replies do.
    Open {
        first: f64,
        interval: f64,
        number: u64,
    },
}

impl Schedule {
    /// Messages leave as soon as the window lets them.
    pub(crate) fn closed(stop: Nanos, messages: Option<u64>) -> Self {
        Self {
            pace: Pace::Closed,
            stop,
            leave: stop,
            left: messages.unwrap_or(u64::MAX),
        }
    }

    /// The part that the connection at `place` has in a stream of `rate` messages a second, which goes
    /// round over so many connections.
    pub(crate) fn open(start: Nanos, rate: f64, place: usize, connections: usize) -> Self {
        let between = SECOND as f64 / rate;
        Self {
            pace: Pace::Open {
                first: start as f64 + between * place as f64,
                interval: between * connections as f64,
                number: 0,
            },
            stop: Nanos::MAX,
            leave: Nanos::MAX,
            left: u64::MAX,
        }
    }

    /// Ends at `stop`, or after so many messages; what was due by then and could not leave may do so until
    /// `leave`.
    pub(crate) fn until(self, stop: Nanos, leave: Nanos, messages: Option<u64>) -> Self {
        Self {
            stop,
            leave,
            left: messages.unwrap_or(u64::MAX),
            ..self
        }
    }

    /// Whether messages leave at fixed times.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.pace, Pace::Open { .. })
    }

    /// Whether no message will leave any more.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        now >= self.leave || self.next(now).is_none()
    }

    /// When the next message is to leave, in the past if it is due; `None` if there is none.
    #[inline]
    pub(crate) fn next(&self, now: Nanos) -> Option<Nanos> {
        let next = match self.pace {
            Pace::Closed => now,
            Pace::Open {
                first,
                interval,
                number,
            } => time(first, interval, number),
        };
        (next < self.stop && self.left > 0).then_some(next)
    }

    /// When the message that is due should leave, or should have left; `None` if none is due. To be
    /// [taken](Self::take) when it leaves.
    #[inline]
    pub(crate) fn due(&self, now: Nanos) -> Option<Nanos> {
        self.next(now)
            .filter(|next| *next <= now && now < self.leave)
    }

    /// The message that is due leaves.
    #[inline]
    pub(crate) fn take(&mut self) {
        self.left -= 1;
        if let Pace::Open { number, .. } = &mut self.pace {
            *number += 1;
        }
    }

    /// How many messages should have left by `now`, and before the end, that have not.
    pub(crate) fn overdue(&self, now: Nanos) -> u64 {
        let Pace::Open {
            first,
            interval,
            number,
        } = self.pace
        else {
            return 0;
        };
        let passed = now.min(self.stop) as f64 - first;
        let due = (passed / interval).ceil().max(0.0) as u64;
        due.saturating_sub(number).min(self.left)
    }

    /// The [overdue](Self::overdue) messages in groups: when the last of each should have left, and how many they are.
    pub(crate) fn backlog(&self, now: Nanos) -> impl Iterator<Item = (Nanos, u64)> {
        let (first, interval, number) = match self.pace {
            Pace::Closed => (0.0, 0.0, 0),
            Pace::Open {
                first,
                interval,
                number,
            } => (first, interval, number),
        };
        let overdue = self.overdue(now);
        let each = overdue.div_ceil(GROUPS_MAX).max(1);
        (0..overdue.div_ceil(each)).map(move |group| {
            let before = group * each;
            let many = each.min(overdue - before);
            (time(first, interval, number + before + many - 1), many)
        })
    }
}

/// When a message of an open loop is due.
fn time(first: f64, interval: f64, number: u64) -> Nanos {
    (first + interval * number as f64) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_is_always_due_until_it_ends() {
        let mut schedule = Schedule::closed(100, Some(2));
        assert_eq!(schedule.due(7), Some(7));
        assert_eq!(schedule.due(100), None);
        schedule.take();
        assert!(!schedule.is_over(99));
        schedule.take();
        assert!(schedule.is_over(99));
        assert_eq!((schedule.due(8), schedule.overdue(50)), (None, 0));
    }

    #[test]
    fn connections_take_turns_in_an_open_loop() {
        let rate = SECOND as f64 / 10.0;
        let mut turns = Vec::new();
        for place in 0..3 {
            let mut schedule = Schedule::open(1000, rate, place, 3).until(1085, 1085, None);
            while let Some(next) = schedule.next(0) {
                turns.push(next);
                schedule.take();
            }
            assert!(schedule.is_over(0));
        }
        turns.sort_unstable();
        let expected: Vec<Nanos> = (0..9).map(|turn| 1000 + 10 * turn).collect();
        assert_eq!(turns, expected);
    }

    #[test]
    fn an_open_loop_keeps_its_times_when_it_falls_behind() {
        let mut schedule = Schedule::open(0, SECOND as f64 / 10.0, 0, 1).until(100, 130, None);
        assert_eq!(schedule.due(0), Some(0));
        schedule.take();
        assert_eq!((schedule.due(9), schedule.due(55)), (None, Some(10)));
        assert_eq!(schedule.overdue(55), 5);
        schedule.take();
        assert_eq!((schedule.due(55), schedule.overdue(55)), (Some(20), 4));
        assert_eq!((schedule.due(100), schedule.overdue(5000)), (Some(20), 8));
        assert!(!schedule.is_over(129));
        assert_eq!((schedule.due(130), schedule.is_over(130)), (None, true));
        assert_eq!(schedule.overdue(5000), 8);
    }

    #[test]
    fn a_backlog_of_any_length_is_told_in_few_groups() {
        let mut schedule = Schedule::open(0, SECOND as f64 / 10.0, 0, 1).until(100, 100, None);
        schedule.take();
        let ones: Vec<_> = schedule.backlog(55).collect();
        assert_eq!(ones, [(10, 1), (20, 1), (30, 1), (40, 1), (50, 1)]);
        for rate in [2e6, 1e10, 9e17] {
            let schedule = Schedule::open(0, rate, 0, 1).until(10 * SECOND, 10 * SECOND, None);
            let groups: Vec<_> = schedule.backlog(Nanos::MAX).collect();
            assert!(groups.len() <= 1000);
            let sum: u64 = groups.iter().map(|(_, many)| many).sum();
            assert_eq!(sum, schedule.overdue(Nanos::MAX));
            assert!((sum as f64 / rate - 10.0).abs() < 1e-3, "{sum} at {rate}");
            assert!(groups.is_sorted());
        }
        assert_eq!(Schedule::closed(100, None).backlog(50).count(), 0);
    }
}
