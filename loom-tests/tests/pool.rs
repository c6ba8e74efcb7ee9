//! Models of the ways home: the return stack, its closing, chains through a ring, and shared
//! buffers.
//!
//! What the models would notice: a block that is used by two parties (its header and data are cells
//! that loom watches), a block that is freed twice or leaked (each holds a count of its home, which
//! loom counts too), and a block that is lost on the way (the pool's own account does not balance).

#![cfg(loom)]

use loom::thread;
use ringpost_loom_tests::First;
use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
use ringpost_mailbox::pool::{Chain, Pool, PoolLimits};
use ringpost_mailbox::ring::ring;

/// Explores `body`, and asserts that it has at least `ways_min` executions: a model whose threads
/// never meet proves nothing.
fn explore(name: &str, ways_min: u64, body: fn(First)) {
    let ways = ringpost_loom_tests::explore(&format!("pool: {name}"), None, body);
    assert!(ways >= ways_min, "only {ways} ways");
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

/// One thread returns two blocks while the owner takes what is there and allocates.
#[test]
fn push_against_take() {
    explore("push against take", 20, |first| {
        let pool = pool(0);
        let bufs = [written(&pool), written(&pool)];
        let outside = thread::spawn(move || drop(bufs));
        first.wait();
        let reclaimed = pool.reclaim();
        assert_eq!(pool.cached(), reclaimed);
        let entered = pool.enter();
        drop(written(&pool));
        drop(entered);
        let blocks = pool.stats().misses;
        outside.join().expect("the thread ends");
        assert_all_home(&pool, blocks as usize);
    });
}

/// Two threads return blocks while the owner takes.
#[test]
fn pushes_against_take() {
    explore("pushes against take", 8000, |first| {
        let pool = pool(0);
        let bufs = [vec![written(&pool)], vec![written(&pool), written(&pool)]];
        let outside = bufs.map(|bufs| thread::spawn(move || drop(bufs)));
        first.wait();
        pool.reclaim();
        for thread in outside {
            thread.join().expect("the thread ends");
        }
        assert_all_home(&pool, 3);
    });
}

/// One thread returns two blocks while the pool goes: each is freed once, by one of them.
#[test]
fn push_against_close() {
    explore("push against close", 150, |first| {
        let pool = pool(0);
        let bufs = [written(&pool), written(&pool)];
        let outside = thread::spawn(move || drop(bufs));
        first.wait();
        drop(pool);
        outside.join().expect("the thread ends");
    });
}

/// Two threads return a block each while the pool goes.
#[test]
fn pushes_against_close() {
    explore("pushes against close", 18_000, |first| {
        let pool = pool(0);
        let outside = [(); 2].map(|()| {
            let buf = written(&pool);
            thread::spawn(move || drop(buf))
        });
        first.wait();
        drop(pool);
        for thread in outside {
            thread.join().expect("the thread ends");
        }
    });
}

/// A core gets two blocks through a ring and sends them home in a chain through another one.
#[test]
fn a_chain_through_a_ring() {
    explore("a chain through a ring", 10, |first| {
        let zero = pool(0);
        let (mut to_one, mut from_zero) = ring::<Buf>(2);
        let (mut to_zero, mut from_one) = ring::<Chain>(1);
        for _ in 0..2 {
            to_one.push(written(&zero)).expect("there is room");
        }
        to_one.publish();
        drop(to_one);

        let other = thread::spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            from_zero.drain(u32::MAX, |buf| assert_eq!(buf, "bytes"));
            let chain = one.take_chain(0, 2).expect("two blocks were dropped");
            to_zero.push(chain).expect("there is room");
            to_zero.publish();
            drop(entered);
        });
        first.wait();
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        let entered = zero.enter();
        drop(written(&zero));
        drop(entered);
        let blocks = zero.stats().misses;
        other.join().expect("the thread ends");
        from_one.drain(u32::MAX, |chain| zero.accept(chain));
        assert_all_home(&zero, blocks as usize);
    });
}

/// A chain is sent off while the owner's end of the ring goes, and then the owner.
#[test]
fn a_chain_into_a_ring_that_goes_down() {
    explore("a chain into a ring that goes down", 80, |first| {
        let zero = pool(0);
        let (mut to_zero, from_one) = ring::<Chain>(1);
        let bufs = [written(&zero), written(&zero)];
        let other = thread::spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            let chain = one.take_chain(0, 2).expect("two blocks were dropped");
            to_zero.push(chain).expect("there is room");
            drop(to_zero);
            drop(entered);
        });
        first.wait();
        drop(from_one);
        drop(zero);
        other.join().expect("the thread ends");
    });
}

/// Blocks gathered for a pool that goes at the same time as the pool that gathered them.
#[test]
fn gathered_blocks_against_close() {
    explore("gathered blocks against close", 50, |first| {
        let zero = pool(0);
        let bufs = [written(&zero), written(&zero)];
        let other = thread::spawn(move || {
            let one = pool(1);
            let entered = one.enter();
            drop(bufs);
            drop(entered);
        });
        first.wait();
        drop(zero);
        other.join().expect("the thread ends");
    });
}

/// The two last readers of a shared buffer go at the same time, and the block is written again.
#[test]
fn the_last_readers() {
    explore("the last readers", 20, |first| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let theirs = shared.clone();
        let reader = thread::spawn(move || {
            assert_eq!(theirs.slice(1..3), "yt");
            drop(theirs);
        });
        first.wait();
        let entered = pool.enter();
        assert_eq!(shared, "bytes");
        drop(shared);
        pool.reclaim();
        drop(written(&pool));
        drop(entered);
        let blocks = pool.stats().misses;
        reader.join().expect("the thread ends");
        assert_all_home(&pool, blocks as usize);
    });
}

/// Three readers, two of them on other threads.
#[test]
fn the_last_of_three_readers() {
    explore("the last of three readers", 300, |first| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let readers = [(); 2].map(|()| {
            let theirs = shared.clone();
            thread::spawn(move || assert_eq!(theirs, "bytes"))
        });
        first.wait();
        drop(shared);
        for reader in readers {
            reader.join().expect("the thread ends");
        }
        assert_all_home(&pool, 1);
    });
}

/// A shared buffer is cloned on one thread while its other handle goes on another.
#[test]
fn clone_against_drop() {
    explore("clone against drop", 20, |first| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let theirs = shared.clone();
        let other = thread::spawn(move || drop(theirs));
        first.wait();
        let more = shared.clone();
        drop(shared);
        assert_eq!(more, "bytes");
        drop(more);
        other.join().expect("the thread ends");
        assert_all_home(&pool, 1);
    });
}

struct Everything;

impl Catalog for Everything {
    type Meta = ();
}

impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

/// A large message is taken on a thread without a pool while the owner sends the next one.
#[test]
fn a_large_cell_taken_outside() {
    explore("a large cell taken outside", 5, |first| {
        let pool = pool(0);
        let entered = pool.enter();
        let cell = MessageCell::<Everything>::new([7u64; 8]);
        let outside = thread::spawn(move || {
            let value = cell.take::<[u64; 8]>().expect("numbers");
            assert_eq!(value, [7; 8]);
        });
        first.wait();
        let next = MessageCell::<Everything>::new([8u64; 8]);
        drop(next);
        drop(entered);
        let blocks = pool.stats().misses;
        outside.join().expect("the thread ends");
        assert_all_home(&pool, blocks as usize);
    });
}

/// A buffer without a pool goes from thread to thread.
#[test]
fn a_buffer_of_no_pool() {
    explore("a buffer of no pool", 8, |first| {
        let buf = BufMut::from(&b"bytes"[..]).freeze();
        let shared = buf.share();
        let theirs = shared.clone();
        let other = thread::spawn(move || assert_eq!(theirs, "bytes"));
        first.wait();
        drop(shared);
        other.join().expect("the thread ends");
    });
}
