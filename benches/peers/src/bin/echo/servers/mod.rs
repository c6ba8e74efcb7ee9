//! The servers: each listens on a port of its own, says which, and echoes until it is killed.

mod by_hand;
mod floor;
mod glommio;
mod mio_loop;
mod monoio;
mod ockam;
mod ringpost;
mod tokio;

use std::io::{self, Write};
use std::net::SocketAddr;

use core_affinity::CoreId;

/// A server of the table.
pub struct Server {
    pub name: &'static str,
    /// How it is set up, for readers of the table.
    pub setup: &'static str,
    pub speaks: Speaks,
    /// Echoes on this CPU, for good.
    pub serve: fn(CoreId) -> io::Result<()>,
}

/// What a client has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Frames that come back as they are.
    Frames,
    /// Messages to the worker `echoer` in the wire format of Ockam.
    Routes,
}

/// All of them, in the order of the table.
pub const SERVERS: &[Server] = &[
    ringpost::FRAMED,
    by_hand::SERVER,
    tokio::MULTI_THREAD,
    tokio::CURRENT_THREAD,
    monoio::SERVER,
    glommio::SERVER,
    floor::FRAMED,
    ringpost::ROUTED,
    ockam::SERVER,
    floor::ROUTED,
];

/// Any port of this machine.
const ANYWHERE: &str = "127.0.0.1:0";

/// Tells the parent where the server listens.
fn listening(at: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{at}")?;
    out.flush()
}
