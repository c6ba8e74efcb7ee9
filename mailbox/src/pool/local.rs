//! The half of a pool that only its own thread touches: the free lists.
//!
//! Everything here is in `Cell`s, and no code of users runs between a read and the write that belongs to it,
//! so a block that is freed while another one is being allocated (in a destructor, say) finds the lists in
//! order.

use std::cell::Cell;
use std::ptr;

use super::PoolLimits;
use super::block::{self, Block, Link};
use super::chain::{self, Chain, Gathered};
use super::class::{CLASSES, Class};
use super::free_list::FreeList;
use super::growth::Growth;
use super::home::{Counters, Home, ReturnStack};
use super::spares::Spares;
use crate::sync::{Arc, CachePadded};

/// The private half of a pool.
#[derive(Debug)]
pub(super) struct Local {
    lists: [FreeList; CLASSES],
    pub(super) spares: Spares,
    home: Arc<Home>,
    gathered: Gathered,
    pub(super) growth: Growth,
    /// How many guards there are that make this pool current, or that did and will again.
    pub(super) entered: Cell<u32>,
}

impl Local {
    pub(super) fn new(group: u32, core: u16, limits: &PoolLimits) -> Self {
        let free_list = |class: Class| FreeList::new(limits.cached_max[class as usize]);
        Local {
            lists: Class::ALL.map(free_list),
            spares: Spares::default(),
            home: Arc::new(Home {
                core,
                group,
                counters: CachePadded::new(Counters::default()),
                returns: CachePadded::new(ReturnStack::new()),
            }),
            gathered: Gathered::default(),
            growth: Growth::default(),
            entered: Cell::new(0),
        }
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    pub(super) fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// A block with room for `bytes`, of no pool if that is more than all classes have.
    #[inline]
    pub(super) fn block(&self, bytes: usize) -> Block {
        let Some(class) = Class::with_room(bytes) else {
            self.home.counters.oversize.add(1);
            return Block::homeless(bytes);
        };
        // SAFETY: the block is free and nobody else's.
        unsafe { Block::from_free(self.take(class)) }
    }

    /// As [`block`](Self::block); `None` where more memory is refused.
    #[inline]
    pub(super) fn try_block(&self, bytes: usize) -> Option<Block> {
        let Some(class) = Class::with_room(bytes) else {
            return self.try_oversize(bytes);
        };
        let link = match self.pop(class) {
            Some(link) => link,
            None => self.try_take_elsewhere(class)?,
        };
        // SAFETY: the block is free and nobody else's.
        Some(unsafe { Block::from_free(link) })
    }

    #[cold]
    fn try_oversize(&self, bytes: usize) -> Option<Block> {
        let is_refused = self.growth.is_refused(bytes);
        let block = (!is_refused).then(|| Block::try_homeless(bytes)).flatten();
        match block {
            Some(_) => self.home.counters.oversize.add(1),
            None => self.home.counters.refused.add(1),
        }
        block
    }

    /// A block of `class`; a spare one where more memory is refused.
    #[inline]
    pub(super) fn block_of(&self, class: Class) -> Block {
        let link = match self.pop(class) {
            Some(link) => link,
            None => self.take_or_spare(class),
        };
        // SAFETY: the block is free and nobody else's.
        unsafe { Block::from_free(link) }
    }

    /// A free block of `class`, held by the caller.
    #[inline]
    fn take(&self, class: Class) -> Link {
        match self.pop(class) {
            Some(link) => link,
            None => self.take_elsewhere(class),
        }
    }

    /// A free block of the list of `class`, if there is any, held by the caller.
    #[inline]
    fn pop(&self, class: Class) -> Option<Link> {
        let link = self.lists[class as usize].pop()?;
        self.home.counters.hits.add(1);
        Some(link)
    }

    /// As `take`, when the list is empty: looks for what came home by the return stack, then allocates.
    #[cold]
    fn take_elsewhere(&self, class: Class) -> Link {
        self.pop_returned(class)
            .or_else(|| self.grow(class))
            .unwrap_or_else(|| block::out_of_memory(class.bytes()))
    }

    /// As `take_elsewhere`; `None` where more memory is refused.
    #[cold]
    fn try_take_elsewhere(&self, class: Class) -> Option<Link> {
        if let Some(link) = self.pop_returned(class) {
            return Some(link);
        }
        self.try_grow(class)
    }

    /// As `take_elsewhere`; a spare block where more memory is refused.
    #[cold]
    fn take_or_spare(&self, class: Class) -> Link {
        if let Some(link) = self.pop_returned(class) {
            return link;
        }
        self.spares.note_use(class);
        // Where there is no spare one a refusal would end the process, so nobody is asked.
        let link = match self.spares.has(class) {
            true => self.try_grow(class),
            false => self.grow(class),
        };
        if let Some(link) = link {
            self.spares.fill(self);
            return link;
        }
        self.spares
            .take(class)
            .unwrap_or_else(|| block::out_of_memory(class.bytes()))
    }

    /// A new block, if it is not refused.
    pub(super) fn try_grow(&self, class: Class) -> Option<Link> {
        let is_refused = self.growth.is_refused(block::bytes_of(class));
        let link = (!is_refused).then(|| self.grow(class)).flatten();
        if link.is_none() {
            self.home.counters.refused.add(1);
        }
        link
    }

    /// A free block of the list of `class`, to be kept as a spare one.
    pub(super) fn pop_spare(&self, class: Class) -> Option<Link> {
        self.lists[class as usize].pop()
    }

    /// A block that came home by the return stack.
    fn pop_returned(&self, class: Class) -> Option<Link> {
        match self.reclaim() {
            0 => None,
            _ => self.pop(class),
        }
    }

    /// A new block, if the system has the memory.
    fn grow(&self, class: Class) -> Option<Link> {
        let link = block::allocate(&self.home, class)?;
        self.home.counters.misses.add(1);
        Some(link)
    }

    /// Takes a block back, whosever it is.
    ///
    /// # Safety
    ///
    /// The caller holds the block, which is free, and gives it up.
    #[inline]
    pub(super) unsafe fn give(&self, link: Link) {
        // SAFETY: the caller holds the block and gives it up.
        unsafe {
            let header = block::header(link);
            if header.home() == Arc::as_ptr(&self.home) {
                self.keep(link, header.class());
            } else {
                self.give_foreign(link);
            }
        }
    }

    /// Puts a block of this pool on its free list, or frees it if the list is full.
    ///
    /// # Safety
    ///
    /// The caller holds the block, which is free, of this pool and of `class`, and gives it up.
    #[inline]
    unsafe fn keep(&self, link: Link, class: Class) {
        let list = &self.lists[class as usize];
        // SAFETY: the caller holds the block and gives it up.
        unsafe {
            if list.len.get() >= list.len_max {
                self.home.counters.released.add(1);
                return block::deallocate(link);
            }
            list.push(link);
        }
    }

    /// Takes a block that is not this pool's.
    ///
    /// # Safety
    ///
    /// As for `give`.
    #[inline(never)]
    unsafe fn give_foreign(&self, link: Link) {
        // SAFETY: the caller holds the block and gives it up. What `add` does not take is still the caller's.
        unsafe {
            let header = block::header(link);
            let neighbour = header.group() == self.home.group && header.core() != self.home.core;
            if !header.home().is_null() && neighbour && self.gathered.add(link) {
                self.home.counters.foreign_frees.add(1);
            } else {
                give_back(link);
            }
        }
    }

    /// Takes in a chain of this pool's blocks; another pool's goes on to its own.
    pub(super) fn accept(&self, chain: Chain) {
        if chain.home() != Arc::as_ptr(&self.home) {
            return drop(chain);
        }
        let class = chain.class();
        // SAFETY: the blocks of the chain are held by this function now, and they are this pool's.
        unsafe { self.splice(class, chain.into_links()) }
    }

    /// Puts linked blocks on a free list in one step, and frees what is too many.
    ///
    /// # Safety
    ///
    /// The caller holds the blocks from the first to the last, as many as it says, free, of this pool and of
    /// `class`, and gives them up.
    pub(super) unsafe fn splice(&self, class: Class, (first, last, len): (Link, Link, u32)) {
        let list = &self.lists[class as usize];
        // SAFETY: the caller holds the blocks.
        unsafe { block::header(last).set_next(list.first.get()) };
        list.first.set(first.as_ptr());
        list.len.set(list.len.get() + len);
        self.home.counters.accepted.add(u64::from(len));
        while list.len.get() > list.len_max
            && let Some(link) = Link::new(list.first.get())
        {
            // SAFETY: the list holds its blocks, so this thread does, and this one leaves the list.
            unsafe {
                list.first.set(block::header(link).next());
                block::deallocate(link);
            }
            list.len.set(list.len.get() - 1);
            self.home.counters.released.add(1);
        }
    }

    /// Takes in what other threads left on the return stack, and says how many blocks that were.
    pub(super) fn reclaim(&self) -> u32 {
        let mut returned = 0;
        let mut next = self.home.returns.take();
        while let Some(link) = Link::new(next) {
            // SAFETY: the blocks from the stack are held by this function; each one's successor is read
            // before it is given up.
            unsafe {
                next = block::header(link).next();
                self.give(link);
            }
            returned += 1;
        }
        self.home.counters.returned.add(u64::from(returned));
        returned
    }

    /// How many free blocks there are.
    pub(super) fn len(&self) -> u32 {
        let listed: u32 = self.lists.iter().map(|list| list.len.get()).sum();
        listed + self.spares.len()
    }
}

/// Gives a block back where no pool takes it: to its home's return stack, or to the global allocator.
///
/// # Safety
///
/// The caller holds the block, which is free, and gives it up.
pub(super) unsafe fn give_back(link: Link) {
    // SAFETY: the caller holds the block and gives it up; it is linked to nothing once its link is cleared.
    unsafe {
        let home = block::header(link).home();
        if home.is_null() {
            return block::deallocate(link);
        }
        block::header(link).set_next(ptr::null_mut());
        chain::send_home(home, link, link);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        while let Some(owner) = self.gathered.next_owner(0) {
            drop(self.gathered.take(owner, 1));
        }
        // SAFETY: what the stack held when it was closed, and what is on the lists, is held by this thread,
        // linked up to null, and forgotten here.
        unsafe {
            chain::free_all(self.home.returns.close());
            for list in self.lists.iter().chain(self.spares.lists()) {
                chain::free_all(list.first.replace(ptr::null_mut()));
            }
        }
    }
}
