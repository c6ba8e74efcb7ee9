//! Failures on standard error, for programs that do not trace.
//!
//! A handler that returns an error, or panics, would be invisible in a program without a `tracing`
//! subscriber, and so would a message to a name that is misspelled. So as long as none was ever set in the
//! process, a failure is a line on standard error; once there is one, failures are its affair alone. All of
//! them come by [`failure`], by [`loss`] where a node has no hook for undelivered messages, or by [`fault`] where it
//! is peers who can bring them about.
//!
//! At most [`LINES_MAX`] lines are printed in a second, by all nodes of the process together, and [`FAULTS_MAX`] of
//! what peers do, which so hides nothing else. The last of
//! them says that more may follow unseen, and the first of a later second how many there were. A line is cut
//! at [`CHARS_MAX`] characters, and what could steer a terminal is left out of it. As with any logging, who
//! prints waits if nobody reads.

#![allow(
    clippy::disallowed_methods,
    reason = "the rate of lines is one of real time, also in a simulation"
)]

use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Instant;

use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};
use ringpost_router::Address;

use crate::error::{Reason, Undelivered};

/// Lines in a second.
const LINES_MAX: u32 = 10;
/// Lines in a second that others than this process can bring about.
const FAULTS_MAX: u32 = 2;
/// Characters of a line, without what is said about others.
const CHARS_MAX: usize = 1024;

/// Reports a failure: what failed, of which worker, and what is known of the cause.
#[cold]
pub(crate) fn failure(what: &'static str, worker: Option<&Address>, cause: Option<&dyn Display>) {
    let worker_shown = worker.map(tracing::field::display);
    let cause_shown = cause.map(tracing::field::display);
    tracing::error!(worker = worker_shown, cause = cause_shown, "{what}");
    if !tracing::dispatcher::has_been_set() {
        print(&FAILURES, what, worker.map(as_shown), cause);
    }
}

/// Reports what a peer has done, or has no room here: of which connection or peer, and why.
#[cold]
pub(crate) fn fault(what: &'static str, peer: &dyn Display, cause: &dyn Display) {
    tracing::warn!(%peer, %cause, "{what}");
    if !tracing::dispatcher::has_been_set() {
        print(&FAULTS, what, Some(peer), Some(cause));
    }
}

fn as_shown(worker: &Address) -> &dyn Display {
    worker
}

/// Reports a message that was not delivered, of which a `tracing` event has told already. What is left when
/// a node stops, and replies that come late, are in the course of things.
#[cold]
pub(crate) fn loss(undelivered: &Undelivered) {
    let is_usual = matches!(undelivered.reason, Reason::NodeStopped | Reason::LateReply);
    if !is_usual && !tracing::dispatcher::has_been_set() {
        print(
            &FAILURES,
            "a message was not delivered",
            None,
            Some(undelivered),
        );
    }
}

static FAILURES: Rate = Rate::new(LINES_MAX);
static FAULTS: Rate = Rate::new(FAULTS_MAX);

fn print(rate: &Rate, what: &str, whose: Option<&dyn Display>, cause: Option<&dyn Display>) {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let Some(place) = rate.place(start.elapsed().as_secs()) else {
        return;
    };
    let line = line(what, whose, cause, &place);
    // Where nothing can be written nobody can be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn line(
    what: &str,
    whose: Option<&dyn Display>,
    cause: Option<&dyn Display>,
    place: &Place,
) -> String {
    let mut text = format!("ringpost: {what}");
    // Writing to a string fails only if what is written does, and then its part is missing.
    if let Some(whose) = whose {
        let _ = write!(text, " [{whose}]");
    }
    if let Some(cause) = cause {
        let _ = write!(text, ": {cause}");
    }
    let seen = text.chars().take(CHARS_MAX);
    let mut line: String = seen.map(|c| if c.is_control() { ' ' } else { c }).collect();
    if place.unseen > 0 {
        let _ = write!(line, " ({} failures before were not shown)", place.unseen);
    }
    if place.is_last {
        line += " (no more are shown in this second)";
    }
    line.push('\n');
    line
}

/// How many lines there were, by the second. One word: the second above, its failures below. Relaxed, as it
/// stands for itself.
struct Rate {
    word: AtomicU64,
    lines_max: u32,
}

/// A line's place in its second.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    is_last: bool,
    /// Failures of an earlier second that had no place.
    unseen: u32,
}

impl Rate {
    const fn new(lines_max: u32) -> Self {
        let word = AtomicU64::new(0);
        Self { word, lines_max }
    }

    /// The place of one more failure among the lines of this second, if there is one.
    fn place(&self, second: u64) -> Option<Place> {
        let second = second & u64::from(u32::MAX);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (since, count) = (word >> 32, word as u32);
            // A thread may come late with a second that is over; it belongs to the present one.
            let is_new = second > since;
            let next = match is_new {
                true => second << 32 | 1,
                false => since << 32 | u64::from(count.saturating_add(1)),
            };
            let (old, new) = (Ordering::Relaxed, Ordering::Relaxed);
            match self.word.compare_exchange(word, next, old, new) {
                Ok(_) if !is_new && count >= self.lines_max => return None,
                Ok(_) => {
                    let unseen = if is_new {
                        count.saturating_sub(self.lines_max)
                    } else {
                        0
                    };
                    let is_last = next as u32 == self.lines_max;
                    return Some(Place { is_last, unseen });
                }
                Err(found) => word = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_says_what_was_left_out() {
        let rate = Rate::new(LINES_MAX);
        let failures = LINES_MAX + 7;
        let places: Vec<_> = (0..failures).filter_map(|_| rate.place(5)).collect();
        assert_eq!(places.len(), LINES_MAX as usize);
        let last = places.iter().position(|place| place.is_last);
        assert_eq!(last, Some(places.len() - 1));
        assert!(places.iter().all(|place| place.unseen == 0));
        assert_eq!(rate.place(4), None, "a late one belongs to the same second");
        let place = rate.place(6);
        let expected = Place {
            is_last: false,
            unseen: 8,
        };
        assert_eq!(place, Some(expected));
        assert_eq!(rate.place(7).map(|place| place.unseen), Some(0));
    }

    #[test]
    fn a_line_says_what_failed_where_and_why_and_is_no_longer_than_that() {
        let place = Place {
            is_last: true,
            unseen: 3,
        };
        let worker = Address::from("a");
        let text = line(
            "a worker panicked",
            Some(&worker),
            Some(&"tick\x1b[2J\ntock"),
            &place,
        );
        assert_eq!(
            text,
            format!(
                "ringpost: a worker panicked [{worker}]: tick [2J tock (3 failures before were not shown) \
                 (no more are shown in this second)\n"
            )
        );
        let place = Place {
            is_last: false,
            unseen: 0,
        };
        let long = line(
            "a destructor panicked",
            None,
            Some(&"é".repeat(10_000)),
            &place,
        );
        assert_eq!(long.chars().count(), CHARS_MAX + 1);
    }
}
