//! What the suites share: workers that send, count and reply, a node to run them on, and the machine.
//!
//! Each workload is an async function that does at least `n` operations on a running node and says how
//! long they took, measured inside the node, so that starting it is not counted. Each also checks
//! what its workers counted: a fast answer that is wrong is no figure.

pub mod arena;
pub mod bounce;
pub mod callgrind;
pub mod counted;
pub mod floor;
pub mod machine;
pub mod measured;
pub mod process;
pub mod served;
pub mod wakes;
pub mod workloads;

pub use arena::{Arena, Arenas};
pub use machine::Machine;
pub use measured::Measured;
