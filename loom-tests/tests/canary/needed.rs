//! Orderings that the canary needs: a mutant of each must be killed.

use ringpost_mailbox::sync::atomic::{Acquire, AtomicBool, Release};

pub(crate) fn raise(flag: &AtomicBool) {
    // Release: pairs with the load in `is_raised`.
    flag.store(true, Release);
}

pub(crate) fn is_raised(flag: &AtomicBool) -> bool {
    // Acquire: pairs with the store in `raise`.
    flag.load(Acquire)
}
