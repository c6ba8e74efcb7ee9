//! Cores that sleep, and what wakes them.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Due, World};
use crate::driver::sim::calls::SystemCall;
use crate::driver::sim::faults::Fault;
use crate::driver::sim::seat::{Seat, SeatState};
use crate::driver::sim::trace::{Event, Waker};
use crate::time::Time;

/// How long a core sleeps at the most that a bell cannot wake, as with the threaded driver.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Sleepers that are looked at before time passes.
const LOOKS_MAX: usize = 64;

impl World {
    pub(super) fn lay_down(&mut self, at: usize, wait: Option<Duration>) {
        let seat = &mut self.seats[at];
        seat.state = SeatState::Asleep;
        seat.nap += 1;
        seat.alarm = wait.map(|wait| self.fate.now().saturating_add(wait));
        self.set_alarm(at);
        if self.fate.strikes(Fault::SpuriousWake) || self.fate.attempt(SystemCall::Poll).is_err() {
            self.rouse(at, Waker::Chance);
        }
    }

    /// Sees to it that a sleeper is looked at in time. An alarm of an earlier sleep does as well, if it comes
    /// before: then this is called again.
    fn set_alarm(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        if let Some(alarm) = seat.alarm
            && seat.alarm_set.is_none_or(|set| set > alarm)
        {
            seat.alarm_set = Some(alarm);
            self.alarms.push(Reverse((alarm, at)));
        }
    }

    pub(super) fn ring_alarm(&mut self, time: Time, at: usize) {
        let seat = &mut self.seats[at];
        if seat.alarm_set != Some(time) {
            return;
        }
        seat.alarm_set = None;
        if seat.state != SeatState::Asleep {
            return;
        }
        match seat.alarm.is_some_and(|alarm| alarm <= time) {
            true => self.rouse(at, Waker::Time),
            false => self.set_alarm(at),
        }
    }

    /// Ends a core's sleep. Where its process is stopped, it takes its turn when that goes on.
    pub(super) fn rouse(&mut self, at: usize, by: Waker) {
        let seat = &mut self.seats[at];
        let Some((_, parker)) = &mut seat.works else {
            return;
        };
        if seat.state != SeatState::Asleep {
            return;
        }
        parker.awaken(|| false);
        seat.rung = false;
        let (node, core) = (seat.node, seat.core);
        self.list(at);
        self.fate.note(Event::Woken { node, core, by });
    }

    /// Wakes every core of a node, as its deadlines have moved.
    pub(in crate::driver::sim) fn rouse_all(&mut self, node: usize) {
        for at in self.hosts[node].seats() {
            self.rouse(at, Waker::Time);
        }
    }

    pub(in crate::driver::sim) fn hear_bells(&mut self) {
        while let Some((at, life)) = self.bells.take() {
            let seat = &mut self.seats[at];
            if seat.life != life || seat.state != SeatState::Asleep || seat.rung {
                continue;
            }
            seat.rung = true;
            if self.fate.attempt(SystemCall::Wake).is_err() {
                // Nobody sleeps for longer, in the field.
                let nap = self.seats[at].nap;
                self.plan(SLEEP_MAX, Due::Wake { seat: at, nap });
            } else if self.fate.strikes(Fault::LateWake) {
                let nap = self.seats[at].nap;
                let nanos = self.fate.nanos(Fault::LateWake, 1_000, 1_000_000);
                self.plan(Duration::from_nanos(nanos), Due::Wake { seat: at, nap });
            } else {
                self.rouse(at, Waker::Bell);
            }
        }
    }

    pub(super) fn hear_sockets(&mut self) {
        while let Some(at) = self.net.take_stirred() {
            if self.net.has_news_for(at) {
                self.rouse(at, Waker::Socket);
            }
        }
    }

    /// When the first sleeper wants to be woken.
    pub(super) fn next_alarm(&mut self) -> Option<Time> {
        loop {
            let Reverse((time, at)) = *self.alarms.peek()?;
            let seat = &self.seats[at];
            let is_of_now = seat.alarm_set == Some(time);
            if is_of_now && seat.state == SeatState::Asleep && seat.alarm == Some(time) {
                return Some(time);
            }
            self.alarms.pop();
            if is_of_now {
                self.seats[at].alarm_set = None;
                if self.seats[at].state == SeatState::Asleep {
                    self.set_alarm(at);
                }
            }
        }
    }

    /// A core that sleeps has published everything that it wrote, and has seen everything that was published for
    /// it, or a wake is on its way.
    pub(super) fn check_sleepers(&mut self) {
        let asleep = |seat: &&mut Seat| seat.state == SeatState::Asleep && !seat.rung;
        let wrong = |seat: &mut Seat| {
            let text = match (seat.has_unpublished(), seat.has_visible_work()) {
                (true, _) => "and has not published what it wrote last",
                (_, true) => "though there is work for it, and no wake is on its way",
                _ => return None,
            };
            Some((seat.node, seat.core, text))
        };
        // Of very many cores some are looked at each time.
        let from = self
            .dice
            .place(self.seats.len().saturating_sub(LOOKS_MAX) + 1);
        let some = self.seats.iter_mut().skip(from).take(LOOKS_MAX);
        let first = some.filter(asleep).find_map(wrong);
        if let Some((node, core, text)) = first {
            let name = &self.hosts[usize::from(node)].name;
            self.violation = Some(format!("core {core} of {name} sleeps, {text}"));
        }
    }
}
