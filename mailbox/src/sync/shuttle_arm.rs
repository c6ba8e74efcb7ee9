//! The facade over shuttle, which runs all threads of a test on one, and draws from a seed which of them
//! goes on at each operation. It takes every ordering for a sequentially consistent one.

pub use shuttle::sync::mpsc;
pub use shuttle::thread_local;
pub use std::sync::Arc;

/// What [`atomic`](super::atomic) wraps.
pub(super) use shuttle::sync::atomic as checked;

/// What [`lock`](super::lock) wraps.
pub(super) mod locks {
    pub(in crate::sync) use shuttle::sync::{Condvar, Mutex, MutexGuard};
}

/// Cells that say when two threads are in one at the same time.
pub mod cell {
    use std::fmt;

    use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Somebody writes; below, so many read.
    const WRITTEN: usize = 1 << 32;

    /// [`std::cell::UnsafeCell`] with its accesses inside closures. Each access begins and ends with a step
    /// of its own, so that other threads may come in between, and a write that meets another access panics.
    pub struct UnsafeCell<T: ?Sized> {
        accesses: AtomicUsize,
        value: std::cell::UnsafeCell<T>,
    }

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        pub const fn new(value: T) -> Self {
            Self {
                accesses: AtomicUsize::new(0),
                value: std::cell::UnsafeCell::new(value),
            }
        }

        /// The value back.
        pub fn into_inner(self) -> T {
            self.value.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Runs `access` with a pointer to read through.
        ///
        /// # Panics
        ///
        /// If another thread is writing.
        #[track_caller]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            let _under_way = UnderWay::begin(&self.accesses, 1);
            access(self.value.get())
        }

        /// Runs `access` with a pointer to write through.
        ///
        /// # Panics
        ///
        /// If another thread reads or writes.
        #[track_caller]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            let _under_way = UnderWay::begin(&self.accesses, WRITTEN);
            access(self.value.get())
        }
    }

    impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("UnsafeCell").finish_non_exhaustive()
        }
    }

    /// An access, until it is dropped.
    struct UnderWay<'a> {
        accesses: &'a AtomicUsize,
        weight: usize,
    }

    impl<'a> UnderWay<'a> {
        #[track_caller]
        fn begin(accesses: &'a AtomicUsize, weight: usize) -> Self {
            let others = accesses.fetch_add(weight, SeqCst);
            let is_alone = others == 0 || (weight == 1 && others < WRITTEN);
            assert!(is_alone, "a data race: two threads are in one cell");
            Self { accesses, weight }
        }
    }

    impl Drop for UnderWay<'_> {
        fn drop(&mut self) {
            self.accesses.fetch_sub(self.weight, SeqCst);
        }
    }
}

/// Hints to the processor.
pub mod hint {
    pub use shuttle::hint::spin_loop;
    pub use shuttle::hint::spin_loop as await_look;
}

/// Threads.
pub mod thread {
    pub use shuttle::thread::{
        Builder, JoinHandle, Thread, ThreadId, current, park, spawn, yield_now,
    };

    /// Whether a thread has ended: unknown, so no.
    pub fn is_finished<T>(_: &JoinHandle<T>) -> bool {
        false
    }
}
