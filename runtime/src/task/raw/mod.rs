//! The one unsafe module of the runtime: a mailbox with its worker, and the future of its handler.
//!
//! # Who owns what
//!
//! A mailbox, its worker and the worker's context lie in one *block*, counted by [`MailboxRc`]: the
//! single allocation of a worker's start. A handler's future borrows worker and context mutably for as
//! long as it lives, so it cannot be a plain field beside them. It lives in a *frame*: memory from the
//! core's [`Frames`], taken when the handler starts and given back when it ends. A handler that ends
//! at its first poll leaves its frame warm for the next message, whichever worker that is for, and goes on with
//! that itself if it is for a worker of the same type; an idle worker owns no frame. A message lies in the core's queue, or
//! where it has arrived from another core, until it is moved to its handler's frame.
//!
//! ```text
//! MailboxRc ──▶ ┌ count, table, phase, frame ┐
//!               │ mailbox                    │
//!               │ worker, context            │ ◀─ borrowed by ─┐
//!               └────────────────────────────┘                 │
//!                             frame ──▶ ┌ the live call's future ┐
//! ```
//!
//! # Phases of a block
//!
//! ```text
//! Vacant ──fill──▶ Idle ──a call starts──▶ Polled ──it ends──▶ Idle ──end──▶ Vacant
//!                                           │  ▲
//!                              it suspends  ▼  │  it is woken
//!                                         Suspended ──cancel──▶ Idle
//! ```
//!
//! # Rules
//!
//! 1. All of this is core-local: no type here is `Send` or `Sync`, so nothing here races.
//! 2. The worker's state is there in every phase but `Vacant`.
//! 3. A call's future is live while `frame` is set, and while it is made and polled, which only `drive` knows
//!    of; and only then does anything borrow the state. A call starts in phase `Idle` alone, where there is no
//!    future; so there is one at most. The frame names the function that goes on with it, which is the one that
//!    made it.
//! 4. In phase `Polled` nobody but the future touches the state: `cancel` and `end` refuse.
//! 5. A frame's future is dropped before the state it borrows: `end` cancels first.
//! 6. A future is never moved once it is in its frame, whose address is fixed until it is given back.
//! 7. A block is freed when its last `MailboxRc` goes. The worker in it counts as one, from `fill` to `end`; so
//!    by then the block is vacant and no future is left, and as long as a call runs the block is there, whatever
//!    becomes of other pointers to it. Pointers that are counted before they are made (`Ahead`) keep nothing: as long as there
//!    are such, another is borrowed.
//! 8. User code (making, polling and dropping futures, dropping workers) runs inside `catch_unwind`.
//!    After a panic the future is gone and the caller ends the worker, so no broken state is seen
//!    again.
//! 9. A core is in one pass at a time, and each pass is over when what began it returns. Only methods of its `Shard` that have that
//!    to themselves begin one, and no handler has the shard. So what [`Pass`] says is of the pass whose handler asks.

#![allow(unsafe_code, reason = "the module listed in the tidy check")]

mod arrived;
mod block;
mod call;
mod frames;
mod lent;
mod pass;
mod queue;
mod shown;
mod table;
mod whole;

pub(crate) use self::arrived::{Arrived, Slots};
pub(crate) use self::shown::Shown;
pub(crate) use block::{MailboxRc, MailboxRef, Vacant};
pub(crate) use frames::Frames;
pub(crate) use lent::lent;
pub(crate) use pass::Pass;
pub(crate) use queue::{Next, Queue};
pub(crate) use table::Mailboxes;

use ringpost_router::Unpack;

use crate::envelope::Head;
use crate::error::Error;

/// What came of one poll of a worker's call.
pub(crate) enum Step {
    /// The call returned `Ok`.
    Done,
    /// The call is suspended and will be woken.
    Pending,
    /// It ended another way.
    Ended(Box<Ending>),
}

/// How a call can end besides well.
pub(crate) enum Ending {
    /// It returned this error.
    Failed(Error),
    /// It panicked with this text. The worker must be ended.
    Panicked(String),
    /// The worker does not take this payload. Nothing ran.
    Mismatch(Head, Unpack),
}

/// What a worker is asked to do once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Run `initialize`.
    Initialize,
    /// Run `shutdown`.
    Shutdown,
}
