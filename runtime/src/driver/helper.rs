//! The thread beside the cores of a node: it watches them, and starts threads that are not pinned.

use std::sync::Arc;

use ringpost_mailbox::sync::thread::{JoinHandle, is_finished};

use crate::driver::blocking::Order;
use crate::driver::stderr::failure;
use crate::driver::system::System;
use crate::driver::watchdog::Watchdog;
use crate::node::shared::NodeShared;
use crate::time::Time;

/// The life of the helper: until the last core has ended, and all threads that it started.
pub(crate) fn run(
    system: &impl System,
    node: &Arc<NodeShared>,
    mut watchdog: Watchdog,
    clock: impl Fn() -> Time,
) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        match node.blocking.next_order(watchdog.pause()) {
            Order::End => break,
            Order::Nothing => {}
            Order::Start => {
                threads.retain(|thread| !is_finished(thread));
                let there = Arc::clone(node);
                let body = Box::new(move || there.blocking.run());
                match system.spawn("ringpost-blocking".to_owned(), body) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        failure("no thread for a blocking call", None, Some(&error));
                        node.blocking.has_no_thread();
                    }
                }
            }
        }
        watchdog.look(clock());
    }
    for thread in threads {
        if thread.join().is_err() {
            failure(
                "a thread for blocking calls panicked; this is a defect of ringpost",
                None,
                None,
            );
        }
    }
}
