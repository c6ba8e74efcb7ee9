//! Which pool is current, and which pools are told apart.

#![cfg(not(loom))]

mod payload;

use std::cell::RefCell;

use payload::Cell;
use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_mailbox::pool::{Entered, Pool, PoolLimits};
use ringpost_mailbox::sync::thread;

fn pools<const N: usize>() -> [Pool; N] {
    std::array::from_fn(|core| Pool::new(core as u16, PoolLimits::default()))
}

#[test]
fn guards_nest() {
    let [outer, inner] = pools();
    let current = || {
        drop(Cell::new([0u64; 4]));
        (
            outer.stats().hits + outer.stats().misses,
            inner.stats().hits + inner.stats().misses,
        )
    };
    assert_eq!(current(), (0, 0));
    let entered_outer = outer.enter();
    assert_eq!(current(), (1, 0));
    let entered_inner = inner.enter();
    let entered_again = inner.clone().enter();
    assert_eq!(current(), (1, 1));
    assert!(format!("{entered_again:?}").contains("Entered"));
    drop(entered_again);
    drop(entered_inner);
    assert_eq!(current(), (2, 1));
    drop(entered_outer);
    assert_eq!(current(), (2, 1));
}

#[test]
fn guards_dropped_in_the_wrong_order_do_no_harm() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for (order, same) in orders
        .into_iter()
        .flat_map(|order| [(order, false), (order, true)])
    {
        let pools: [Pool; 3] = pools();
        let mut guards = pools.each_ref().map(|pool| {
            let pool = if same { &pools[0] } else { pool };
            Some(pool.enter())
        });
        for index in order {
            guards[index] = None;
            drop(BufMut::with_capacity(10));
        }
        let total = || {
            pools
                .iter()
                .map(|pool| pool.stats().hits + pool.stats().misses)
                .sum::<u64>()
        };
        let before = total();
        drop(BufMut::with_capacity(10));
        assert_eq!(
            total(),
            before,
            "no pool is current when all guards are gone"
        );
    }
}

#[test]
fn a_pool_is_current_as_long_as_its_guard_lives() {
    let [pool] = pools();
    let entered = pool.enter();
    let kept = pool.clone();
    drop(pool);
    drop(BufMut::with_capacity(10));
    assert_eq!(kept.cached(), 1);
    drop(kept);
    drop(BufMut::with_capacity(10));
    drop(entered);
}

#[test]
fn buffers_may_be_dropped_while_their_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Option<(Vec<Buf>, Entered, Pool)>> = const { RefCell::new(None) };
    }
    let body = || {
        let [pool] = pools();
        let entered = pool.enter();
        KEPT.set(Some((
            vec![Buf::default(), pool.buf(500).freeze()],
            entered,
            pool,
        )));
    };
    thread::spawn(body).join().expect("nothing panics");
}

#[test]
fn other_groups_use_the_return_stack() {
    let here = Pool::in_group(1, 0, PoolLimits::default());
    let namesake = Pool::in_group(1, 0, PoolLimits::default());
    let stranger = Pool::in_group(2, 1, PoolLimits::default());
    let entered = here.enter();
    drop((namesake.buf(1), stranger.buf(1)));
    assert_eq!((here.gathered(), here.stats().foreign_frees), (0, 0));
    assert_eq!((namesake.reclaim(), stranger.reclaim()), (1, 1));
    drop(entered);
}

#[test]
fn two_pools_of_one_core_and_group_are_told_apart() {
    let here = Pool::new(0, PoolLimits::default());
    let [first, second] = [1, 1].map(|core| Pool::new(core, PoolLimits::default()));
    let _entered = here.enter();
    drop((first.buf(1), second.buf(1), first.buf(1)));
    assert_eq!((here.gathered(), here.stats().foreign_frees), (2, 2));
    assert_eq!(second.reclaim(), 1);
    second.accept(here.take_chain(1, 1).expect("two blocks of the first"));
    assert_eq!(first.reclaim(), 2);
}
