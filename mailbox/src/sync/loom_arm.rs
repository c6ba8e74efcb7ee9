//! The facade over loom.

pub use loom::sync::{Arc, mpsc};
pub use loom::thread_local;

/// What [`atomic`](super::atomic) wraps.
pub(super) use loom::sync::atomic as checked;

/// What [`lock`](super::lock) wraps.
pub(super) mod locks {
    pub(in crate::sync) use loom::sync::{Condvar, Mutex, MutexGuard};
}

/// Cells whose accesses the model checker sees.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// Hints to the processor.
pub mod hint {
    pub use loom::hint::spin_loop;
    pub use loom::hint::spin_loop as await_look;
}

/// Threads.
pub mod thread {
    pub use loom::thread::{
        Builder, JoinHandle, Thread, ThreadId, current, park, spawn, yield_now,
    };

    /// Whether a thread has ended: unknown, so no.
    pub fn is_finished<T>(_: &JoinHandle<T>) -> bool {
        false
    }
}
