//! Real threads, again and again, for a thread sanitizer to look at.

use std::env;
use std::sync::{Arc, Barrier};

use ringpost_mailbox::sync::thread::{self, JoinHandle};

use super::Sent;
use crate::model::First;

pub use pollster::block_on;

/// Runs of a model, if nobody says how many.
const RUNS: u32 = 200;

/// Runs a model so often, which comes back in words.
pub(crate) fn explore(
    threads: usize,
    model: impl Fn(First) + Clone + Send + Sync + 'static,
) -> String {
    let asked = env::var("RINGPOST_RUNS").ok();
    let runs = asked.map_or(RUNS, |runs| {
        runs.parse().expect("RINGPOST_RUNS is a number")
    });
    for run in 0..runs {
        model([First::Main, First::Others][run as usize % 2]);
    }
    match threads {
        usize::MAX => "of real threads".to_owned(),
        threads => format!("of {threads} real threads"),
    }
}

/// How the threads of a model start: all at the same time, so that they meet.
pub(crate) struct Start(Arc<Barrier>);

impl Start {
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Barrier::new(threads)))
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + 'static,
    ) -> JoinHandle<T> {
        let (body, start) = (Sent(body), Arc::clone(&self.0));
        thread::spawn(move || {
            start.wait();
            body.run()
        })
    }

    pub(crate) fn give(&self) {
        self.0.wait();
    }
}
