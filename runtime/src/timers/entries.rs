//! Where the timers lie: places that are used again, linked into lists by index.
//!
//! The memory grows to the largest number of timers that ever waited together, and not beyond.

use std::ops::{Index, IndexMut};

/// The end of a chain of entries.
pub(super) const NIL: u32 = u32::MAX;

/// The list number of an entry that holds no timer.
const VACANT: u16 = u16::MAX;

const _: () = assert!(size_of::<Entry>() == 32, "two timers to a cache line");

/// Names a timer for as long as it waits. Afterwards it names nothing: no later timer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimerId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

pub(super) struct Entry {
    pub(super) tick: u64,
    pub(super) key: u64,
    pub(super) previous: u32,
    /// The next timer of the list, or of the chain of free places.
    pub(super) next: u32,
    pub(super) generation: u32,
    pub(super) list: u16,
}

pub(super) struct Entries {
    places: Vec<Entry>,
    free: u32,
}

impl Entries {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: NIL,
        }
    }

    /// A place for a timer, which is in no list yet.
    ///
    /// # Panics
    ///
    /// When 2^32 - 1 places are taken.
    pub(super) fn claim(&mut self, tick: u64, key: u64) -> TimerId {
        let index = self.free;
        if let Some(place) = self.places.get_mut(index as usize) {
            self.free = place.next;
            *place = Entry {
                tick,
                key,
                ..*place
            };
            return TimerId {
                index,
                generation: place.generation,
            };
        }
        assert!(self.places.len() < NIL as usize, "too many timers");
        let index = self.places.len() as u32;
        let (previous, next, list) = (NIL, NIL, VACANT);
        self.places.push(Entry {
            tick,
            key,
            previous,
            next,
            generation: 0,
            list,
        });
        TimerId {
            index,
            generation: 0,
        }
    }

    /// Whether the timer that `id` named is still here.
    pub(super) fn holds(&self, id: TimerId) -> bool {
        let place = self.places.get(id.index as usize);
        place.is_some_and(|place| place.generation == id.generation && place.list != VACANT)
    }

    /// Gives a place back; the timer must be out of its list.
    pub(super) fn release(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        debug_assert!(place.list != VACANT, "released twice");
        place.list = VACANT;
        // A place that has used up its generations is left out for good, so that no id can ever
        // come to name a second timer: 32 bytes for each four billion timers.
        if let Some(generation) = place.generation.checked_add(1) {
            place.generation = generation;
            place.next = self.free;
            self.free = index;
        }
    }

    /// How many places there are, taken or free.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }
}

impl Index<u32> for Entries {
    type Output = Entry;

    fn index(&self, index: u32) -> &Entry {
        &self.places[index as usize]
    }
}

impl IndexMut<u32> for Entries {
    fn index_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.places[index as usize]
    }
}
