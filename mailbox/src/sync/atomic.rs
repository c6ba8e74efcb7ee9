//! Atomics with a hook for mutants in each operation, over those of the arm that is built: a
//! checker's, or the standard library's for a thread sanitizer.

#![allow(
    clippy::disallowed_types,
    reason = "this is the facade that the others are sent to"
)]

use std::fmt;

pub use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::arm::checked;
use super::mutation::{self, Operand};

/// Orders this thread's accesses around it; left out or weakened when the mutant says so.
#[track_caller]
pub fn fence(order: Ordering) {
    if !mutation::skipped() {
        checked::fence(mutation::order(Operand::First, order));
        fenced::set(true);
    }
}

/// A fence and the relaxed exchange that follows it are a release together, but a thread sanitizer knows no
/// fences. So it is shown exchanges that release, until this thread stores something else.
#[cfg(ringpost_mutable)]
mod fenced {
    use std::cell::Cell;

    use super::{AcqRel, Acquire, Ordering, Relaxed, Release};

    thread_local! {
        static FENCED: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn set(fenced: bool) {
        // A thread that ends exchanges nothing any more.
        let _ = FENCED.try_with(|cell| cell.set(fenced));
    }

    pub(super) fn exchange(order: Ordering) -> Ordering {
        match order {
            Relaxed if FENCED.try_with(Cell::get).unwrap_or(false) => Release,
            Acquire if FENCED.try_with(Cell::get).unwrap_or(false) => AcqRel,
            order => order,
        }
    }
}

/// The checkers know fences, or need none.
#[cfg(not(ringpost_mutable))]
mod fenced {
    pub(super) fn set(_: bool) {}

    pub(super) fn exchange(order: super::Ordering) -> super::Ordering {
        order
    }
}

/// What all atomics have in common.
macro_rules! common {
    ($(#[$doc:meta])* $name:ident, $value:ty $(, $param:ident)?) => {
        $(#[$doc])*
        pub struct $name$(<$param>)?(checked::$name$(<$param>)?);

        impl$(<$param>)? $name$(<$param>)? {
            /// An atomic that holds `value`.
            #[cfg(loom)]
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self(checked::$name::new(value))
            }

            /// An atomic that holds `value`.
            #[cfg(not(loom))]
            #[track_caller]
            pub const fn new(value: $value) -> Self {
                Self(checked::$name::new(value))
            }

            /// The value of some store that this thread may see.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.0.load(mutation::order(Operand::First, order))
            }

            /// Replaces the value.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                fenced::set(false);
                if !mutation::skipped() {
                    self.0.store(value, mutation::order(Operand::First, order));
                }
            }

            /// Replaces the value and says what it was.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                fenced::set(false);
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
                let success = fenced::exchange(mutation::order(Operand::First, success));
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

/// Read-modify-write operations of one atomic type, and its default.
macro_rules! fetch {
    ($name:ident, $value:ty, $($fetch:ident)+) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new(<$value>::default())
            }
        }

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
