//! What can go wrong between a message and its bytes.

use super::Body;

/// A payload that could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The type has no encoding: it is for use inside a node.
    #[error("{type_name} has no encoding and cannot leave the node")]
    NotEncodable {
        /// The type.
        type_name: &'static str,
    },
    /// The value could not be written.
    #[error("a value of type {type_name} could not be encoded: {cause}")]
    Encode {
        /// The type.
        type_name: &'static str,
        /// What the codec says.
        cause: String,
    },
    /// The bytes are not a value of the type.
    #[error("the payload is not a {type_name}: {cause}")]
    Decode {
        /// The type.
        type_name: &'static str,
        /// What the codec says.
        cause: String,
    },
}

impl CodecError {
    /// The error of a type that never leaves a node.
    #[must_use]
    pub fn not_encodable(type_name: &'static str) -> Self {
        Self::NotEncodable { type_name }
    }
}

/// Why a body could not be turned into a message of the type that was asked for.
#[derive(Debug)]
pub enum Unpack {
    /// The body holds another type.
    WrongType {
        /// The type that was asked for.
        expected: &'static str,
        /// The type that is there.
        found: &'static str,
        /// The body, untouched.
        body: Body,
    },
    /// The body came from a transport, and its bytes are not the type that was asked for.
    Codec(CodecError),
}

impl Unpack {
    /// A body that is not an `M`.
    #[cold]
    pub(super) fn wrong_type<M>(body: Body) -> Self {
        Self::WrongType {
            expected: std::any::type_name::<M>(),
            found: body.type_name(),
            body,
        }
    }

    /// The body, if it is still whole.
    #[must_use]
    pub fn into_body(self) -> Option<Body> {
        match self {
            Self::WrongType { body, .. } => Some(body),
            Self::Codec(_) => None,
        }
    }
}
