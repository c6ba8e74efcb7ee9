//! Blocks: a header on a cache line of its own, and room for data behind it.
//!
//! ```text
//!  0        64                      64 + capacity
//!  +--------+-----------------------+
//!  | header |  data, aligned to 64  |
//!  +--------+-----------------------+
//! ```
//!
//! A block is *held* by exactly one party at a time: a [`Block`] handle, a free list, a chain or a return
//! stack. The holder alone touches the fields in cells; all others are never written after `allocate`.
//! While a block is shared (see [`SharedBuf`](crate::buf::SharedBuf)) its handles together are the holder:
//! each touches only `shares` and reads the data, and the last one holds the block alone again.

use std::alloc::{self, Layout};
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};

use super::class::Class;
use super::current;
use super::home::Home;
use super::sentinel::{Sentinel, Stamp};
use crate::sync::Arc;
use crate::sync::atomic::AtomicU32;
use crate::sync::cell::UnsafeCell;

/// Data in a block is aligned to this many bytes, so it begins on a cache line of its own.
pub const BLOCK_ALIGN: usize = 64;

/// The bytes of a block before its data.
pub(crate) const HEADER_BYTES: usize = size_of::<Header>();

/// The most data that one block may hold, in bytes; larger requests are refused with a panic.
pub const BLOCK_BYTES_MAX: usize = 1 << 31;

/// What a block knows of itself.
#[repr(C, align(64))]
pub(crate) struct Header {
    /// The home this block returns to, with one count of its `Arc`; null for a block of no pool.
    home: *const Home,
    /// The next free block of the list this one is on.
    next: UnsafeCell<*mut Header>,
    /// Handles of a shared block; see `buf::shared`.
    pub(crate) shares: AtomicU32,
    /// Whether all of the data is initialised, whatever the handle of the day writes.
    initialized: UnsafeCell<bool>,
    /// Room for data, in bytes.
    capacity: u32,
    /// The size class, which means nothing if there is no home.
    class: Class,
    /// The core of the home, and the group of pools it belongs to; copied here so that freeing a block
    /// touches no line of its owner's.
    core: u16,
    group: u32,
    /// Stands for the data where the model checker looks, since it does not see bytes.
    data: UnsafeCell<()>,
    sentinel: Sentinel,
}

// Under a checker the cells are larger, and the header takes as many lines as it needs.
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Header>() == BLOCK_ALIGN);
const _: () = assert!(align_of::<Header>() == BLOCK_ALIGN);

/// A pointer to a block by its header. What may be done with it is up to who holds the block.
pub(super) type Link = NonNull<Header>;

fn layout(capacity: u32) -> Layout {
    Layout::from_size_align(HEADER_BYTES + capacity as usize, BLOCK_ALIGN)
        .expect("a block is smaller than the address space")
}

/// What a block of `class` takes, in bytes.
pub(super) fn bytes_of(class: Class) -> usize {
    layout(class.bytes()).size()
}

/// A new block of `home` from the global allocator, free, held by the caller; `None` if that has no memory.
pub(super) fn allocate(home: &Arc<Home>, class: Class) -> Option<Link> {
    let (core, group) = (home.core, home.group);
    let link = allocate_with(Arc::as_ptr(home), core, group, class, class.bytes())?;
    // The count that the block holds, which `deallocate` gives back.
    mem::forget(home.clone());
    Some(link)
}

/// A new block of no home from the global allocator, free, held by the caller; `None` if that has no memory.
fn allocate_homeless(capacity: u32) -> Option<Link> {
    allocate_with(ptr::null(), 0, 0, Class::Huge, capacity)
}

/// Ends the process, as there is no memory for a block with so much room for data.
#[cold]
pub(super) fn out_of_memory(capacity: u32) -> ! {
    alloc::handle_alloc_error(layout(capacity))
}

fn allocate_with(
    home: *const Home,
    core: u16,
    group: u32,
    class: Class,
    capacity: u32,
) -> Option<Link> {
    // SAFETY: the layout is not empty, as it has room for a header.
    let link = NonNull::new(unsafe { alloc::alloc(layout(capacity)) })?.cast::<Header>();
    let header = Header {
        home,
        next: UnsafeCell::new(ptr::null_mut()),
        shares: AtomicU32::new(0),
        initialized: UnsafeCell::new(false),
        capacity,
        class,
        core,
        group,
        data: UnsafeCell::new(()),
        sentinel: Sentinel::new(),
    };
    // SAFETY: the memory is new, ours, aligned and large enough for a header.
    unsafe { link.write(header) };
    Some(link)
}

/// Gives a block back to the global allocator.
///
/// # Safety
///
/// The caller holds the block, which is free, and forgets it.
#[cold]
pub(super) unsafe fn deallocate(link: Link) {
    // SAFETY: the caller holds the block, so its header may be read and dropped. A home that is not null
    // is one count of an `Arc`, left there by `allocate` and given back only here. The memory came from
    // `allocate` with the same layout, since the capacity does not change.
    unsafe {
        let (home, layout) = (link.as_ref().home, layout(link.as_ref().capacity));
        link.drop_in_place();
        alloc::dealloc(link.as_ptr().cast(), layout);
        if !home.is_null() {
            drop(Arc::from_raw(home));
        }
    }
}

/// The header of a block.
///
/// # Safety
///
/// The block is alive for `'a`: its holder does not deallocate it.
#[inline]
pub(super) unsafe fn header<'a>(link: Link) -> &'a Header {
    // SAFETY: the caller promises that the block is alive; nothing but the cells in a header is ever
    // written, so a shared reference to it is always in order.
    unsafe { link.as_ref() }
}

impl Header {
    /// The home of the block; null if it has none.
    #[inline]
    pub(super) fn home(&self) -> *const Home {
        self.home
    }

    /// The class of the block, if it has a home.
    #[inline]
    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// The core of the block's home.
    #[inline]
    pub(super) fn core(&self) -> u16 {
        self.core
    }

    /// The group of pools that the block's home belongs to.
    #[inline]
    pub(super) fn group(&self) -> u32 {
        self.group
    }

    /// The block after this one.
    ///
    /// # Safety
    ///
    /// The caller holds the block.
    #[inline]
    pub(super) unsafe fn next(&self) -> *mut Header {
        // SAFETY: nobody else touches the cell while the caller holds the block.
        self.next.with(|next| unsafe { *next })
    }

    /// Puts `link` after this block.
    ///
    /// # Safety
    ///
    /// The caller holds the block.
    #[inline]
    pub(super) unsafe fn set_next(&self, link: *mut Header) {
        // SAFETY: nobody else touches the cell while the caller holds the block.
        self.next.with_mut(|next| unsafe { *next = link });
    }
}

/// A block in use, owned. Dropping it sends the block home.
pub(crate) struct Block {
    link: Link,
    stamp: Stamp,
}

// SAFETY: a block is held by its handle alone, and whoever holds it may touch it from any thread; what is
// shared with other threads is the home, which is `Sync`, and immutable fields.
unsafe impl Send for Block {}
// SAFETY: a shared handle gives out its data's address and reads immutable fields; it touches no cell but
// through unsafe functions whose callers promise to hold the block.
unsafe impl Sync for Block {}

impl Block {
    /// A block of `class` from this thread's current pool, or from the global allocator if there is none.
    #[inline]
    pub(crate) fn of_class(class: Class) -> Block {
        current::block_of(class)
    }

    /// A block with room for `bytes`, of this thread's current pool if there is one and it has a class for
    /// as much.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub(crate) fn with_room(bytes: usize) -> Block {
        current::block(bytes)
    }

    /// As [`with_room`](Self::with_room), where more memory may be refused: by whom the pool asks, or by the system.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`BLOCK_BYTES_MAX`].
    #[inline]
    pub(crate) fn try_with_room(bytes: usize) -> Option<Block> {
        current::try_block(bytes)
    }

    /// A block of no pool with room for `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`BLOCK_BYTES_MAX`].
    #[cold]
    pub(crate) fn homeless(bytes: usize) -> Block {
        Self::try_homeless(bytes).unwrap_or_else(|| out_of_memory(homeless_capacity(bytes)))
    }

    /// As [`homeless`](Self::homeless); `None` if the system has no memory.
    ///
    /// # Panics
    ///
    /// If `bytes` is more than [`BLOCK_BYTES_MAX`].
    #[cold]
    pub(super) fn try_homeless(bytes: usize) -> Option<Block> {
        let link = allocate_homeless(homeless_capacity(bytes))?;
        // SAFETY: the block is free and nobody else's.
        Some(unsafe { Block::from_free(link) })
    }

    /// The handle of a free block, which is in use from now on.
    ///
    /// # Safety
    ///
    /// The caller holds the block and leaves it to the handle.
    #[inline]
    pub(super) unsafe fn from_free(link: Link) -> Block {
        // SAFETY: the caller holds the block; a block that was ever returned has all its data poisoned
        // (in debug builds, where it matters).
        unsafe {
            let header = header(link);
            header.sentinel.mark_used(data_of(link));
            Block {
                link,
                stamp: header.sentinel.stamp(),
            }
        }
    }

    /// Gives up the handle for a pointer to the data.
    #[inline]
    pub(crate) fn into_data(self) -> NonNull<u8> {
        ManuallyDrop::new(self).data()
    }

    /// The handle back.
    ///
    /// # Safety
    ///
    /// `data` came from [`Block::into_data`], and this is the first handle made of it since.
    #[inline]
    pub(crate) unsafe fn from_data(data: NonNull<u8>) -> Block {
        // SAFETY: the data lies `HEADER_BYTES` behind its header, in the same allocation, and the pointer
        // was made from one to the whole block. The caller promises that nobody else has a handle.
        unsafe {
            let link = data.sub(HEADER_BYTES).cast::<Header>();
            let stamp = header(link).sentinel.stamp();
            Block { link, stamp }
        }
    }

    /// One more handle of a block that is shared.
    ///
    /// # Safety
    ///
    /// The caller sees to it that only the last of the handles is dropped, and that none of them writes.
    #[inline]
    pub(crate) unsafe fn same(&self) -> Block {
        Block {
            link: self.link,
            stamp: self.stamp,
        }
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the block is alive as long as its handle.
        unsafe { header(self.link) }
    }

    /// Where the data begins; aligned to [`BLOCK_ALIGN`].
    #[inline]
    pub(crate) fn data(&self) -> NonNull<u8> {
        // SAFETY: a header is followed by the data in the same allocation.
        unsafe { self.link.cast::<u8>().add(HEADER_BYTES) }
    }

    /// Room for data, in bytes.
    #[inline]
    pub(crate) fn capacity(&self) -> u32 {
        self.header().capacity
    }

    /// Whether all of the data is known to be initialised.
    #[inline]
    pub(crate) fn is_initialized(&mut self) -> bool {
        // SAFETY: a unique borrow of the handle holds the block.
        self.header()
            .initialized
            .with(|initialized| unsafe { *initialized })
    }

    /// Records whether all of the data is initialised.
    ///
    /// # Safety
    ///
    /// If `initialized`, it is, and whoever writes uninitialised bytes there later takes it back.
    #[inline]
    pub(crate) unsafe fn set_initialized(&mut self, initialized: bool) {
        // SAFETY: a unique borrow of the handle holds the block.
        self.header()
            .initialized
            .with_mut(|known| unsafe { *known = initialized });
    }

    /// Tells the model checker that the data is read. Compiles to nothing otherwise.
    #[inline]
    pub(crate) fn mark_read(&self) {
        self.header().data.with(|_| ());
    }

    /// Tells the model checker that the data is written. Compiles to nothing otherwise.
    #[inline]
    pub(crate) fn mark_written(&mut self) {
        self.header().data.with_mut(|_| ());
    }
}

/// The room of a block of no pool that is to have room for `bytes`.
///
/// # Panics
///
/// If that is more than [`BLOCK_BYTES_MAX`].
fn homeless_capacity(bytes: usize) -> u32 {
    assert!(
        bytes <= BLOCK_BYTES_MAX,
        "a buffer of {bytes} bytes is too large"
    );
    bytes.max(1).next_multiple_of(BLOCK_ALIGN) as u32
}

/// All the room for data of a block.
///
/// # Safety
///
/// The block is alive.
#[inline]
unsafe fn data_of(link: Link) -> *mut [u8] {
    // SAFETY: the caller promises that the block is alive, and the data lies behind its header.
    unsafe {
        let data = link.cast::<u8>().add(HEADER_BYTES).as_ptr();
        ptr::slice_from_raw_parts_mut(data, header(link).capacity as usize)
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        self.mark_written();
        // SAFETY: the handle holds the block, and gives it up here.
        unsafe {
            let header = header(self.link);
            header.sentinel.mark_free(self.stamp, data_of(self.link));
            current::give(self.link);
        }
    }
}
