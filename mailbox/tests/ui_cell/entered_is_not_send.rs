//! The guard speaks of the thread that it was made on.

use ringpost_mailbox::pool::{Pool, PoolLimits};

fn needs_send<T: Send>(_: T) {}

fn main() {
    needs_send(Pool::new(0, PoolLimits::default()).enter());
}
