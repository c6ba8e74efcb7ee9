//! How messages are written on a connection and read back: computation only, no I/O.

mod framed;
mod raw;
mod routed;

use ringpost_router::wire::WireError;

pub(crate) use framed::Framed;
pub(crate) use raw::Raw;
pub(crate) use routed::Routed;

use crate::stamp::Stamper;

/// One connection's way of writing and reading messages.
#[derive(Debug)]
pub(crate) enum Protocol {
    /// Records of one size, one behind the other.
    Raw(Raw),
    /// Frames: each message behind its length.
    Framed(Framed),
    /// Frames that carry a route to a worker.
    Routed(Box<Routed>),
}

/// What stands at the front of the bytes that have arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A reply, and how many bytes are done with.
    Reply { text: &'a [u8], consumed: usize },
    /// Something that is no reply, and how many bytes are done with.
    Other { consumed: usize },
    /// The beginning of something, or nothing.
    Part { consumed: usize },
}

impl Protocol {
    /// Appends what a connection begins with.
    pub(crate) fn open(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(_) | Self::Framed(_) => {}
            Self::Routed(routed) => routed.open(out),
        }
    }

    /// Appends a message.
    #[inline]
    pub(crate) fn write(&self, stamper: &Stamper, number: u64, out: &mut Vec<u8>) {
        match self {
            Self::Raw(_) => {}
            Self::Framed(framed) => framed.write_head(out),
            Self::Routed(routed) => routed.write_head(out),
        }
        stamper.write(number, out);
    }

    /// Looks at the front of the bytes that have arrived and are not done with.
    ///
    /// # Errors
    /// Bytes that are none of this protocol; nothing can be read behind them.
    #[inline]
    pub(crate) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Found<'a>, WireError> {
        match self {
            Self::Raw(raw) => Ok(raw.read(bytes)),
            Self::Framed(framed) => framed.read(bytes),
            Self::Routed(routed) => routed.read(bytes),
        }
    }

    /// How many bytes one message takes on the connection.
    pub(crate) fn frame_bytes(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.size(),
            Self::Framed(framed) => framed.frame_bytes(),
            Self::Routed(routed) => routed.frame_bytes(),
        }
    }
}
