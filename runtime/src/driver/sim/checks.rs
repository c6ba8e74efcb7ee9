//! What must hold, checked while a simulation runs: see also [`World::check_sleepers`].

use std::collections::BTreeSet;

use super::host::Host;
use super::seat::{Seat, SeatState};
use super::world::World;
use crate::error::Reason;
use crate::node::stats::NodeStats;

/// Turns between two looks at the mailboxes of a core.
const TURNS_PER_LOOK: u64 = 16;
/// Cores of more workers are not looked at, lest the looks cost more than the turns.
const WORKERS_MAX: usize = 256;

impl World {
    /// After a turn: nothing that has a limit is beyond it (G4). Only where faults may strike, as it costs more than
    /// most turns.
    pub(super) fn check_bounds(&mut self, at: usize, turns: u64) {
        if !self.checks_bounds || !turns.is_multiple_of(TURNS_PER_LOOK) {
            return;
        }
        let Some((shard, _)) = &self.seats[at].works else {
            return;
        };
        if shard.core.workers.get() <= WORKERS_MAX {
            self.violation = self.violation.take().or_else(|| shard.core.overfull());
        }
    }

    /// Everything is said to be at rest. What is: room and credits are all there, and each name has one home.
    pub(super) fn check_rest(&mut self) {
        let all = self.hosts.iter().filter(|host| host.is_up);
        let found = all
            .filter(|host| self.seats[host.seats()].iter().all(is_at_rest))
            .find_map(|host| {
                let seats = &self.seats[host.seats()];
                let broken = room(seats)
                    .or_else(|| credits(seats))
                    .or_else(|| names(seats));
                broken.map(|text| format!("at rest, on node {}: {text}", host.name))
            });
        self.violation = self.violation.take().or(found);
    }

    /// A core has ended in order: nothing is left there that somebody would wait for.
    pub(super) fn check_leaving(&mut self, at: usize) {
        let works = self.seats[at].works.as_ref();
        let left = works.and_then(|(shard, _)| shard.core.leftover());
        let found = left.map(|text| {
            let (node, core) = (self.seats[at].node, self.seats[at].core);
            let name = &self.hosts[usize::from(node)].name;
            format!("in the end, on core {core} of node {name}: {text}")
        });
        self.violation = self.violation.take().or(found);
    }

    /// A node has ended in order: every message of its workers is accounted for.
    pub(super) fn check_balance(&mut self, node: usize) {
        let host = &self.hosts[node];
        let found = host.stats().and_then(|stats| unbalanced(&stats));
        let found = found.map(|text| format!("G3: in the end, on node {}: {text}", host.name));
        self.violation = self.violation.take().or(found);
    }

    /// All is over: every block is back in its pool, and every socket is closed.
    pub(super) fn check_end(&mut self) {
        let mut hosts = self.hosts.iter();
        let found = hosts.find_map(|host| {
            let blocks = lost_blocks(host);
            blocks.or_else(|| open_sockets(host, self.net.descriptors(host.number)))
        });
        self.violation = self.violation.take().or(found);
    }
}

fn is_at_rest(seat: &Seat) -> bool {
    seat.state == SeatState::Asleep && !seat.rung
}

fn room(seats: &[Seat]) -> Option<String> {
    let mut shards = seats.iter().filter_map(|seat| seat.works.as_ref());
    shards.find_map(|(shard, _)| shard.core.unbalanced())
}

/// A credit of a link is at one of its ends: nothing is on its way.
fn credits(seats: &[Seat]) -> Option<String> {
    let core = |seat: &Seat| seat.works.as_ref().map(|(shard, _)| shard.core.clone());
    for from in seats {
        for to in seats {
            let (Some(here), Some(there)) = (core(from), core(to)) else {
                continue;
            };
            for (link, out) in here.credits_out(there.id) {
                let held = there.credits_held(here.id, link);
                if out != held {
                    let (here, there) = (here.id, there.id);
                    return Some(format!(
                        "link {link} from core {here} to {there} lacks {out} credits, and {held} are there"
                    ));
                }
            }
        }
    }
    None
}

fn names(seats: &[Seat]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let shards = seats.iter().filter_map(|seat| seat.works.as_ref());
    let mut all = shards.flat_map(|(shard, _)| shard.core.homes());
    let twice = all.find(|name| !seen.insert(name.clone()))?;
    Some(format!("{twice} lives on two cores"))
}

/// What was sent was handled or reported; a reply that came late was no message that somebody sent.
fn unbalanced(stats: &NodeStats) -> Option<String> {
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let handled = stats.total(|core| core.handled);
    let lost = stats.undelivered_total() - stats.undelivered(Reason::LateReply);
    (sent != handled + lost).then(|| {
        format!("{sent} messages were sent, {handled} handled and {lost} reported undelivered")
    })
}

fn open_sockets(host: &Host, open: usize) -> Option<String> {
    let name = &host.name;
    (open > 0).then(|| format!("{open} sockets of {name} are still open, though all is over"))
}

fn lost_blocks(host: &Host) -> Option<String> {
    for pool in &host.pools {
        for (owner, home) in (0..).zip(&host.pools) {
            while let Some(chain) = pool.take_chain(owner, 1) {
                home.accept(chain);
            }
        }
    }
    let lost = host.pools.iter().find_map(|pool| {
        pool.reclaim();
        let out = pool.outstanding();
        (out > 0).then(|| (pool.core(), out))
    });
    let (core, out) = lost?;
    let name = &host.name;
    Some(format!(
        "{out} blocks of core {core} of {name} are still out, though all is over"
    ))
}
