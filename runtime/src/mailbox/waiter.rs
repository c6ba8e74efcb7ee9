//! Those who wait for credits, for room or for messages, and the lines in which they do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use ringpost_mailbox::canary::{Canary, is_planted};

use crate::core::behalf::Behalf;
use crate::core::parked::Parked;
use crate::task::Wake;
use crate::task::raw::MailboxRc;
use crate::time::Time;

/// How far a waiting sender or receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// In the queue.
    Queued,
    /// What was waited for is reserved for this waiter.
    Granted,
    /// It will never come: the other side has ended.
    Closed,
    /// It need not be waited for any more: what the other side does with the message has changed.
    Retry,
    /// The future was dropped; whoever pops this waiter passes on.
    Cancelled,
}

/// A place in a queue of suspended futures.
pub(crate) struct Waiter {
    pub(crate) state: Cell<Waiting>,
    pub(crate) wake: RefCell<Wake>,
    /// Who waits to send, and since when.
    pub(crate) sender: Option<(MailboxRc, Time)>,
    /// And on whose behalf, where that is no worker.
    pub(crate) behalf: RefCell<Behalf>,
    /// The credits of a link that it is granted at the most; when it was, those it was. 0 for one that waits on
    /// its own core, or in an urgent lane.
    pub(crate) credits: Cell<u32>,
    /// The request that it is, if it may be sent where it waits.
    pub(crate) parked: Option<Box<Parked>>,
}

impl Waiter {
    pub(crate) fn new(wake: Wake) -> Rc<Self> {
        Rc::new(Self::made(wake, None, 0, None))
    }

    pub(crate) fn of_sender(wake: Wake, who: MailboxRc, since: Time, credits: u32) -> Rc<Self> {
        if credits > 0 {
            who.with_more(|more| more.waiting_sends += 1);
        }
        Rc::new(Self::made(wake, Some((who, since)), credits, None))
    }

    /// One that waits for a credit of a link with a request, which is sent when it comes.
    pub(crate) fn of_request(wake: Wake, who: MailboxRc, since: Time, request: Parked) -> Rc<Self> {
        who.with_more(|more| {
            more.waiting_sends += 1;
            more.parked_sends += 1;
        });
        let request = Some(Box::new(request));
        Rc::new(Self::made(wake, Some((who, since)), 1, request))
    }

    fn made(
        wake: Wake,
        sender: Option<(MailboxRc, Time)>,
        credits: u32,
        parked: Option<Box<Parked>>,
    ) -> Self {
        Self {
            state: Cell::new(Waiting::Queued),
            wake: RefCell::new(wake),
            sender,
            behalf: RefCell::default(),
            credits: Cell::new(credits),
            parked,
        }
    }

    /// Whoever waits is to be polled, also if it has a request.
    pub(crate) fn unpark(&self) {
        if let (Some(parked), Some((who, _))) = (&self.parked, &self.sender)
            && parked.leave()
        {
            who.if_more(|more| more.parked_sends = more.parked_sends.saturating_sub(1));
        }
    }

    /// It waits no more. What was counted may be gone: its owner has ended.
    pub(crate) fn uncount(&self) {
        self.unpark();
        if let Some((who, _)) = &self.sender
            && self.credits.replace(0) > 0
        {
            who.if_more(|more| more.waiting_sends = more.waiting_sends.saturating_sub(1));
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.uncount();
    }
}

/// Takes cancelled waiters off the end, so that those who try and give up leave nothing behind.
pub(crate) fn trim(queue: &mut VecDeque<Rc<Waiter>>) {
    while queue
        .back()
        .is_some_and(|waiter| waiter.state.get() == Waiting::Cancelled)
    {
        queue.pop_back();
    }
}

/// Takes the first waiter that still waits.
pub(crate) fn pop_waiting(queue: &mut VecDeque<Rc<Waiter>>) -> Option<Rc<Waiter>> {
    let next = |queue: &mut VecDeque<Rc<Waiter>>| match is_planted(Canary::UnfairQueue) {
        true => queue.pop_back(),
        false => queue.pop_front(),
    };
    while let Some(waiter) = next(queue) {
        if waiter.state.get() == Waiting::Queued {
            return Some(waiter);
        }
    }
    None
}
