//! Addresses, routes, placement on cores, tables of a core and message codecs.
//!
//! This crate does no I/O, reads no clock and starts no thread: what it needs of the world arrives
//! as an argument (the seed of a node, the entropy of a random address). Nothing in it is shared
//! between cores either, except the bytes of names too long to be kept inside an [`Address`].
//!
//! - [`Address`] names a worker; [`Route`] is the list of addresses that a message visits.
//! - [`Placement`] maps an address to its core and to a bucket of that core's table.
//! - [`Slab`] and [`Table`] hold a core's workers behind [`Handle`]s that go stale safely;
//!   a [`Hint`] is such a handle with the core it belongs to, kept by senders inside a route.
//! - [`wire`] writes messages with their routes as frames, and reads them from bytes that nobody vouches for.
//!
//! Bytes from the network pass through here, so what could panic on them is denied by lints:
//! no unwrapping, no indexing, no unchecked arithmetic outside the tests.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod address;
mod alias;
pub mod codec;
mod hint;
mod placement;
mod route;
mod table;
pub mod wire;

pub use address::{Address, AddressError, TransportType};
pub use alias::Aliases;
pub use codec::{
    Any, Body, Codec, CodecError, Encoded, Message, Messages, Pod, PodView, Unpack, accepts, unpack,
};
pub use hint::{Handle, HandleKind, Hint, NodeCore, Seen, WorkersOf};
pub use placement::Placement;
pub use route::{Hop, Route, RouteBuilder, RouteError};
pub use table::{Iter, Named, Slab, Table, Taken};
