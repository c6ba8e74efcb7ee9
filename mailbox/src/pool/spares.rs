//! Spare blocks, for when there is no more memory.
//!
//! A value of a message cell cannot be refused where it is made: who is in the midst of something could not go on without
//! it, nor back. So a pool keeps a few blocks of each size that such values had. When more memory is refused one of these
//! is used and the pool is short, until it has as many again; and who is about to begin something sees that, and lets it be.

use std::cell::Cell;

use super::block::Link;
use super::class::{CLASSES, Class};
use super::free_list::FreeList;
use super::local::Local;

/// The spare blocks of a pool.
#[derive(Debug)]
pub(super) struct Spares {
    lists: [FreeList; CLASSES],
    most: Cell<[u32; CLASSES]>,
    /// Of which classes there are to be any, a bit for each.
    used: Cell<u8>,
    /// Whether any were missing when that was last looked at.
    is_short: Cell<bool>,
}

impl Default for Spares {
    fn default() -> Self {
        Spares {
            lists: Class::ALL.map(|_| FreeList::new(u32::MAX)),
            most: Cell::new([0; CLASSES]),
            used: Cell::new(0),
            is_short: Cell::new(false),
        }
    }
}

impl Spares {
    /// There are to be so many of each class that is used.
    pub(super) fn keep(&self, most: [u32; CLASSES]) {
        self.most.set(most);
    }

    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.is_short.get()
    }

    /// Values of this class are made.
    pub(super) fn note_use(&self, class: Class) {
        self.used.set(self.used.get() | 1 << class as u8);
    }

    /// Whether there is any of this class.
    pub(super) fn has(&self, class: Class) -> bool {
        self.lists[class as usize].len.get() > 0
    }

    /// Takes one of this class, which the caller holds.
    #[cold]
    pub(super) fn take(&self, class: Class) -> Option<Link> {
        self.is_short.set(true);
        self.lists[class as usize].pop()
    }

    /// Puts others in the place of those that are missing, free ones of the pool or new ones. False if some are missing
    /// still.
    #[cold]
    pub(super) fn fill(&self, pool: &Local) -> bool {
        pool.reclaim();
        let is_full = Class::ALL.iter().all(|class| self.fill_class(*class, pool));
        self.is_short.set(!is_full);
        is_full
    }

    fn fill_class(&self, class: Class, pool: &Local) -> bool {
        let list = &self.lists[class as usize];
        let is_used = self.used.get() & 1 << class as u8 != 0;
        let wanted = if is_used {
            self.most.get()[class as usize]
        } else {
            0
        };
        while list.len.get() < wanted {
            let Some(link) = pool.pop_spare(class).or_else(|| pool.try_grow(class)) else {
                return false;
            };
            // SAFETY: the block is free and held by this function.
            unsafe { list.push(link) };
        }
        true
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.lists.iter().map(|list| list.len.get()).sum()
    }

    pub(super) fn lists(&self) -> &[FreeList] {
        &self.lists
    }
}
