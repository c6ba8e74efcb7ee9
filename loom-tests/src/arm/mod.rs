//! What explores the models: one of three, by the build.

#[cfg_attr(loom, path = "loom.rs")]
#[cfg_attr(shuttle, path = "shuttle.rs")]
#[cfg_attr(ringpost_mutable, path = "threads.rs")]
mod built;

#[cfg(not(ringpost_mutable))]
use ringpost_mailbox::sync::thread::{self, JoinHandle};

#[cfg(ringpost_mutable)]
pub(crate) use built::Start;
pub use built::block_on;
pub(crate) use built::explore;

/// How the threads of a model start: each when its checker has it go on.
#[cfg(not(ringpost_mutable))]
pub(crate) struct Start;

#[cfg(not(ringpost_mutable))]
impl Start {
    pub(crate) fn new(_threads: usize) -> Self {
        Self
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + 'static,
    ) -> JoinHandle<T> {
        let body = Sent(body);
        thread::spawn(move || body.run())
    }

    pub(crate) fn give(&self) {}
}

/// What a model gives to a thread that it starts.
struct Sent<F>(F);

// SAFETY: threads of models share plain memory under the protection of what they model, which is what is
// checked. Loom asks no thread's body to be `Send`, and this makes the others like it.
unsafe impl<F> Send for Sent<F> {}

impl<F> Sent<F> {
    fn run<T>(self) -> T
    where
        F: FnOnce() -> T,
    {
        (self.0)()
    }
}
