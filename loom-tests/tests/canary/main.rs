//! A small protocol of its own, by which the runner of mutants shows that it can tell an ordering
//! that is needed from one that is not.
#![cfg(any(loom, shuttle, ringpost_mutable))]

mod needed;
mod redundant;

use ringpost_loom_tests::two_threads;
use ringpost_mailbox::sync::atomic::AtomicBool;
use ringpost_mailbox::sync::{Arc, cell::UnsafeCell};

#[test]
fn a_flag_carries_a_number() {
    two_threads("canary: a flag carries a number", |threads| {
        let shared = Arc::new((UnsafeCell::new(0), AtomicBool::new(false)));
        let written = Arc::clone(&shared);
        let writer = threads.spawn(move || {
            // SAFETY: nobody reads before the flag is raised.
            written.0.with_mut(|number| unsafe { *number = 7 });
            needed::raise(&written.1);
        });
        threads.begin();
        if needed::is_raised(&shared.1) {
            // SAFETY: the writer has raised the flag and writes no more.
            shared.0.with(|number| assert_eq!(unsafe { *number }, 7));
        }
        writer.join().unwrap();
        assert!(redundant::is_raised(&shared.1));
        redundant::raise_again(&shared.1);
    });
}
