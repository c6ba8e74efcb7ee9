//! Frames: how a message is written on a connection, and read back from bytes that nobody vouches for.
//!
//! The format is the one that nodes of the Ockam model speak over TCP (`ockam_transport_tcp` 0.118 and
//! later, July 2024), so that they and ringpost can talk to each other:
//!
//! ```text
//! connection := version frame*             each direction on its own; the version is the byte 1
//! frame      := length body                length: 4 bytes, big-endian, of the body
//! body       := CBOR array of 3 or 4 items
//!               0  onward route            array of addresses
//!               1  return route            array of addresses
//!               2  payload                 byte string
//!               3  trace                   text, null, or left out
//! address    := CBOR array of 2 items      transport type (0 to 255), name (byte string)
//! ```
//!
//! [`Decoder`] takes what a connection brings, in pieces of any size, and hands out [`Frame`]s whose
//! payloads are slices of those pieces. [`Frame::encode_head`] and [`Frame::encode_tail`] write what
//! stands before and behind a payload, so that the payload itself can go into a vectored write from
//! where it lies. Neither keeps bytes. [`Intake`] and [`Outlet`] do, for one connection each way; nothing here
//! does I/O.
//!
//! Where messages travel as datagrams, each is a [`Datagram`], and [`Recent`] tells which came before.
//!
//! # What is accepted
//!
//! More than is written, since the peers accept more: numbers and lengths in more bytes than they need, arrays
//! without a length, a trace that is null, and anything behind the last item that is known, which is not looked
//! at. Not accepted, though it is CBOR: strings in chunks, tags, and addresses of more parts than two.
//!
//! # Rules for what nobody vouches for
//!
//! - Every length is held against [`Limits`] before anything is done on its word; the error says which
//!   [`Field`] it was. Memory is taken only for addresses that have been read.
//! - A frame shorter than the shortest message ([`FRAME_BYTES_MIN`]) is refused, so a flood of empty
//!   frames ends with its first.
//! - A message without an onward route is a sign of life from an old peer ([`Frame::is_heartbeat`]); it is
//!   for the caller to drop it, and to mind how many come.
//! - After an error a connection's bytes mean nothing any more: a [`Decoder`] repeats its error from then on.
//! - Hints ([`Hint`](crate::Hint)) never cross the wire: what is encoded is the addresses, and what is decoded has none.
//!
//! No bytes make anything here panic.

mod cbor;
mod datagram;
mod decoder;
mod encode;
mod error;
mod frame;
mod intake;
mod limits;
mod note;
mod outlet;

pub use datagram::{DATAGRAM_HEAD_BYTES, Datagram, Recent};
pub use decoder::{Decoder, Step};
pub use error::{Field, WireError};
pub use frame::Frame;
pub use intake::{Incoming, Intake};
pub use limits::Limits;
pub use note::{Ending, Note, Refusal};
pub use outlet::Outlet;

/// The version of the protocol, and the first byte that each side of a connection sends.
pub const VERSION: u8 = 1;

/// How many bytes give the length of a frame's body.
pub const LENGTH_BYTES: usize = 4;

/// The shortest body of a frame: an array of two empty routes and an empty payload.
pub const FRAME_BYTES_MIN: u32 = 4;
