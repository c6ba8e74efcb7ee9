//! An ordering and a write that the canary does not need: their mutants must survive.

use ringpost_mailbox::sync::atomic::{Acquire, AtomicBool, Relaxed};

/// To be called after the other thread was joined, which orders all that this could.
pub(crate) fn is_raised(flag: &AtomicBool) -> bool {
    // Acquire: pairs with the store in `needed::raise`, and orders nothing that the join does not.
    flag.load(Acquire)
}

/// To be called by who has raised the flag.
pub(crate) fn raise_again(flag: &AtomicBool) {
    // Relaxed: it is raised.
    flag.store(true, Relaxed);
}
