//! Messages that are not looked at, or not yet.

use ringpost_mailbox::buf::Buf;

use super::{Body, CodecError, Message, Unpack, raw};

/// Any message, not looked at: for workers that pass messages on.
///
/// ```
/// use ringpost_router::{Any, Message};
///
/// let any = Any::from_body(7u32.into_body()).unwrap();
/// assert_eq!(any.type_name(), "u32");
/// assert_eq!(any.unpack::<u32>().unwrap(), 7);
/// ```
#[derive(Debug)]
pub struct Any(pub(crate) Body);

impl Any {
    /// The name of the type inside.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// Whether the message is an `M`, or could be decoded as one.
    #[must_use]
    pub fn is<M: Message>(&self) -> bool {
        M::accepts(&self.0)
    }

    /// The message, if it is an `M` as it stands.
    #[must_use]
    #[inline]
    pub fn peek<M: Message>(&self) -> Option<&M> {
        self.0.peek::<M>()
    }

    /// The message as an `M`.
    ///
    /// # Errors
    /// As [`Message::from_body`].
    pub fn unpack<M: Message>(self) -> Result<M, Unpack> {
        M::from_body(self.0)
    }
}

impl From<Body> for Any {
    #[inline]
    fn from(body: Body) -> Self {
        Self(body)
    }
}

impl Message for Any {
    /// It travels as what it is.
    const TAKES_MEMORY: bool = false;

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        (self.0.meta().encode)(&self.0, out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Encoded::decode(bytes).map(|encoded| Self(encoded.into_body()))
    }

    #[inline]
    fn into_body(self) -> Body {
        self.0
    }

    #[inline]
    fn from_body(body: Body) -> Result<Self, Unpack> {
        Ok(Self(body))
    }

    #[inline]
    fn accepts(_body: &Body) -> bool {
        true
    }
}

/// A payload as a transport received it, not decoded yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded(pub Buf);

impl Message for Encoded {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        raw::copy::<Self>(bytes).map(Self)
    }

    fn from_body(body: Body) -> Result<Self, Unpack> {
        let body = match body.take::<Self>() {
            Ok(encoded) => return Ok(encoded),
            Err(body) => body,
        };
        let mut bytes = Vec::new();
        (body.meta().encode)(&body, &mut bytes).map_err(Unpack::Codec)?;
        Self::decode(&bytes).map_err(Unpack::Codec)
    }

    fn accepts(_body: &Body) -> bool {
        true
    }
}
