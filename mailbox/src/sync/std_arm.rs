//! The facade over the standard library.

pub use std::sync::{Arc, mpsc};
pub use std::thread_local;

pub use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};

/// What [`atomic`](super::atomic) wraps.
#[cfg(ringpost_mutable)]
pub(super) use std::sync::atomic as checked;

/// Atomic numbers and pointers, orderings and fences.
#[cfg(not(ringpost_mutable))]
#[allow(
    clippy::disallowed_types,
    reason = "this is the facade that the others are sent to"
)]
pub mod atomic {
    pub use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
    pub use std::sync::atomic::fence;

    // Aliases, not re-exports: the lint that bans the standard types looks through re-exports.

    /// A flag.
    pub type AtomicBool = std::sync::atomic::AtomicBool;
    /// A number of 8 bits.
    pub type AtomicU8 = std::sync::atomic::AtomicU8;
    /// A number of 32 bits.
    pub type AtomicU32 = std::sync::atomic::AtomicU32;
    /// A number of 64 bits.
    pub type AtomicU64 = std::sync::atomic::AtomicU64;
    /// A number as wide as a pointer.
    pub type AtomicUsize = std::sync::atomic::AtomicUsize;
    /// A raw pointer.
    pub type AtomicPtr<T> = std::sync::atomic::AtomicPtr<T>;
}

/// Cells whose accesses the model checker can see.
pub mod cell {
    /// [`std::cell::UnsafeCell`] with its accesses inside closures.
    ///
    /// The pointer handed to the closure must not leave it; the rules of aliasing are those of the
    /// standard cell.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        #[inline]
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// The value back.
        #[inline]
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Runs `access` with a pointer to read through.
        #[inline(always)]
        pub fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// Runs `access` with a pointer to write through.
        #[inline(always)]
        pub fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

/// Hints to the processor.
pub mod hint {
    pub use std::hint::spin_loop;

    /// For who looks again and again at what another core will write soon: as [`spin_loop`], but no longer than until the last
    /// look is over. A processor that runs ahead would look many times at once, and begin anew where one of these finds another
    /// value; and `spin_loop` lets so much time pass that it is most of what a message takes.
    #[inline(always)]
    pub fn await_look() {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: every x86-64 processor has it; it waits for loads, and changes nothing.
        unsafe {
            std::arch::x86_64::_mm_lfence();
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        spin_loop();
    }
}

/// Threads.
pub mod thread {
    pub use std::thread::{Builder, JoinHandle, Thread, ThreadId, current, park, yield_now};

    /// Starts a thread.
    ///
    /// # Panics
    ///
    /// If the system refuses one.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the facade that the others are sent to"
    )]
    pub fn spawn<F, T>(body: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        std::thread::spawn(body)
    }

    /// Whether a thread has ended, so that a join would not wait.
    pub fn is_finished<T>(thread: &JoinHandle<T>) -> bool {
        thread.is_finished()
    }
}
