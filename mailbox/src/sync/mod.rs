//! The one door to atomics, cells, locks and threads.
//!
//! Everything in the project that is shared between threads is built from the names exported here,
//! so that one build flag exchanges all of them:
//!
//! - in a normal build they are the standard library's types (and a lock of `parking_lot`);
//! - with `--cfg loom` they are loom's, and every operation becomes a step that the model checker
//!   schedules;
//! - with `--cfg shuttle` they are shuttle's, and every operation becomes a step at which another
//!   thread may be drawn to go on. It knows no orderings but takes whole components;
//! - with `--cfg ringpost_mutable` they are the standard library's, for a thread sanitizer, which looks
//!   at orderings and sees real threads.
//!
//! In the last three the atomics carry one addition of ours: a *mutant*, named by an
//! environment variable, weakens one ordering, drops one store or leaves out one fence, so that the
//! checks can be asked whether they would notice.
//!
//! Nothing else in the project knows which arm is built, but for the driver, which has to sleep and to
//! tell the time where there is neither (`runtime/src/driver/threads`).
//!
//! # Rules for users
//!
//! 1. No sequentially consistent *accesses*: the model checker does not order them exactly. Where a
//!    store has to be ordered before a later load, use relaxed accesses around `fence(SeqCst)`.
//! 2. No weak compare-exchange: the model checker never lets it fail, so a loop that only works by
//!    luck would pass. It is not exported, and where it matters (a retry loop) the strong one costs
//!    the same on x86-64 and little elsewhere.
//! 3. [`cell::UnsafeCell`] is used through `with` and `with_mut`, which is what lets the model
//!    checker see each access.

#[cfg(loom)]
mod loom_arm;
#[cfg(shuttle)]
mod shuttle_arm;
#[cfg(not(any(loom, shuttle)))]
mod std_arm;

#[cfg(any(loom, shuttle, ringpost_mutable))]
pub mod atomic;
#[cfg(any(loom, shuttle))]
mod lock;
#[cfg(any(loom, shuttle, ringpost_mutable))]
pub mod mutation;

mod counter;

#[cfg(loom)]
use loom_arm as arm;
#[cfg(shuttle)]
use shuttle_arm as arm;
#[cfg(not(any(loom, shuttle)))]
use std_arm as arm;

#[cfg(not(any(loom, shuttle, ringpost_mutable)))]
pub use arm::atomic;
pub use arm::{Arc, cell, hint, mpsc, thread, thread_local};
#[cfg(not(any(loom, shuttle)))]
pub use arm::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};
pub use counter::Counter;
pub use crossbeam::utils::CachePadded;
#[cfg(any(loom, shuttle))]
pub use lock::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};

/// A flag that handlers of signals read: the standard library's in every build, as no checker knows them.
#[allow(
    clippy::disallowed_types,
    reason = "this is the facade that the others are sent to"
)]
pub type SignalFlag = std::sync::atomic::AtomicBool;
