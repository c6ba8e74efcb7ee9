//! A pool's free lists are one thread's.

use ringpost_mailbox::pool::{Pool, PoolLimits};

fn needs_send<T: Send>(_: T) {}

fn main() {
    needs_send(Pool::new(0, PoolLimits::default()));
}
