//! Blocks on all ways home, while their pool takes them in or goes.

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::buf::Buf;
use ringpost_mailbox::pool::Chain;
use ringpost_mailbox::ring::ring;

use super::{assert_all_home, assert_met, pool, written};

/// One thread returns two blocks while the owner takes what is there and allocates.
#[test]
fn push_against_take() {
    let ways = two_threads("pool: push against take", |threads| {
        let pool = pool(0);
        let bufs = [written(&pool), written(&pool)];
        let outside = threads.spawn(move || drop(bufs));
        threads.begin();
        let reclaimed = pool.reclaim();
        assert_eq!(pool.cached(), reclaimed);
        let entered = pool.enter();
        drop(written(&pool));
        drop(entered);
        let blocks = pool.stats().misses;
        outside.join().expect("the thread ends");
        assert_all_home(&pool, blocks as usize);
    });
    assert_met(ways, 20);
}

/// Two threads return blocks while the owner takes.
#[test]
fn pushes_against_take() {
    let ways = three_threads("pool: pushes against take", |threads| {
        let pool = pool(0);
        let bufs = [vec![written(&pool)], vec![written(&pool), written(&pool)]];
        let outside = bufs.map(|bufs| threads.spawn(move || drop(bufs)));
        threads.begin();
        pool.reclaim();
        for thread in outside {
            thread.join().expect("the thread ends");
        }
        assert_all_home(&pool, 3);
    });
    assert_met(ways, 1_800);
}

/// One thread returns two blocks while the pool goes: each is freed once, by one of them.
#[test]
fn push_against_close() {
    let ways = two_threads("pool: push against close", |threads| {
        let pool = pool(0);
        let bufs = [written(&pool), written(&pool)];
        let outside = threads.spawn(move || drop(bufs));
        threads.begin();
        drop(pool);
        outside.join().expect("the thread ends");
    });
    assert_met(ways, 150);
}

/// Two threads return a block each while the pool goes.
#[test]
fn pushes_against_close() {
    let ways = three_threads("pool: pushes against close", |threads| {
        let pool = pool(0);
        let outside = [(); 2].map(|()| {
            let buf = written(&pool);
            threads.spawn(move || drop(buf))
        });
        threads.begin();
        drop(pool);
        for thread in outside {
            thread.join().expect("the thread ends");
        }
    });
    assert_met(ways, 2_300);
}

/// A core gets two blocks through a ring and sends them home in a chain through another one.
#[test]
fn a_chain_through_a_ring() {
    let ways = two_threads("pool: a chain through a ring", |threads| {
        let zero = pool(0);
        let (to_one, mut from_zero) = ring::<Buf>(2);
        let (to_zero, mut from_one) = ring::<Chain>(1);
        for _ in 0..2 {
            to_one.push(written(&zero)).expect("there is room");
        }
        to_one.publish();
        drop(to_one);

        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            from_zero.drain(u32::MAX, |buf| assert_eq!(buf, "bytes"));
            let chain = one.take_chain(0, 2).expect("two blocks were dropped");
            to_zero.push(chain).expect("there is room");
            to_zero.publish();
            drop(entered);
        });
        threads.begin();
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        let entered = zero.enter();
        drop(written(&zero));
        drop(entered);
        let blocks = zero.stats().misses;
        other.join().expect("the thread ends");
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        assert_all_home(&zero, blocks as usize);
    });
    assert_met(ways, 10);
}

/// A chain is sent off while the owner's end of the ring goes, and then the owner.
#[test]
fn a_chain_into_a_ring_that_goes_down() {
    let ways = two_threads("pool: a chain into a ring that goes down", |threads| {
        let zero = pool(0);
        let (to_zero, from_one) = ring::<Chain>(1);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            let chain = one.take_chain(0, 2).expect("two blocks were dropped");
            to_zero.push(chain).expect("there is room");
            drop(to_zero);
            drop(entered);
        });
        threads.begin();
        drop(from_one);
        drop(zero);
        other.join().expect("the thread ends");
    });
    assert_met(ways, 80);
}

/// Blocks gathered for a pool that goes at the same time as the pool that gathered them.
#[test]
fn gathered_blocks_against_close() {
    let ways = two_threads("pool: gathered blocks against close", |threads| {
        let zero = pool(0);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            drop(entered);
        });
        threads.begin();
        drop(zero);
        other.join().expect("the thread ends");
    });
    assert_met(ways, 50);
}

/// Two blocks of a pool dropped under another one, and the chain of them given up.
fn cancel_chain(bufs: [Buf; 2]) {
    let one = pool(1);
    let entered = one.enter();
    drop(bufs);
    let chain = one.take_chain(0, 2).expect("two blocks were dropped");
    drop(chain);
    drop(entered);
}

/// A chain finds no room in the ring, if the owner has not taken the one before it, and is dropped.
#[test]
fn a_chain_that_a_full_ring_refuses() {
    let ways = two_threads("pool: a chain refused by a full ring", |threads| {
        let zero = pool(0);
        let (to_zero, mut from_one) = ring::<Chain>(1);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            for buf in bufs {
                drop(buf);
                let chain = one.take_chain(0, 1).expect("a block was dropped");
                drop(to_zero.push(chain));
                to_zero.publish();
            }
            drop(entered);
        });
        threads.begin();
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        zero.reclaim();
        other.join().expect("the thread ends");
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        assert_all_home(&zero, 2);
    });
    assert_met(ways, 50);
}

/// A chain is given up while the owner takes in what is there.
#[test]
fn a_cancelled_chain_against_take() {
    let ways = two_threads("pool: a cancelled chain against take", |threads| {
        let zero = pool(0);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || cancel_chain(bufs));
        threads.begin();
        zero.reclaim();
        let entered = zero.enter();
        drop(written(&zero));
        drop(entered);
        let blocks = zero.stats().misses;
        other.join().expect("the thread ends");
        assert_all_home(&zero, blocks as usize);
    });
    assert_met(ways, 8);
}

/// A chain is given up while its owner goes.
#[test]
fn a_cancelled_chain_against_close() {
    let ways = two_threads("pool: a cancelled chain against close", |threads| {
        let zero = pool(0);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || cancel_chain(bufs));
        threads.begin();
        drop(zero);
        other.join().expect("the thread ends");
    });
    assert_met(ways, 50);
}

/// A chain lies in a ring, or gets there, while its owner goes; the ring goes last.
#[test]
fn a_chain_in_a_ring_that_outlives_the_pool() {
    let ways = two_threads("pool: a chain in a ring against close", |threads| {
        let zero = pool(0);
        let (to_zero, from_one) = ring::<Chain>(1);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            let chain = one.take_chain(0, 2).expect("two blocks were dropped");
            to_zero.push(chain).expect("there is room");
            to_zero.publish();
            drop(entered);
        });
        threads.begin();
        drop(zero);
        drop(from_one);
        other.join().expect("the thread ends");
    });
    assert_met(ways, 9);
}

/// Blocks gathered for a pool that takes in what is there, while the pool that gathered them goes.
#[test]
fn gathered_blocks_against_take() {
    let ways = two_threads("pool: gathered blocks against take", |threads| {
        let zero = pool(0);
        let bufs = [written(&zero), written(&zero)];
        let other = threads.spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            drop(entered);
        });
        threads.begin();
        zero.reclaim();
        let entered = zero.enter();
        drop(written(&zero));
        drop(entered);
        let blocks = zero.stats().misses;
        other.join().expect("the thread ends");
        assert_all_home(&zero, blocks as usize);
    });
    assert_met(ways, 8);
}

/// A buffer is dropped on one thread and a chain given up on another, while their pool goes.
#[test]
fn a_drop_and_a_cancelled_chain_against_close() {
    let ways = three_threads("pool: drop, cancel and close", |threads| {
        let zero = pool(0);
        let (buf, bufs) = (written(&zero), [written(&zero), written(&zero)]);
        let others = [
            threads.spawn(move || drop(buf)),
            threads.spawn(move || cancel_chain(bufs)),
        ];
        threads.begin();
        drop(zero);
        for thread in others {
            thread.join().expect("the thread ends");
        }
    });
    assert_met(ways, 2_700);
}
