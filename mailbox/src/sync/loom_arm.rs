//! The facade over loom, with a hook for mutants in each atomic operation.

pub use loom::sync::Arc;
pub use loom::thread_local;

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Atomic numbers and pointers, orderings and fences.
pub mod atomic {
    use std::fmt;

    pub use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

    use crate::sync::mutation::{self, Operand};

    /// Orders this thread's accesses around it; left out or weakened when the mutant says so.
    #[track_caller]
    pub fn fence(order: Ordering) {
        if !mutation::skipped() {
            loom::sync::atomic::fence(mutation::order(Operand::First, order));
        }
    }

    /// What all atomics have in common.
    macro_rules! common {
        ($(#[$doc:meta])* $name:ident, $value:ty $(, $param:ident)?) => {
            $(#[$doc])*
            pub struct $name$(<$param>)?(loom::sync::atomic::$name$(<$param>)?);

            impl$(<$param>)? $name$(<$param>)? {
                /// An atomic that holds `value`.
                #[track_caller]
                pub fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                /// The value of some store that this thread may see.
                #[track_caller]
                pub fn load(&self, order: Ordering) -> $value {
                    self.0.load(mutation::order(Operand::First, order))
                }

                /// Replaces the value.
                #[track_caller]
                pub fn store(&self, value: $value, order: Ordering) {
                    if !mutation::skipped() {
                        self.0.store(value, mutation::order(Operand::First, order));
                    }
                }

                /// Replaces the value and says what it was.
                #[track_caller]
                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    if mutation::skipped() {
                        return self.0.load(Acquire);
                    }
                    self.0.swap(value, mutation::order(Operand::First, order))
                }

                /// Replaces the value if it is `current`.
                ///
                /// # Errors
                ///
                /// The value found, if it is another.
                #[track_caller]
                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    let success = mutation::order(Operand::First, success);
                    let failure = mutation::order(Operand::Second, failure);
                    self.0.compare_exchange(current, new, success, failure)
                }
            }

            impl$(<$param>)? fmt::Debug for $name$(<$param>)? {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    // Formatting must not be a step of the model.
                    f.write_str(stringify!($name))
                }
            }
        };
    }

    /// Read-modify-write operations of one atomic type.
    macro_rules! fetch {
        ($name:ident, $value:ty, $($fetch:ident)+) => {
            impl $name {
                $(
                    /// Changes the value in one step and says what it was.
                    #[track_caller]
                    pub fn $fetch(&self, value: $value, order: Ordering) -> $value {
                        if mutation::skipped() {
                            return self.0.load(Acquire);
                        }
                        self.0.$fetch(value, mutation::order(Operand::First, order))
                    }
                )+
            }
        };
    }

    common!(
        /// A flag.
        AtomicBool, bool
    );
    common!(
        /// A number of 8 bits.
        AtomicU8, u8
    );
    common!(
        /// A number of 32 bits.
        AtomicU32, u32
    );
    common!(
        /// A number of 64 bits.
        AtomicU64, u64
    );
    common!(
        /// A number as wide as a pointer.
        AtomicUsize, usize
    );
    common!(
        /// A raw pointer.
        AtomicPtr, *mut T, T
    );
    fetch!(AtomicBool, bool, fetch_or fetch_and);
    fetch!(AtomicU8, u8, fetch_add fetch_sub fetch_or fetch_and);
    fetch!(AtomicU32, u32, fetch_add fetch_sub fetch_or fetch_and);
    fetch!(AtomicU64, u64, fetch_add fetch_sub fetch_or fetch_and);
    fetch!(AtomicUsize, usize, fetch_add fetch_sub fetch_or fetch_and);
}

/// Cells whose accesses the model checker sees.
pub mod cell {
    pub use loom::cell::UnsafeCell;
}

/// Hints to the processor.
pub mod hint {
    pub use loom::hint::spin_loop;
}

/// Threads.
pub mod thread {
    pub use loom::thread::{JoinHandle, Thread, ThreadId, current, park, spawn, yield_now};
}

/// A lock without poison, in the shape of `parking_lot`'s.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Waits for the lock and takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// The value back.
    pub fn into_inner(self) -> T {
        self.0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The lock, held; given back when dropped.
pub struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>);

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").finish_non_exhaustive()
    }
}
