//! Pools of memory blocks, one for each core, and the ways by which blocks come home.
//!
//! A [`Pool`] belongs to one thread. It hands out blocks of five sizes from its free lists, for buffers (see
//! [`buf`](crate::buf)) and for messages too large for a [cell](crate::cell). A block is owned by one handle
//! at a time, may be sent to other threads, and goes home when the handle is dropped:
//!
//! | dropped where | the block goes | at the price of |
//! |---|---|---|
//! | on its own core | on the free list | no atomics |
//! | on another core of the same group | to that core's chain for the owner, then home with the chain | no atomics; one ring slot a chain |
//! | elsewhere (no pool current, or one of another group) | on the owner's return stack | one compare-exchange |
//! | anywhere, its pool being gone | to the global allocator | a free |
//!
//! "On a core" means that its pool is *current*: [`Pool::enter`] makes it so on this thread. A loop enters
//! its pool once; a simulation on one thread enters the pool of each core in turn.
//!
//! # Who may touch what, and when
//!
//! 1. A block is held by exactly one party: a handle, a free list, a chain, or a return stack. Its header's
//!    cells and its data are the holder's alone; the other fields are never written. (Handles that share a
//!    block hold it together; see [`SharedBuf`](crate::buf::SharedBuf).)
//! 2. A block passes from thread to thread only inside something that orders the two: a handle or a chain
//!    that is sent, or the return stack, whose page is in `home.rs`.
//! 3. Only values that are `Send` lie in a block that leaves its thread: bytes, and the values of message
//!    cells, which ask for `Send`. A free block holds no value.
//! 4. Free lists and gathered chains are touched by the pool's own thread alone; [`Pool`] is not `Send`.
//! 5. The shared half of a pool (its *home*) lives as long as the pool or any of its blocks: each block
//!    holds one count of it, taken when the block is allocated and given back when it is deallocated. So
//!    neither costs anything on the way of a message.
//! 6. The current pool is kept alive by the guard that made it current.
//!
//! The races are those of the return stack: pushes against each other, against the owner's taking, and
//! against its closing.

use std::fmt;
use std::rc::Rc;

mod block;
mod chain;
mod class;
mod current;
mod free_list;
mod growth;
mod home;
mod local;
mod sentinel;
mod spares;

pub use block::{BLOCK_ALIGN, BLOCK_BYTES_MAX};
pub use chain::Chain;
pub use class::{CLASS_BYTES, CLASSES, PoolLimits};
pub use current::Entered;

pub(crate) use block::Block;
pub(crate) use class::Class;

use local::Local;

use crate::buf::BufMut;

/// The blocks of one core. Cheap to clone; the clones are the same pool.
///
/// Neither `Send` nor `Sync`: a pool stays on the thread that made it. When the last clone is gone, its free
/// blocks are freed, and those still in use are freed when their handles are dropped, on whatever thread.
///
/// ```
/// use ringpost_mailbox::pool::{Pool, PoolLimits};
///
/// let pool = Pool::new(0, PoolLimits::default());
/// let _entered = pool.enter();
///
/// drop(pool.buf(100));
/// drop(pool.buf(100));
/// let stats = pool.stats();
/// assert_eq!((stats.misses, stats.hits), (1, 1));
/// ```
#[derive(Clone)]
pub struct Pool {
    local: Rc<Local>,
}

impl Pool {
    /// An empty pool for `core`, in group 0. Allocates blocks when they are first needed.
    pub fn new(core: u16, limits: PoolLimits) -> Pool {
        Pool::in_group(0, core, limits)
    }

    /// An empty pool for `core` in a group.
    ///
    /// A group is the pools that send each other chains: the cores of one node. Blocks that are dropped
    /// under a pool of another group, or of the same core in the same group, go home by the return stack.
    /// So two nodes in one process, each with a group of its own, may exchange buffers.
    pub fn in_group(group: u32, core: u16, limits: PoolLimits) -> Pool {
        Pool {
            local: Rc::new(Local::new(group, core, &limits)),
        }
    }

    /// The core this pool was made for.
    pub fn core(&self) -> u16 {
        self.local.home().core
    }

    /// Makes this the current pool of the thread until the guard is dropped, then the previous one again.
    ///
    /// Guards nest, and are to be dropped in the reverse order. In any other order, which of the pools is
    /// current until the last guard is gone is not specified.
    ///
    /// ```
    /// # use ringpost_mailbox::pool::{Pool, PoolLimits};
    /// # use ringpost_mailbox::buf::BufMut;
    /// let (zero, one) = (Pool::new(0, PoolLimits::default()), Pool::new(1, PoolLimits::default()));
    /// let entered_zero = zero.enter();
    /// {
    ///     let entered_one = one.enter();
    ///     drop(BufMut::with_capacity(10));
    /// }
    /// assert_eq!((zero.cached(), one.cached()), (0, 1));
    /// ```
    #[must_use = "the pool is current only while the guard lives"]
    pub fn enter(&self) -> Entered {
        Entered::new(self.local.clone())
    }

    /// An empty buffer of this pool with room for at least `capacity` bytes, whichever pool is current.
    ///
    /// One of more than the largest class comes from the global allocator and goes back to it.
    ///
    /// # Panics
    ///
    /// If `capacity` is more than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub fn buf(&self, capacity: usize) -> BufMut {
        BufMut::from_block(self.local.block(capacity))
    }

    /// Has the pool ask before it takes more memory for who can do without: whether it may have so many bytes. To be
    /// called once, before the pool is used; nobody is asked otherwise, and what is taken from a free list is not asked for.
    ///
    /// ```
    /// use ringpost_mailbox::buf::BufMut;
    /// use ringpost_mailbox::pool::{Pool, PoolLimits};
    ///
    /// let pool = Pool::new(0, PoolLimits::default());
    /// pool.ask_before_growth(|bytes| bytes < 1 << 20);
    /// let _entered = pool.enter();
    /// assert!(BufMut::try_with_capacity(1 << 20).is_none());
    /// assert!(BufMut::try_with_capacity(1 << 10).is_some());
    /// assert_eq!(pool.stats().refused, 1);
    /// ```
    pub fn ask_before_growth(&self, may_have: impl Fn(usize) -> bool + 'static) {
        self.local.growth.ask(Box::new(may_have));
    }

    /// Keeps up to so many spare blocks of each size, in the order of [`CLASS_BYTES`]; of sizes that values of
    /// [cells](crate::cell) were put into. Such a value cannot be refused where it is made, so when there is no more memory
    /// it lies in one of these, as long as there are any, and the pool [is short](Self::is_short).
    pub fn keep_spares(&self, most: [u32; CLASSES]) {
        self.local.spares.keep(most);
    }

    /// Whether spare blocks had to be used, and there is no memory yet to put others in their place. Who begins something
    /// that takes blocks asks first, and lets it be: what is under way needs those that are left.
    ///
    /// ```
    /// use ringpost_mailbox::cell::Boxed;
    /// use ringpost_mailbox::pool::{Pool, PoolLimits};
    /// # use std::{cell::Cell, rc::Rc};
    ///
    /// let pool = Pool::new(0, PoolLimits::default());
    /// let memory = Rc::new(Cell::new(true));
    /// # let asked = Rc::clone(&memory);
    /// pool.ask_before_growth(move |_| asked.get());
    /// pool.keep_spares([2; 5]);
    /// let _entered = pool.enter();
    /// let first = Boxed::new([0_u8; 60]);
    ///
    /// memory.set(false);
    /// let second = Boxed::new([1_u8; 60]);
    /// assert!(pool.is_short());
    /// drop(first);
    /// assert!(!pool.is_short(), "a block came home");
    /// ```
    #[inline]
    pub fn is_short(&self) -> bool {
        self.local.spares.is_short() && !self.local.spares.fill(&self.local)
    }

    /// The cores for which dropped blocks are gathered here, in ascending order, as of each step: chains may
    /// be taken meanwhile.
    pub fn chain_owners(&self) -> impl Iterator<Item = u16> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let owner = self.local.gathered().next_owner(from)?;
            from = usize::from(owner) + 1;
            Some(owner)
        })
    }

    /// How many blocks of other cores are gathered here in all.
    #[inline]
    pub fn gathered(&self) -> u32 {
        self.local.gathered().len()
    }

    /// Takes a chain of at least `min` blocks that belong to the core `owner`, to be sent there.
    ///
    /// A chain has blocks of one size. To send off everything, ask with a `min` of 1 until there is no more.
    pub fn take_chain(&self, owner: u16, min: u32) -> Option<Chain> {
        self.local.gathered().take(owner, min)
    }

    /// Takes a chain in, in one step whatever its length (but for blocks beyond the limit, which are freed).
    /// A chain of another pool goes on to that pool.
    #[inline]
    pub fn accept(&self, chain: Chain) {
        self.local.accept(chain);
    }

    /// Takes in the blocks that other threads left for this pool, and says how many there were.
    ///
    /// An allocation that finds no free block does this by itself. Only a core that stopped allocating needs
    /// to, lest it keep more than its limits say.
    pub fn reclaim(&self) -> u32 {
        self.local.reclaim()
    }

    /// How many free blocks are kept for reuse.
    pub fn cached(&self) -> u32 {
        self.local.len()
    }

    /// How many blocks of this pool are anywhere but on its free lists: in use, or on their way home.
    pub fn outstanding(&self) -> u64 {
        let stats = self.stats();
        stats.misses - stats.released - u64::from(self.cached())
    }

    /// What has been counted since the pool was made.
    pub fn stats(&self) -> PoolStats {
        self.local.home().counters.stats()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("core", &self.core())
            .field("cached", &self.cached())
            .field("outstanding", &self.outstanding())
            .field("gathered", &self.gathered())
            .finish_non_exhaustive()
    }
}

/// What a [`Pool`] has counted.
///
/// Each block of the pool was a miss once, and each that is gone was released: the difference is what the
/// pool has in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Allocations served from a free list.
    pub hits: u64,
    /// Allocations that needed a new block from the global allocator.
    pub misses: u64,
    /// Buffers larger than the largest class, which are no blocks of the pool.
    pub oversize: u64,
    /// Blocks of other cores that were dropped here and gathered.
    pub foreign_frees: u64,
    /// Blocks that came home in chains.
    pub accepted: u64,
    /// Blocks that came home by the return stack.
    pub returned: u64,
    /// Blocks freed to the global allocator because their class was full.
    pub released: u64,
    /// Blocks and larger buffers that were asked for and refused; see [`BufMut::try_with_capacity`].
    pub refused: u64,
}
