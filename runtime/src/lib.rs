//! Thread-per-core, lock-free message passing: nodes, workers, routes.
//!
//! A node runs one event loop for each CPU core. Workers live at addresses, on the core that the hash
//! of their address picks, handle one message at a time, and share nothing. Messages travel along
//! routes; between cores they cross lock-free single-producer rings, and inside the node they are
//! moved, never encoded.
//!
//! ```
//! use ringpost::{Context, Result, Routed, Worker, async_worker};
//!
//! struct Echo;
//!
//! #[async_worker]
//! impl Worker for Echo {
//!     type Message = String;
//!     type Context = Context;
//!
//!     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
//!         ctx.send_message(msg.reply(), msg.take()).await
//!     }
//! }
//!
//! #[ringpost::node]
//! async fn main(mut ctx: Context) -> Result<()> {
//!     ctx.start_worker("echo", Echo).await?;
//!     ctx.send_message("echo", "hello".to_string()).await?;
//!     let reply = ctx.receive::<String>().await?;
//!     assert_eq!(*reply, "hello");
//!     ctx.stop().await
//! }
//! ```
//!
//! What goes wrong is reported through the `tracing` crate. In a process where no subscriber was ever set,
//! failures (handlers that return an error, panics) are lines on standard error instead, ten a second at the
//! most; the line that begins a later second says how many were left out. Installing a subscriber, also one
//! that looks at nothing, ends that.
//!
//! What is promised about delivery, order, bounds and stopping is in `GUARANTEES.md`; how it is built,
//! in `ARCHITECTURE.md`.

#![deny(unsafe_code)]

mod backoff;
mod budget;
mod context;
mod core;
mod driver;
mod envelope;
mod error;
mod group;
mod held;
mod limits;
mod mailbox;
pub mod net;
mod node;
mod overflow;
mod routed;
mod shard;
mod stall;
mod supervision;
mod task;
mod time;
mod timers;
pub mod transport;
mod waits;
mod watch;
mod worker;

pub use crate::backoff::Backoff;
pub use crate::budget::{Budget, BudgetPool, Load};
pub use crate::context::forward::Forward;
pub use crate::context::receive::Receive;
pub use crate::context::request::{REQUEST_TIMEOUT, Request};
pub use crate::context::send::SendMessage;
pub use crate::context::sleep::{Sleep, YieldNow};
pub use crate::context::{Context, DRAIN_TIMEOUT};
pub use crate::driver::sim;
pub use crate::error::{DeadLetter, Error, ErrorKind, Reason, Result, Undelivered};
pub use crate::group::Group;
pub use crate::limits::Limits;
pub use crate::node::builder::{CORES_MAX, Node, NodeBuilder};
pub use crate::node::handle::NodeHandle;
pub use crate::node::stats::{CoreStats, NodeStats, PairStats};
pub use crate::overflow::Overflow;
pub use crate::routed::Routed;
pub use crate::stall::Stall;
pub use crate::supervision::{Outcome, Supervision};
pub use crate::transport::{
    TcpConnectionOptions, TcpListenerOptions, TcpTransport, UdpConnectionOptions,
    UdpListenerOptions, UdpTransport, UnixConnectionOptions, UnixListenerOptions, UnixTransport,
};
pub use crate::waits::{Awaited, Wait, WaitCycle};
pub use crate::watch::{EndReason, Ended, Watch};
pub use crate::worker::Worker;
pub use ringpost_macros::{Message, async_worker, node, worker};
pub use ringpost_mailbox::buf::{Buf, BufMut, SharedBuf};
pub use ringpost_router::{
    Address, Any, CodecError, Encoded, Hop, Message, Pod, PodView, Route, TransportType, codec,
    local_message, route,
};

/// The transport type of TCP addresses, for [`Route::append_t`].
pub const TCP: TransportType = TransportType::TCP;

/// The transport type of Unix sockets' paths, for [`Route::append_t`].
pub const UDS: TransportType = TransportType::UDS;

/// The transport type of UDP addresses, for [`Route::append_t`].
pub const UDP: TransportType = TransportType::UDP;
