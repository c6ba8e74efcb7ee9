//! What the driver asks of the operating system, as a seam: tests have it refuse.

use std::hash::{BuildHasher, RandomState};
use std::io;

use core_affinity::CoreId;
use ringpost_mailbox::sync::mpsc::{Receiver, Sender, channel};
use ringpost_mailbox::sync::thread::{Builder, JoinHandle};

use crate::driver::cores::pin_current;
use crate::driver::stderr::failure;

/// What a thread runs.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// What the driver needs of the operating system.
pub(crate) trait System: Clone + Send + 'static {
    /// Starts a thread.
    ///
    /// # Errors
    /// Of the system: there can be no more threads.
    fn spawn(&self, name: String, body: Body) -> io::Result<JoinHandle<()>>;

    /// Pins the calling thread. False if that is refused; the thread then runs as before.
    fn pin(&self, cpu: CoreId) -> bool;
}

/// The operating system itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Os;

impl System for Os {
    fn spawn(&self, name: String, body: Body) -> io::Result<JoinHandle<()>> {
        Builder::new().name(name).spawn(body)
    }

    fn pin(&self, cpu: CoreId) -> bool {
        pin_current(cpu)
    }
}

/// A seed from the system's randomness, by way of the standard library's hash keys.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(())
}

/// Threads that wait at a gate until all of them are there, since a node that lacks a core can do
/// nothing, not even stop. Dropped before the gate was opened, they leave, and are joined.
pub(crate) struct Crew {
    joins: Vec<JoinHandle<()>>,
    gates: Vec<Sender<Open>>,
}

/// Says that all threads are there.
struct Open;

impl Crew {
    pub(crate) fn new() -> Self {
        Self {
            joins: Vec::new(),
            gates: Vec::new(),
        }
    }

    /// Starts one more thread; it runs `body` when the gate is opened, and drops it otherwise.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn spawn(
        &mut self,
        system: &impl System,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let (gate, opened): (_, Receiver<Open>) = channel();
        let body = move || {
            if let Ok(Open) = opened.recv() {
                body();
            }
        };
        self.joins.push(system.spawn(name, Box::new(body))?);
        self.gates.push(gate);
        Ok(())
    }

    /// Lets all of them go on.
    pub(crate) fn open(mut self) -> Vec<JoinHandle<()>> {
        for gate in self.gates.drain(..) {
            // It waits: nothing else has happened to it yet.
            let _ = gate.send(Open);
        }
        std::mem::take(&mut self.joins)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.gates.clear();
        for join in self.joins.drain(..) {
            if join.join().is_err() {
                let what = "a thread panicked while it left; this is a defect of ringpost";
                failure(what, None, None);
            }
        }
    }
}
