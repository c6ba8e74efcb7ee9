//! Values behind handles that go stale safely.

use core::fmt;
use core::iter::{Enumerate, FusedIterator};

use ringpost_mailbox::canary::{Canary, is_planted};

use crate::Handle;

/// Values at places that are used again, behind [`Handle`]s that never confuse two users of a place.
///
/// Inserting, finding and removing take constant time, and removing frees no memory. A place takes
/// 8 bytes beside its value. Each removal makes the handles to that place stale; after 2³² − 1 uses
/// a place is given up instead of letting a generation come round again.
///
/// ```
/// use ringpost_router::Slab;
///
/// let mut slab = Slab::new();
/// let first = slab.insert("a");
/// assert_eq!(slab.remove(first), Some("a"));
/// let second = slab.insert("b");
/// assert_eq!(first.index, second.index);
/// assert_eq!(slab.at(first), None);
/// assert_eq!(slab.at(second), Some(&"b"));
/// ```
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
}

/// The generation is in both forms, and not beside them, so that it shares a word with the tag.
enum Slot<T> {
    Full {
        generation: u32,
        value: T,
    },
    /// The generation is that of the next value.
    Free {
        generation: u32,
        next: u32,
    },
}

/// Ends the list of free places; no place has this index.
const END: u32 = u32::MAX;
const FIRST_GENERATION: u32 = 1;

const _: () = assert!(size_of::<Slot<u64>>() == size_of::<u64>() + 8);
const _: () = assert!(size_of::<Slot<Box<u64>>>() == size_of::<Box<u64>>() + 8);

impl<T> Slab<T> {
    /// A slab without places.
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: END,
            len: 0,
        }
    }

    /// Puts a value in a free place, the one freed last if there are several.
    ///
    /// # Panics
    ///
    /// If 2³² − 1 places exist and none is free.
    #[inline]
    pub fn insert(&mut self, value: T) -> Handle {
        self.len = self.len.saturating_add(1);
        let index = self.free;
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                let generation = slot.generation();
                if let Slot::Free { next, .. } = *slot {
                    self.free = next;
                }
                *slot = Slot::Full { generation, value };
                Handle { index, generation }
            }
            None => self.grow(value),
        }
    }

    fn grow(&mut self, value: T) -> Handle {
        let index = match u32::try_from(self.slots.len()) {
            Ok(index) if index != END => index,
            _ => panic!("a table of a core holds at most {END} values"),
        };
        let generation = FIRST_GENERATION;
        self.slots.push(Slot::Full { generation, value });
        Handle { index, generation }
    }

    /// Takes a value out; `None` if the handle is stale.
    #[inline]
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let freed = self.free(handle)?;
        let slot = self.slots.get_mut(handle.index as usize)?;
        match core::mem::replace(slot, freed) {
            Slot::Full { value, .. } => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Drops a value where it lies; whether there was one, which is not so if the handle is stale.
    #[inline]
    pub fn discard(&mut self, handle: Handle) -> bool {
        let Some(freed) = self.free(handle) else {
            return false;
        };
        if let Some(slot) = self.slots.get_mut(handle.index as usize) {
            *slot = freed;
        }
        true
    }

    /// What is to stand in the place of this value when it is gone; `None` if the handle is stale.
    #[inline]
    fn free(&mut self, handle: Handle) -> Option<Slot<T>> {
        self.at(handle)?;
        self.len = self.len.saturating_sub(1);
        // A place whose generations are used up keeps the last and stays off the list of free ones.
        Some(match handle.generation.checked_add(1) {
            Some(generation) => {
                let next = core::mem::replace(&mut self.free, handle.index);
                Slot::Free { generation, next }
            }
            None => Slot::Free {
                generation: handle.generation,
                next: END,
            },
        })
    }

    /// The value; `None` if the handle is stale.
    #[inline]
    pub fn at(&self, handle: Handle) -> Option<&T> {
        match self.slots.get(handle.index as usize) {
            Some(Slot::Full { generation, value }) if is_current(*generation, handle) => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value, to be changed; `None` if the handle is stale.
    #[inline]
    pub fn at_mut(&mut self, handle: Handle) -> Option<&mut T> {
        match self.slots.get_mut(handle.index as usize) {
            Some(Slot::Full { generation, value }) if is_current(*generation, handle) => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value at a place, and its handle, whichever generation that is.
    #[inline]
    pub(super) fn at_index(&self, index: u32) -> Option<(Handle, &T)> {
        match self.slots.get(index as usize)? {
            Slot::Full { generation, value } => Some((
                Handle {
                    index,
                    generation: *generation,
                },
                value,
            )),
            _ => None,
        }
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values with their handles, in the order of their places.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            slots: self.slots.iter().enumerate(),
        }
    }
}

#[inline]
fn is_current(generation: u32, handle: Handle) -> bool {
    generation == handle.generation || is_planted(Canary::StaleGeneration)
}

impl<T> Slot<T> {
    #[inline]
    fn generation(&self) -> u32 {
        match self {
            Self::Full { generation, .. } | Self::Free { generation, .. } => *generation,
        }
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<'a, T> IntoIterator for &'a Slab<T> {
    type Item = (Handle, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The values of a [`Slab`] with their handles; made by [`Slab::iter`].
pub struct Iter<'a, T> {
    slots: Enumerate<core::slice::Iter<'a, Slot<T>>>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (Handle, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        self.slots.find_map(|(index, slot)| match slot {
            Slot::Full { generation, value } => {
                let index = u32::try_from(index).ok()?;
                Some((
                    Handle {
                        index,
                        generation: *generation,
                    },
                    value,
                ))
            }
            Slot::Free { .. } => None,
        })
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("places_left", &self.slots.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    /// Makes the value at a place look as if the place had been used that often.
    fn age<T>(slab: &mut Slab<T>, index: usize, age: u32) {
        match &mut slab.slots[index] {
            Slot::Full { generation, .. } => *generation = age,
            Slot::Free { .. } => unreachable!("the place is in use"),
        }
    }

    #[test]
    fn a_place_is_given_up_when_its_generations_are_used_up() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        age(&mut slab, 0, u32::MAX - 1);
        assert_eq!(slab.at(first), None);
        let before_last = Handle {
            index: 0,
            generation: u32::MAX - 1,
        };
        assert_eq!(slab.remove(before_last), Some('a'));

        let last = slab.insert('b');
        assert_eq!(
            last,
            Handle {
                index: 0,
                generation: u32::MAX
            }
        );
        assert_eq!(slab.remove(last), Some('b'));
        assert_eq!((slab.at(last), slab.len()), (None, 0));
        assert_eq!(slab.remove(last), None);

        let elsewhere = slab.insert('c');
        assert_eq!(
            elsewhere,
            Handle {
                index: 1,
                generation: 1
            }
        );
        for generation in [0, 1, u32::MAX - 1, u32::MAX] {
            assert_eq!(
                slab.at(Handle {
                    index: 0,
                    generation
                }),
                None
            );
        }
    }

    #[test]
    fn giving_a_place_up_keeps_the_other_free_ones() {
        let mut slab = Slab::new();
        let handles = ['a', 'b', 'c'].map(|value| slab.insert(value));
        slab.remove(handles[0]);
        age(&mut slab, 1, u32::MAX);
        slab.remove(Handle {
            index: 1,
            generation: u32::MAX,
        });
        slab.remove(handles[2]);
        let again = ['d', 'e', 'f'].map(|value| slab.insert(value).index);
        assert_eq!(again, [2, 0, 3]);
    }

    #[test]
    fn values_are_dropped_once() {
        let value = Rc::new(());
        let mut slab = Slab::default();
        let handles: Vec<Handle> = (0..4).map(|_| slab.insert(Rc::clone(&value))).collect();
        drop(slab.remove(handles[1]));
        assert_eq!(Rc::strong_count(&value), 4);
        assert!(slab.discard(handles[2]) && !slab.discard(handles[2]));
        assert_eq!(Rc::strong_count(&value), 3);
        drop(slab);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_default_handle_and_one_of_the_future_find_nothing() {
        let mut slab = Slab::new();
        let handle = slab.insert(1);
        slab.remove(handle);
        let future = Handle {
            generation: 2,
            ..handle
        };
        assert_eq!(slab.at(future), None);
        assert_eq!(slab.at_mut(future), None);
        assert_eq!(slab.remove(future), None);
        assert_eq!(slab.at(Handle::default()), None);
        assert_eq!(slab.insert(2), future);
        assert_eq!(
            format!("{slab:?} {:?}", slab.iter()),
            "{Handle { index: 0, generation: 2 }: 2} Iter { places_left: 1 }"
        );
    }
}
