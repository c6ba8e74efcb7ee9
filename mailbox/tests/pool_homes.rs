//! Every way a block comes home, with the pools of several cores on one thread.

#![cfg(not(loom))]

mod payload;

use payload::Cell;
use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_mailbox::pool::{BLOCK_ALIGN, CLASS_BYTES, Pool, PoolLimits};
use ringpost_mailbox::sync::thread;

fn pools<const N: usize>() -> [Pool; N] {
    std::array::from_fn(|core| Pool::new(core as u16, PoolLimits::default()))
}

/// Sends home all chains that `from` has gathered for `to`.
fn send_chains(from: &Pool, to: &Pool) -> u32 {
    let chains = std::iter::from_fn(|| from.take_chain(to.core(), 1));
    chains
        .map(|chain| {
            let len = chain.len();
            to.accept(chain);
            len
        })
        .sum()
}

#[test]
fn a_block_freed_at_home_is_used_again_first() {
    let [pool] = pools();
    let _entered = pool.enter();
    let (older, newer) = (pool.buf(100), pool.buf(100));
    let (older_at, newer_at) = (older.as_ptr(), newer.as_ptr());
    drop(older);
    drop(newer);
    assert_eq!((pool.cached(), pool.outstanding()), (2, 0));
    let again = BufMut::with_capacity(256);
    assert_eq!(
        again.as_ptr(),
        newer_at,
        "the one freed last is the one in the cache"
    );
    assert_eq!(pool.buf(65).as_ptr(), older_at);
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses), (2, 2));
}

#[test]
fn each_size_comes_from_the_smallest_class_that_has_room() {
    let [pool] = pools();
    let mut room_before = 0;
    for room in CLASS_BYTES.map(|bytes| bytes as usize) {
        for capacity in [room_before + 1, room] {
            let buf = pool.buf(capacity);
            assert_eq!(buf.capacity(), room);
            assert!(buf.as_ptr().addr().is_multiple_of(BLOCK_ALIGN));
        }
        room_before = room;
    }
    assert_eq!(pool.stats().oversize, 0);
    let oversize = pool.buf(room_before + 1);
    assert!(
        oversize.capacity() > room_before && oversize.as_ptr().addr().is_multiple_of(BLOCK_ALIGN)
    );
    assert_eq!(pool.stats().oversize, 1);
    drop(oversize);
    pool.reclaim();
    assert_eq!(pool.outstanding(), 0);
}

#[test]
fn blocks_freed_on_another_core_come_home_in_chains() {
    let [owner, other] = pools();
    let bufs = Vec::from_iter((0..40).map(|_| owner.buf(1000)));
    let entered = other.enter();
    drop(bufs);
    assert_eq!((other.gathered(), other.stats().foreign_frees), (40, 40));
    assert_eq!((owner.outstanding(), owner.cached()), (40, 0));

    assert!(other.take_chain(0, 41).is_none(), "there are only 40");
    assert!(other.take_chain(7, 1).is_none(), "core 7 is nobody's");
    let chain = other.take_chain(0, 32).expect("there are 40");
    assert_eq!((chain.owner(), chain.len()), (0, 40));
    assert!(format!("{chain:?}").contains("len: 40"));
    assert_eq!(other.gathered(), 0);
    owner.accept(chain);
    assert_eq!(
        (owner.outstanding(), owner.cached(), owner.stats().accepted),
        (0, 40, 40)
    );

    drop(entered);
    drop(Vec::from_iter((0..40).map(|_| owner.buf(1000))));
    assert_eq!(
        owner.stats().misses,
        40,
        "the blocks that came home are used again"
    );
}

#[test]
fn a_chain_has_blocks_of_one_size() {
    let [owner, other] = pools();
    let _entered = other.enter();
    drop([
        owner.buf(64),
        owner.buf(256),
        owner.buf(256),
        owner.buf(65_536),
    ]);
    let lens = std::iter::from_fn(|| other.take_chain(0, 1)).map(|chain| {
        let len = chain.len();
        owner.accept(chain);
        len
    });
    assert_eq!(Vec::from_iter(lens), [1, 2, 1]);
    assert_eq!((owner.outstanding(), other.gathered()), (0, 0));
}

#[test]
fn owners_are_listed_in_order_while_their_chains_are_taken() {
    let [here, first, second, third] = pools();
    let _entered = here.enter();
    assert_eq!(here.chain_owners().count(), 0);
    drop([third.buf(1), first.buf(1), second.buf(1)]);
    let mut order = Vec::new();
    for owner in here.chain_owners() {
        order.push(owner);
        drop(here.take_chain(owner, 1));
    }
    assert_eq!(order, [1, 2, 3]);
    assert_eq!(here.chain_owners().count(), 0);
}

#[test]
fn large_cells_come_home_as_buffers_do() {
    let [owner, other] = pools();
    let entered = owner.enter();
    let cells = Vec::from_iter((0u64..10).map(|n| Cell::new([n; 8])));
    let nested = other.enter();
    for (n, cell) in (0..).zip(cells) {
        assert_eq!(cell.take::<[u64; 8]>().expect("an array"), [n; 8]);
    }
    drop(nested);
    assert_eq!(send_chains(&other, &owner), 10);
    assert_eq!((owner.outstanding(), owner.cached()), (0, 10));
    drop(entered);
}

#[test]
fn a_chain_that_is_dropped_loses_nothing() {
    let [owner, other] = pools();
    let gather = || {
        let bufs = [owner.buf(10), owner.buf(20)];
        let _entered = other.enter();
        drop(bufs);
        other.take_chain(0, 2).expect("two blocks")
    };

    drop(gather());
    assert_eq!(owner.cached(), 0, "no pool is current: on the return stack");
    assert_eq!(owner.reclaim(), 2);
    assert_eq!(owner.cached(), 2);

    let chain = gather();
    let entered = owner.enter();
    drop(chain);
    assert_eq!(owner.cached(), 2, "the owner is current: at home at once");
    drop(entered);

    let chain = gather();
    other.accept(chain);
    assert_eq!(
        owner.reclaim(),
        2,
        "what went to the wrong pool goes on to the right one"
    );

    let chain = gather();
    drop(owner);
    drop(chain);
}

#[test]
fn blocks_dropped_under_no_pool_wait_for_the_owner() {
    let [owner] = pools();
    let bufs = [owner.buf(10), owner.buf(1000), owner.buf(20)];
    drop(bufs);
    assert_eq!((owner.cached(), owner.outstanding()), (0, 3));
    drop(owner.buf(30));
    assert_eq!(
        owner.stats().returned,
        3,
        "a miss looks at the return stack first"
    );
    assert_eq!(owner.stats().misses, 3);
    assert_eq!((owner.cached(), owner.reclaim()), (2, 1));
    assert_eq!(owner.reclaim(), 0);
}

#[test]
fn a_miss_allocates_when_only_other_sizes_came_home() {
    let [owner] = pools();
    drop(owner.buf(10));
    let _large = owner.buf(10_000);
    let stats = owner.stats();
    assert_eq!((stats.returned, stats.misses, stats.hits), (1, 2, 0));
}

#[test]
fn limits_hold_on_every_way_home() {
    let limits = PoolLimits {
        cached_max: [2, 0, 1, 0, 0],
    };
    let owner = Pool::new(0, limits);
    let other = Pool::new(1, PoolLimits::default());
    let five = || Vec::from_iter((0..5).map(|_| owner.buf(1)));

    let entered = owner.enter();
    drop(five());
    assert_eq!(
        (owner.cached(), owner.stats().released),
        (2, 3),
        "freed at home"
    );
    drop(owner.buf(100));
    assert_eq!(
        (owner.cached(), owner.stats().released),
        (2, 4),
        "a class that keeps nothing"
    );
    drop(entered);

    let bufs = five();
    let entered = other.enter();
    drop(bufs);
    drop(entered);
    send_chains(&other, &owner);
    assert_eq!(
        (owner.cached(), owner.stats().released),
        (2, 7),
        "come home in a chain"
    );

    drop(five());
    owner.reclaim();
    assert_eq!(
        (owner.cached(), owner.stats().released),
        (2, 10),
        "come home by the return stack"
    );
    assert_eq!(owner.outstanding(), 0);
}

#[test]
fn buffers_and_cells_outlive_their_pool() {
    let [owner, other] = pools();
    let entered = owner.enter();
    let bufs = [(); 4].map(|()| Buf::from(&b"still here"[..]));
    let cells = [(); 3].map(|()| Cell::new([7u64; 20]));
    drop(entered);
    drop(owner);

    let [kept, with_chain, with_pool, sent] = bufs;
    let [kept_cell, cell_with_chain, cell_sent] = cells;
    let entered = other.enter();
    drop((with_chain, cell_with_chain));
    drop(
        other
            .take_chain(0, 1)
            .expect("a block of the pool that is gone"),
    );
    drop(with_pool);
    drop(entered);
    drop(other);

    thread::spawn(move || {
        assert_eq!(sent, "still here");
        assert_eq!(cell_sent.take::<[u64; 20]>().expect("an array"), [7; 20]);
    })
    .join()
    .expect("nothing panics");
    assert_eq!(kept, "still here");
    assert_eq!(kept_cell.peek::<[u64; 20]>(), Some(&[7; 20]));
}

#[test]
fn a_thread_without_a_pool_uses_the_global_allocator() {
    let [pool] = pools();
    let buf = BufMut::from(&b"homeless"[..]);
    let cell = Cell::new([1u8; 300]);
    let _entered = pool.enter();
    assert_eq!(buf, "homeless");
    drop((buf, cell));
    assert_eq!(
        (pool.cached(), pool.gathered(), pool.stats()),
        (0, 0, Default::default())
    );
}

#[test]
fn the_formatter_counts_what_the_pool_has() {
    let [pool] = pools();
    let _buf = pool.buf(1);
    let text = format!("{pool:?} {:?} {:?}", pool.stats(), PoolLimits::default());
    assert!(
        text.contains("outstanding: 1") && text.contains("misses: 1"),
        "{text}"
    );
    assert!(text.contains("cached_max"), "{text}");
}
