//! The loop of one thread over its connections.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll};
use ringpost_mailbox::sync::atomic::Ordering;

use super::Shared;
use super::connection::{Connection, State, Unread};
use crate::clock::{Nanos, SECOND};
use crate::cpu;
use crate::outcome::Outcome;
use crate::recorder::{Live, Recorder};
use crate::rounds::Rounds;
use crate::settings::Timeline;

const EVENTS_MAX: usize = 1024;
const BUFFER_BYTES_MIN: usize = 256 * 1024;

/// How often messages without a reply are looked for, and the wish of the user to end.
const LOOK_NANOS: Nanos = SECOND / 10;

/// The poll counts in milliseconds and wakes late rather than early. Up to so long before the next message
/// is to leave, the loop does not sleep.
const SPIN_NANOS: Nanos = 2_000_000;

/// The loop of one thread over its connections.
pub(super) struct EventLoop<'a> {
    shared: &'a Shared<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    /// Connections that had more to read than one turn allows.
    unread: Vec<usize>,
    open: usize,
    timeline: Timeline,
    /// Whose turn it is in an open loop.
    rounds: Option<Rounds>,
    recorder: Recorder,
    outcome: Outcome,
    buffer: Vec<u8>,
    next_look: Nanos,
    cpu_before: Option<Nanos>,
    has_stopped: bool,
}

impl<'a> EventLoop<'a> {
    pub(super) fn new(
        shared: &'a Shared<'a>,
        poll: Poll,
        mut connections: Vec<Connection>,
        thread: usize,
        timeline: Timeline,
        live: Arc<Live>,
    ) -> Self {
        let settings = shared.settings;
        let places = settings.connections_of(thread);
        for (connection, place) in connections.iter_mut().zip(places.clone()) {
            let schedule = settings.schedule(&timeline, place);
            connection.session_mut().set_schedule(schedule);
        }
        let frame_bytes = connections
            .first()
            .map_or(0, |one| one.session().frame_bytes());
        Self {
            shared,
            poll,
            unread: Vec::new(),
            open: connections.len(),
            timeline,
            rounds: settings
                .rate
                .map(|rate| Rounds::new(timeline.start, rate, places, settings.connections)),
            recorder: Recorder::new(timeline.measured(), live),
            outcome: Outcome::new(timeline.measure),
            // Twice the longest frame, as half a frame may be kept while others arrive.
            buffer: vec![0; frame_bytes.saturating_mul(2).max(BUFFER_BYTES_MIN)],
            next_look: timeline.start.saturating_add(LOOK_NANOS),
            cpu_before: None,
            has_stopped: false,
            connections,
        }
    }

    /// Runs until everything is sent and answered, or given up.
    pub(super) fn run(mut self) -> Outcome {
        let mut events = Events::with_capacity(EVENTS_MAX);
        // What was writable or readable before this is not told again.
        (0..self.connections.len()).for_each(|at| self.serve(at, true));
        while self.open > 0 {
            let now = self.shared.clock.now();
            if now >= self.timeline.end || !self.pass_stages(now) {
                break;
            }
            let wait = self.wait(now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    let at = self.shared.clock.now();
                    let reason = format!("the system's poll fails: {error}");
                    self.outcome.note_break(at, reason);
                    break;
                }
                _ => {}
            }
            if events.is_empty() && wait.is_zero() {
                // Whoever is to answer may have no other CPU.
                std::thread::yield_now();
            }
            for event in &events {
                self.serve(event.token().0, event.is_readable());
            }
            for at in std::mem::take(&mut self.unread) {
                self.serve(at, true);
            }
            self.send_due();
        }
        self.finish()
    }

    /// Does what is to be done at certain times. `false` when the user wants to end.
    fn pass_stages(&mut self, now: Nanos) -> bool {
        if self.cpu_before.is_none() && now >= self.timeline.measure {
            self.cpu_before = cpu::of_thread();
        }
        if !self.has_stopped && now >= self.timeline.stop {
            self.has_stopped = true;
            self.note_cpu();
            (0..self.connections.len()).for_each(|at| self.settle(at, now));
        }
        if now >= self.next_look {
            self.next_look = now.saturating_add(LOOK_NANOS);
            self.give_up(now);
            // Relaxed: the flag stands for itself.
            if self.shared.ends.load(Ordering::Relaxed) {
                self.outcome.interrupted = true;
                return false;
            }
        }
        true
    }

    /// How long the poll may sleep.
    fn wait(&self, now: Nanos) -> Duration {
        if !self.unread.is_empty() {
            return Duration::ZERO;
        }
        let mut until = self.next_look;
        if !self.has_stopped {
            until = until.min(self.timeline.stop.max(now + 1));
        }
        let due = self.rounds.as_ref().map(Rounds::next);
        match due.filter(|due| *due < self.timeline.stop) {
            Some(due) if due < now.saturating_add(SPIN_NANOS) => Duration::ZERO,
            Some(due) => Duration::from_nanos(until.min(due - SPIN_NANOS / 2).saturating_sub(now)),
            None => Duration::from_nanos(until.saturating_sub(now)),
        }
    }

    /// Sends what is due in an open loop.
    ///
    /// Each connection gets one turn at most, and sends all that is due on it: a loop that was late and took every
    /// turn it had missed would be late again when it is through with them, and would never read.
    fn send_due(&mut self) {
        let now = self.shared.clock.now();
        for _ in 0..self.connections.len() {
            let Some(at) = self.rounds.as_mut().and_then(|rounds| rounds.take(now)) else {
                return;
            };
            self.serve(at, false);
        }
        if let Some(rounds) = &mut self.rounds {
            rounds.skip(now);
        }
    }

    /// Gives up messages whose replies are overdue; others leave in their place.
    fn give_up(&mut self, now: Nanos) {
        let before = now.saturating_sub(self.shared.settings.timeout);
        for at in 0..self.connections.len() {
            if let Some(connection) = self.connections.get_mut(at) {
                let session = connection.session_mut();
                session.give_up_before(before, now, &mut self.recorder);
            }
            self.serve(at, false);
        }
    }

    /// Reads, if there may be something to read, and sends what is due, on one connection.
    fn serve(&mut self, at: usize, readable: bool) {
        let clock = self.shared.clock;
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        if connection.state() != State::Open {
            return;
        }
        let mut unread = Unread::None;
        let mut result = Ok(());
        if readable {
            let read = connection.read(clock, &mut self.buffer, &mut self.recorder);
            result = read.map(|found| unread = found);
        }
        let result = result.and_then(|()| connection.write(clock));
        if unread == Unread::Maybe {
            self.unread.push(at);
        }
        let now = clock.now();
        match result {
            Ok(()) => self.settle(at, now),
            Err(failure) => {
                connection.set_state(State::Broken);
                self.open -= 1;
                self.outcome.note_break(now, failure.to_string());
            }
        }
    }

    /// Sees whether a connection is done.
    fn settle(&mut self, at: usize, now: Nanos) {
        if let Some(connection) = self.connections.get_mut(at)
            && connection.state() == State::Open
            && connection.session().is_done(now)
        {
            connection.set_state(State::Done);
            self.open -= 1;
        }
    }

    fn note_cpu(&mut self) {
        if self.outcome.cpu.is_none()
            && let (Some(before), Some(after)) = (self.cpu_before, cpu::of_thread())
        {
            self.outcome.cpu = Some(after.saturating_sub(before));
        }
    }

    /// Gives up what is unanswered, and sums up.
    fn finish(mut self) -> Outcome {
        self.note_cpu();
        let now = self.shared.clock.now();
        let until = now.min(self.timeline.stop);
        for connection in &mut self.connections {
            let session = connection.session_mut();
            let unsent = session.end(until, now, &mut self.recorder);
            self.outcome.unsent = self.outcome.unsent.saturating_add(unsent);
            self.outcome.counts.add(&session.counts());
        }
        let broken =
            self.outcome.broken > 0 && self.outcome.broken == self.connections.len() as u64;
        let is_counted = self.shared.settings.messages.is_some() && !self.outcome.interrupted;
        self.outcome.end = match broken || is_counted {
            // Everything ended with the last reply.
            true => self.recorder.last().max(self.timeline.measure),
            false => until,
        };
        self.outcome.record(self.recorder);
        self.outcome
    }
}
