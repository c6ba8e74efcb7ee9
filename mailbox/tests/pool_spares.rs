//! Spare blocks: what values of cells lie in when there is no more memory, and that a pool is short until they are replaced.

use std::cell::Cell;
use std::rc::Rc;

use ringpost_mailbox::buf::BufMut;
use ringpost_mailbox::cell::Boxed;
use ringpost_mailbox::pool::{CLASSES, Pool, PoolLimits};

/// A pool that keeps no free blocks and some spare ones, and asks whether there is memory.
fn pool(spares: u32) -> (Pool, Rc<Cell<bool>>) {
    let limits = PoolLimits {
        cached_max: [0; CLASSES],
    };
    let pool = Pool::new(0, limits);
    let memory = Rc::new(Cell::new(true));
    let asked = Rc::clone(&memory);
    pool.ask_before_growth(move |_| asked.get());
    pool.keep_spares([spares; CLASSES]);
    (pool, memory)
}

#[test]
fn values_lie_in_spare_blocks_when_memory_is_refused() {
    let (pool, memory) = pool(3);
    let _entered = pool.enter();
    drop(Boxed::new([0_u8; 60]));
    assert_eq!((pool.cached(), pool.outstanding()), (3, 0));
    assert!(!pool.is_short());

    memory.set(false);
    let some: Vec<Boxed<[u8; 60]>> = (0..2).map(|byte| Boxed::new([byte; 60])).collect();
    assert_eq!((pool.cached(), pool.outstanding()), (1, 2));
    assert!(pool.is_short());
    assert!((0..2).all(|byte| some[usize::from(byte)][..] == [byte; 60]));
    drop(some);
    assert!(pool.is_short(), "this pool keeps no blocks that come home");

    memory.set(true);
    assert!(!pool.is_short());
    assert_eq!((pool.cached(), pool.outstanding()), (3, 0));
}

#[test]
fn what_can_be_refused_uses_no_spare_block() {
    let (pool, memory) = pool(3);
    let _entered = pool.enter();
    drop(Boxed::new([0_u8; 60]));
    memory.set(false);
    assert!(BufMut::try_with_capacity(60).is_none());
    assert!(BufMut::try_copy(&[1; 100_000]).is_none());
    assert_eq!((pool.cached(), pool.stats().refused), (3, 2));
    assert!(!pool.is_short());
    drop(BufMut::with_capacity(60));
    assert_eq!(
        pool.cached(),
        3,
        "it cannot be refused, and nobody is asked"
    );
}

#[test]
fn nobody_is_asked_where_there_is_no_spare_block() {
    let (pool, memory) = pool(2);
    let _entered = pool.enter();
    memory.set(false);
    let all: Vec<Boxed<[u8; 60]>> = (0..9).map(|byte| Boxed::new([byte; 60])).collect();
    assert!(pool.is_short(), "there was never one to spare");
    assert!((0..9).all(|byte| all[usize::from(byte)][..] == [byte; 60]));
}

#[test]
fn a_pool_without_spare_blocks_is_never_short() {
    let (pool, memory) = pool(0);
    let _entered = pool.enter();
    memory.set(false);
    let kept = Boxed::new([7_u8; 60]);
    assert!(!pool.is_short() && kept[..] == [7; 60]);
}
