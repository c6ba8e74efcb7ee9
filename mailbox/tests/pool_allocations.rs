//! What the pools ask of the global allocator: nothing in steady state, and everything is given back.
//!
//! One test, since the allocator counts for the whole process; its parts run one after the other.

#![cfg(not(loom))]

mod payload;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell as StdCell;

use payload::Cell;
use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_mailbox::pool::{BLOCK_ALIGN, Pool, PoolLimits};
use ringpost_mailbox::ring::ring;
use ringpost_mailbox::sync::atomic::{AtomicU64, Relaxed};
use ringpost_mailbox::sync::{Arc, thread};

/// The system's allocator, and what was asked of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of blocks, which are all that is aligned to a block's alignment here, that are allocated now.
static BLOCK_BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Allocations of this thread.
    static ALLOCATIONS: StdCell<u64> = const { StdCell::new(0) };
}

// SAFETY: everything is done by the system's allocator, as it was asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if layout.align() == BLOCK_ALIGN {
            // Relaxed: read when the threads that allocate have been joined.
            BLOCK_BYTES.fetch_add(layout.size() as u64, Relaxed);
        }
        // SAFETY: the caller upholds what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if layout.align() == BLOCK_ALIGN {
            // Relaxed: as above.
            BLOCK_BYTES.fetch_sub(layout.size() as u64, Relaxed);
        }
        // SAFETY: the caller upholds what the system's allocator asks for.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How often `work` allocates on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn block_bytes() -> u64 {
    BLOCK_BYTES.load(Relaxed)
}

fn inline_cells_never_allocate() {
    let count = allocations(|| {
        for n in 0..1000u64 {
            assert_eq!(Cell::new(n).take::<u64>().expect("a number"), n);
            assert_eq!(
                Cell::new([n; 3]).take::<[u64; 3]>().expect("numbers"),
                [n; 3]
            );
            drop(Cell::new(()));
        }
    });
    assert_eq!(count, 0);
}

fn pooled_cells_and_buffers_allocate_only_at_first() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    let round = || {
        let cells = [1u64, 2, 3].map(|n| Cell::new([n; 7]));
        for (n, cell) in (1..).zip(cells) {
            assert_eq!(cell.take::<[u64; 7]>().expect("numbers"), [n; 7]);
        }
        drop(Cell::new([0u8; 60_000]));
        let mut buf = pool.buf(1000);
        buf.extend_from_slice(b"bytes");
        buf.spare()[0] = 1;
        drop(buf.freeze().slice(1..).share().clone());
    };
    assert_eq!(
        allocations(round),
        5,
        "three cells, one large cell, one buffer"
    );
    assert_eq!(allocations(|| (0..1000).for_each(|_| round())), 0);
}

fn chains_between_two_pools_balance() {
    let pools = [0, 1].map(|core| Pool::new(core, PoolLimits::default()));
    let (producer, mut consumer) = ring(256);
    let mut round = |from: usize| {
        let (here, there) = (&pools[from], &pools[1 - from]);
        let entered = here.enter();
        for n in 0..100u64 {
            producer
                .push((Cell::new([n; 8]), here.buf(100)))
                .expect("there is room");
        }
        producer.publish();
        drop(entered);

        let entered = there.enter();
        assert_eq!(consumer.drain(u32::MAX, drop), 100);
        drop(entered);
        while let Some(chain) = there.take_chain(here.core(), 1) {
            here.accept(chain);
        }
        assert_eq!((here.outstanding(), there.gathered()), (0, 0));
    };
    round(0);
    round(1);
    let count = allocations(|| {
        for n in 0..200 {
            round(n % 2);
        }
    });
    assert_eq!(count, 0, "the blocks go round");
    for pool in &pools {
        let stats = pool.stats();
        assert_eq!(stats.hits + stats.misses, 101 * 200);
        assert_eq!(stats.accepted, 101 * 200, "each block out came back in");
        assert_eq!((stats.misses, stats.released, stats.returned), (200, 0, 0));
    }
}

fn a_pool_may_go_while_others_return_its_blocks() {
    const THREADS: usize = 2;
    let rounds = if cfg!(debug_assertions) { 300 } else { 3000 };
    let open = Arc::new(AtomicU64::new(0));
    for round in 1..=rounds {
        let pool = Pool::new(0, PoolLimits::default());
        let threads = [(); THREADS].map(|()| {
            let bufs = [(); 8].map(|()| pool.buf(round as usize));
            let cells = pool_cells(&pool);
            let open = open.clone();
            thread::spawn(move || {
                // Relaxed: only to start at about the same time.
                open.fetch_add(1, Relaxed);
                while open.load(Relaxed) < round * THREADS as u64 {
                    thread::yield_now();
                }
                drop((bufs, cells));
            })
        });
        while open.load(Relaxed) < round * THREADS as u64 {
            thread::yield_now();
        }
        drop(pool);
        for thread in threads {
            thread.join().expect("nothing panics");
        }
    }
}

fn pool_cells(pool: &Pool) -> [Cell; 4] {
    let _entered = pool.enter();
    [1u64, 2, 3, 4].map(|n| Cell::new([n; 30]))
}

fn what_outlives_its_pool_is_freed_at_once() {
    let before = block_bytes();
    let pool = Pool::new(0, PoolLimits::default());
    let (cached, kept) = (pool.buf(100), pool.buf(100));
    let entered = pool.enter();
    drop(cached);
    drop(entered);
    assert_eq!(block_bytes() - before, 2 * (256 + 64));
    drop(pool);
    assert_eq!(
        block_bytes() - before,
        256 + 64,
        "the free block goes with the pool"
    );
    drop(kept);
    assert_eq!(block_bytes(), before, "the other one when it is dropped");
}

fn limits_bound_the_memory_kept() {
    let before = block_bytes();
    let limits = PoolLimits {
        cached_max: [4, 3, 2, 1, 1],
    };
    let pool = Pool::new(0, limits.clone());
    let entered = pool.enter();
    let sizes = [1, 100, 1000, 10_000, 60_000, 100_000];
    drop(Vec::from_iter(
        sizes.repeat(10).into_iter().map(BufMut::with_capacity),
    ));
    assert_eq!(
        block_bytes() - before,
        limits.bytes_max(),
        "each class is full, and the rest is gone"
    );
    drop(entered);
}

fn no_pool_at_all_leaks_nothing() {
    let before = block_bytes();
    drop((
        Buf::from(&b"bytes"[..]).share(),
        Cell::new([1u8; 99]),
        BufMut::with_capacity(1 << 20),
    ));
    assert_eq!(block_bytes(), before);
}

#[test]
fn nothing_is_allocated_in_steady_state_and_everything_is_freed() {
    inline_cells_never_allocate();
    pooled_cells_and_buffers_allocate_only_at_first();
    chains_between_two_pools_balance();
    a_pool_may_go_while_others_return_its_blocks();
    what_outlives_its_pool_is_freed_at_once();
    limits_bound_the_memory_kept();
    no_pool_at_all_leaks_nothing();
    assert_eq!(block_bytes(), 0, "all memory of all pools is free");
}
