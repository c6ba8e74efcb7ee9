//! A ring to another core, and the messages that may go into it without a further look.
//!
//! What the next message of a [`Stream`](super::stream::Stream) has to look at lies here, outside of all that is borrowed
//! to send any other: who it is from and for, how many may follow, and the ring.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::rc::Rc;

use ringpost_mailbox::ring::CellProducer;
use ringpost_router::{Body, Handle, Hop, Messages, WorkersOf};

use crate::task::raw::MailboxRc;

/// The producing end of a ring, with what the stream of its pair was lent.
pub(crate) struct Way {
    ring: CellProducer<Messages>,
    /// Among whom the receiver is; nobody if it is reached by its name, or there is no stream.
    among: Cell<WorkersOf>,
    /// Its place and that of the sender, each in one word.
    place: Cell<u64>,
    sender: Cell<u64>,
    /// How many messages of the batch are still to come.
    left: Cell<u32>,
}

impl Way {
    /// For no stream.
    pub(crate) fn new(ring: CellProducer<Messages>) -> Self {
        Self {
            ring,
            among: Cell::new(WorkersOf::NOBODY),
            place: Cell::new(0),
            sender: Cell::new(0),
            left: Cell::new(0),
        }
    }

    /// The next messages are from this sender, to whoever has this place among these, or to the name of the run if it is `NONE`.
    pub(super) fn begin(&self, among: WorkersOf, place: Handle, sender: Handle) {
        let by_name = place == Handle::NONE;
        self.among
            .set(if by_name { WorkersOf::NOBODY } else { among });
        self.place.set(place.word());
        self.sender.set(sender.word());
    }

    /// So many of them may come.
    pub(super) fn allow(&self, left: u32) {
        self.left.set(left);
    }

    /// None may. How many could have.
    pub(super) fn end(&self) -> u32 {
        self.among.set(WorkersOf::NOBODY);
        self.place.set(0);
        self.sender.set(0);
        self.left.take()
    }

    /// Whether a message from this sender to this hop is the next, and there is room for it, as was seen when it was lent.
    #[inline(always)]
    fn carries(&self, from: &MailboxRc, hop: &Hop) -> bool {
        let place = hop.worker_of(self.among.get());
        place.map(Handle::word) == Some(self.place.get())
            && from.handle.get().word() == self.sender.get()
            && !self.ring.seems_full()
    }

    /// Whether one from this sender to the name of the run is.
    #[inline]
    pub(super) fn carries_by_name(&self, from: &MailboxRc) -> bool {
        let is_by_name = self.left.get() > 0 && self.place.get() == Handle::NONE.word();
        is_by_name && from.handle.get().word() == self.sender.get()
    }

    /// Writes the next payload of the stream. Whether that is the last of those that it was lent a batch for; it comes back where
    /// there is no room, which was lent with it.
    #[inline(always)]
    pub(crate) fn push_next(&self, body: Body) -> Result<bool, Body> {
        self.ring.push_new(body).map_err(|full| full.0)?;
        Ok(self.is_last())
    }

    /// As [`push_next`](Self::push_next), for a payload that is taken out of where it lies. Nothing if it is still there.
    #[inline(always)]
    pub(super) fn push_next_out_of(&self, body: &mut Option<Body>) -> Option<bool> {
        self.ring.push_out_of(body).then(|| self.is_last())
    }

    #[inline(always)]
    fn is_last(&self) -> bool {
        let left = self.left.get() - 1;
        self.left.set(left);
        left == 0
    }
}

impl Deref for Way {
    type Target = CellProducer<Messages>;

    #[inline]
    fn deref(&self) -> &CellProducer<Messages> {
        &self.ring
    }
}

/// The ways for messages to each core, as far as there are rings.
pub(crate) struct Ways(Box<[OnceCell<Rc<Way>>]>);

impl Ways {
    pub(crate) fn new(cores: u16) -> Self {
        Self((0..cores).map(|_| OnceCell::new()).collect())
    }

    /// There is a ring to this core now.
    pub(crate) fn open(&self, to: u16, way: &Rc<Way>) {
        if let Some(place) = self.0.get(usize::from(to)) {
            place.get_or_init(|| Rc::clone(way));
        }
    }

    #[inline(always)]
    pub(super) fn to(&self, core: u16) -> Option<&Way> {
        self.0.get(usize::from(core))?.get().map(Rc::as_ref)
    }

    /// The way of the next message of a stream, if one from this sender to this hop is that.
    #[inline(always)]
    pub(crate) fn of_next(&self, from: &MailboxRc, hop: &Hop) -> Option<&Way> {
        self.to(hop.near()).filter(|way| way.carries(from, hop))
    }
}
