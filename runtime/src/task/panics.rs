//! What is left of user code that panicked.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringpost_router::Address;

use crate::driver::stderr::failure;

/// The panic as text. Its payload is dropped only where that runs no user code.
pub(crate) fn into_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic_text(&*panic).to_owned();
    // The payload's destructor is user code that may panic again; leaking it is the safe end.
    if !panic.is::<&str>() && !panic.is::<String>() {
        std::mem::forget(panic);
    }
    text
}

/// Drops a value of the user's; a panic of its destructor costs nobody anything.
pub(crate) fn drop_guarded<T>(value: T) {
    guarded("a destructor panicked", None, || drop(value));
}

/// Runs user code that returns nothing, a destructor mostly; if it panics, says so, and at which worker, and
/// goes on. The text of the panic, if there was one.
pub(crate) fn guarded(
    what: &'static str,
    worker: Option<&Address>,
    run: impl FnOnce(),
) -> Option<String> {
    let panic = into_text(catch_unwind(AssertUnwindSafe(run)).err()?);
    failure(what, worker, Some(&panic));
    Some(panic)
}

/// The message of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
