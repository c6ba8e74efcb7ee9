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
    /// How many messages of the batch are still to come: as long as there is a stream, one or more.
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
        self.ring.show_first(false);
        self.left.take()
    }

    /// Whether a message from this sender to this hop is the next, and there is room for it, as was seen when it was lent.
    #[inline(always)]
    fn carries(&self, from: &MailboxRc, hop: &Hop) -> bool {
        let place = hop.worker_of(self.among.get());
        place.map(Handle::word) == Some(self.place.get())
            && from.handle().word() == self.sender.get()
            && !self.ring.seems_full()
    }

    /// Whether one from this sender to the name of the run is. (What is pushed comes back where there is no room.)
    #[inline]
    pub(super) fn carries_by_name(&self, from: &MailboxRc) -> bool {
        let is_by_name = self.left.get() > 0 && self.place.get() == Handle::NONE.word();
        is_by_name && from.handle().word() == self.sender.get()
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

    /// There is a ring to this core now, which stays the only one.
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

#[cfg(test)]
mod tests {
    use ringpost_mailbox::ring::cell_ring_at;
    use ringpost_router::{Address, HandleKind, Hint, Message, NodeCore};

    use super::*;
    use crate::core::links::LinkState;
    use crate::core::pair::{MESSAGE_SLOTS, Pair};
    use crate::core::stream::Run;
    use crate::limits::Limits;
    use crate::mailbox::Mailbox;

    const HERE: NodeCore = NodeCore::new(1, 0);
    const THERE: NodeCore = NodeCore::new(1, 1);

    fn handle(index: u32) -> Handle {
        Handle {
            index,
            generation: 1,
        }
    }

    /// G4: who has waited is lent no more than there is room for, and nothing is no stream.
    #[test]
    fn g4_a_stream_has_room_for_what_it_is_lent() {
        let to = Address::local("receiver");
        let stub = |handle| MailboxRc::new(Mailbox::stub("sender".into(), HERE, handle));
        let [sender, another] = [1, 2].map(|index| stub(handle(index)));
        let nobody = stub(Handle::NONE);
        let hop = |core, kind, index| {
            let handle = handle(index);
            Hop::with_hint(to.clone(), Hint { core, kind, handle })
        };
        let receiver = hop(THERE, HandleKind::Worker, 3);
        let others = [
            hop(THERE, HandleKind::Worker, 4),
            hop(THERE, HandleKind::Reply, 3),
            hop(NodeCore::new(2, 1), HandleKind::Worker, 3),
        ];
        for room in 0..4 {
            let (producer, _consumer) = cell_ring_at(8, 0);
            let (ways, way) = (Ways::new(2), Rc::new(Way::new(producer)));
            ways.open(1, &way);
            let mut pair = Pair::new(&Limits::default(), 2, THERE);
            pair.data.ring = Some(Rc::clone(&way));
            let link = pair.links.open(&to, handle(3)).expect("a link");
            let entry = pair.links.at_mut(link).expect("it is there");
            entry.state = LinkState::Open;
            let credits = entry.credits;
            pair.run = Some(Run {
                link,
                sender: handle(1),
                guests: 0,
            });
            for number in 0..8 - MESSAGE_SLOTS - room {
                way.push(number.into_body()).expect("there is room");
            }
            pair.lend_more(link, 3, true);
            let is_next = |from, hop| ways.of_next(from, hop).is_some();
            let lent = room.min(3);
            for number in 1..=lent {
                assert!(is_next(&sender, &receiver) && !is_next(&another, &receiver));
                assert!(!others.iter().any(|other| is_next(&sender, other)));
                assert!(!way.carries_by_name(&sender), "it is to a place");
                assert_eq!(way.push_next(number.into_body()).ok(), Some(number == lent));
            }
            assert!(lent > 0 || !is_next(&sender, &receiver), "there is none");
            pair.end_stream();
            assert!(!is_next(&sender, &receiver), "it is over");
            assert!(!way.carries_by_name(&nobody), "it is over");
            let back = pair.links.at(link).map(|link| link.credits - credits);
            assert_eq!((pair.uncounted, back), (lent, Some(3 - lent)));
        }
    }
}
