//! An ordering that the canary does not need: its mutant must survive.

use ringpost_mailbox::sync::atomic::{Acquire, AtomicBool};

/// To be called after the other thread was joined, which orders all that this could.
pub(crate) fn is_raised(flag: &AtomicBool) -> bool {
    // Acquire: pairs with the store in `needed::raise`, and orders nothing that the join does not.
    flag.load(Acquire)
}
