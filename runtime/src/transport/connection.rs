//! What a connection is between the worker that takes its messages and the task that writes them.

mod credit;
mod ends;
mod frames;
mod names;
mod straight;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Polling, Poll};

use ringpost_router::wire::{Note, Outlet};
use ringpost_router::{Address, Aliases, Message};

use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::task::Wake;
use crate::transport::Terms;
use crate::transport::covers::Covers;
use crate::transport::credits::Allowance;
use crate::transport::watches::Watches;

use self::names::new_aliases;
use self::straight::Straight;

/// What the two sides of a connection's work share.
pub(super) struct Connection {
    pub(super) core: Rc<Core>,
    pub(super) name: Address,
    pub(super) terms: Arc<Terms>,
    pub(super) outlet: RefCell<Outlet>,
    /// Where a payload is encoded before it is put among the frames.
    encoded: RefCell<Vec<u8>>,
    aliases: RefCell<Aliases>,
    /// The exposed worker that sent last; it is exposed for good.
    named_last: RefCell<Option<Address>>,
    /// The way of the last frame, if a worker of this core sent that by itself.
    straight_last: RefCell<Option<Straight>>,
    /// The task that reads and writes.
    pub(super) pump: RefCell<Wake>,
    /// Whether that task knows already that there is something to write.
    pub(super) noticed: Cell<bool>,
    /// Who waits until less is to be written.
    pub(super) waiting: RefCell<Wake>,
    /// Nothing more is to be sent.
    pub(super) ending: Cell<bool>,
    /// Whether nothing can be written to the peer any more, while what it has sent may still be delivered.
    is_broken: Cell<bool>,
    /// Whether the message that is next waits until the peer gives a credit.
    pub(super) awaits_credit: Cell<bool>,
    /// Whether the peer understands notes.
    pub(super) has_notes: Cell<bool>,
    /// What may be sent to it.
    pub(super) allowance: RefCell<Allowance>,
    /// What is sent back to it and waits for nothing.
    pub(super) covers: Covers,
    /// Whose end each side tells the other.
    pub(super) watches: RefCell<Watches>,
    /// Who is told that the connection stands.
    openers: RefCell<Vec<ReplyTo>>,
    is_open: Cell<bool>,
}

impl Connection {
    pub(super) fn new(core: &Rc<Core>, name: Address, terms: Arc<Terms>) -> Rc<Self> {
        let aliases = new_aliases(core, &terms);
        let outlet = Outlet::new(terms.limits.frame);
        let connection = Self {
            core: Rc::clone(core),
            name,
            terms,
            outlet: RefCell::new(outlet),
            encoded: RefCell::default(),
            aliases: RefCell::new(aliases),
            named_last: RefCell::default(),
            straight_last: RefCell::default(),
            pump: RefCell::new(Wake::Nobody),
            noticed: Cell::new(false),
            waiting: RefCell::new(Wake::Nobody),
            ending: Cell::new(false),
            is_broken: Cell::new(false),
            awaits_credit: Cell::new(false),
            has_notes: Cell::new(false),
            allowance: RefCell::default(),
            covers: Covers::default(),
            watches: RefCell::default(),
            openers: RefCell::default(),
            is_open: Cell::new(false),
        };
        connection.begin();
        Rc::new(connection)
    }

    /// What each side of a stream says first. Whoever sends datagrams is known to understand notes, and nobody has
    /// credits: what there is no room for is lost, as on the way.
    pub(super) fn begin(&self) {
        if self.terms.datagrams.is_some() {
            return self.has_notes.set(true);
        }
        self.is_broken.set(false);
        self.outlet.borrow_mut().open();
        self.allowance.take();
        let (frames, watches) = (
            self.terms.limits.peer_credits,
            self.terms.limits.watches_max,
        );
        self.tell(&Note::Hello { frames, watches });
    }

    /// Whoever asked is told when the connection stands, or that it will not.
    pub(super) fn tell_when_open(&self, to: ReplyTo) {
        match self.is_open.get() {
            true => self.core.answer(to, Ok(().into_body())),
            false => self.openers.borrow_mut().push(to),
        }
    }

    /// The connection stands: whoever waited for that goes on.
    pub(super) fn opened(&self) {
        self.is_open.set(true);
        self.core.tally().transport.opened.add(1);
        for to in self.openers.take() {
            self.core.answer(to, Ok(().into_body()));
        }
        self.wake_waiting();
    }

    /// What waits goes on, and whoever waits looks again.
    pub(super) fn wake_waiting(&self) {
        while !self.covers.is_empty()
            && self.takes_covered()
            && let Some(message) = self.covers.pop()
        {
            self.send(message);
        }
        let waiting = self.waiting.replace(Wake::Nobody);
        self.core.wake(&waiting);
    }

    /// Whether messages are put among the frames now. Where the connection will be opened again, they wait
    /// for that rather than be lost with what was lost.
    pub(super) fn takes_messages(&self) -> bool {
        self.terms.reconnect.is_none() || self.is_open.get() && !self.is_broken.get()
    }

    /// Whether messages are reported rather than sent: nothing can be written, and the connection is not opened again.
    fn drops_messages(&self) -> bool {
        self.is_broken.get() && self.terms.reconnect.is_none()
    }

    /// Whether no message is left to be written.
    pub(super) fn is_written(&self) -> bool {
        self.covers.is_empty() && self.outlet.borrow().messages() == 0
    }

    /// Whether less is queued than the limits say.
    pub(super) fn has_room(&self) -> bool {
        let (limits, outlet) = (&self.terms.limits, self.outlet.borrow());
        outlet.bytes() < limits.queued_bytes_max && outlet.frames() < limits.queued_frames_max
    }

    /// Whether half as much is queued as may be: what has come from the peer already may need the rest.
    pub(super) fn is_half_full(&self) -> bool {
        let (limits, outlet) = (&self.terms.limits, self.outlet.borrow());
        outlet.bytes() > limits.queued_bytes_max / 2
            || outlet.frames() > limits.queued_frames_max / 2
    }

    pub(super) fn poll_until(
        &self,
        done: impl Fn(&Self) -> bool,
        polling: &Polling<'_>,
    ) -> Poll<()> {
        if done(self) {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = self.core.tasks.register(polling);
        Poll::Pending
    }
}
