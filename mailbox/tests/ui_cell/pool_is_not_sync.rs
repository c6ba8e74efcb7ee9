//! A pool's free lists are one thread's.

use ringpost_mailbox::pool::{Pool, PoolLimits};

fn needs_sync<T: Sync>(_: &T) {}

fn main() {
    needs_sync(&Pool::new(0, PoolLimits::default()));
}
