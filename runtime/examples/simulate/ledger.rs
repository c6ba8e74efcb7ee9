//! What is known from outside of what became of each message, and what should not have happened.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ringpost::{Reason, Undelivered};
use ringpost_mailbox::sync::Mutex;
use serde::{Deserialize, Serialize};

/// A message whose fate is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ringpost::Message)]
pub(crate) struct Parcel {
    /// Who sent it: a player, in one life of its node.
    pub(crate) from: u64,
    /// Its number among those of its sender.
    pub(crate) number: u64,
    /// Whether it has left the node it was sent on.
    pub(crate) is_remote: bool,
}

/// What is asked, and answered as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ringpost::Message)]
pub(crate) struct Question(pub(crate) u64);

#[derive(Debug, Default)]
struct Pages {
    /// The last parcel of a sender that a receiver has taken.
    last: HashMap<(u64, String), u64>,
    taken: HashSet<(u64, u64)>,
    busy: BTreeSet<String>,
    /// Per node: local parcels that were accepted, taken, and reported undelivered.
    local: BTreeMap<u16, Local>,
    lives: BTreeMap<u16, Life>,
    /// Whether a sender's parcels to another node may come out of order: connections may break.
    is_order_kept: bool,
    messages: u64,
    answered: u64,
    complaints: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Local {
    accepted: u64,
    taken: u64,
    reported: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Life {
    number: u64,
    is_settled: bool,
}

/// Shared by everybody who plays.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Pages>>);

impl Ledger {
    pub(crate) fn new(is_order_kept: bool) -> Self {
        let ledger = Self::default();
        ledger.0.lock().is_order_kept = is_order_kept;
        ledger
    }

    /// A node begins a life. Returns its number.
    pub(crate) fn begin_life(&self, node: u16) -> u64 {
        let mut pages = self.0.lock();
        // What was on its way in an earlier life is lost.
        pages.local.remove(&node);
        let prefix = prefix(node);
        pages.busy.retain(|name| !name.starts_with(&prefix));
        let life = pages.lives.entry(node).or_default();
        life.number += 1;
        life.is_settled = false;
        life.number
    }

    pub(crate) fn settle(&self, node: u16) {
        self.0.lock().lives.entry(node).or_default().is_settled = true;
    }

    pub(crate) fn are_settled(&self, nodes: u16) -> bool {
        let pages = self.0.lock();
        let settled = pages.lives.values().filter(|life| life.is_settled);
        settled.count() == usize::from(nodes)
    }

    pub(crate) fn complain(&self, complaint: impl Into<String>) {
        self.0.lock().complaints.push(complaint.into());
    }

    /// A local parcel was accepted.
    pub(crate) fn accepted(&self, node: u16) {
        self.0.lock().local.entry(node).or_default().accepted += 1;
    }

    pub(crate) fn answered(&self) {
        self.0.lock().answered += 1;
    }

    /// A handler has a parcel: it comes once (G2), in order (G1), while no other handler of the worker runs (G6).
    pub(crate) fn begin(&self, node: u16, worker: &str, parcel: Parcel) {
        let pages = &mut *self.0.lock();
        pages.messages += 1;
        if !pages.busy.insert(worker.to_owned()) {
            let text = format!("G6: {worker} handles two messages at one time");
            pages.complaints.push(text);
        }
        if !parcel.is_remote {
            pages.local.entry(node).or_default().taken += 1;
        }
        if !pages.taken.insert((parcel.from, parcel.number)) {
            let text = format!("G2: {worker} has {parcel:?} for a second time");
            pages.complaints.push(text);
        }
        let key = (parcel.from, worker.to_owned());
        let last = pages.last.insert(key, parcel.number).unwrap_or_default();
        if last >= parcel.number && (pages.is_order_kept || !parcel.is_remote) {
            let text = format!("G1: {worker} has {parcel:?} after number {last}");
            pages.complaints.push(text);
        }
    }

    pub(crate) fn end(&self, worker: &str) {
        self.0.lock().busy.remove(worker);
    }

    /// A message was reported undelivered.
    pub(crate) fn report(&self, lost: &Undelivered) {
        if lost.type_name != std::any::type_name::<Parcel>() || lost.reason == Reason::LateReply {
            return;
        }
        let (to, from) = (
            node_of(&lost.to.to_string()),
            node_of(&lost.from.to_string()),
        );
        if let (Some(to), Some(from)) = (to, from)
            && to == from
        {
            self.0.lock().local.entry(to).or_default().reported += 1;
        }
    }

    /// Everything is at rest: what was accepted was handled or reported (G3).
    pub(crate) fn check_balance(&self) {
        let pages = &mut *self.0.lock();
        for (node, local) in &pages.local {
            if local.accepted != local.taken + local.reported {
                let text = format!("G3: node {node} at rest: {local:?}");
                pages.complaints.push(text);
            }
        }
    }

    /// Messages that were handled, questions that were answered, and the first complaint.
    pub(crate) fn close(&self) -> (u64, u64, Option<String>) {
        let pages = self.0.lock();
        let first = pages.complaints.first().cloned();
        (pages.messages, pages.answered, first)
    }
}

/// How the names of workers of this node begin.
pub(crate) fn prefix(node: u16) -> String {
    format!("n{node}-")
}

/// The node in a name like `0#n3-sink-1`.
fn node_of(address: &str) -> Option<u16> {
    let (_, name) = address.split_once('#')?;
    name.strip_prefix('n')?.split_once('-')?.0.parse().ok()
}
