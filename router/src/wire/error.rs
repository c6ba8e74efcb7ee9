//! What can be wrong with a frame.

use core::fmt;

use super::cbor::Fault;
use super::{FRAME_BYTES_MIN, VERSION};

/// A part of a frame, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The frame itself: the length, and the array that all other parts lie in.
    Frame,
    /// The list of addresses that the message still has to visit.
    OnwardRoute,
    /// An address of the onward route.
    OnwardAddress,
    /// The list of addresses that a reply visits.
    ReturnRoute,
    /// An address of the return route.
    ReturnAddress,
    /// The encoded message.
    Payload,
    /// What tracing sends along.
    Trace,
}

impl Field {
    /// The field of the addresses in this route.
    pub(super) fn address(self) -> Self {
        match self {
            Self::OnwardRoute => Self::OnwardAddress,
            _ => Self::ReturnAddress,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::OnwardRoute | Self::ReturnRoute => "addresses",
            _ => "bytes",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frame => "the frame",
            Self::OnwardRoute => "the onward route",
            Self::OnwardAddress => "an address of the onward route",
            Self::ReturnRoute => "the return route",
            Self::ReturnAddress => "an address of the return route",
            Self::Payload => "the payload",
            Self::Trace => "the trace",
        })
    }
}

/// Why bytes are not a frame, or a message cannot be written as one.
///
/// On a connection each of these but [`NoMemory`](Self::NoMemory) is final: where the next frame would begin is not known,
/// or the peer cannot be relied on. Close the connection, with the error as the reason.
///
/// ```
/// use ringpost_router::wire::{Frame, Limits};
///
/// let error = Frame::decode(&[0x83, 0x98, 65], &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "the frame has 3 bytes; no message has fewer than 4");
/// let error = Frame::decode(&[0x83, 0x98, 65, 0], &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(),
///     "the onward route is over its limit of 64 addresses: 65");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The peer's first byte is not [`VERSION`].
    #[error("the peer speaks version {found} of the protocol; this node speaks version {VERSION}")]
    Version {
        /// The byte.
        found: u8,
    },
    /// A datagram does not begin as those of this protocol do.
    #[error(
        "the datagram does not begin with the mark, the session and the number that this node's do"
    )]
    Mark,
    /// The frame is shorter than [`FRAME_BYTES_MIN`].
    #[error("the frame has {bytes} bytes; no message has fewer than {FRAME_BYTES_MIN}")]
    TooShort {
        /// The length of its body.
        bytes: u64,
    },
    /// A part of the frame is longer than [`Limits`](super::Limits) allow.
    #[error("{field} is over its limit of {limit} {}: {found}", field.unit())]
    TooLong {
        /// Which part.
        field: Field,
        /// How many addresses, where it is a route; how many bytes, where it is anything else.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// A part of the frame goes on where the frame ends.
    #[error("{field} runs past the end of the frame")]
    Ended {
        /// Which part.
        field: Field,
    },
    /// A part of the frame is something else than it should be.
    #[error("{field} cannot begin with the byte {found:#04x}")]
    Kind {
        /// Which part.
        field: Field,
        /// The byte that says what it is.
        found: u8,
    },
    /// An address has another number of parts than two.
    #[error("{field} is not a transport type and a name")]
    Parts {
        /// Which route it is in.
        field: Field,
    },
    /// No memory is to be had for a part of a frame that has come. It is still there, and can be asked for again.
    #[error("there is no memory for {bytes} bytes of {field}")]
    NoMemory {
        /// Which part.
        field: Field,
        /// How long it is.
        bytes: usize,
    },
    /// A text is not UTF-8.
    #[error("{field} is not UTF-8")]
    Utf8 {
        /// Which part.
        field: Field,
    },
}

impl Fault {
    /// The error of a part of a frame that has this fault.
    #[cold]
    pub(super) fn of(self, field: Field) -> WireError {
        match self {
            Self::Ended => WireError::Ended { field },
            Self::Kind(found) => WireError::Kind { field, found },
        }
    }
}
