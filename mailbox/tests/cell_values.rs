//! What goes into a cell comes out as it was, once, whatever its size, alignment and destructor.

#![cfg(not(loom))]

mod payload;

use std::cell::Cell as StdCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use payload::{Cell, Ledger, Token};
use ringpost_mailbox::pool::{CLASS_BYTES, Pool, PoolLimits};
use ringpost_mailbox::sync::thread;

/// Where the values of a type are found to lie.
#[derive(Debug, PartialEq)]
enum Place {
    Inline,
    Pooled,
    Boxed,
}

/// Sends a value through a cell, looks at it on the way, and says where it was.
fn through_a_cell<T: Send + PartialEq + Clone + 'static>(value: T) -> Place {
    let pool = Pool::new(3, PoolLimits::default());
    let entered = pool.enter();
    let mut cell = Cell::new(value.clone());
    let place = match (cell.is_inline(), pool.outstanding()) {
        (true, 0) => Place::Inline,
        (false, 1) => Place::Pooled,
        (false, 0) => Place::Boxed,
        other => panic!("no such place: {other:?}"),
    };
    let seen = cell.peek::<T>().expect("the type is right");
    assert!((&raw const *seen).is_aligned());
    assert!(*seen == value);
    assert!(*cell.peek_mut::<T>().expect("the type is right") == value);
    assert!(cell.take::<T>().expect("the type is right") == value);
    assert_eq!(pool.outstanding(), 0, "the block is home");

    drop(Cell::new(value.clone()));
    assert_eq!(pool.outstanding(), 0, "the block is home");
    drop(entered);
    assert!(
        Cell::new(value.clone())
            .take::<T>()
            .expect("the type is right")
            == value
    );
    place
}

/// Checks arrays of bytes of the sizes listed.
macro_rules! sizes {
    ($($size:literal)+) => {
        [$(($size, through_a_cell([7u8; $size]))),+]
    };
}

#[test]
fn each_size_has_its_place() {
    let places = sizes!(0 1 7 8 9 23 24 25 40 63 64 65 255 256 257 2047 2048 2049 16383 16384 16385 65535
        65536 65537 100000);
    let largest_class = CLASS_BYTES[4] as usize;
    for (size, place) in places {
        let expected = match size {
            0..=24 => Place::Inline,
            _ if size <= largest_class => Place::Pooled,
            _ => Place::Boxed,
        };
        assert_eq!(place, expected, "{size} bytes");
    }
}

/// Declares a type of the given alignment.
macro_rules! aligned {
    ($($name:ident $align:literal)+) => {$(
        #[derive(Clone, PartialEq)]
        #[repr(align($align))]
        struct $name(u8);
    )+};
}
aligned!(A8 8 A16 16 A32 32 A64 64 A128 128 A4096 4096);

#[test]
fn each_alignment_has_its_place() {
    #[derive(Clone, PartialEq)]
    #[repr(align(64))]
    struct Nothing;

    assert_eq!(through_a_cell(A8(1)), Place::Inline);
    assert_eq!(
        through_a_cell(7u128),
        if align_of::<u128>() > 8 {
            Place::Pooled
        } else {
            Place::Inline
        }
    );
    assert_eq!(through_a_cell(A16(1)), Place::Pooled);
    assert_eq!(through_a_cell(A32(2)), Place::Pooled);
    assert_eq!(through_a_cell(A64(3)), Place::Pooled);
    assert_eq!(through_a_cell(Nothing), Place::Pooled);
    assert_eq!(through_a_cell(A128(4)), Place::Boxed);
    assert_eq!(through_a_cell(A4096(5)), Place::Boxed);
}

#[test]
fn values_with_pointers_inside_stay_usable() {
    let words = vec![String::from("one"), String::from("two")];
    assert_eq!(through_a_cell(words), Place::Inline);
    let table: HashMap<u32, String> = [(1, String::from("one"))].into();
    assert_eq!(through_a_cell(table), Place::Pooled);

    let text = "borrowed for ever";
    let call: Box<dyn FnOnce(u32) -> String + Send> = Box::new(move |n| format!("{text} {n}"));
    let call = Cell::new(call)
        .take::<Box<dyn FnOnce(u32) -> String + Send>>()
        .expect("the type is right");
    assert_eq!(call(3), "borrowed for ever 3");
}

#[test]
fn a_value_need_not_be_sync() {
    let cell = Cell::new(StdCell::new(4u32));
    let counter = cell.take::<StdCell<u32>>().expect("the type is right");
    counter.set(counter.get() + 1);
    assert_eq!(counter.get(), 5);
}

/// Every way in which a cell can end, for one size of token.
fn every_end<const PAD: usize>() {
    let ledger = Ledger::new();
    let token = || Cell::new(ledger.issue::<PAD>());

    drop(token());
    assert_eq!(ledger.dropped(), 1, "dropped with its cell");

    let taken = token().take::<Token<PAD>>().expect("a token");
    assert_eq!(ledger.dropped(), 1, "still here");
    drop(taken);
    assert_eq!(ledger.dropped(), 2, "dropped after it was taken");

    let refused = token().take::<u64>().expect_err("no number");
    assert_eq!(ledger.dropped(), 2, "a refused value stays");
    drop(refused);
    assert_eq!(ledger.dropped(), 3, "dropped with the cell that came back");

    let mut changed = token();
    *changed.peek_mut::<Token<PAD>>().expect("a token") = ledger.issue::<PAD>();
    assert_eq!(ledger.dropped(), 4, "replaced");
    let mut slot = Some(changed);
    drop(slot.take());
    assert_eq!(ledger.dropped(), 5, "dropped out of a slot");
    assert!(slot.is_none());

    drop(Vec::from_iter((0..10).map(|_| token())));
    assert_eq!(ledger.dropped(), 15, "dropped in a list");

    let cell = token();
    thread::spawn(move || drop(cell))
        .join()
        .expect("nothing panics");
    let cell = thread::spawn({
        let ledger = ledger.clone();
        move || Cell::new(ledger.issue::<PAD>())
    });
    drop(cell.join().expect("nothing panics").take::<Token<PAD>>());
    ledger.assert_balanced();
}

#[test]
fn each_value_is_dropped_once() {
    for pooled in [false, true] {
        let pool = Pool::new(0, PoolLimits::default());
        let entered = pooled.then(|| pool.enter());
        every_end::<0>();
        every_end::<16>();
        every_end::<17>();
        every_end::<56>();
        every_end::<57>();
        every_end::<2000>();
        every_end::<70_000>();
        drop(entered);
        pool.reclaim();
        assert_eq!(pool.outstanding(), 0);
    }
}

/// Drops a list of cells one of whose values panics, for each of them in turn.
fn every_panic<const PAD: usize>(pool: &Pool) {
    const CELLS: u64 = 4;
    for nth in 1..=CELLS {
        let ledger = Ledger::panicking_at(nth);
        let cells = Vec::from_iter((0..CELLS).map(|_| Cell::new(ledger.issue::<PAD>())));
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(cells)));
        assert!(outcome.is_err(), "drop {nth} panics");
        ledger.assert_balanced();
        assert_eq!(
            pool.outstanding(),
            0,
            "each block is home, that of the value that panicked too"
        );
    }
}

#[test]
fn a_panicking_destructor_frees_its_block() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    every_panic::<8>(&pool);
    every_panic::<50>(&pool);
    every_panic::<5000>(&pool);
    every_panic::<66_000>(&pool);
}

#[test]
fn a_destructor_may_use_the_pool() {
    /// Sends one more cell, and drops it, from inside its destructor.
    struct Nested([u64; 9]);
    impl Drop for Nested {
        fn drop(&mut self) {
            let inner = Cell::new([self.0[0] + 1; 9]);
            assert_eq!(inner.take::<[u64; 9]>().expect("an array"), [6; 9]);
        }
    }

    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    for _ in 0..3 {
        drop(Cell::new(Nested([5; 9])));
    }
    assert_eq!((pool.outstanding(), pool.cached()), (0, 2));
}

#[test]
fn the_address_of_a_pooled_value_does_not_change() {
    let pool = Pool::new(0, PoolLimits::default());
    let _entered = pool.enter();
    let cell = Cell::new([1u64; 20]);
    let address: *const [u64; 20] = cell.peek().expect("an array");
    let moved = Box::new(cell);
    assert!(ptr::eq(
        address,
        moved.peek::<[u64; 20]>().expect("an array")
    ));
}
