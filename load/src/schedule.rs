//! When the messages of one connection are to leave.

use crate::clock::{Nanos, SECOND};

/// When the messages of one connection are to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    /// No message is to leave from here on.
    stop: Nanos,
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
            left: u64::MAX,
        }
    }

    /// Ends at `stop`, or after so many messages.
    pub(crate) fn until(self, stop: Nanos, messages: Option<u64>) -> Self {
        Self {
            stop,
            left: messages.unwrap_or(u64::MAX),
            ..self
        }
    }

    /// Whether no message will leave any more.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        self.left == 0 || self.next(now).is_none()
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
            } => (first + interval * number as f64) as Nanos,
        };
        (next < self.stop && self.left > 0).then_some(next)
    }

    /// When the message that is due should leave, or should have left; `None` if none is due. To be
    /// [taken](Self::take) when it leaves.
    #[inline]
    pub(crate) fn due(&self, now: Nanos) -> Option<Nanos> {
        self.next(now)
            .filter(|next| *next <= now && now < self.stop)
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
            let mut schedule = Schedule::open(1000, rate, place, 3).until(1085, None);
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
        let mut schedule = Schedule::open(0, SECOND as f64 / 10.0, 0, 1).until(100, None);
        assert_eq!(schedule.due(0), Some(0));
        schedule.take();
        assert_eq!((schedule.due(9), schedule.due(55)), (None, Some(10)));
        assert_eq!(schedule.overdue(55), 5);
        schedule.take();
        assert_eq!((schedule.due(55), schedule.overdue(55)), (Some(20), 4));
        assert_eq!((schedule.due(100), schedule.overdue(5000)), (None, 8));
    }
}
