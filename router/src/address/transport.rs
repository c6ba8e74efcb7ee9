//! Transport types: who can reach an address.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The kind of transport that an address belongs to, as one byte.
///
/// Values without a constant here are free for transports that a program brings itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransportType(pub u8);

impl TransportType {
    /// A worker of the same node.
    pub const LOCAL: Self = Self(0);
    /// A TCP peer, named by host and port.
    pub const TCP: Self = Self(1);
    /// A UDP peer, named by host and port.
    pub const UDP: Self = Self(2);
    /// A WebSocket peer, named by its URL.
    pub const WEBSOCKET: Self = Self(3);
    /// A Bluetooth Low Energy peer.
    pub const BLE: Self = Self(4);
    /// A Unix domain socket, named by its path.
    pub const UDS: Self = Self(5);

    /// Makes a transport type of its byte.
    pub const fn new(value: u8) -> Self {
        Self(value)
    }
}

impl fmt::Display for TransportType {
    /// Prints the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<TransportType> for u8 {
    fn from(transport: TransportType) -> Self {
        transport.0
    }
}
