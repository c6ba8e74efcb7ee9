//! Models of the ways home: the return stack, its closing, chains through a ring, and shared
//! buffers.
//!
//! What the models would notice: a block that is used by two parties (its header and data are cells
//! that loom watches), a block that is freed twice or leaked (each holds a count of its home, which
//! loom counts too), and a block that is lost on the way (the pool's own account does not balance).
#![cfg(any(loom, shuttle, ringpost_mutable))]

mod buffers;
mod ways_home;

use ringpost_mailbox::buf::Buf;
use ringpost_mailbox::pool::{Pool, PoolLimits};

/// Asserts that a model had this many executions at least: one whose threads never meet proves
/// nothing.
fn assert_met(ways: u64, ways_min: u64) {
    // The others draw or repeat as many as they are told.
    assert!(!cfg!(loom) || ways >= ways_min, "only {ways} ways");
}

fn pool(core: u16) -> Pool {
    Pool::new(core, PoolLimits::default())
}

/// A buffer of `pool` that has been written to.
fn written(pool: &Pool) -> Buf {
    let mut buf = pool.buf(64);
    buf.extend_from_slice(b"bytes");
    buf.freeze()
}

/// Asserts that all `blocks` of `pool` are home, by using each of them again.
fn assert_all_home(pool: &Pool, blocks: usize) {
    pool.reclaim();
    assert_eq!((pool.outstanding(), pool.cached()), (0, blocks as u32));
    let again = Vec::from_iter((0..blocks).map(|_| written(pool)));
    assert_eq!(pool.stats().misses, blocks as u64);
    let entered = pool.enter();
    drop(again);
    drop(entered);
}
