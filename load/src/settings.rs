//! How a target is put under load.

use std::ops::Range;

use crate::clock::{Nanos, SECOND};
use crate::schedule::Schedule;

/// So long after the end of an open loop, what was due before it and had to wait may leave: that a window was full, or a thread
/// had no CPU, just then is no overload.
const GRACE: Nanos = SECOND;

/// How a target is put under load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Connections, or pairs of workers.
    pub(crate) connections: usize,
    /// Messages that may wait for replies on each.
    pub(crate) window: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages a second over all connections; without it each reply makes room for the next message.
    pub(crate) rate: Option<f64>,
    /// Threads that the connections are spread over.
    pub(crate) threads: usize,
    /// How long messages are sent before anything is measured.
    pub(crate) warm_up: Nanos,
    /// How long is measured.
    pub(crate) duration: Nanos,
    /// Messages over all connections, after which a run ends.
    pub(crate) messages: Option<u64>,
    /// When a message without a reply is given up.
    pub(crate) timeout: Nanos,
    /// How long connecting may take.
    pub(crate) connect_timeout: Nanos,
}

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    pub(crate) start: Nanos,
    /// From here on replies are measured.
    pub(crate) measure: Nanos,
    /// No message is due from here on.
    pub(crate) stop: Nanos,
    /// No message leaves from here on, also of those that were due before the stop.
    pub(crate) leave: Nanos,
    /// No reply is waited for from here on.
    pub(crate) end: Nanos,
}

impl Settings {
    /// The times of a run that starts now.
    pub(crate) fn timeline(&self, now: Nanos) -> Timeline {
        let measure = now.saturating_add(self.warm_up);
        let stop = measure.saturating_add(self.duration);
        Timeline {
            start: now,
            measure,
            stop,
            leave: stop.saturating_add(self.timeout.min(GRACE)),
            end: stop.saturating_add(self.timeout),
        }
    }

    /// When the messages of one connection leave.
    pub(crate) fn schedule(&self, timeline: &Timeline, connection: usize) -> Schedule {
        let messages = self.messages.map(|all| {
            let connections = self.connections as u64;
            all / connections + u64::from((connection as u64) < all % connections)
        });
        match self.rate {
            None => Schedule::closed(timeline.stop, messages),
            Some(rate) => Schedule::open(timeline.start, rate, connection, self.connections).until(
                timeline.stop,
                timeline.leave,
                messages,
            ),
        }
    }

    /// Which connections a thread has.
    pub(crate) fn connections_of(&self, thread: usize) -> Range<usize> {
        let at = |thread: usize| self.connections * thread / self.threads;
        at(thread)..at(thread + 1)
    }
}

impl Timeline {
    /// The time in which is measured.
    pub(crate) fn measured(&self) -> Range<Nanos> {
        self.measure..self.stop
    }
}

#[cfg(test)]
impl Settings {
    /// A small closed loop.
    pub(crate) fn small() -> Self {
        Self {
            connections: 2,
            window: 4,
            size: 64,
            rate: None,
            threads: 1,
            warm_up: 0,
            duration: 60 * SECOND,
            messages: Some(1000),
            timeout: 20 * SECOND,
            connect_timeout: 20 * SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_messages_are_spread_evenly_and_completely() {
        let settings = Settings {
            connections: 7,
            threads: 3,
            messages: Some(100),
            ..Settings::small()
        };
        let shares: Vec<_> = (0..3)
            .map(|thread| settings.connections_of(thread))
            .collect();
        assert_eq!(shares, [0..2, 2..4, 4..7]);

        let timeline = settings.timeline(10);
        let mut messages = 0;
        for connection in 0..7 {
            let mut schedule = settings.schedule(&timeline, connection);
            while schedule.due(10).is_some() {
                schedule.take();
                messages += 1;
            }
        }
        assert_eq!(messages, 100);
    }

    #[test]
    fn the_times_follow_each_other() {
        let settings = Settings {
            warm_up: 5,
            duration: 20,
            timeout: 100,
            ..Settings::small()
        };
        let timeline = settings.timeline(10);
        assert_eq!(timeline.measured(), 15..35);
        assert_eq!(
            (timeline.start, timeline.leave, timeline.end),
            (10, 135, 135)
        );
        let settings = Settings {
            timeout: 5 * SECOND,
            ..settings
        };
        // What had to wait may leave, and those that leave last are waited for.
        let timeline = settings.timeline(10);
        assert_eq!(
            (timeline.leave, timeline.end),
            (35 + GRACE, 35 + 5 * SECOND)
        );
    }
}
