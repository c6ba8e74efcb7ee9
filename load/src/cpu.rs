//! The time on a CPU that a thread has taken.

use crate::clock::Nanos;

/// The time on a CPU that the calling thread has taken so far, where the system says it.
pub(crate) fn of_thread() -> Option<Nanos> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
