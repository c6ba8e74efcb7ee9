//! How many bytes of what one peer has sent are not handled yet.
//!
//! A message of some size has a [`Hold`] among its routes, wherever it waits and whoever passes it on. The hold goes
//! with it, on whatever core that is, and its bytes are given back. So the connection knows when to stop reading, and
//! is woken when it may go on.
//!
//! # Who may touch what
//!
//! One word has the count, and whether the connection waits. It is only ever changed by atomic read-modify-writes,
//! which have one order, and nothing else is learnt from it; so all of them are relaxed.
//!
//! 1. The connection sets the mark by [`is_over`](Account::is_over), in one step with a look at the count. If that is
//!    over the limit then, something is held that is given back later in the order, and finds the mark.
//! 2. Whoever gives back and finds the mark takes it away; who took it wakes, once. If the connection has marked it
//!    again in between, it is woken too, looks, and marks it again.

use std::task::Waker;

use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::atomic::{AtomicUsize, Relaxed};

/// The connection is to be woken when something is given back.
const WAITS: usize = 1;
/// What one byte is in the word.
const BYTE: usize = 2;

/// What is held of one peer.
#[derive(Debug)]
pub(crate) struct Account {
    word: AtomicUsize,
    most: usize,
    /// Of the task that reads the connection.
    waker: Waker,
}

impl Account {
    pub(crate) fn new(most: usize, waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicUsize::new(0),
            most: most.max(1),
            waker,
        })
    }

    /// Whether so much is held that no more is to be read. If so, the task is woken when less is.
    pub(crate) fn is_spent(&self) -> bool {
        self.is_over(self.most)
    }

    /// Whether at least half of that is held, and likewise.
    pub(crate) fn is_half_spent(&self) -> bool {
        self.is_over(self.most.div_ceil(2))
    }

    fn is_over(&self, limit: usize) -> bool {
        let is_over = |word: usize| word / BYTE >= limit;
        is_over(self.word.load(Relaxed)) && is_over(self.word.fetch_or(WAITS, Relaxed))
    }

    fn give_back(&self, bytes: u32) {
        let before = self.word.fetch_sub(bytes as usize * BYTE, Relaxed);
        if before & WAITS != 0 && self.word.fetch_and(!WAITS, Relaxed) & WAITS != 0 {
            self.waker.wake_by_ref();
        }
    }
}

/// The bytes of one message, which count until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    account: Arc<Account>,
    bytes: u32,
}

impl Hold {
    pub(crate) fn new(account: &Arc<Account>, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        account.word.fetch_add(bytes as usize * BYTE, Relaxed);
        Self {
            account: Arc::clone(account),
            bytes,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::task::Wake;

    use ringpost_mailbox::sync::atomic::AtomicU32;

    use super::*;

    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_once_by_what_is_given_back() {
        let woken = Arc::new(Woken(AtomicU32::new(0)));
        let count = || woken.0.load(Relaxed);
        let account = Account::new(100, Waker::from(Arc::clone(&woken)));
        let mut holds: Vec<_> = (0..9).map(|_| Hold::new(&account, 11)).collect();
        assert!(!account.is_spent(), "99 bytes");
        drop(Hold::new(&account, 1));
        assert_eq!(count(), 0, "nobody waits");
        holds.push(Hold::new(&account, 1));
        assert!(account.is_spent());
        holds.drain(..4);
        assert_eq!((count(), account.is_spent()), (1, false), "56 bytes");
        assert!(account.is_half_spent());
        holds.drain(..1);
        assert_eq!((count(), account.is_half_spent()), (2, false), "45 bytes");
        holds.clear();
        assert_eq!(count(), 2);
    }
}
