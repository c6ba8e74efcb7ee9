//! The system's allocator, counting: for tests of any crate that say what code asks of it. Each includes this file, as an
//! allocator belongs to a program.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};

use ringpost_mailbox::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicU64 = AtomicU64::new(0);
static HELD_MAX: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory
// that the allocator hands out.
unsafe impl GlobalAlloc for Counting {
    /// # Safety
    /// As the system's `alloc`.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = layout.size() as u64;
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
