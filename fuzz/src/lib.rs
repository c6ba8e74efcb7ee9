//! What is fuzzed, and a loop that does it with stable Rust.
//!
//! A [`Target`] is a plain function of some bytes that panics when something is wrong. Beside it lies a
//! corpus, `corpus/<target>/`: inputs worth keeping, each in a file whose name says why. `cargo test`
//! replays them all. The program of this crate goes on from there: it [mutates](Mutator) entries of the
//! corpus as long as it is told to. What makes a target panic is put into the corpus, where it stays
//! after the fault is gone.
//!
//! The loop does not see which code an input reaches. With a nightly compiler, cargo-fuzz does: its entry
//! point is one line, `fuzz_target!(|bytes: &[u8]| (ringpost_fuzz::target("frame").expect("known").run)(bytes));`.

#![forbid(unsafe_code)]

mod corpus;
mod looping;
mod mutator;
mod targets;

pub use corpus::{Entry, entries, keep};
pub use looping::{Crash, fuzz};
pub use mutator::{INPUT_BYTES_MAX, Mutator};
pub use targets::{TARGETS, Target, target};
