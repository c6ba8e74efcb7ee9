//! Which core turns next, and what follows from its turn.

use std::time::Duration;

use super::{Due, World};
use crate::driver::sim::calls::CallFault;
use crate::driver::sim::faults::Fault;
use crate::driver::sim::seat::SeatState;
use crate::driver::sim::trace::{Event, Next};
use crate::shard::Turn;
use crate::time::Time;

/// How long a core sleeps while senders wait for room in a ring: draining it does not ring a bell.
const SLEEP_FOR_ROOM: Duration = Duration::from_millis(1);

/// Turns take no time, but who does nothing but take turns does not stop the time.
const TURNS_PER_MICRO: u64 = 64;

/// How often idle cores look for work once more instead of going to sleep: one time in so many.
const SPINS: u64 = 4;

impl World {
    /// Who turns next.
    pub(super) fn pick(&mut self) -> Option<usize> {
        if self.burst.1 > 0 && self.seats[self.burst.0].state == SeatState::Awake {
            self.burst.1 -= 1;
            return Some(self.burst.0);
        }
        while !self.awake.is_empty() {
            let drawn = self.dice.place(self.awake.len());
            let at = self.awake[drawn];
            if self.seats[at].state != SeatState::Awake {
                self.unlist(drawn);
                continue;
            }
            if self.hosts[usize::from(self.seats[at].node)].is_paused {
                self.seats[at].state = SeatState::Held;
                self.unlist(drawn);
                continue;
            }
            if at == self.starved.0 && self.turns < self.starved.1 && self.awake.len() > 1 {
                // It gets a turn all the same when nobody else is picked for long.
                self.starved.1 -= 1;
                continue;
            }
            if self.fate.strikes(Fault::Burst) {
                let times = self.fate.roll(Fault::Burst, |dice| dice.magnitude(2, 64));
                self.burst = (at, times);
            }
            if self.fate.strikes(Fault::Starve) {
                let times = self.fate.roll(Fault::Starve, |dice| dice.magnitude(8, 512));
                self.starved = (at, self.turns + times);
            }
            return Some(at);
        }
        None
    }

    pub(super) fn turn(&mut self, at: usize) {
        let now = self.hosts[usize::from(self.seats[at].node)].time(self.fate.now());
        let news = self.net.take_news(at);
        let Some((shard, _)) = &mut self.seats[at].works else {
            return;
        };
        for (key, readiness) in news {
            shard.core.io.report(&shard.core, key, readiness);
        }
        self.turns += 1;
        if self.turns.is_multiple_of(TURNS_PER_MICRO) {
            self.fate.pass(Duration::from_micros(1));
        }
        let turn = shard.turn(now);
        let (next, until) = self.choose(at, turn, now);
        self.note_turn(at, next);
        self.check_bounds(at, self.turns);
        match next {
            Next::Asleep => self.lay_down(at, until.map(|until| until.saturating_since(now))),
            Next::Over => {
                self.check_leaving(at);
                let seat = &mut self.seats[at];
                (seat.state, seat.works) = (SeatState::Over, None);
                let node = usize::from(seat.node);
                self.over += 1;
                self.is_over_at(node);
            }
            Next::Busy | Next::Idle => self.keep_busy(at),
        }
        self.suffer(at);
        self.hear_bells();
        self.hear_sockets();
    }

    /// What the core does after this turn, and when it wants to be woken, as its clock goes.
    fn choose(&mut self, at: usize, turn: Turn, now: Time) -> (Next, Option<Time>) {
        match turn {
            Turn::Busy => return (Next::Busy, None),
            Turn::Over => return (Next::Over, None),
            Turn::Idle => {}
        }
        if self.dice.below(SPINS) == 0 || self.fate.strikes(Fault::Spin) {
            return (Next::Idle, None);
        }
        let Some((shard, parker)) = &mut self.seats[at].works else {
            return (Next::Over, None);
        };
        let deadline = shard.settle(now);
        let room = shard.core.waits_for_room();
        let room = room.then(|| now.saturating_add(SLEEP_FOR_ROOM));
        let until = [deadline, room].into_iter().flatten().min();
        let is_due = until.is_some_and(|until| until <= now) || self.net.has_news_for(at);
        match !is_due && parker.announce(|| shard.has_arrivals()) {
            true => (Next::Asleep, until),
            false => (Next::Idle, None),
        }
    }

    fn note_turn(&self, at: usize, next: Next) {
        let seat = &self.seats[at];
        let Some((shard, _)) = &seat.works else {
            return;
        };
        let tally = shard.core.tally();
        self.fate.note(Event::Turn {
            node: seat.node,
            core: seat.core,
            handled: tally.handled.value(),
            sent: tally.sent_local.value() + tally.sent_remote.value() + tally.replies.value(),
            undelivered: tally.undelivered.iter().map(|count| count.value()).sum(),
            next,
        });
    }

    /// A turn may have taken time, and a handler may not have come to its end yet.
    fn keep_busy(&mut self, at: usize) {
        if self.fate.strikes(Fault::SlowTurns) {
            let nanos = self.fate.nanos(Fault::SlowTurns, 50, 3_000);
            let nanos = nanos / self.awake.len().max(1) as u64;
            self.fate.pass(Duration::from_nanos(nanos));
        }
        if self.fate.strikes(Fault::Stall) {
            let nanos = self.fate.nanos(Fault::Stall, 10_000, 20_000_000);
            self.seats[at].state = SeatState::Stalled;
            self.plan(Duration::from_nanos(nanos), Due::Free { seat: at });
        }
        if self.fate.strikes(Fault::SpuriousReadiness) {
            self.net.tell_falsely(at);
        }
    }

    /// What a call that the core has made leads to, for it or its node.
    fn suffer(&mut self, at: usize) {
        match self.fate.after_turn() {
            Some(CallFault::Stall(time)) if self.seats[at].works.is_some() => {
                self.seats[at].state = SeatState::Stalled;
                self.plan(time, Due::Free { seat: at });
            }
            Some(CallFault::Jump(ahead)) => self.jump(usize::from(self.seats[at].node), ahead),
            _ => {}
        }
    }
}
