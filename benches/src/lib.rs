//! What the suites share: workers that send, count and reply, and a way to run them for a while.
//!
//! Each workload is an async function that does `n` operations on a running node and says how long
//! they took, measured inside the node, so that starting it is not counted.

pub mod workloads;

use std::time::Duration;

use ringpost::{Context, Node, NodeHandle, Result};

/// A node that stays up while one workload is measured.
#[derive(Debug)]
pub struct Arena {
    node: Option<Node>,
    handle: NodeHandle,
}

impl Arena {
    /// A node with so many cores.
    ///
    /// # Panics
    /// If the node cannot start: there is nothing to measure then.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let node = Node::builder()
            .cores(cores)
            .seed(7)
            .start()
            .expect("the node starts");
        Self {
            handle: node.handle(),
            node: Some(node),
        }
    }

    /// Runs a workload on core 0 and waits for its time.
    ///
    /// # Panics
    /// If the workload fails: a benchmark of an error is worth nothing.
    pub fn run<F>(&self, work: F) -> Duration
    where
        F: AsyncFnOnce(Context) -> Result<Duration> + Send + 'static,
    {
        let done = self.handle.run_on(0, work);
        pollster::block_on(done)
            .expect("the node runs")
            .expect("the workload succeeds")
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            // Stopping cannot fail; a benchmark has nobody to tell.
            let _ = node.stop();
        }
    }
}
