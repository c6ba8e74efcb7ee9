//! What befalls whole nodes: crashes, pauses, jumps of clocks, cuts of the network; and the end of it all.

use std::time::Duration;

use super::faults::Fault;
use super::trace::Event;
use super::world::{Due, World};
use crate::mailbox::Stop;

/// The time between two opportunities for faults of whole nodes.
const TICK: Duration = Duration::from_millis(2);

impl World {
    /// Has faults of whole nodes strike from now on.
    pub(super) fn begin_mishaps(&mut self, until: Duration) {
        self.checks_bounds = true;
        self.plan(TICK, Due::Tick);
        self.plan(until, Due::Heal);
    }

    /// An opportunity for each of them. The node of the main function is spared.
    pub(super) fn tick(&mut self) {
        if self.fate.is_calm() {
            return;
        }
        for node in 1..self.hosts.len() {
            self.befall(node);
        }
        self.befall_ways();
        self.plan(TICK, Due::Tick);
    }

    fn befall(&mut self, node: usize) {
        let nanos = |world: &Self, fault, least, most| {
            Duration::from_nanos(world.fate.nanos(fault, least, most))
        };
        for (fault, told) in [(Fault::Crash, true), (Fault::PowerLoss, false)] {
            if self.hosts[node].is_up && self.fate.strikes(fault) {
                let down = nanos(self, fault, 100_000, 200_000_000);
                self.crash(node, told);
                let life = self.hosts[node].life;
                self.plan(down, Due::Restart { node, life });
            }
        }
        if self.hosts[node].is_up && self.fate.strikes(Fault::Shutdown) {
            self.hosts[node].comes_back = true;
            self.hosts[node].begin_stop(Stop::Drain);
            self.hear_bells();
        }
        if self.fate.strikes(Fault::Pause) {
            let time = nanos(self, Fault::Pause, 100_000, 100_000_000);
            self.pause(node, time);
        }
        if self.fate.strikes(Fault::ClockJump) {
            let ahead = nanos(self, Fault::ClockJump, 1_000_000, 10_000_000_000);
            self.jump(node, ahead);
        }
        if self.fate.strikes(Fault::ClockDrift) {
            let ahead = nanos(self, Fault::ClockDrift, 100, 200_000);
            self.jump(node, ahead);
        }
    }

    /// A core has come to its end. If it was the last of a node that was to be stopped and started again, that is
    /// planned.
    pub(super) fn is_over_at(&mut self, node: usize) {
        let is_over = |at: usize| self.seats[at].works.is_none();
        if !self.hosts[node].seats().all(is_over) {
            return;
        }
        self.check_balance(node);
        let host = &mut self.hosts[node];
        if !std::mem::take(&mut host.comes_back) {
            return;
        }
        host.is_up = false;
        host.announce(&self.cluster);
        let life = host.life;
        let nanos = self.fate.nanos(Fault::Shutdown, 100_000, 50_000_000);
        self.plan(Duration::from_nanos(nanos), Due::Restart { node, life });
    }

    /// What befalls the ways between nodes.
    fn befall_ways(&mut self) {
        let count = self.hosts.len() as u64;
        for (fault, both) in [(Fault::Partition, true), (Fault::OneWay, false)] {
            if count < 2 || !self.fate.strikes(fault) {
                continue;
            }
            let (from, to) = self.draw_way(fault);
            let nanos = self.fate.nanos(fault, 500_000, 300_000_000);
            let ways = [(from, to), (to, from)];
            for (from, to) in ways.into_iter().take(1 + usize::from(both)) {
                self.net.cut(from, to);
                self.plan(Duration::from_nanos(nanos), Due::Join { from, to });
            }
        }
        if count >= 2 && self.fate.strikes(Fault::Clog) {
            let (from, to) = self.draw_way(Fault::Clog);
            let nanos = self.fate.nanos(Fault::Clog, 1_000_000, 50_000_000);
            let until = self.fate.now().saturating_add(Duration::from_nanos(nanos));
            let slow = self.fate.nanos(Fault::Clog, 100_000, 20_000_000);
            self.net.clog(from, to, until, slow);
        }
    }

    fn draw_way(&self, fault: Fault) -> (u16, u16) {
        let count = self.hosts.len() as u64;
        let draw = |dice: &mut super::dice::Dice| {
            let from = dice.below(count);
            (
                from as u16,
                ((from + 1 + dice.below(count - 1)) % count) as u16,
            )
        };
        self.fate.roll(fault, draw)
    }

    pub(super) fn pause(&mut self, node: usize, time: Duration) {
        if self.hosts[node].is_up && !self.hosts[node].is_paused {
            self.hosts[node].is_paused = true;
            self.plan(time, Due::Resume { node });
        }
    }

    pub(super) fn jump(&mut self, node: usize, ahead: Duration) {
        self.hosts[node].ahead += ahead;
        self.rouse_all(node);
    }

    pub(super) fn start_again(&mut self, node: usize) {
        if !self.hosts[node].is_up {
            self.net.restore(self.hosts[node].number);
            self.start(node, None);
        }
    }

    /// The time of faults is over: everything runs again, and nothing strikes any more.
    pub(super) fn heal(&mut self) {
        if self.fate.is_calm() {
            return;
        }
        self.fate.calm();
        self.fate.note(Event::Healed);
        self.net.heal();
        for node in 0..self.hosts.len() {
            self.resume(node);
            self.start_again(node);
        }
        self.cluster.note_calm();
    }
}
