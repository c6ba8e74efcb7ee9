//! The clock and the schedule: which core turns next, and what happens in between.

mod sleepers;
mod turns;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, Command};
use super::dice::Dice;
use super::fate::Fate;
use super::host::{Host, Terms};
use super::seat::{Bells, Seat, SeatState};
use super::trace::{Event, Waker};
use crate::driver::MainMaker;
use crate::driver::net::sim::SimNet;
use crate::mailbox::Stop;
use crate::time::Time;

/// Turns after which a run is given up.
pub(super) const TURNS_MAX: u64 = 200_000_000;

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
