//! Chains: blocks of another pool on their way home.
//!
//! A block freed on a core that does not own it is linked, through its own header, to what that core has
//! gathered for the owner: no atomics, no allocation. Now and then the core takes such a chain and sends it
//! to the owner through their ring, in one slot; the owner puts it on its free list in one step.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;

use super::block::{self, Header, Link};
use super::class::{CLASSES, Class};
use super::current;
use super::home::{Home, ReturnStack};

/// Free blocks of one pool and one size, on their way home.
///
/// Moves to the owner's thread, where [`Pool::accept`](super::Pool::accept) takes it in. One that is dropped
/// on the way loses nothing: its blocks go to their pool by another way, or to the global allocator if the
/// pool is gone.
pub struct Chain {
    first: Link,
    last: Link,
    len: u32,
    class: Class,
    owner: u16,
}

// SAFETY: a chain holds its blocks alone, and whoever holds a block may touch it from any thread.
unsafe impl Send for Chain {}

impl Chain {
    /// The core whose pool the blocks belong to.
    pub fn owner(&self) -> u16 {
        self.owner
    }

    /// How many blocks there are; at least one.
    #[allow(clippy::len_without_is_empty, reason = "a chain is never empty")]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The home that the blocks belong to. They keep it alive.
    pub(super) fn home(&self) -> *const Home {
        // SAFETY: the chain holds its blocks.
        unsafe { block::header(self.first).home() }
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// The blocks, from the first to the last, linked, with nothing behind the last. The caller holds them
    /// from now on.
    pub(super) fn into_links(self) -> (Link, Link, u32) {
        let chain = ManuallyDrop::new(self);
        (chain.first, chain.last, chain.len)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // SAFETY: the chain holds its blocks, linked up to null, and gives them up here.
        unsafe {
            if !current::splice(self.home(), self.class, (self.first, self.last, self.len)) {
                send_home(self.home(), self.first, self.last);
            }
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("owner", &self.owner)
            .field("len", &self.len)
            .field("bytes", &self.class.bytes())
            .finish()
    }
}

/// Leaves blocks on the return stack of their home, or frees them if their pool is gone.
///
/// # Safety
///
/// The caller holds the blocks, free, linked from `first` to `last` with nothing behind it, all of them of
/// `home`, and forgets them.
pub(super) unsafe fn send_home(home: *const Home, first: Link, last: Link) {
    // SAFETY: the blocks keep their home alive for as long as the caller holds them; no reference to the
    // stack is left when they are given up. If the push fails they are still the caller's.
    unsafe {
        let stack: *const ReturnStack = &*(*home).returns;
        if ReturnStack::push(stack, first, last).is_err() {
            free_all(first.as_ptr());
        }
    }
}

/// Gives all blocks from `link` on to the global allocator, and says how many there were.
///
/// # Safety
///
/// The caller holds the blocks, free and linked up to null, and forgets them.
pub(super) unsafe fn free_all(mut link: *mut Header) -> u32 {
    let mut freed = 0;
    while let Some(block) = Link::new(link) {
        // SAFETY: the caller holds the block; its successor is read before it goes.
        unsafe {
            link = block::header(block).next();
            block::deallocate(block);
        }
        freed += 1;
    }
    freed
}

/// What a pool has gathered for the owners of other cores' blocks.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By the owner's core.
    owners: RefCell<Vec<Owner>>,
    /// All blocks gathered.
    len: Cell<u32>,
}

/// What is gathered for one owner.
#[derive(Debug)]
struct Owner {
    /// Whose blocks these are, while there are any; only compared.
    home: *const Home,
    len: u32,
    lists: [Ends; CLASSES],
}

/// A list of blocks that can be added to at its front and sent off as a whole.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: *mut Header,
    last: *mut Header,
    len: u32,
}

impl Owner {
    const NONE: Owner = Owner {
        home: ptr::null(),
        len: 0,
        lists: [Ends::EMPTY; CLASSES],
    };
}

impl Ends {
    const EMPTY: Ends = Ends {
        first: ptr::null_mut(),
        last: ptr::null_mut(),
        len: 0,
    };
}

impl Gathered {
    /// Adds a block to those of its owner. If the owner's place is taken by the blocks of another pool with
    /// the same core and group, the caller keeps the block.
    ///
    /// # Safety
    ///
    /// The caller holds the block, which is free and has a home, and gives it up if this returns true.
    #[inline]
    pub(super) unsafe fn add(&self, link: Link) -> bool {
        // SAFETY: the caller holds the block.
        let header = unsafe { block::header(link) };
        let mut owners = self.owners.borrow_mut();
        let core = usize::from(header.core());
        if core >= owners.len() {
            owners.resize_with(core + 1, || Owner::NONE);
        }
        let owner = &mut owners[core];
        if owner.len == 0 {
            owner.home = header.home();
        } else if owner.home != header.home() {
            return false;
        }
        let list = &mut owner.lists[header.class() as usize];
        if list.first.is_null() {
            list.last = link.as_ptr();
        }
        // SAFETY: the caller holds the block.
        unsafe { header.set_next(list.first) };
        list.first = link.as_ptr();
        list.len += 1;
        owner.len += 1;
        self.len.set(self.len.get() + 1);
        true
    }

    /// Takes the blocks of one class gathered for `owner`, if there are `min` at least.
    pub(super) fn take(&self, owner: u16, min: u32) -> Option<Chain> {
        let mut owners = self.owners.borrow_mut();
        let gathered = owners.get_mut(usize::from(owner))?;
        let enough = |class: &Class| gathered.lists[*class as usize].len >= min.max(1);
        let class = Class::ALL.into_iter().find(enough)?;
        let list = std::mem::replace(&mut gathered.lists[class as usize], Ends::EMPTY);
        gathered.len -= list.len;
        self.len.set(self.len.get() - list.len);
        Some(Chain {
            first: Link::new(list.first)?,
            last: Link::new(list.last)?,
            len: list.len,
            class,
            owner,
        })
    }

    /// The next owner from core `from` on for whom there are blocks.
    pub(super) fn next_owner(&self, from: usize) -> Option<u16> {
        if self.len.get() == 0 {
            return None;
        }
        let owners = self.owners.borrow();
        let ahead = owners.iter().skip(from).position(|owner| owner.len > 0)?;
        u16::try_from(from + ahead).ok()
    }

    /// How many blocks there are in all.
    pub(super) fn len(&self) -> u32 {
        self.len.get()
    }
}
