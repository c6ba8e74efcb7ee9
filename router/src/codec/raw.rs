//! Buffers as messages: the payload is the bytes as they stand, and is taken over, not copied.

use bytes::Bytes;
use ringpost_mailbox::buf::{Buf, SharedBuf};
use ringpost_mailbox::pool::BLOCK_BYTES_MAX;

use super::{Body, CodecError, Encoded, Message, Unpack, undecodable};

macro_rules! raw {
    ($($type:ty, $from_buf:expr;)*) => {$(
        impl Message for $type {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
                out.extend_from_slice(self);
                Ok(())
            }

            fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                copy::<Self>(bytes).map($from_buf)
            }

            #[inline]
            fn from_body(body: Body) -> Result<Self, Unpack> {
                match body.take::<Self>() {
                    Ok(bytes) => Ok(bytes),
                    Err(body) => received::<Self>(body).map($from_buf),
                }
            }
        }
    )*};
}

raw!(
    Buf, core::convert::identity;
    SharedBuf, Buf::share;
    Bytes, Bytes::from_owner;
);

/// Copies the bytes into a buffer, for a message of type `M`.
pub(super) fn copy<M>(bytes: &[u8]) -> Result<Buf, CodecError> {
    match bytes.len() {
        len if len > BLOCK_BYTES_MAX => {
            Err(undecodable::<M>(format_args!("{len} bytes are too many")))
        }
        _ => Ok(Buf::from(bytes)),
    }
}

/// What a transport has received, in a body that is no `M`.
#[cold]
pub(super) fn received<M>(body: Body) -> Result<Buf, Unpack> {
    match body.take::<Encoded>() {
        Ok(Encoded(received)) => Ok(received),
        Err(body) => Err(Unpack::wrong_type::<M>(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes the ways of a buffer: moved, received and taken over, written and read.
    fn travels<M: Message + AsRef<[u8]>>(message: M) {
        let place = message.as_ref().as_ptr();
        let expected = message.as_ref().to_vec();
        let moved = M::from_body(message.into_body()).unwrap();
        assert_eq!(moved.as_ref().as_ptr(), place);

        let received = Buf::from(&expected[..]);
        let place = received.as_ptr();
        let taken_over = M::from_body(Encoded(received).into_body()).unwrap();
        assert_eq!(
            (taken_over.as_ref().as_ptr(), taken_over.as_ref()),
            (place, &expected[..])
        );

        let mut out = vec![7];
        taken_over.encode(&mut out).unwrap();
        assert_eq!(out[1..], expected);
        assert_eq!(M::decode(&out[1..]).unwrap().as_ref(), expected);
        assert!(M::accepts(&taken_over.into_body()) && !M::accepts(&7u8.into_body()));
        let error = M::from_body(7u8.into_body()).err().unwrap();
        assert!(error.into_body().unwrap().is::<u8>());
    }

    #[test]
    fn buffers_travel_without_a_copy() {
        let buf = || Buf::from(&b"a payload"[..]);
        travels(buf());
        travels(buf().share());
        travels(Bytes::from_static(b"a payload"));
    }
}
