//! The clock and the schedule: which core turns next, and what happens in between.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{CallFault, SystemCall};
use super::cluster::{Cluster, Command};
use super::dice::Dice;
use super::fate::Fate;
use super::faults::Fault;
use super::host::{Host, Terms};
use super::seat::{Bells, Seat, SeatState};
use super::trace::{Event, Next, Waker};
use crate::driver::MainMaker;
use crate::driver::net::sim::SimNet;
use crate::mailbox::Stop;
use crate::shard::Turn;
use crate::time::Time;

/// Turns after which a run is given up.
pub(super) const TURNS_MAX: u64 = 200_000_000;
/// How long a core sleeps while senders wait for room in a ring: draining it does not ring a bell.
const SLEEP_FOR_ROOM: Duration = Duration::from_millis(1);
/// How long a core sleeps at the most that a bell cannot wake, as with the threaded driver.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// Turns take no time, but who does nothing but take turns does not stop the time.
const TURNS_PER_MICRO: u64 = 64;
/// Sleepers that are looked at before time passes.
const LOOKS_MAX: usize = 64;
/// How often idle cores look for work once more instead of going to sleep: one time in so many.
const SPINS: u64 = 4;

/// Something that is to happen at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A core hears its bell.
    Wake { seat: usize, nap: u64 },
    /// A core is free again.
    Free { seat: usize },
    /// A process goes on.
    Resume { node: usize },
    /// A node that has crashed is started.
    Restart { node: usize, life: u32 },
    /// A cut ends.
    Join { from: u16, to: u16 },
    /// Another opportunity for faults of whole nodes.
    Tick,
    /// The time of faults is over.
    Heal,
}

/// Everything there is.
pub(super) struct World {
    pub(super) fate: Rc<Fate>,
    pub(super) net: SimNet,
    pub(super) hosts: Vec<Host>,
    pub(super) seats: Vec<Seat>,
    pub(super) terms: Terms,
    pub(super) cluster: Cluster,
    pub(super) dice: Dice,
    bells: Arc<Bells>,
    /// Seats that may take a turn.
    awake: Vec<usize>,
    /// When sleepers are to be looked at: a time and a seat.
    alarms: BinaryHeap<Reverse<(Time, usize)>>,
    agenda: BinaryHeap<Reverse<(Time, u64, Due)>>,
    planned: u64,
    /// Who has its turn again, and how often.
    burst: (usize, u64),
    /// Who gets no turn, until so many have been taken.
    starved: (usize, u64),
    turns: u64,
    pub(super) turns_max: u64,
    pub(super) checks_bounds: bool,
    idle_rounds: u32,
    over: usize,
    pub(super) violation: Option<String>,
}

impl World {
    pub(super) fn new(
        terms: Terms,
        fate: Rc<Fate>,
        net: SimNet,
        hosts: Vec<Host>,
        cluster: Cluster,
    ) -> Self {
        let seats = hosts.iter().flat_map(|host| {
            let node = host.number;
            (0..host.cores).map(move |core| Seat::empty(node, core))
        });
        Self {
            seats: seats.collect(),
            dice: Dice::new(terms.seed, "schedule"),
            fate,
            net,
            hosts,
            terms,
            cluster,
            bells: Arc::default(),
            awake: Vec::new(),
            alarms: BinaryHeap::new(),
            agenda: BinaryHeap::new(),
            planned: 0,
            burst: (0, 0),
            starved: (0, 0),
            turns: 0,
            turns_max: TURNS_MAX,
            checks_bounds: false,
            idle_rounds: 0,
            over: 0,
            violation: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over == self.seats.len()
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.idle_rounds > 1000 || self.turns > self.turns_max
    }

    pub(super) fn has_used_its_turns(&self) -> bool {
        self.turns >= self.turns_max
    }

    pub(super) fn plan(&mut self, wait: Duration, due: Due) {
        self.planned += 1;
        let at = self.fate.now().saturating_add(wait);
        self.agenda.push(Reverse((at, self.planned, due)));
    }

    /// Starts a node, for the first time or again.
    pub(super) fn start(&mut self, node: usize, main: Option<MainMaker>) {
        let host = &mut self.hosts[node];
        if host.is_up {
            return;
        }
        if host.life > 0 {
            self.over -= host.seats().len();
        }
        let (seats, terms) = (&mut self.seats, &self.terms);
        host.start(seats, terms, &self.net, &self.fate, &self.bells, main);
        host.announce(&self.cluster);
        self.fate.note(Event::Started { node: host.number });
        for at in self.hosts[node].seats() {
            self.seats[at].rung = false;
            self.list(at);
        }
    }

    /// Ends a node as a crash does, or a loss of power, of which nobody is told.
    pub(super) fn crash(&mut self, node: usize, told: bool) {
        let host = &mut self.hosts[node];
        if !host.is_up {
            return;
        }
        self.fate.note(Event::Crashed { node: host.number });
        if !told {
            self.net.sever(host.number);
        }
        let alive = host.seats().filter(|at| self.seats[*at].works.is_some());
        self.over += alive.count();
        host.crash(&mut self.seats);
        host.is_paused = false;
        host.announce(&self.cluster);
    }

    /// Lets a core have turns.
    fn list(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        seat.state = SeatState::Awake;
        if !std::mem::replace(&mut seat.is_listed, true) {
            self.awake.push(at);
        }
    }

    /// Takes the core at this place of the list off it.
    fn unlist(&mut self, place: usize) {
        let at = self.awake.swap_remove(place);
        self.seats[at].is_listed = false;
    }

    pub(super) fn stop(&mut self, how: Stop) {
        self.hosts.iter().for_each(|host| host.begin_stop(how));
        self.hear_bells();
    }

    /// Does the next thing. Whether anything can still happen.
    pub(super) fn step(&mut self) -> bool {
        self.obey();
        self.keep_appointments();
        self.net.deliver();
        self.hear_sockets();
        match self.pick() {
            Some(at) => {
                self.turn(at);
                self.idle_rounds = 0;
                self.turns < self.turns_max
            }
            None => self.pass_time(),
        }
    }

    /// Who turns next.
    fn pick(&mut self) -> Option<usize> {
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

    fn turn(&mut self, at: usize) {
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
        let deadline = match turn {
            Turn::Busy => return (Next::Busy, None),
            Turn::Over => return (Next::Over, None),
            Turn::Idle(deadline) => deadline,
        };
        if self.dice.below(SPINS) == 0 || self.fate.strikes(Fault::Spin) {
            return (Next::Idle, None);
        }
        let Some((shard, parker)) = &mut self.seats[at].works else {
            return (Next::Over, None);
        };
        shard.settle();
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

    fn lay_down(&mut self, at: usize, wait: Option<Duration>) {
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

    fn ring_alarm(&mut self, time: Time, at: usize) {
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

    /// Ends a core's sleep. Where its process is stopped, it takes its turn when that goes on.
    fn rouse(&mut self, at: usize, by: Waker) {
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

    pub(super) fn hear_bells(&mut self) {
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

    fn hear_sockets(&mut self) {
        while let Some(at) = self.net.take_stirred() {
            if self.net.has_news_for(at) {
                self.rouse(at, Waker::Socket);
            }
        }
    }

    /// Does what is due, and wakes those whose time it is.
    fn keep_appointments(&mut self) {
        let now = self.fate.now();
        while let Some(Reverse((_, _, due))) =
            pop_due(&mut self.agenda, |Reverse((at, ..))| *at <= now)
        {
            self.happen(due);
        }
        while let Some(Reverse((time, seat))) =
            pop_due(&mut self.alarms, |Reverse((at, _))| *at <= now)
        {
            self.ring_alarm(time, seat);
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Wake { seat, nap } => {
                if self.seats[seat].nap == nap {
                    self.rouse(seat, Waker::Bell);
                }
            }
            Due::Free { seat } => {
                if self.seats[seat].state == SeatState::Stalled {
                    self.list(seat);
                }
            }
            Due::Resume { node } => self.resume(node),
            Due::Restart { node, life } => {
                if self.hosts[node].life == life {
                    self.start_again(node);
                }
            }
            Due::Join { from, to } => self.net.join(from, to),
            Due::Tick => self.tick(),
            Due::Heal => self.heal(),
        }
    }

    pub(super) fn resume(&mut self, node: usize) {
        self.hosts[node].is_paused = false;
        for at in self.hosts[node].seats() {
            if self.seats[at].state == SeatState::Held {
                self.list(at);
            }
        }
    }

    /// Wakes every core of a node, as its deadlines have moved.
    pub(super) fn rouse_all(&mut self, node: usize) {
        for at in self.hosts[node].seats() {
            self.rouse(at, Waker::Time);
        }
    }

    /// Nobody has anything to do: time goes on to when something happens.
    fn pass_time(&mut self) -> bool {
        self.check_sleepers();
        let alarm = self.next_alarm();
        let planned = self.agenda.peek().map(|Reverse((at, ..))| *at);
        let next = [alarm, planned, self.net.next_arrival()];
        let Some(next) = next.into_iter().flatten().min() else {
            self.idle_rounds += 1;
            return self.is_over();
        };
        self.fate.set_now(self.fate.now().max(next));
        true
    }

    /// When the first sleeper wants to be woken.
    fn next_alarm(&mut self) -> Option<Time> {
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
    fn check_sleepers(&mut self) {
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

    fn obey(&mut self) {
        for command in self.cluster.take_commands() {
            match command {
                Command::Crash { node, told } => {
                    self.with(&node, |world, at| world.crash(at, told))
                }
                Command::Restart(node) => self.with(&node, World::start_again),
                Command::Pause(node, time) => self.with(&node, |world, at| world.pause(at, time)),
                Command::Jump(node, ahead) => self.with(&node, |world, at| world.jump(at, ahead)),
                Command::Cut(from, to) => self.between(&from, &to, SimNet::cut),
                Command::Join(from, to) => self.between(&from, &to, SimNet::join),
                Command::Heal => self.heal(),
            }
        }
    }

    fn with(&mut self, node: &str, act: impl FnOnce(&mut Self, usize)) {
        if let Some(at) = self.hosts.iter().position(|host| host.name == node) {
            act(self, at);
        }
    }

    fn between(&self, from: &str, to: &str, act: impl FnOnce(&SimNet, u16, u16)) {
        let number = |name| {
            let host = self.hosts.iter().find(|host| host.name == name);
            host.map(|host| host.number)
        };
        if let (Some(from), Some(to)) = (number(from), number(to)) {
            act(&self.net, from, to);
        }
    }
}

fn pop_due<T: Ord>(heap: &mut BinaryHeap<T>, is_due: impl FnOnce(&T) -> bool) -> Option<T> {
    match heap.peek().is_some_and(is_due) {
        true => heap.pop(),
        false => None,
    }
}
