//! The one door to atomics, cells, locks and threads.
//!
//! Everything in the project that is shared between threads is built from the names exported here,
//! so that one build flag exchanges all of them:
//!
//! - in a normal build they are the standard library's types (and a lock of `parking_lot`);
//! - with `--cfg loom` they are loom's, and every operation becomes a step that the model checker
//!   schedules. Its atomics carry one addition of ours: a *mutant*, named by an environment
//!   variable, weakens one ordering, drops one store or leaves out one fence, so that the models
//!   can be asked whether they would notice.
//!
//! A third arm (a randomised scheduler, for instance) needs one more file beside `std_arm` and
//! `loom_arm` and one more line here; nothing else in the project knows which arm is built.
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
#[cfg(loom)]
pub mod mutation;
#[cfg(not(loom))]
mod std_arm;

mod counter;

#[cfg(loom)]
use loom_arm as arm;
#[cfg(not(loom))]
use std_arm as arm;

pub use arm::{Arc, Mutex, MutexGuard, atomic, cell, hint, thread, thread_local};
pub use counter::Counter;
pub use crossbeam::utils::CachePadded;
