//! Plain old data read in the buffer where it arrived.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use bytemuck::AnyBitPattern;
use ringpost_mailbox::buf::Buf;

use super::{Body, CodecError, Message, Unpack, raw, undecodable};

/// A buffer read as a list of plain-old-data values, in place.
///
/// Length and alignment are checked once, when the view is made. What a transport has received becomes
/// a view without a copy, unless it is cut out of a buffer at an address that the values cannot have.
///
/// ```
/// use ringpost_mailbox::buf::Buf;
/// use ringpost_router::PodView;
///
/// let bytes = Buf::from(&[1, 0, 2, 0][..]);
/// let view = PodView::<u16>::new(bytes)?;
/// assert_eq!(*view, [1u16, 2].map(u16::from_le));
/// assert!(PodView::<u64>::new(view.into_buf()).is_err());
/// # Ok::<(), ringpost_router::CodecError>(())
/// ```
pub struct PodView<T> {
    buf: Buf,
    values: PhantomData<T>,
}

impl<T: AnyBitPattern + Send> PodView<T> {
    /// Looks at the buffer as values.
    ///
    /// # Errors
    /// [`CodecError::Decode`] when the bytes are not a whole number of values, or begin at an address
    /// that is not aligned for them. Buffers that were not cut at the front are aligned to 64.
    pub fn new(buf: Buf) -> Result<Self, CodecError> {
        match bytemuck::try_cast_slice::<u8, T>(&buf) {
            Ok(_) => Ok(Self::of(buf)),
            Err(cause) => Err(undecodable::<Self>(cause)),
        }
    }

    fn of(buf: Buf) -> Self {
        Self {
            buf,
            values: PhantomData,
        }
    }

    /// Looks at the buffer, and if it begins at the wrong address, at a copy that does not.
    fn of_received(buf: Buf) -> Result<Self, CodecError> {
        match bytemuck::try_cast_slice::<u8, T>(&buf) {
            Err(bytemuck::PodCastError::TargetAlignmentGreaterAndInputNotAligned) => {
                Self::new(raw::copy::<Self>(&buf)?)
            }
            _ => Self::new(buf),
        }
    }
}

impl<T> PodView<T> {
    /// The buffer.
    #[must_use]
    pub fn into_buf(self) -> Buf {
        self.buf
    }
}

impl<T: AnyBitPattern> Deref for PodView<T> {
    type Target = [T];

    /// The values. Asks the questions of [`new`](PodView::new) again, whose answers do not change.
    #[inline]
    fn deref(&self) -> &[T] {
        bytemuck::try_cast_slice(&self.buf).unwrap_or_default()
    }
}

impl<T: AnyBitPattern + fmt::Debug> fmt::Debug for PodView<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PodView").field(&&**self).finish()
    }
}

impl<T: AnyBitPattern + Send> Message for PodView<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(&self.buf);
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::new(raw::copy::<Self>(bytes)?)
    }

    #[inline]
    fn from_body(body: Body) -> Result<Self, Unpack> {
        match body.take::<Self>() {
            Ok(view) => Ok(view),
            Err(body) => raw::received::<Self>(body)
                .and_then(|buf| Self::of_received(buf).map_err(Unpack::Codec)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoded;

    #[test]
    fn aligned_bytes_are_read_where_they_lie() {
        let buf = Buf::from(&[1; 16][..]);
        let place = buf.as_ptr();
        let view = PodView::<u64>::from_body(Encoded(buf).into_body()).unwrap();
        assert_eq!(*view, [0x0101_0101_0101_0101; 2]);
        let view = PodView::<u64>::from_body(view.into_body()).unwrap();
        assert_eq!(view.into_buf().as_ptr(), place);
    }

    #[test]
    fn bytes_at_the_wrong_address_are_refused_or_copied() {
        let cut = || Buf::from(&[1, 2, 3, 4, 5][..]).slice(1..);
        let error = PodView::<u16>::new(cut()).unwrap_err();
        assert!(error.to_string().contains("PodView"), "{error}");
        let view = PodView::<u16>::from_body(Encoded(cut()).into_body()).unwrap();
        assert_eq!(bytemuck::cast_slice::<u16, u8>(&view), [2, 3, 4, 5]);
        assert_eq!(PodView::<u8>::new(cut()).unwrap().len(), 4);
    }

    #[test]
    fn a_part_of_a_value_is_refused_and_another_type_comes_back() {
        let received = || Encoded(Buf::from(&[1, 2, 3][..])).into_body();
        let error = PodView::<u16>::from_body(received()).unwrap_err();
        assert!(matches!(error, Unpack::Codec(CodecError::Decode { .. })));
        assert!(PodView::<u16>::decode(&[1]).is_err());
        let error = PodView::<u16>::from_body(5u8.into_body()).unwrap_err();
        assert!(error.into_body().unwrap().is::<u8>());
    }

    #[test]
    fn the_formatter_shows_the_values_and_the_bytes_are_what_is_sent() {
        let view = PodView::<u8>::decode(&[1, 2]).unwrap();
        assert_eq!(format!("{view:?}"), "PodView([1, 2])");
        let mut out = Vec::new();
        view.encode(&mut out).unwrap();
        assert_eq!(out, [1, 2]);
    }
}
