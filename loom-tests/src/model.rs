//! Exploring a model: one function for each number of threads, so that the number and the bound
//! that goes with it stand where the model does. How it is explored is up to the arm that is built.

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

use crate::arm::{self, Start};

/// How often a model of three threads switches away from a thread that could go on.
pub const PREEMPTIONS_MAX: usize = 3;

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

/// Which threads go first in the first execution of a model, from which loom finds all others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum First {
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
    start: Start,
}

impl Threads {
    fn new(first: First, count: usize) -> Self {
        Self {
            first,
            count,
            started: Cell::new(1),
            begun: Cell::new(false),
            start: Start::new(count),
        }
    }

    /// Starts one more thread.
    pub fn spawn<T: Send + 'static>(&self, body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
        self.started.set(self.started.get() + 1);
        self.start.spawn(body)
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
        self.start.give();
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
    run(name, threads, move |first| {
        let threads = Threads::new(first, threads);
        model(&threads);
        assert!(threads.begun.get(), "the model has begun");
    })
}

/// Runs a test of a whole component, with as many threads as it starts, in many schedules, be they drawn or those
/// that the system happens to choose, and says how many those were.
///
/// # Panics
///
/// If the test does in one of them, or its threads wait for each other for ever.
#[cfg(any(shuttle, ringpost_mutable))]
pub fn schedules(name: &str, test: impl Fn() + Copy + Send + Sync + 'static) -> u64 {
    run(name, usize::MAX, move |_| test())
}

fn run(name: &str, threads: usize, test: impl Fn(First) + Copy + Send + Sync + 'static) -> u64 {
    let executions = Arc::new(Counter::default());
    if env::var_os(MUTANT).is_some() {
        end_at_first_panic(name, &executions);
    }
    let counted = Arc::clone(&executions);
    let counting = move |first| {
        counted.add(1);
        test(first);
    };
    match catch_unwind(AssertUnwindSafe(|| arm::explore(threads, counting))) {
        Ok(reach) => {
            let count = executions.value();
            say(&format!("{name}: {count} executions, {reach}"));
            count
        }
        Err(panic) => {
            say_failed(name, &executions);
            resume_unwind(panic);
        }
    }
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

fn say_failed(name: &str, executions: &Counter) {
    say(&format!(
        "{name}: fails at execution {}",
        executions.value()
    ));
}

pub(crate) fn say(text: &str) {
    // A closed pipe is no reason to fail.
    let _ = writeln!(std::io::stderr(), "model {text}");
}
