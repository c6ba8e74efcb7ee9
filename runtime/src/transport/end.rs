//! How connections end.

use std::fmt;
use std::io;

use ringpost_router::wire::WireError;

/// Why a connection has ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// This node wanted it.
    Own,
    /// The peer, or the network, has ended it.
    Lost(String),
    /// The peer has broken the rules: it goes over a limit, is too slow, or speaks something else.
    Fault(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("this node has ended it"),
            Self::Lost(reason) | Self::Fault(reason) => f.write_str(reason),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Fault(error.to_string())
    }
}
