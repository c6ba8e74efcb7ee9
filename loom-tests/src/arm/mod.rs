//! What explores the models: one of three, by the build.

#[cfg_attr(loom, path = "loom.rs")]
#[cfg_attr(shuttle, path = "shuttle.rs")]
#[cfg_attr(ringpost_mutable, path = "threads.rs")]
mod built;

pub use built::block_on;
pub(crate) use built::{Start, explore};

/// What a model gives to a thread that it starts.
#[cfg(not(loom))]
struct Sent<F>(F);

// SAFETY: threads of models share plain memory under the protection of what they model, which is what is
// checked. Loom asks no thread's body to be `Send`, and this makes the others like it.
#[cfg(not(loom))]
unsafe impl<F> Send for Sent<F> {}

#[cfg(not(loom))]
impl<F> Sent<F> {
    fn run<T>(self) -> T
    where
        F: FnOnce() -> T,
    {
        (self.0)()
    }
}
