//! Loom models of the mailbox layer: small programs over its public face, run in every interleaving
//! and with every value that the memory model lets a load see. And mutants, which ask whether the
//! models would notice.
//!
//! ```text
//! loom-tests/run.sh models     # every model, with the number of its executions
//! loom-tests/run.sh mutants    # every mutant; fails unless some model fails for each
//! ```
//!
//! | file | models |
//! |---|---|
//! | `tests/ring.rs` | batches, slots used again, leftovers, either end dropped |
//! | `tests/wake.rs` | park against senders, a flag and a sleep that times out; a parker dropped |
//! | `tests/inbox.rs` | senders, slots used again, push against close and drop |
//! | `tests/wake_list.rs` | wake against drain, absorbed wakes, push against drop |
//! | `tests/semaphore.rs` | release, cancel and close against waiters; what the last holder did |
//! | `tests/pool.rs` | blocks on all ways home, pools that go, shared buffers |
//! | `tests/hint.rs` | the hint map with full scans before sleeping |
//! | `tests/cores.rs` | several parts together: late rings, inbox and tasks that wake, worker removal |
//!
//! # What the models prove, and what they do not
//!
//! Models of two threads are exhaustive; models of three are bounded to three preemptions (switches
//! away from a thread that could go on). Spinning is kept out of them: who has nothing to do,
//! parks, so that a lost wake is a deadlock, which loom reports. Values are counted pointers of
//! loom's, so that one leaked or dropped twice is reported too.
//!
//! Loom finds an interleaving worth trying by the last access to an atomic before the present one.
//! A load that is followed by another thread's load and then by a write is hidden by that second
//! load, and only an order in which the writer comes first leads there. So each model is explored
//! from two ends; see [`First`].
//!
//! Loom knows neither time nor chance. A time-out is a block that ends at once. A compare-exchange
//! does not fail without reason (the facade exports none that may), and no load sees a store that
//! its thread has yet to make.
//!
//! # Mutants
//!
//! A mutant is one ordering weakened, one store or fence left out, or one place of the source
//! changed; `src/bin/mutants.rs` makes them from the source. A mutant runs the models of the module
//! it is in, and is killed when one of them fails.

/// Which threads go first in the first execution of a model, from which all others are found.
#[derive(Clone, Copy, Debug)]
pub enum First {
    /// The thread of the model itself.
    Main,
    /// The threads that it spawned.
    Others,
}

#[cfg(loom)]
pub use model::explore;

#[cfg(loom)]
mod model {
    use std::env;
    use std::io::Write;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::process;
    use std::sync::Arc;

    use super::First;
    use ringpost_mailbox::sync::Counter;
    use ringpost_mailbox::sync::mutation::MUTANT;

    /// Steps that one execution may take; more than any model needs, so only a spin without end
    /// takes more.
    const STEPS_MAX: usize = 10_000;

    impl First {
        /// Lets the other threads go first, if it is their turn. To be called when all are spawned.
        pub fn wait(self) {
            match self {
                Self::Main => {}
                Self::Others => loom::thread::yield_now(),
            }
        }
    }

    /// Runs `model` in every interleaving, with at most `preemptions` where that is given, and says
    /// how many executions that took.
    ///
    /// # Panics
    ///
    /// If an execution of the model does, deadlocks, leaks, or races. While a mutant is run, the
    /// process ends then, as one model that notices is enough.
    pub fn explore(
        name: &str,
        preemptions: Option<usize>,
        model: impl Fn(First) + Copy + Send + Sync + 'static,
    ) -> u64 {
        let executions = Arc::new(Counter::default());
        for first in [First::Main, First::Others] {
            let counted = Arc::clone(&executions);
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = preemptions;
            builder.max_branches = STEPS_MAX;
            let run = AssertUnwindSafe(|| {
                builder.check(move || {
                    counted.add(1);
                    model(first);
                });
            });
            if let Err(panic) = catch_unwind(run) {
                say(&format!(
                    "{name}: fails at execution {}",
                    executions.value()
                ));
                if env::var_os(MUTANT).is_some() {
                    process::exit(1);
                }
                resume_unwind(panic);
            }
        }
        let count = executions.value();
        let bound = preemptions.map_or(String::new(), |n| format!(", up to {n} preemptions"));
        say(&format!("{name}: {count} executions{bound}"));
        count
    }

    fn say(text: &str) {
        // A closed pipe is no reason to fail.
        let _ = writeln!(std::io::stderr(), "model {text}");
    }
}
