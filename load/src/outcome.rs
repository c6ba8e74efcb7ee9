//! What came of a run.

use hdrhistogram::Histogram;

use crate::clock::{Nanos, SECOND};
use crate::ledger::Counts;
use crate::recorder::{Recorder, latencies};
use crate::settings::Timeline;

/// Somebody who looks on while a run goes on.
pub(crate) trait Watch {
    /// Whether to end now; asked while connections are made.
    fn wants_end(&mut self) -> bool;

    /// So many replies have come by now. `false` ends the run early.
    fn look(&mut self, timeline: &Timeline, now: Nanos, answered: u64) -> bool;
}

/// What came of a run, or of a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Of the messages that should have left in the measured time, from when they should have left.
    pub(crate) latencies: Histogram<u64>,
    /// Of these latencies, how many are of messages of an open loop that had no reply, and so are lower bounds.
    pub(crate) unanswered: u64,
    /// Replies that came in the measured time.
    pub(crate) answered: u64,
    /// Messages of the whole run, with its warm-up.
    pub(crate) counts: Counts,
    /// Messages whose time had come in an open loop and that never left.
    pub(crate) unsent: u64,
    /// When measuring began and ended.
    pub(crate) begin: Nanos,
    pub(crate) end: Nanos,
    /// Connections that ended before the run did, and how the first of them ended.
    pub(crate) broken: u64,
    pub(crate) first_break: Option<Break>,
    /// Whether the user has ended the run.
    pub(crate) interrupted: bool,
    /// Time on a CPU that this program's threads took while measuring, where the system says it.
    pub(crate) cpu: Option<Nanos>,
}

/// How a connection ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) at: Nanos,
    pub(crate) reason: String,
}

impl Outcome {
    /// Nothing yet, in a run whose measuring begins at `begin`.
    pub(crate) fn new(begin: Nanos) -> Self {
        Self {
            latencies: latencies(),
            unanswered: 0,
            answered: 0,
            counts: Counts::default(),
            unsent: 0,
            begin,
            end: begin,
            broken: 0,
            first_break: None,
            interrupted: false,
            cpu: None,
        }
    }

    /// Nothing, of a run that the user has ended before it began.
    pub(crate) fn interrupted(begin: Nanos) -> Self {
        Self {
            interrupted: true,
            ..Self::new(begin)
        }
    }

    /// Takes in what a thread has recorded.
    pub(crate) fn record(&mut self, recorder: Recorder) {
        self.answered += recorder.answered();
        self.unanswered += recorder.unanswered();
        let histogram = recorder.into_latencies();
        self.latencies.add(histogram).expect("histograms are alike");
    }

    /// Notes that a connection has ended before its time.
    pub(crate) fn note_break(&mut self, at: Nanos, reason: String) {
        self.broken += 1;
        if self.first_break.as_ref().is_none_or(|first| at < first.at) {
            self.first_break = Some(Break { at, reason });
        }
    }

    /// Adds another part of the same run.
    pub(crate) fn add(&mut self, other: Self) {
        let summed = self.latencies.add(&other.latencies);
        summed.expect("histograms are alike");
        self.unanswered += other.unanswered;
        self.answered += other.answered;
        self.counts.add(&other.counts);
        self.unsent = self.unsent.saturating_add(other.unsent);
        self.end = self.end.max(other.end);
        self.broken += other.broken;
        self.interrupted |= other.interrupted;
        self.cpu = match (self.cpu, other.cpu) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
        if let Some(theirs) = other.first_break {
            let is_first = self
                .first_break
                .as_ref()
                .is_none_or(|ours| theirs.at < ours.at);
            if is_first {
                self.first_break = Some(theirs);
            }
        }
    }

    /// How long was measured.
    pub(crate) fn measured(&self) -> Nanos {
        self.end.saturating_sub(self.begin)
    }

    /// Replies a second.
    pub(crate) fn rate(&self) -> f64 {
        match self.measured() {
            0 => 0.0,
            measured => self.answered as f64 * SECOND as f64 / measured as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_first_break_is_kept() {
        let mut one = Outcome::new(SECOND);
        one.note_break(700, "later".into());
        one.answered = 10;
        one.end = 2 * SECOND;
        let mut two = Outcome::new(SECOND);
        two.note_break(500, "first".into());
        two.note_break(600, "second".into());
        two.answered = 20;
        two.end = 3 * SECOND;
        two.cpu = Some(9);
        one.add(two);
        let first = Break {
            at: 500,
            reason: "first".into(),
        };
        assert_eq!((one.broken, one.first_break.clone()), (3, Some(first)));
        assert_eq!((one.measured(), one.cpu), (2 * SECOND, Some(9)));
        assert!((one.rate() - 15.0).abs() < 1e-9);
    }
}
