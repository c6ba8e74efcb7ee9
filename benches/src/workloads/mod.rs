//! The workloads: what is done between two looks at the clock.
//!
//! Where their workers live is decided by the node they run on: on a node of one core everything is on
//! that core, on a larger one the parts that talk to each other are on different cores.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod all_to_all;
mod bank;
mod big;
mod chameneos;
mod counting;
mod dictionary;
mod echo;
mod fan;
mod flood;
mod fork_join;
mod hot_shard;
mod lifecycle;
mod payloads;
mod ping_pong;
mod requests;
mod stage;
mod thread_ring;
mod timers;
mod wake;

pub use all_to_all::all_to_all;
pub use bank::bank;
pub use big::big;
pub use chameneos::chameneos;
pub use counting::{counting, counting_by_name};
pub use dictionary::dictionary;
pub use echo::routed_echo;
pub use fan::{fan_in, fan_out};
pub use flood::{flood, flood_from_outside};
pub use fork_join::{fork_join_create, fork_join_throughput};
pub use hot_shard::hot_shard;
pub use lifecycle::start_message_stop;
pub use payloads::{Words, buffers, moved, plain_data};
pub use ping_pong::{ping_pong, ping_pong_by_name};
pub use requests::requests;
pub use thread_ring::thread_ring;
pub use timers::armed_and_cancelled;
pub use wake::{parked_ping_pong, parked_request};
