//! What a core has for each other core, made when it is first needed: a node of very many cores has very
//! many pairs of them, and most never speak to each other.

use ringpost_router::{Handle, NodeCore};

use crate::core::pair::Pair;
use crate::limits::Limits;

/// The pairs of one core with all others, by core.
pub(crate) struct Pairs {
    pairs: Vec<Option<Box<Pair>>>,
    /// The same, when no more messages go to other cores: what else there is for them still comes by here.
    sealed: Vec<Option<Box<Pair>>>,
    limits: Limits,
    /// The node of all these cores.
    node: u32,
}

impl Pairs {
    pub(crate) fn new(limits: Limits, node: u32, cores: u16) -> Self {
        let mut pairs = Vec::new();
        pairs.resize_with(usize::from(cores), || None);
        let sealed = Vec::new();
        Self {
            pairs,
            sealed,
            limits,
            node,
        }
    }

    /// From now on there is nobody on other cores to send a message to: what is sent there would be lost, as they may
    /// have had their last look at what comes from here.
    pub(crate) fn seal(&mut self) {
        if self.sealed.is_empty() {
            self.sealed = std::mem::take(&mut self.pairs);
            self.sealed
                .iter_mut()
                .flatten()
                .for_each(|pair| pair.settle());
        }
    }

    /// Whether messages can go to this core.
    pub(crate) fn lead_to(&self, core: u16) -> bool {
        usize::from(core) < self.pairs.len()
    }

    /// The pair with this core, if anything was ever sent there, for the next message of its stream. All
    /// else is for one who has settled it.
    #[inline]
    pub(crate) fn streaming(&mut self, core: u16) -> Option<&mut Pair> {
        self.pairs.get_mut(usize::from(core))?.as_deref_mut()
    }

    /// The pair with this core, unless the node has no such core, or no more messages go there.
    #[inline]
    pub(crate) fn get(&mut self, core: u16) -> Option<&mut Pair> {
        let cores = self.pairs.len();
        let place = self.pairs.get_mut(usize::from(core))?;
        let pair = place
            .get_or_insert_with(|| Self::make(&self.limits, cores, NodeCore::new(self.node, core)));
        pair.settle();
        Some(pair)
    }

    /// As [`get`](Self::get), for a core that the node is known to have.
    #[inline]
    pub(crate) fn of(&mut self, core: u16) -> &mut Pair {
        if !self.lead_to(core) {
            return self.of_sealed(core);
        }
        let cores = self.pairs.len();
        let place = &mut self.pairs[usize::from(core)];
        let pair = place
            .get_or_insert_with(|| Self::make(&self.limits, cores, NodeCore::new(self.node, core)));
        pair.settle();
        pair
    }

    #[cold]
    fn of_sealed(&mut self, core: u16) -> &mut Pair {
        let cores = self.sealed.len();
        let place = &mut self.sealed[usize::from(core)];
        let pair = place
            .get_or_insert_with(|| Self::make(&self.limits, cores, NodeCore::new(self.node, core)));
        pair.settle();
        pair
    }

    #[cold]
    fn make(limits: &Limits, cores: usize, to: NodeCore) -> Box<Pair> {
        let cores = u16::try_from(cores).unwrap_or(u16::MAX);
        Box::new(Pair::new(limits, cores, to))
    }
}

/// What is remembered of introduced senders, by their places; both ends of a way forget in step. It grows
/// with the places that are used.
pub(crate) struct Introduced<T> {
    slots: Vec<Option<T>>,
    /// How many there may be, less one: a mask of places.
    last: u32,
}

impl<T> Introduced<T> {
    pub(crate) fn new(limits: &Limits, cores: u16) -> Self {
        Self {
            slots: Vec::new(),
            last: limits.senders_known_for(cores) - 1,
        }
    }

    /// Introduces every sender anew.
    pub(crate) fn forget(&mut self) {
        self.slots.clear();
    }

    /// Where this sender is remembered, or another that shares its slot.
    #[inline(always)]
    pub(crate) fn slot(&mut self, sender: Handle) -> &mut Option<T> {
        let slot = (sender.index & self.last) as usize;
        if slot >= self.slots.len() {
            self.grow(slot);
        }
        &mut self.slots[slot]
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, slot: usize) {
        self.slots.resize_with(slot + 1, || None);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use ringpost_mailbox::ring::cell_ring_at;

    use super::*;
    use crate::core::way::Way;

    #[test]
    fn a_pair_is_made_when_it_is_asked_for() {
        let mut pairs = Pairs::new(Limits::default(), 1, 3);
        assert!(pairs.streaming(1).is_none());
        assert!(pairs.get(1).is_some());
        assert!(
            pairs.streaming(1).is_some()
                && pairs.streaming(0).is_none()
                && pairs.streaming(2).is_none()
        );
        assert!(pairs.get(3).is_none() && pairs.streaming(3).is_none());
    }

    #[test]
    fn no_message_finds_a_pair_that_is_sealed_and_all_else_does() {
        let mut pairs = Pairs::new(Limits::default(), 1, 3);
        assert!(pairs.get(1).is_some() && pairs.lead_to(2) && !pairs.lead_to(3));
        pairs.seal();
        pairs.seal();
        assert!(!pairs.lead_to(1) && pairs.get(1).is_none() && pairs.streaming(1).is_none());
        assert_eq!((pairs.of(1).to, pairs.of(2).to), (1, 2));
    }

    /// G3: what would follow another message has nobody to go to either.
    #[test]
    fn g3_a_pair_that_is_sealed_has_no_stream() {
        let mut pairs = Pairs::new(Limits::default(), 1, 2);
        let way = Rc::new(Way::new(cell_ring_at(8, 0).0));
        let pair = pairs.of(1);
        pair.data.ring = Some(Rc::clone(&way));
        pair.stream.kept = 5;
        assert!(pair.next_batch());
        pairs.seal();
        assert_eq!(way.end(), 0, "none of its messages may come");
    }

    #[test]
    fn what_is_remembered_of_senders_grows_with_their_places_and_has_an_end() {
        let limits = Limits {
            senders_known: 200,
            ..Limits::default()
        };
        let mut known = Introduced::new(&limits, 2);
        assert_eq!(known.slots.capacity(), 0);
        let sender = |index| Handle {
            index,
            generation: 1,
        };
        *known.slot(sender(3)) = Some("a");
        assert_eq!(known.slots.len(), 4);
        for index in 0..10_000 {
            known.slot(sender(index));
        }
        assert_eq!(known.slots.len(), 256);
        assert_eq!(*known.slot(sender(3 + 256)), Some("a"));
        known.forget();
        assert_eq!(*known.slot(sender(3)), None);
    }
}
