//! What lives at an address: its identity, its credits, and what waits for it.
//!
//! A mailbox belongs to one core and is never touched from another. It is the identity of a sender
//! too: an envelope holds its sender's mailbox, so that replying needs no look-up. A message from
//! another core holds a *stub*, the local record of a mailbox that lives elsewhere.
//!
//! State machine of a worker's mailbox:
//!
//! ```text
//! Reserved ──granted──▶ Starting    (only away from the home of the address)
//! Starting ──initialize──▶ Idle ◀──▶ Busy (a handler runs or is suspended)
//!                           │  ▲        │
//!                           ▼  └────────┤ (its backlog is empty)
//!                        Backlog ◀──────┘ (messages came meanwhile)
//!      any of them ──stop, drained──▶ Ending (shutdown runs) ──▶ Closed
//! ```

mod counts;
mod waiter;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_router::{Address, Handle, HandleKind, Hint, Hop, NodeCore, Route, Seen};

use crate::core::behalf::Token;
use crate::core::passed_on::Passer;
use crate::core::supervised::Supervised;
use crate::core::watches::Watches;
use crate::envelope::{Envelope, OriginKind, ReplyTo};
use crate::error::Error;
use crate::overflow::Overflow;
use crate::task::raw::MailboxRc;
use crate::time::Time;

use self::counts::Counts;
pub(crate) use self::waiter::{Waiter, Waiting, pop_waiting, trim};

/// What the mailbox is doing. See the module's drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The home of the address has not granted it yet: senders of this core wait.
    Reserved,
    /// `initialize` has not returned yet.
    Starting,
    /// Nothing runs and nothing waits: the next message is handled at once.
    Idle,
    /// A handler runs, or is suspended.
    Busy,
    /// Nothing runs, messages wait, and the mailbox waits for the core's attention, or for its turn.
    Backlog,
    /// `shutdown` runs.
    Ending,
    /// A context without a worker: messages wait for `receive`.
    Detached,
    /// Ended. Whatever comes is reported undelivered.
    Closed,
    /// A stand-in for a mailbox on another core.
    Stub,
}

/// How a worker is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not asked to.
    No,
    /// Handle what is queued, then end.
    Drain,
    /// End at the next opportunity; what is queued is reported.
    Now,
    /// Go on as a new worker when the handler has returned.
    Again,
}

impl Stop {
    /// Whether it is to end.
    pub(crate) fn is_asked(self) -> bool {
        matches!(self, Stop::Drain | Stop::Now)
    }
}

/// One address on one core.
pub(crate) struct Mailbox {
    pub(crate) address: Address,
    /// Where it is, as a hop says it.
    seen: Cell<Seen>,
    pub(crate) state: Cell<State>,
    pub(crate) stop: Cell<Stop>,
    /// Set while a credit that comes back may not simply be added to `room`.
    pub(crate) special: Cell<bool>,
    /// Whether other cores have instances under the same address.
    pub(crate) replicated: Cell<bool>,
    /// Whether the core keeps an eye on what waits here (`core/patrol.rs`).
    pub(crate) is_crowded: Cell<bool>,
    /// Whether its owner may have to wait for its next turn before it sends to workers of this core ([`step`](crate::core::step)).
    pub(crate) is_held: Cell<bool>,
    /// What happens to messages for which there is no room.
    pub(crate) overflow: Cell<Overflow>,
    /// Credits left, and messages that are queued.
    counts: Counts,
    /// How many of the latter wait in the stash.
    stashed: Cell<u32>,
    /// Whether `initialize` has returned well.
    pub(crate) started: Cell<bool>,
    /// Who is told of the start, or when the worker has started, of the end.
    asker: Cell<ReplyTo>,
    more: RefCell<Option<Box<More>>>,
}

/// What only some mailboxes need, some of the time.
#[derive(Default)]
pub(crate) struct More {
    /// Messages that came while the worker was busy, oldest first.
    stash: VecDeque<Envelope>,
    /// How many have been taken out of it, ever.
    taken: u32,
    /// How many of these are urgent; they are the first.
    urgent: usize,
    /// How many messages left from the front of those that are not urgent, less those put back there; wraps.
    passed: u32,
    /// And of those that are urgent.
    passed_urgent: u32,
    /// Whether what a handler was given was put back, and nothing was handled or received since: so it is of the call that
    /// runs, even if it has been dropped meanwhile.
    pub(crate) put_back: bool,
    /// Whether it was a panic that ended the worker.
    pub(crate) panicked: bool,
    /// How many calls of the worker that had suspended have ended.
    pub(crate) resumed: u32,
    /// How many urgent ones were taken in a row while others waited.
    urgent_run: u32,
    /// Whether it is among those that wait for their turn (`core/turns.rs`).
    pub(crate) takes_turns: bool,
    /// Whether its handler is to be cut short when it has suspended: it was being polled when others had it stopped.
    pub(crate) cut_later: bool,
    /// Senders of this core that wait for a credit, first come first served.
    pub(crate) senders: VecDeque<Rc<Waiter>>,
    /// Credits taken beyond those there were, for messages put back, or for those that are not to wait; paid with what
    /// comes back first.
    pub(crate) owed: u32,
    /// Its owner's sends to other cores that wait, or have and were not polled since.
    waiting_sends: u32,
    /// How many of these are requests that wait in a line and may be sent there (`core/parked.rs`).
    parked_sends: u32,
    /// Whoever waits in `receive`.
    pub(crate) receivers: VecDeque<Rc<Waiter>>,
    /// What the requests are noted by that the worker has passed on: their answers are to come back by it.
    pub(crate) passer: Option<Passer>,
    /// Requests that the suspended handler has let go of and that may not be answered.
    pub(crate) unanswered: Vec<ReplyTo>,
    /// Who else is told that the worker has ended.
    pub(crate) stoppers: Vec<ReplyTo>,
    /// What is to be done when the worker fails.
    pub(crate) supervised: Option<Box<Supervised>>,
    /// Whom it watches, and who watches it.
    pub(crate) watches: Option<Box<Watches>>,
    /// Why `initialize` failed.
    pub(crate) failure: Option<Error>,
    /// Where this mailbox passes messages on to, if it is a forwarder's.
    pub(crate) forwards: Option<Hint>,
    /// How long the worker may take to drain, and then to shut down.
    pub(crate) drain: Duration,
    /// Ends the drain when its time is up.
    pub(crate) drain_timer: Option<crate::core::TimerKey>,
    /// The task slot of a suspended handler.
    pub(crate) task_key: Option<u32>,
    /// What tells that call from others, if it waits in another's name (`core/behalf.rs`).
    pub(crate) call: Option<Token>,
}

impl More {
    /// The messages that wait.
    pub(crate) fn stash(&self) -> &VecDeque<Envelope> {
        &self.stash
    }

    /// Where it is then, and whether it is urgent.
    fn insert(&mut self, at: usize, envelope: Envelope) -> (usize, bool) {
        let kind = envelope.origin.kind;
        let is_urgent = matches!(kind, OriginKind::Urgent | OriginKind::UrgentAgain);
        let at = match is_urgent {
            true => at.min(self.urgent),
            false => at.max(self.urgent),
        };
        self.urgent += usize::from(is_urgent);
        // Most come last, and go first: nobody else's place is looked at for them.
        match at == self.stash.len() {
            true => self.stash.push_back(envelope),
            false => self.stash.insert(at, envelope),
        }
        (at, is_urgent)
    }

    fn passed(&mut self, is_urgent: bool) -> &mut u32 {
        match is_urgent {
            true => &mut self.passed_urgent,
            false => &mut self.passed,
        }
    }

    /// Where the first message lies, or would, of those that are urgent, or of the others.
    fn first(&self, is_urgent: bool) -> usize {
        match is_urgent {
            true => 0,
            false => self.urgent,
        }
    }

    /// Where the first message lies that holds a credit, as all do that somebody has sent.
    pub(crate) fn oldest_with_credit(&self) -> Option<usize> {
        let kind = |envelope: &Envelope| envelope.origin.kind;
        let holds = |it: &Envelope| matches!(kind(it), OriginKind::Local | OriginKind::Link);
        self.stash.iter().position(holds)
    }
}

impl Mailbox {
    pub(crate) fn new(address: Address, core: NodeCore, state: State, room: u32) -> Self {
        Self {
            address,
            seen: Cell::new(Seen::worker(core, Handle::NONE)),
            state: Cell::new(state),
            stop: Cell::new(Stop::No),
            special: Cell::new(false),
            overflow: Cell::new(Overflow::Wait),
            is_crowded: Cell::new(false),
            is_held: Cell::new(false),
            counts: Counts::new(room),
            replicated: Cell::new(false),
            stashed: Cell::new(0),
            started: Cell::new(false),
            asker: Cell::new(ReplyTo::NOBODY),
            more: RefCell::new(None),
        }
    }

    /// Whether it was a panic that ended the worker.
    pub(crate) fn has_panicked(&self) -> bool {
        self.if_more(|more| more.panicked) == Some(true)
    }

    /// Whether a call of its worker is suspended.
    pub(crate) fn has_call(&self) -> bool {
        self.if_more(|more| more.task_key.is_some()) == Some(true)
    }

    /// Whether sends of its owner to other cores wait.
    pub(crate) fn has_waiting_sends(&self) -> bool {
        self.if_more(|more| more.waiting_sends > 0) == Some(true)
    }

    /// Whether no send of its owner to another core waits but the one that asks.
    pub(crate) fn is_last_to_wait(&self) -> bool {
        self.if_more(|more| more.waiting_sends <= 1).unwrap_or(true)
    }

    /// Whether all sends of its owner to other cores that wait are parked requests.
    pub(crate) fn waits_parked_alone(&self) -> bool {
        self.if_more(|more| more.waiting_sends == more.parked_sends) == Some(true)
    }

    /// The record of a mailbox that lives on another core.
    pub(crate) fn stub(address: Address, core: NodeCore, handle: Handle) -> Self {
        let stub = Self::new(address, core, State::Stub, 0);
        stub.set_handle(handle);
        stub
    }

    /// Its place among the workers of its core; none if it has none.
    #[inline]
    pub(crate) fn handle(&self) -> Handle {
        self.seen.get().handle()
    }

    /// Where it lives.
    #[inline]
    pub(crate) fn core(&self) -> NodeCore {
        self.seen.get().node_core()
    }

    /// It has this place.
    pub(crate) fn set_handle(&self, handle: Handle) {
        self.seen.set(Seen::worker(self.core(), handle));
    }

    /// How a route names this mailbox: its address, and where it is.
    #[inline]
    pub(crate) fn hop(&self) -> Hop {
        Hop::to_seen(self.address.clone(), self.seen.get())
    }

    /// The route that leads to this mailbox alone.
    #[inline(always)]
    pub(crate) fn route(&self) -> Route {
        Route::to_seen(&self.address, self.seen.get())
    }

    /// How a route names a place where this mailbox's owner waits for a reply.
    #[inline]
    pub(crate) fn reply_hop(&self, reply: Handle) -> Hop {
        let hint = Hint {
            core: self.core(),
            kind: HandleKind::Reply,
            handle: reply,
        };
        Hop::with_hint(self.address.clone(), hint)
    }

    /// Runs `f` on the rarely needed part, making it first if it is not there.
    pub(crate) fn with_more<R>(&self, f: impl FnOnce(&mut More) -> R) -> R {
        f(self.more.borrow_mut().get_or_insert_default())
    }

    /// Runs `f` on the rarely needed part, if it is there.
    pub(crate) fn if_more<R>(&self, f: impl FnOnce(&mut More) -> R) -> Option<R> {
        self.more.borrow_mut().as_deref_mut().map(f)
    }

    /// Takes the rarely needed part away.
    pub(crate) fn take_more(&self) -> Option<Box<More>> {
        self.more.borrow_mut().take()
    }

    /// Puts a message aside behind those that wait, or if it is urgent, behind those that are.
    pub(crate) fn stash(&self, envelope: Envelope) {
        let at = self.stashed();
        let is_late = is_planted(Canary::ReorderedPair) && at > 2;
        self.with_more(|more| more.insert(at - usize::from(is_late), envelope));
        self.stashed.set(self.stashed.get() + 1);
    }

    /// Puts a message back that was taken, at this position of those that wait, or at the nearest that it may have:
    /// those that are urgent come before all others.
    pub(crate) fn stash_again(&self, at: usize, envelope: Envelope) {
        self.with_more(|more| {
            let (at, is_urgent) = more.insert(at, envelope);
            if at == more.first(is_urgent) {
                let passed = more.passed(is_urgent);
                *passed = passed.wrapping_sub(1);
            }
        });
        self.stashed.set(self.stashed.get() + 1);
    }

    /// Takes the message at this position of those that wait.
    pub(crate) fn unstash(&self, at: usize) -> Option<Envelope> {
        if !self.has_stash() {
            return None;
        }
        let take = |more: &mut More| {
            more.taken = more.taken.wrapping_add(1);
            let is_urgent = at < more.urgent;
            if at == more.first(is_urgent) {
                let passed = more.passed(is_urgent);
                *passed = passed.wrapping_add(1);
            }
            more.urgent -= usize::from(is_urgent);
            match at {
                0 => more.stash.pop_front(),
                _ => more.stash.remove(at),
            }
        };
        let envelope = self.if_more(take).flatten()?;
        self.stashed.set(self.stashed.get() - 1);
        Some(envelope)
    }

    /// Takes the message whose turn it is: an urgent one, unless so many have been in a row while others wait.
    pub(crate) fn unstash_next(&self, urgent_max: u32) -> Option<Envelope> {
        if !self.has_stash() {
            return None;
        }
        let next = |more: &mut More| {
            more.put_back = false;
            let is_mixed = more.urgent > 0 && more.urgent < more.stash.len();
            let is_their_turn = is_mixed && more.urgent_run >= urgent_max;
            more.urgent_run = match is_mixed && !is_their_turn {
                true => more.urgent_run + 1,
                false => 0,
            };
            if is_their_turn { more.urgent } else { 0 }
        };
        self.unstash(self.if_more(next).unwrap_or(0))
    }

    #[inline]
    pub(crate) fn has_stash(&self) -> bool {
        self.stashed.get() > 0
    }

    /// Whether an urgent message waits.
    pub(crate) fn has_urgent(&self) -> bool {
        self.has_stash() && self.if_more(|more| more.urgent > 0) == Some(true)
    }

    /// How many messages that had waited were taken, ever; wraps.
    pub(crate) fn taken(&self) -> u32 {
        self.if_more(|more| more.taken).unwrap_or(0)
    }

    /// The position behind all messages that wait now.
    pub(crate) fn mark(&self) -> Mark {
        let behind = |more: &mut More| {
            let (all, urgent) = (more.stash.len() as u32, more.urgent as u32);
            let behind = more.passed.wrapping_add(all - urgent);
            (behind, more.passed_urgent.wrapping_add(urgent))
        };
        let (behind, behind_urgent) = self.if_more(behind).unwrap_or_default();
        Mark {
            handle: self.handle(),
            behind,
            behind_urgent,
        }
    }

    /// Whether all messages in front of this position have left. One that is taken out of its turn makes this wait
    /// for one more behind them.
    pub(crate) fn has_passed(&self, mark: &Mark) -> bool {
        let is_behind = |passed: u32, mark: u32| passed.wrapping_sub(mark).cast_signed() >= 0;
        let has_passed = |more: &mut More| {
            is_behind(more.passed, mark.behind) && is_behind(more.passed_urgent, mark.behind_urgent)
        };
        // Another worker may have the name.
        self.handle() != mark.handle || self.if_more(has_passed).unwrap_or(true)
    }

    /// Whether anybody waits for a credit.
    pub(crate) fn has_senders(&self) -> bool {
        self.if_more(|more| !more.senders.is_empty())
            .unwrap_or(false)
    }

    /// Whether this sender waits for a credit.
    pub(crate) fn has_sender(&self, from: &MailboxRc) -> bool {
        let is_it = |waiter: &Rc<Waiter>| {
            let is_from = |(who, _): &(MailboxRc, Time)| MailboxRc::ptr_eq(who, from);
            waiter.state.get() != Waiting::Cancelled && waiter.sender.as_ref().is_some_and(is_from)
        };
        self.if_more(|more| more.senders.iter().any(is_it))
            .unwrap_or(false)
    }

    /// Takes a credit that is not there; the next that comes back pays for it.
    pub(crate) fn overdraw(&self) {
        self.special.set(true);
        self.with_more(|more| more.owed += 1);
    }

    /// How many messages wait.
    pub(crate) fn stashed(&self) -> usize {
        self.stashed.get() as usize
    }

    /// Looks at the messages that wait, from this position on, until `look` finds what it wants. That is
    /// user code, so they are lent to it rather than borrowed.
    pub(crate) fn find_stashed<R>(
        &self,
        from: usize,
        mut look: impl FnMut(usize, &Envelope) -> Option<R>,
    ) -> Option<R> {
        let lent = Lent {
            mailbox: self,
            stash: self.if_more(|more| std::mem::take(&mut more.stash))?,
        };
        let mut waiting = lent.stash.iter().enumerate().skip(from);
        waiting.find_map(|(at, envelope)| look(at, envelope))
    }

    /// Takes the worker's word for what happens when it has no room. One that drops messages has no credits
    /// to give (`core/overflow.rs`).
    pub(crate) fn set_overflow(&self, overflow: Overflow) {
        self.overflow.set(overflow);
        if overflow.drops() {
            self.set_room(0);
            self.special.set(true);
        }
    }

    /// Notes who is told that the worker has started.
    pub(crate) fn note_starter(&self, starter: ReplyTo) {
        self.asker.set(starter);
    }

    /// Notes who is told that the worker has ended. There is one, most of the time.
    pub(crate) fn note_stopper(&self, stopper: ReplyTo) {
        if self.started.get() && self.asker.get() == ReplyTo::NOBODY {
            self.asker.set(stopper);
        } else {
            self.with_more(|more| more.stoppers.push(stopper));
        }
    }

    /// Who is told of the start, or when the worker has started, of the end.
    pub(crate) fn take_asker(&self) -> ReplyTo {
        self.asker.replace(ReplyTo::NOBODY)
    }

    /// Whether senders have to wait until it has taken something.
    pub(crate) fn makes_wait(&self) -> bool {
        self.room() == 0 && self.overflow.get() == Overflow::Wait
    }

    /// Whether it is to end, and has nothing to handle before.
    pub(crate) fn is_drained(&self) -> bool {
        match self.stop.get() {
            Stop::Drain => self.queued() == 0,
            Stop::Now => true,
            Stop::No | Stop::Again => false,
        }
    }

    /// Whether new messages are accepted.
    pub(crate) fn accepts(&self) -> bool {
        self.state.get() != State::Closed && !self.stop.get().is_asked()
    }

    /// Whether this only holds a name until its home has decided.
    pub(crate) fn is_reserved(&self) -> bool {
        self.state.get() == State::Reserved
    }

    pub(crate) fn is_detached(&self) -> bool {
        self.state.get() == State::Detached
    }
}

/// A position among the messages that wait at a mailbox: of those that are not urgent, and of those that are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    handle: Handle,
    behind: u32,
    behind_urgent: u32,
}

/// The messages that wait, taken out to be looked at; they return when this is dropped, before any that
/// came meanwhile.
struct Lent<'a> {
    mailbox: &'a Mailbox,
    stash: VecDeque<Envelope>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.mailbox.with_more(|more| {
            self.stash.append(&mut more.stash);
            std::mem::swap(&mut self.stash, &mut more.stash);
        });
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on core {} ({:?})",
            self.address,
            self.core().index(),
            self.state.get()
        )
    }
}

const _: () = assert!(size_of::<Mailbox>() <= 104, "an idle worker is small");
