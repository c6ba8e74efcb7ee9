//! Exploring a model: one function for each number of threads, so that the number and the bound
//! that goes with it stand where the model does.

use std::cell::{Cell, RefCell};
use std::env;
use std::fmt;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::{Arc, Once};

use ringpost_mailbox::sync::Counter;
use ringpost_mailbox::sync::mutation::MUTANT;
use ringpost_mailbox::sync::thread::{self, JoinHandle};

/// How often a model of three threads switches away from a thread that could go on.
pub const PREEMPTIONS_MAX: usize = 3;

/// Steps that one execution may take; more than any model needs, so only a spin without end takes
/// more.
const STEPS_MAX: usize = 10_000;

/// Runs a model without other threads, and says how many executions that took.
///
/// # Panics
///
/// As [`two_threads`].
pub fn one_thread(name: &str, model: impl Fn() + Copy + Send + Sync + 'static) -> u64 {
    explore(name, 1, move |threads| {
        threads.begin();
        model();
    })
}

/// Runs a model of the main thread and one other in every interleaving, and says how many
/// executions that took.
///
/// # Panics
///
/// If an execution of the model does, deadlocks, leaks, or races, or starts another number of
/// threads. While a mutant is run, the process ends then, as one model that notices is enough.
pub fn two_threads(name: &str, model: impl Fn(&Threads) + Copy + Send + Sync + 'static) -> u64 {
    explore(name, 2, model)
}

/// Runs a model of the main thread and two others in every interleaving with at most
/// [`PREEMPTIONS_MAX`] preemptions, and says how many executions that took.
///
/// # Panics
///
/// As [`two_threads`].
pub fn three_threads(name: &str, model: impl Fn(&Threads) + Copy + Send + Sync + 'static) -> u64 {
    explore(name, 3, model)
}

/// The bound of a model, by its number of threads; none if it is exhaustive.
fn preemptions(threads: usize) -> Option<usize> {
    (threads > 2).then_some(PREEMPTIONS_MAX)
}

/// Which threads go first in the first execution of a model, from which all others are found.
#[derive(Clone, Copy, Debug)]
enum First {
    Main,
    Others,
}

/// The threads of one execution of a model.
pub struct Threads {
    first: First,
    /// All of them, the main one included.
    count: usize,
    started: Cell<usize>,
    begun: Cell<bool>,
}

impl Threads {
    fn new(first: First, count: usize) -> Self {
        Self {
            first,
            count,
            started: Cell::new(1),
            begun: Cell::new(false),
        }
    }

    /// Starts one more thread.
    pub fn spawn<T: 'static>(&self, body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
        self.started.set(self.started.get() + 1);
        thread::spawn(body)
    }

    /// Lets the model begin; to be called once, when all threads are started.
    ///
    /// # Panics
    ///
    /// If there are more or fewer of them than the model is said to have.
    pub fn begin(&self) {
        let (started, count) = (self.started.get(), self.count);
        assert_eq!(started, count, "threads, of those that the model has");
        self.begun.set(true);
        match self.first {
            First::Main => {}
            First::Others => thread::yield_now(),
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("first", &self.first)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

fn explore(
    name: &str,
    threads: usize,
    model: impl Fn(&Threads) + Copy + Send + Sync + 'static,
) -> u64 {
    let executions = Arc::new(Counter::default());
    if env::var_os(MUTANT).is_some() {
        end_at_first_panic(name, &executions);
    }
    for first in [First::Main, First::Others] {
        let counted = Arc::clone(&executions);
        let run = AssertUnwindSafe(|| {
            builder(threads).check(move || {
                counted.add(1);
                let threads = Threads::new(first, threads);
                model(&threads);
                assert!(threads.begun.get(), "the model has begun");
            });
        });
        if let Err(panic) = catch_unwind(run) {
            say_failed(name, &executions);
            resume_unwind(panic);
        }
    }
    let count = executions.value();
    let reach = preemptions(threads).map_or_else(
        || "all there are".to_owned(),
        |bound| format!("up to {bound} preemptions"),
    );
    say(&format!(
        "{name}: {threads} threads, {count} executions, {reach}"
    ));
    count
}

thread_local! {
    /// The model that this thread explores, and how far it is.
    static EXPLORED: RefCell<(String, Arc<Counter>)> = RefCell::default();
}

/// Has the first panic end the process. What a mutant breaks is not to be unwound: destructors would
/// wait, in vain, for what is lost.
fn end_at_first_panic(name: &str, executions: &Arc<Counter>) {
    // Once, and before loom does anything: it puts a hook of its own before this one, to hide the
    // panics by which it ends its threads.
    static HOOK: Once = Once::new();
    EXPLORED.set((name.to_owned(), Arc::clone(executions)));
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|_| {
            EXPLORED.with_borrow(|(name, executions)| say_failed(name, executions));
            process::exit(1);
        }));
    });
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

fn say_failed(name: &str, executions: &Counter) {
    say(&format!(
        "{name}: fails at execution {}",
        executions.value()
    ));
}

fn say(text: &str) {
    // A closed pipe is no reason to fail.
    let _ = writeln!(std::io::stderr(), "model {text}");
}
