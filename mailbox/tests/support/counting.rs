//! The system's allocator, counting, and refusing when told to: for tests of any crate that say what code asks of it. Each
//! includes this file, as an allocator belongs to a program.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};

use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);
static HELD_MAX: AtomicU64 = AtomicU64::new(0);
static REFUSED_FROM: AtomicU64 = AtomicU64::new(u64::MAX);

// SAFETY: every call is passed on to the system's allocator as it came, or is answered with null as one that has no
// memory may; counting touches no memory that the allocator hands out.
unsafe impl GlobalAlloc for Counting {
    /// # Safety
    /// As the system's `alloc`.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = layout.size() as u64;
        // Relaxed: tests that refuse see to it that the threads they mean know of it.
        if bytes >= REFUSED_FROM.load(Ordering::Relaxed) {
            return std::ptr::null_mut();
        }
        // Relaxed, here and below: a sum needs no order with anything else.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
        HELD_MAX.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    /// # Safety
    /// As the system's `dealloc`.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // Relaxed: as above.
        HELD.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `dealloc`; the block came from the system.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// From now on there is no memory for allocations of so many bytes or more; `u64::MAX` is an end of it.
pub(crate) fn refuse_from(bytes: u64) {
    // Relaxed: as above.
    REFUSED_FROM.store(bytes, Ordering::Relaxed);
}

/// How often the program has allocated.
pub(crate) fn allocations() -> u64 {
    // Relaxed: as above.
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// The bytes that are held now; the most that is held counts from here.
pub(crate) fn begin_count() -> u64 {
    // Relaxed: as above.
    let held = HELD.load(Ordering::Relaxed);
    HELD_MAX.store(held, Ordering::Relaxed);
    held
}

/// The most that was held since then, beyond what was held then.
pub(crate) fn counted_since(before: u64) -> u64 {
    // Relaxed: as above.
    HELD_MAX.load(Ordering::Relaxed) - before
}
