//! Every interleaving, and every value that the memory model lets a load see.

use crate::model::{First, PREEMPTIONS_MAX};

pub use loom::future::block_on;

/// Steps that one execution may take; more than any model needs, so only a spin without end takes
/// more.
const STEPS_MAX: usize = 10_000;

/// Runs a model of so many threads in every interleaving, within its bound, which comes back in words.
pub(crate) fn explore(
    threads: usize,
    model: impl Fn(First) + Clone + Send + Sync + 'static,
) -> String {
    for first in [First::Main, First::Others] {
        let model = model.clone();
        builder(threads).check(move || model(first));
    }
    preemptions(threads).map_or_else(
        || format!("{threads} threads, all there are"),
        |bound| format!("{threads} threads, up to {bound} preemptions"),
    )
}

/// The bound of a model, by its number of threads; none if it is exhaustive.
fn preemptions(threads: usize) -> Option<usize> {
    (threads > 2).then_some(PREEMPTIONS_MAX)
}

/// What explores a model of so many threads. Loom's own variables change none of this, lest one
/// that is left set ends the search early without a word.
fn builder(threads: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.max_threads = threads;
    builder.max_branches = STEPS_MAX;
    builder.preemption_bound = preemptions(threads);
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    builder
}
