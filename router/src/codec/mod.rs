//! Messages: what travels between workers, and how it is written where it leaves the process.
//!
//! Inside a node a message is moved, type and all, in a [`Body`]; nothing is encoded. Only a transport
//! encodes, through the [`Codec`] that the body's type brings along, and what a transport has received
//! travels as [`Encoded`] until a worker asks for a type.
//!
//! The encoding of serde types is BARE (<https://baremessages.org>), as `serde_bare` writes it. Bytes
//! are messages as they stand, without a length in front.

mod any;
mod bare;
mod error;
mod list;
mod pod;
mod pod_view;
mod raw;
mod serde_types;

use core::fmt::Display;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use any::{Any, Encoded};
pub use bare::{DEPTH_MAX, EMPTY_BYTES_MAX, EMPTY_MAX};
pub use error::{CodecError, Unpack};
pub use pod::Pod;
pub use pod_view::PodView;

/// The family of all messages, for [`MessageCell`].
#[derive(Debug)]
pub struct Messages;

/// What is known of a message's type besides the value.
#[derive(Debug)]
pub struct Codec {
    /// Appends the encoded payload of a body of this type.
    pub encode: fn(&Body, &mut Vec<u8>) -> Result<(), CodecError>,
}

impl Catalog for Messages {
    type Meta = Codec;
}

impl<T: Message> Entry<T> for Messages {
    const META: &'static Codec = &Codec {
        encode: encode_as::<T>,
    };
}

/// A message under way: any [`Message`], its type erased.
pub type Body = MessageCell<Messages>;

fn encode_as<T: Message>(body: &Body, out: &mut Vec<u8>) -> Result<(), CodecError> {
    match body.peek::<T>() {
        Some(message) => message.encode(out),
        None => Err(CodecError::not_encodable(body.type_name())),
    }
}

/// What workers can send each other.
///
/// Derive it for serde types with `#[derive(Message)]`. Implement it by hand for an encoding of your
/// own, or for a type that never leaves the node: its [`encode`](Self::encode) then returns
/// [`CodecError::not_encodable`].
///
/// ```
/// use ringpost_router::Message;
///
/// let mut bytes = Vec::new();
/// String::from("hi").encode(&mut bytes)?;
/// assert_eq!(bytes, b"\x02hi");
/// assert_eq!(String::decode(&bytes)?, "hi");
/// # Ok::<(), ringpost_router::CodecError>(())
/// ```
pub trait Message: Send + Sized + 'static {
    /// Whether [`into_body`](Self::into_body) takes a block of memory.
    #[doc(hidden)]
    const TAKES_MEMORY: bool = Body::takes_memory::<Self>();

    /// Appends the encoded message.
    ///
    /// # Errors
    /// When the type, or this value, has no encoding.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a message back. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// When the bytes are not an encoding of this type.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;

    /// The message as it travels in the node.
    #[inline]
    fn into_body(self) -> Body {
        MessageCell::new(self)
    }

    /// The message out of what has travelled; what came from a transport is decoded here.
    ///
    /// # Errors
    /// When the body holds another type, or bytes that are not an encoding of this one.
    #[inline]
    fn from_body(body: Body) -> Result<Self, Unpack> {
        match body.take::<Self>() {
            Ok(message) => Ok(message),
            Err(body) => decode_body(body),
        }
    }

    /// Whether [`from_body`](Self::from_body) would take this body; its bytes are not looked at.
    #[inline]
    fn accepts(body: &Body) -> bool {
        body.is::<Self>() || body.is::<Encoded>()
    }
}

/// The message in a body; see [`Message::from_body`].
///
/// # Errors
/// As [`Message::from_body`].
#[inline]
pub fn unpack<M: Message>(body: Body) -> Result<M, Unpack> {
    M::from_body(body)
}

/// Whether a body could be an `M`; see [`Message::accepts`].
#[inline]
pub fn accepts<M: Message>(body: &Body) -> bool {
    M::accepts(body)
}

#[cold]
fn decode_body<M: Message>(body: Body) -> Result<M, Unpack> {
    match body.take::<Encoded>() {
        // A decoder of the user's that panics on bytes from a peer costs that one message.
        Ok(encoded) => catch_unwind(AssertUnwindSafe(|| M::decode(&encoded.0)))
            .unwrap_or_else(|_| {
                Err(CodecError::Decode {
                    type_name: std::any::type_name::<M>(),
                    cause: "its decoder panicked".to_owned(),
                })
            })
            .map_err(Unpack::Codec),
        Err(body) => Err(Unpack::wrong_type::<M>(body)),
    }
}

/// The types that `#[derive(Message)]` works for. Implemented for all of them.
pub trait SerdeMessage: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> SerdeMessage for T {}

/// Appends a serde type as BARE.
///
/// # Errors
/// When the type holds something that BARE cannot write.
pub fn encode_serde<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_bare::to_writer(&mut *out, value).map_err(|cause| CodecError::Encode {
        type_name: std::any::type_name::<T>(),
        cause: cause.to_string(),
    })
}

/// Reads a serde type from BARE. Bytes left over are refused.
///
/// The bytes need not be trusted: reading costs no more time and memory than there are bytes, give or
/// take what a value of the type weighs. Values lie at most [`DEPTH_MAX`] deep in each other; at most
/// [`EMPTY_MAX`] elements of lists and maps take no bytes, and those at most [`EMPTY_BYTES_MAX`] of
/// memory.
///
/// # Errors
/// When the bytes are not one value of this type.
pub fn decode_serde<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    bare::read(bytes).map_err(undecodable::<T>)
}

#[cold]
fn undecodable<T>(cause: impl Display) -> CodecError {
    CodecError::Decode {
        type_name: std::any::type_name::<T>(),
        cause: cause.to_string(),
    }
}

/// Makes a type that never leaves its node a message: it is moved, and has no encoding.
///
/// ```
/// struct Token(std::time::Instant);
/// ringpost_router::local_message!(Token);
/// ```
#[macro_export]
macro_rules! local_message {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::Message for $type {
            fn encode(
                &self,
                _out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), $crate::CodecError> {
                let type_name = ::core::any::type_name::<Self>();
                ::core::result::Result::Err($crate::CodecError::not_encodable(type_name))
            }

            fn decode(_bytes: &[u8]) -> ::core::result::Result<Self, $crate::CodecError> {
                let type_name = ::core::any::type_name::<Self>();
                ::core::result::Result::Err($crate::CodecError::not_encodable(type_name))
            }
        }
    )+};
}
