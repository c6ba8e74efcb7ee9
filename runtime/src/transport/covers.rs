//! Answers that wait for nothing.
//!
//! A worker that answers a message of a peer is not to wait for that peer: others wait for the worker. So each message
//! that a peer sends to a worker *covers* one that the worker sends back along a return route. What is covered is sent
//! beyond the room of the connection's mailbox, and beyond the credits of the peer up to an overdraft; what does not get
//! out now is kept here, in order, with the connection whose peer is slow. What is not covered waits where it is sent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashTable;
use ringpost_router::{Address, Aliases, Any, Route};

use crate::routed::Routed;

/// Workers for which it is known how many messages are covered. Should a peer have messages at more, all are forgotten.
pub(super) const WORKERS_MAX: usize = 4096;

/// The covers of one connection, and the messages that were covered and could not be put among the frames yet.
#[derive(Default)]
pub(super) struct Covers {
    workers: RefCell<HashTable<(Address, Rc<Cover>)>>,
    line: RefCell<VecDeque<Routed<Any>>>,
}

/// How many messages that one worker sends back are covered.
#[derive(Debug, Default)]
pub(super) struct Cover {
    left: Cell<u32>,
    /// How many of them are in the connection's mailbox beyond its room.
    ahead: Cell<u32>,
}

impl Cover {
    /// A message has come for the worker. No more than so many count: those that need no answer leave theirs behind.
    #[inline]
    pub(super) fn add(&self, most: usize) {
        let left = self.left.get();
        if (left as usize) < most {
            self.left.set(left + 1);
        }
    }

    #[inline]
    pub(super) fn is_left(&self) -> bool {
        self.left.get() > 0
    }

    /// A message was sent back.
    #[inline]
    pub(super) fn spend(&self) {
        self.left.set(self.left.get().saturating_sub(1));
        self.ahead.set(self.ahead.get().saturating_sub(1));
    }

    /// Whether one more may be put into the connection's mailbox beyond its room.
    fn go_ahead(&self) -> bool {
        let ahead = self.ahead.get();
        let may = ahead < self.left.get();
        self.ahead.set(ahead + u32::from(may));
        may
    }
}

impl Covers {
    /// The cover of a worker, from now on if there was none.
    pub(super) fn of(&self, worker: &Address) -> Rc<Cover> {
        if let Some(cover) = self.find(worker) {
            return cover;
        }
        let cover = Rc::new(Cover::default());
        let mut workers = self.workers.borrow_mut();
        if workers.len() >= WORKERS_MAX {
            workers.retain(|(_, cover)| cover.is_left());
            if workers.len() > WORKERS_MAX / 2 {
                workers.clear();
            }
        }
        let entry = (worker.clone(), Rc::clone(&cover));
        workers.insert_unique(worker.hash64(), entry, |(worker, _)| worker.hash64());
        cover
    }

    /// The cover of a worker to which the peer has sent.
    pub(super) fn find(&self, worker: &Address) -> Option<Rc<Cover>> {
        let workers = self.workers.borrow();
        let found = workers.find(worker.hash64(), |(there, _)| there == worker)?;
        Some(Rc::clone(&found.1))
    }

    /// Whether it is so of any worker to which the peer has sent: of each is told whether it has sent back less.
    pub(super) fn any(&self, mut is_so: impl FnMut(&Address, bool) -> bool) -> bool {
        let workers = self.workers.borrow();
        let mut all = workers.iter();
        all.any(|(worker, cover)| is_so(worker, cover.is_left()))
    }

    /// Whether this worker may send one more back although there is no room for it.
    pub(super) fn go_ahead(&self, worker: &Address) -> bool {
        self.find(worker).is_some_and(|cover| cover.go_ahead())
    }

    /// Whether nothing waits here.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.line.borrow().is_empty()
    }

    /// How many messages wait here.
    pub(super) fn len(&self) -> usize {
        self.line.borrow().len()
    }

    pub(super) fn push(&self, message: Routed<Any>) {
        self.line.borrow_mut().push_back(message);
    }

    pub(super) fn pop(&self) -> Option<Routed<Any>> {
        self.line.borrow_mut().pop_front()
    }

    /// The connection is lost, and with it what its peer had sent. Gives what waits.
    pub(super) fn take(&self) -> VecDeque<Routed<Any>> {
        self.workers.borrow_mut().clear();
        self.line.take()
    }
}

/// Whether a message along this route, the connection in front, goes back to where one came from, and can be covered:
/// the place of the connection is known, and what follows is a name that only the peer knows. Replies to requests need
/// no cover.
#[inline]
pub(super) fn leads_back(route: &Route) -> bool {
    let mut hops = route.hops();
    let (Some(connection), Some(next)) = (hops.next(), hops.next()) else {
        return false;
    };
    connection.hint().is_some() && next.is_unseen() && !Aliases::is_once(&next.address)
}
