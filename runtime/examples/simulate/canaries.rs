//! Bugs that are planted on purpose: each has to be found, and soon.
//!
//! ```text
//! RUSTFLAGS="--cfg ringpost_canary" cargo run --release -p ringpost --example simulate -- --canaries 2000
//! ```

use ringpost_mailbox::canary::{Canary, plant};

use crate::Args;
use crate::campaign::{self, Search};

/// Plants each bug in turn. Whether each was found within so many seeds.
pub(crate) fn run(args: &Args, seeds_max: u64) -> bool {
    let mut missed = 0;
    for bug in Canary::ALL {
        plant(Some(bug));
        let found = campaign::find(args, seeds_max);
        plant(None);
        match found {
            Search::Found { seeds, failure } => {
                say!(
                    "{:<20} found after {seeds:>5} seeds: {failure}",
                    format!("{bug:?}")
                );
            }
            Search::Nothing => {
                missed += 1;
                say!("{:<20} NOT FOUND in {seeds_max} seeds", format!("{bug:?}"));
            }
        }
    }
    say!("{} planted bugs, {missed} missed", Canary::ALL.len());
    missed == 0
}
