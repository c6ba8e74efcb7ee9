//! Buffers that are read by many, and messages that lie in blocks.

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::buf::BufMut;
use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

use super::{assert_all_home, assert_met, pool, written};

/// The two last readers of a shared buffer go at the same time, and the block is written again.
#[test]
fn the_last_readers() {
    let ways = two_threads("pool: the last readers", |threads| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let theirs = shared.clone();
        let reader = threads.spawn(move || {
            assert_eq!(theirs.slice(1..3), "yt");
            drop(theirs);
        });
        threads.begin();
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
    assert_met(ways, 20);
}

/// Three readers, two of them on other threads.
#[test]
fn the_last_of_three_readers() {
    let ways = three_threads("pool: the last of three readers", |threads| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let readers = [(); 2].map(|()| {
            let theirs = shared.clone();
            threads.spawn(move || assert_eq!(theirs, "bytes"))
        });
        threads.begin();
        drop(shared);
        for reader in readers {
            reader.join().expect("the thread ends");
        }
        assert_all_home(&pool, 1);
    });
    assert_met(ways, 250);
}

/// A shared buffer is cloned on one thread while its other handle goes on another.
#[test]
fn clone_against_drop() {
    let ways = two_threads("pool: clone against drop", |threads| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let theirs = shared.clone();
        let other = threads.spawn(move || drop(theirs));
        threads.begin();
        let more = shared.clone();
        drop(shared);
        assert_eq!(more, "bytes");
        drop(more);
        other.join().expect("the thread ends");
        assert_all_home(&pool, 1);
    });
    assert_met(ways, 20);
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
    let ways = two_threads("pool: a large cell taken outside", |threads| {
        let pool = pool(0);
        let entered = pool.enter();
        let cell = MessageCell::<Everything>::new([7u64; 8]);
        let outside = threads.spawn(move || {
            let value = cell.take::<[u64; 8]>().expect("numbers");
            assert_eq!(value, [7; 8]);
        });
        threads.begin();
        let next = MessageCell::<Everything>::new([8u64; 8]);
        drop(next);
        drop(entered);
        let blocks = pool.stats().misses;
        outside.join().expect("the thread ends");
        assert_all_home(&pool, blocks as usize);
    });
    assert_met(ways, 5);
}

/// A buffer without a pool goes from thread to thread.
#[test]
fn a_buffer_of_no_pool() {
    let ways = two_threads("pool: a buffer of no pool", |threads| {
        let buf = BufMut::from(&b"bytes"[..]).freeze();
        let shared = buf.share();
        let theirs = shared.clone();
        let other = threads.spawn(move || assert_eq!(theirs, "bytes"));
        threads.begin();
        drop(shared);
        other.join().expect("the thread ends");
    });
    assert_met(ways, 8);
}

/// The two last readers go while the pool of their block goes too.
#[test]
fn the_last_readers_against_close() {
    let ways = two_threads("pool: the last readers against close", |threads| {
        let pool = pool(0);
        let shared = written(&pool).share();
        let theirs = shared.clone();
        let reader = threads.spawn(move || assert_eq!(theirs, "bytes"));
        threads.begin();
        drop(pool);
        assert_eq!(shared, "bytes");
        drop(shared);
        reader.join().expect("the thread ends");
    });
    assert_met(ways, 9);
}
