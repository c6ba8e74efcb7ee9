//! Which pool is the current one of this thread.

use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::rc::Rc;

use super::block::{Block, Link};
use super::class::Class;
use super::home::Home;
use super::local::{self, Local};
use crate::sync::{Arc, thread_local};

// The current pool, or null. A plain pointer, so that reaching it takes no check for a thread that is
// ending: buffers may be dropped by the destructors of other thread locals. It has no count of the pool's
// `Rc`. Instead, a pool is current only while it is entered: each guard has a count, and the last one of a
// pool to go makes another pool current, or none.
#[cfg(not(loom))]
thread_local! {
    static CURRENT: Cell<*const Local> = const { Cell::new(ptr::null()) };
}
// The model checker's threads have no constant initialisers.
#[cfg(loom)]
thread_local! {
    static CURRENT: Cell<*const Local> = Cell::new(ptr::null());
}

/// Keeps a pool current on this thread; see [`Pool::enter`](super::Pool::enter).
pub struct Entered {
    pool: Rc<Local>,
    previous: Option<Rc<Local>>,
}

impl Entered {
    pub(super) fn new(pool: Rc<Local>) -> Entered {
        pool.entered.set(pool.entered.get() + 1);
        let previous = CURRENT.with(|current| current.replace(Rc::as_ptr(&pool)));
        // SAFETY: a pool that is current is entered, so a guard of it holds a count of the `Rc` that the
        // pointer came from.
        let previous = (!previous.is_null()).then(|| unsafe {
            Rc::increment_strong_count(previous);
            Rc::from_raw(previous)
        });
        Entered { pool, previous }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.pool.entered.set(self.pool.entered.get() - 1);
        let previous = self.previous.as_ref().filter(|pool| pool.entered.get() > 0);
        CURRENT.with(|current| {
            if ptr::eq(current.get(), Rc::as_ptr(&self.pool)) {
                current.set(previous.map_or(ptr::null(), Rc::as_ptr));
            }
        });
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered")
            .field("core", &self.pool.home().core)
            .finish_non_exhaustive()
    }
}

/// Runs `act` with the current pool, if there is one.
///
/// `act` must not make another pool current; nothing in this crate could, as it runs no code of users.
#[inline]
fn with<R>(act: impl FnOnce(Option<&Local>) -> R) -> R {
    CURRENT.with(|current| {
        // SAFETY: a pool that is current is entered, so a guard keeps it alive, and no guard goes while `act`
        // runs.
        act(unsafe { current.get().as_ref() })
    })
}

/// A block with room for `bytes`, of the current pool, or of none.
#[inline]
pub(super) fn block(bytes: usize) -> Block {
    with(|pool| match pool {
        Some(pool) => pool.block(bytes),
        None => Block::homeless(bytes),
    })
}

/// As [`block`], where more memory may be refused.
#[inline]
pub(super) fn try_block(bytes: usize) -> Option<Block> {
    with(|pool| match pool {
        Some(pool) => pool.try_block(bytes),
        None => Block::try_homeless(bytes),
    })
}

/// A block of `class`, of the current pool, or of none.
#[inline]
pub(super) fn block_of(class: Class) -> Block {
    with(|pool| match pool {
        Some(pool) => pool.block_of(class),
        None => Block::homeless(class.bytes() as usize),
    })
}

/// Gives a block back: to the current pool, which sees to it whosever it is, or else to its home.
///
/// # Safety
///
/// The caller holds the block, which is free, and gives it up.
#[inline]
pub(super) unsafe fn give(link: Link) {
    with(|pool| match pool {
        // SAFETY: the caller holds the block and gives it up.
        Some(pool) => unsafe { pool.give(link) },
        // SAFETY: as above.
        None => unsafe { local::give_back(link) },
    });
}

/// Puts blocks of `home` on the free list of the current pool, if that is the pool of `home`.
///
/// # Safety
///
/// The caller holds the blocks, free, linked, as many as it says, of `class` and of `home`, and gives them
/// up if this returns true.
pub(super) unsafe fn splice(home: *const Home, class: Class, links: (Link, Link, u32)) -> bool {
    with(|pool| match pool {
        Some(pool) if Arc::as_ptr(pool.home()) == home => {
            // SAFETY: the caller holds the blocks and gives them up.
            unsafe { pool.splice(class, links) };
            true
        }
        _ => false,
    })
}
