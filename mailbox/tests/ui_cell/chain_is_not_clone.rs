//! A chain that came home twice would put its blocks on the free list twice.

use ringpost_mailbox::pool::{Pool, PoolLimits};

fn main() {
    let pool = Pool::new(0, PoolLimits::default());
    if let Some(chain) = pool.take_chain(1, 1) {
        pool.accept(chain.clone());
    }
}
