//! Values that keep account of their own end.

// Each test binary uses its part of this module.
#![allow(dead_code, reason = "shared by several test binaries")]

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::{AtomicU64, Relaxed};

/// A catalog that takes every type and knows nothing of it.
#[derive(Debug)]
pub(crate) struct Everything;

impl Catalog for Everything {
    type Meta = ();
}

impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

pub(crate) type Cell = MessageCell<Everything>;

/// The account of a set of tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    account: Arc<Account>,
}

#[derive(Debug, Default)]
struct Account {
    issued: AtomicU64,
    dropped: AtomicU64,
    /// The drop that panics, counted from one; none if zero.
    panic_at: u64,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger::default()
    }

    /// A ledger whose `nth` token to be dropped panics while it is.
    pub(crate) fn panicking_at(nth: u64) -> Ledger {
        Ledger {
            account: Arc::new(Account {
                panic_at: nth,
                ..Account::default()
            }),
        }
    }

    /// A token of `PAD + 8` bytes, rounded up to a multiple of 8.
    pub(crate) fn issue<const PAD: usize>(&self) -> Token<PAD> {
        // Relaxed here and below: numbers that are compared when all threads have been joined.
        self.account.issued.fetch_add(1, Relaxed);
        Token {
            ledger: self.clone(),
            pad: [PAD as u8; PAD],
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.account.dropped.load(Relaxed)
    }

    /// Asserts that each token was dropped, and none twice.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        assert_eq!(self.account.issued.load(Relaxed), self.dropped());
    }
}

/// A value that is counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Token<const PAD: usize> {
    ledger: Ledger,
    pad: [u8; PAD],
}

impl<const PAD: usize> Token<PAD> {
    /// Asserts that the bytes are those the token was issued with.
    #[track_caller]
    pub(crate) fn assert_intact(&self) {
        assert!(self.pad.iter().all(|&byte| byte == PAD as u8));
    }
}

impl<const PAD: usize> Drop for Token<PAD> {
    fn drop(&mut self) {
        self.assert_intact();
        let nth = self.ledger.account.dropped.fetch_add(1, Relaxed) + 1;
        assert!(nth != self.ledger.account.panic_at, "drop {nth} panics");
    }
}
