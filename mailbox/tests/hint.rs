//! The hint map against a set.

#![cfg(not(loom))]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use ringpost_mailbox::hint::HintMap;
use support::panics;

proptest! {
    #[test]
    fn a_pass_looks_at_what_was_marked_and_at_nothing_else(
        passes in proptest::collection::vec(proptest::collection::vec(0..200_u32, 0..40), 0..8),
    ) {
        let hints = HintMap::new(200);
        for marks in passes {
            marks.iter().for_each(|&ring| hints.mark(ring));
            let expected: BTreeSet<_> = marks.into_iter().collect();
            let mut looked_at = Vec::new();
            let count = hints.take(|ring| looked_at.push(ring));
            prop_assert_eq!(count as usize, expected.len());
            prop_assert!(expected.into_iter().eq(looked_at));
        }
        prop_assert_eq!(hints.take(drop), 0);
    }
}

#[test]
fn rings_beyond_the_map_are_refused() {
    let hints = HintMap::new(65);
    hints.mark(127);
    assert!(panics(|| hints.mark(128)));
    assert!(panics(|| HintMap::new(0).mark(0)));
    assert!(format!("{hints:?}").contains("HintMap"));
}
