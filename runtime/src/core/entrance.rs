//! Where messages of threads outside the node come in: to each address one behind the other.
//!
//! A message that cannot be sent at once waits in a task of its own, and tasks are polled in an order that
//! is not theirs: what comes later could find the credit that was given back in between. So who comes
//! while others wait to send to the same address lines up behind them, and begins when it is their turn.
//! What waits here is bounded by `Limits::outside_credits`, and for urgent messages, which have lines of their own, by
//! `Limits::urgent_credits`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use hashbrown::HashTable;
use ringpost_router::Address;

use crate::core::Core;
use crate::task::Spawned;

/// Those who are sending to one address, or wait for that.
struct Line {
    to: Address,
    /// Without the first, which runs.
    behind: VecDeque<Spawned>,
}

/// Which lines: of urgent messages or of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Usual,
    Urgent,
}

/// The lines of a core.
#[derive(Default)]
pub(crate) struct Entrance {
    usual: Lines,
    urgent: Lines,
}

#[derive(Default)]
struct Lines(RefCell<HashTable<Line>>);

/// Being the first of the line to an address. Dropped when the message is accepted, or has failed: then it
/// is the next one's turn.
pub(crate) struct Turn {
    core: Rc<Core>,
    gate: Gate,
    to: Address,
}

impl Entrance {
    /// Whether anybody is sending to this address.
    pub(crate) fn has_line(&self, gate: Gate, to: &Address) -> bool {
        self.at(gate).has_line(to)
    }

    fn at(&self, gate: Gate) -> &Lines {
        match gate {
            Gate::Usual => &self.usual,
            Gate::Urgent => &self.urgent,
        }
    }

    /// Ends all lines; whoever is in one is handed out, to be dropped.
    pub(crate) fn take_futures(&self) -> Vec<Spawned> {
        let lines = [self.usual.0.take(), self.urgent.0.take()];
        let lines = lines.into_iter().flatten();
        lines.flat_map(|line| line.behind).collect()
    }
}

impl Lines {
    fn has_line(&self, to: &Address) -> bool {
        let lines = self.0.borrow();
        lines.find(to.hash64(), |line| line.to == *to).is_some()
    }

    /// Has this future wait behind those of a line. Gives it back if there is none; then there is now.
    fn line_up(&self, to: &Address, future: Spawned) -> Option<Spawned> {
        let mut lines = self.0.borrow_mut();
        match lines.find_mut(to.hash64(), |line| line.to == *to) {
            Some(line) => {
                line.behind.push_back(future);
                None
            }
            None => {
                let line = Line {
                    to: to.clone(),
                    behind: VecDeque::new(),
                };
                lines.insert_unique(to.hash64(), line, |line| line.to.hash64());
                Some(future)
            }
        }
    }

    /// The first of a line is done: who is next? A line of nobody is forgotten.
    fn next(&self, to: &Address) -> Option<Spawned> {
        let mut lines = self.0.borrow_mut();
        let mut line = lines.find_entry(to.hash64(), |line| line.to == *to).ok()?;
        let next = line.get_mut().behind.pop_front();
        if next.is_none() {
            line.remove();
        }
        next
    }
}

impl Core {
    /// Runs a future that sends to this address when it is its turn, which it is told of.
    pub(crate) fn enter(
        self: &Rc<Self>,
        gate: Gate,
        to: Address,
        send: impl FnOnce(Turn) -> Spawned,
    ) {
        let turn = Turn {
            core: Rc::clone(self),
            gate,
            to: to.clone(),
        };
        let lines = self.entrance.at(gate);
        if let Some(first) = lines.line_up(&to, send(turn)) {
            self.tasks.spawn(first);
        }
    }

    /// As [`enter`](Self::enter), for a future that has more to wait for than its turn: it is given that when it comes, or
    /// nothing when the core ends. If it waits no more then, it is the next one's turn.
    pub(crate) fn call_up(self: &Rc<Self>, gate: Gate, to: Address) -> oneshot::Receiver<Turn> {
        let (call, called) = oneshot::channel();
        self.enter(gate, to, |turn| Box::pin(async { drop(call.send(turn)) }));
        called
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.core.entrance.at(self.gate).next(&self.to) {
            self.core.tasks.spawn(next);
        }
    }
}
