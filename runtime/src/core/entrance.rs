//! Where messages of threads outside the node come in: to each address one behind the other.
//!
//! A message that cannot be sent at once waits in a task of its own, and tasks are polled in an order that
//! is not theirs: what comes later could find the credit that was given back in between. So who comes
//! while others wait to send to the same address lines up behind them, and begins when it is their turn.
//! What waits here is bounded by `Limits::outside_credits`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

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

/// The lines of a core.
#[derive(Default)]
pub(crate) struct Entrance {
    lines: RefCell<HashTable<Line>>,
}

/// Being the first of the line to an address. Dropped when the message is accepted, or has failed: then it
/// is the next one's turn.
pub(crate) struct Turn {
    core: Rc<Core>,
    to: Address,
}

impl Entrance {
    /// Whether anybody is sending to this address.
    pub(crate) fn has_line(&self, to: &Address) -> bool {
        let lines = self.lines.borrow();
        lines.find(to.hash64(), |line| line.to == *to).is_some()
    }

    /// Has this future wait behind those of a line. Gives it back if there is none; then there is now.
    fn line_up(&self, to: &Address, future: Spawned) -> Option<Spawned> {
        let mut lines = self.lines.borrow_mut();
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
        let mut lines = self.lines.borrow_mut();
        let mut line = lines.find_entry(to.hash64(), |line| line.to == *to).ok()?;
        let next = line.get_mut().behind.pop_front();
        if next.is_none() {
            line.remove();
        }
        next
    }

    /// Ends all lines; whoever is in one is handed out, to be dropped.
    pub(crate) fn take_futures(&self) -> Vec<Spawned> {
        let lines = self.lines.take();
        lines.into_iter().flat_map(|line| line.behind).collect()
    }
}

impl Core {
    /// Runs a future that sends to this address when it is its turn, which it is told of.
    pub(crate) fn enter(self: &Rc<Self>, to: Address, send: impl FnOnce(Turn) -> Spawned) {
        let turn = Turn {
            core: Rc::clone(self),
            to: to.clone(),
        };
        if let Some(first) = self.entrance.line_up(&to, send(turn)) {
            self.tasks.spawn(first);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.core.entrance.next(&self.to) {
            self.core.tasks.spawn(next);
        }
    }
}
