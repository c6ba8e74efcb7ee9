//! Payloads that count how often they are dropped, and that can panic when they are.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringpost_mailbox::sync::{Arc, Mutex};

/// What the destructor of a payload says when it was told to panic.
pub(crate) const DROP_PANIC: &str = "the destructor panics, as the test wants";

#[derive(Debug, Default)]
struct Book {
    alive: HashSet<u64>,
    made: u64,
    dropped: u64,
    /// The number of the drop that is to panic, counted from 1.
    panics_at: Option<u64>,
}

/// Keeps the book of all payloads made with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Book>>);

impl Tally {
    /// A new payload with a number of its own, in the order they are made.
    pub(crate) fn payload(&self) -> Payload {
        let mut book = self.0.lock();
        let id = book.made;
        book.made += 1;
        assert!(book.alive.insert(id));
        Payload {
            id,
            tally: self.clone(),
        }
    }

    /// Lets the `k`-th drop from now on panic, counted from 1.
    pub(crate) fn panic_at_drop(&self, k: u64) {
        let mut book = self.0.lock();
        book.panics_at = Some(book.dropped + k);
    }

    /// How many payloads are alive.
    pub(crate) fn alive(&self) -> usize {
        self.0.lock().alive.len()
    }

    /// How many payloads were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

/// A value that notices being dropped twice, and is missed when it is not dropped at all.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) id: u64,
    tally: Tally,
}

impl Drop for Payload {
    fn drop(&mut self) {
        let panics = {
            let mut book = self.tally.0.lock();
            assert!(
                book.alive.remove(&self.id),
                "payload {} was dropped twice",
                self.id
            );
            book.dropped += 1;
            book.panics_at == Some(book.dropped)
        };
        assert!(!panics, "{DROP_PANIC}");
    }
}

/// Runs `body`; says whether it panicked.
pub(crate) fn panics(body: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(body)).is_err()
}

/// Calls `visit` with each sequence of `length` numbers below `base`.
pub(crate) fn each_sequence(base: u8, length: usize, mut visit: impl FnMut(&[u8])) {
    let mut digits = vec![0; length];
    loop {
        visit(&digits);
        let Some(place) = digits.iter().rposition(|&digit| digit + 1 < base) else {
            return;
        };
        digits[place] += 1;
        digits[place + 1..].fill(0);
    }
}
