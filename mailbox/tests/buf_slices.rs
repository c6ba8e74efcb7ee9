//! Ranges, limits and views of buffers.

#![cfg(not(loom))]

mod payload;

use std::ops::{Bound, Range};

use payload::Cell;
use ringpost_mailbox::buf::{Buf, BufMut, SharedBuf};
use ringpost_mailbox::pool::{BLOCK_ALIGN, BLOCK_BYTES_MAX, CLASS_BYTES, Pool, PoolLimits};
use ringpost_mailbox::sync::thread;

#[test]
fn every_kind_of_range_is_understood() {
    let buf = || Buf::from(&b"0123456789"[..]);
    assert_eq!(buf().slice(..), "0123456789");
    assert_eq!(buf().slice(3..), "3456789");
    assert_eq!(buf().slice(..3), "012");
    assert_eq!(buf().slice(..=3), "0123");
    assert_eq!(buf().slice(3..=3), "3");
    assert_eq!(
        buf().slice((Bound::Excluded(3), Bound::Unbounded)),
        "456789"
    );
    assert_eq!(buf().slice(10..), "");
    assert_eq!(buf().slice(2..9).slice(1..4), "345");
    assert_eq!(buf().share().slice(2..9).slice(1..4), "345");
}

#[test]
#[should_panic(expected = "range 0..11 of a buffer of 10 bytes")]
fn a_slice_must_not_end_beyond_the_buffer() {
    drop(Buf::from(&b"0123456789"[..]).slice(..11));
}

#[test]
#[should_panic(expected = "range 3..2 of a buffer of 10 bytes")]
fn a_slice_must_not_end_before_it_begins() {
    let backwards = Range { start: 3, end: 2 };
    drop(Buf::from(&b"0123456789"[..]).slice(backwards));
}

#[test]
#[should_panic(expected = "of a buffer of 10 bytes")]
fn a_slice_must_not_wrap_around() {
    drop(Buf::from(&b"0123456789"[..]).share().slice(..=usize::MAX));
}

#[test]
#[should_panic(expected = "range 11..10 of a buffer of 10 bytes")]
fn no_more_can_be_left_out_than_there_is() {
    Buf::from(&b"0123456789"[..]).advance(11);
}

#[test]
#[should_panic(expected = "65 bytes committed of 64 spare ones")]
fn no_more_can_be_committed_than_there_is_room() {
    BufMut::default().commit(65);
}

#[test]
#[should_panic(expected = "a buffer of 2147483649 bytes is too large")]
fn a_buffer_has_a_largest_size() {
    drop(BufMut::with_capacity(BLOCK_BYTES_MAX + 1));
}

#[test]
fn bytes_are_aligned_in_every_class_and_beyond() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    for bytes in CLASS_BYTES {
        for len in [bytes as usize, bytes as usize + 1] {
            let data = Vec::from_iter((0..len).map(|at| at as u8));
            let buf = Buf::from(data.clone());
            assert!(
                buf.as_ptr().addr().is_multiple_of(BLOCK_ALIGN),
                "{len} bytes"
            );
            assert_eq!(buf, data);
        }
    }
}

#[test]
fn turning_one_view_into_another_moves_no_bytes() {
    let mut buf = BufMut::from(&b"some bytes"[..]);
    buf.extend_from_slice(b" more");
    let at = buf.as_ptr();
    let buf = buf.freeze().slice(5..).into_mut().freeze();
    assert_eq!(buf.as_ptr().addr(), at.addr() + 5);
    let shared = SharedBuf::from(buf);
    assert_eq!(shared.slice(1..).as_ptr().addr(), at.addr() + 6);
    assert_eq!(shared.clone().as_ptr(), shared.as_ptr());
}

#[test]
fn a_cleared_buffer_has_all_its_room_again() {
    let mut buf = BufMut::from(&[1; 200][..]).freeze().slice(150..).into_mut();
    assert_eq!(buf.capacity(), 256 - 150);
    buf.clear();
    assert_eq!(buf.capacity(), 256);
    assert!(buf.is_empty());
}

#[test]
fn a_buffer_grows_within_its_pool() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    let mut buf = pool.buf(0);
    for byte in 0..100_000u32 {
        buf.extend_from_slice(&[byte as u8]);
    }
    assert!(buf.iter().zip(0u32..).all(|(&byte, at)| byte == at as u8));
    assert_eq!((pool.outstanding(), pool.stats().oversize), (0, 1));
    assert_eq!(pool.cached(), 5, "one of each class on the way");
}

#[test]
fn spare_room_holds_zeros_at_first_and_again_after_a_cell() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    let mut buf = pool.buf(100);
    buf.extend_from_slice(b"abc");
    assert_eq!(buf.spare(), [0; 253]);
    buf.spare().fill(1);
    drop(buf);

    drop(Cell::new([2u8; 200]));
    let mut buf = pool.buf(100).freeze().into_mut();
    assert_eq!(
        buf.spare(),
        [0; 256],
        "a value may have had padding, so nothing of it is shown"
    );
    buf.commit(256);
    assert!(buf.spare().is_empty());
    assert_eq!(pool.stats().misses, 1, "all in one block");
}

#[test]
fn the_formatter_shows_the_length_and_the_first_bytes() {
    let buf = BufMut::from(&b"GET /index.html\r\n"[..]);
    let expected = "BufMut { len: 17, first: b\"GET /index.html\\r\".. }";
    assert_eq!(format!("{buf:?}"), expected);
    assert_eq!(
        format!("{:?}", Buf::from(&[0, 255][..])),
        "Buf { len: 2, first: b\"\\x00\\xff\" }"
    );
    assert_eq!(
        format!("{:?}", Buf::default().share()),
        "SharedBuf { len: 0, first: b\"\" }"
    );
}

#[test]
fn the_last_of_many_readers_sends_the_block_home() {
    const READERS: usize = 4;
    let pool = Pool::new(0, PoolLimits::default());
    let shared = Buf::from(&[7; 5000][..]);
    let mut buf = pool.buf(5000);
    buf.extend_from_slice(&shared);
    let shared = buf.freeze().share();
    let read = |reader: usize| {
        let shared = shared.clone();
        thread::spawn(move || {
            for at in 0..500 {
                let part = shared.slice(at..at + reader + 1);
                assert_eq!(part.clone(), vec![7; reader + 1]);
            }
        })
    };
    let readers = Vec::from_iter((0..READERS).map(read));
    drop(shared);
    for reader in readers {
        reader.join().expect("nothing panics");
    }
    assert_eq!((pool.reclaim(), pool.outstanding()), (1, 0));
}
