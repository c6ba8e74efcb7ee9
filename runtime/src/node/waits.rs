//! Where cores note who has long waited for whom, and where circles are read from that.
//!
//! The notes of a core say what was true for all of [`LONG`] before they were written. So if those of several
//! cores are not further apart than that, there was a moment at which all of them were true: a circle in them
//! is one, though the cores did not look at the same time.

use std::collections::{BTreeMap, HashMap, HashSet};

use ringpost_mailbox::sync::Mutex;
use ringpost_router::Address;

use crate::core::patrol::LONG;
use crate::envelope::ReplyTo;
use crate::node::circles::circles;
use crate::time::Time;
use crate::waits::{Awaited, Wait, WaitCycle};

/// Circles that are remembered, so that each is reported once.
const REPORTED_MAX: usize = 1024;

/// A worker, or a context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) address: Address,
    /// On which core, where several have this name.
    pub(crate) instance: Option<u16>,
}

/// Somebody waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    /// The core of who waits.
    pub(crate) core: u16,
    pub(crate) who: Who,
    pub(crate) awaited: Awaited,
    /// Where the reply is waited for.
    pub(crate) place: Option<ReplyTo>,
    pub(crate) of: Who,
}

impl Edge {
    pub(crate) fn new(core: u16, who: Who, awaited: Awaited, of: Who) -> Self {
        Self {
            core,
            who,
            awaited,
            place: None,
            of,
        }
    }
}

/// What a core has seen.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) time: Time,
    pub(crate) edges: Vec<Edge>,
    /// Replies that somebody on this core has long waited for.
    pub(crate) requests: Vec<ReplyTo>,
    /// Those of them that a worker waits for in another's name.
    pub(crate) behalf: Vec<(ReplyTo, Who)>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.requests.is_empty()
    }
}

/// The notes of all cores. Its lock is taken by cores where somebody has waited for long, ten times a second.
#[derive(Default)]
pub(crate) struct Board(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// In order, so that the same notes bring the same circles (G12).
    notes: BTreeMap<u16, Notes>,
    /// The circles that have been reported, each as its edges.
    reported: HashSet<Vec<Edge>>,
}

impl Board {
    /// Whether this core has notes there that may have to go.
    pub(crate) fn has_notes_of(&self, core: u16) -> bool {
        self.0.lock().notes.contains_key(&core)
    }

    /// Takes what a core has seen. Returns the circles that are new.
    pub(crate) fn write(&self, core: u16, notes: Notes) -> Vec<WaitCycle> {
        let mut inner = self.0.lock();
        let now = notes.time;
        match notes.is_empty() {
            true => inner.notes.remove(&core),
            false => inner.notes.insert(core, notes),
        };
        let edges = edges_at(&inner.notes, now);
        let circles = circles(&edges.iter().collect::<Vec<_>>());
        let mut new = Vec::new();
        for circle in circles {
            if inner.reported.len() >= REPORTED_MAX {
                inner.reported.clear();
            }
            if inner.reported.insert(circle.clone()) {
                new.push(WaitCycle {
                    waits: circle.into_iter().map(wait).collect(),
                });
            }
        }
        new
    }
}

fn wait(edge: Edge) -> Wait {
    Wait {
        worker: edge.who.address,
        core: usize::from(edge.core),
        awaited: edge.awaited,
        of: edge.of.address,
    }
}

/// What all cores have seen lately, without the requests that their requesters do not wait for any more, and with the
/// workers who wait for those of others. Who is waited for by nobody is in no circle, and left out: where very many
/// wait, that is most of them.
fn edges_at(notes: &BTreeMap<u16, Notes>, now: Time) -> Vec<Edge> {
    let recent = |notes: &&Notes| {
        let (early, late) = (notes.time.min(now), notes.time.max(now));
        late.saturating_since(early) <= LONG
    };
    let recent: Vec<&Notes> = notes.values().filter(recent).collect();
    let requests: HashSet<&ReplyTo> = recent.iter().flat_map(|notes| &notes.requests).collect();
    let is_awaited = |place: &ReplyTo| requests.contains(place);
    let behalf = recent.iter().flat_map(|notes| &notes.behalf);
    let behind: HashMap<&ReplyTo, &Who> = behalf.map(|(place, who)| (place, who)).collect();
    let edges = recent.iter().flat_map(|notes| &notes.edges);
    let waited_for: HashSet<&Who> = edges.clone().map(|edge| &edge.of).collect();
    let edges = edges.filter(|edge| edge.place.as_ref().is_none_or(is_awaited));
    let with_who_is_behind = |edge: &'_ Edge| {
        let behind = edge.place.as_ref().and_then(|place| behind.get(place));
        let waiters = std::iter::once(&edge.who).chain(behind.copied());
        let waiters = waiters.filter(|who| waited_for.contains(*who));
        let copies = waiters.map(|who| Edge {
            who: who.clone(),
            ..edge.clone()
        });
        copies.collect::<Vec<_>>()
    };
    edges.flat_map(with_who_is_behind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(who: &str, of: &str) -> Edge {
        let who_of = |name: &str| Who {
            address: Address::from(name),
            instance: None,
        };
        Edge::new(0, who_of(who), Awaited::Room, who_of(of))
    }

    #[test]
    fn a_circle_is_told_once_and_only_of_notes_of_one_moment() {
        let board = Board::default();
        let notes = |nanos, edge| Notes {
            time: Time::ZERO.saturating_add(nanos),
            edges: vec![edge],
            requests: Vec::new(),
            behalf: Vec::new(),
        };
        let long = LONG;
        assert!(board.write(0, notes(long, edge("a", "b"))).is_empty());
        let late = long * 3;
        assert!(
            board.write(1, notes(late, edge("b", "a"))).is_empty(),
            "core 0 has not looked"
        );
        let cycles = board.write(0, notes(late, edge("a", "b")));
        assert_eq!(cycles.len(), 1);
        assert_eq!(
            cycles[0].to_string(),
            "0#a waits for room at 0#b, 0#b waits for room at 0#a"
        );
        assert!(board.write(0, notes(late, edge("a", "b"))).is_empty());
    }
}
