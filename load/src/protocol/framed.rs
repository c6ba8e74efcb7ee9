//! Frames that come back as they were sent: four bytes of length, the highest first, and so many bytes.

use ringpost_router::wire::{Field, WireError};

use super::Found;

const LENGTH_BYTES: usize = 4;

/// Messages of one size, each behind its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed {
    size: usize,
}

impl Framed {
    pub(crate) fn new(size: usize) -> Self {
        Self { size }
    }

    pub(crate) fn frame_bytes(self) -> usize {
        self.size.saturating_add(LENGTH_BYTES)
    }

    #[inline]
    pub(crate) fn write_head(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.size as u32).to_be_bytes());
    }

    /// # Errors
    /// A frame longer than any that was sent: waiting for its end could take for ever.
    #[inline]
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Found<'_>, WireError> {
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(Found::Part { consumed: 0 });
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.size {
            return Err(WireError::TooLong {
                field: Field::Frame,
                found: length as u64,
                limit: self.size as u64,
            });
        }
        Ok(match rest.get(..length) {
            Some(text) => Found::Reply {
                text,
                consumed: LENGTH_BYTES.saturating_add(length),
            },
            None => Found::Part { consumed: 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_at_their_lengths() {
        let framed = Framed::new(3);
        let mut bytes = Vec::new();
        framed.write_head(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 3]);
        bytes.extend_from_slice(b"abcd");
        let reply = Found::Reply {
            text: b"abc",
            consumed: 7,
        };
        assert_eq!(framed.read(&bytes), Ok(reply));
        for part in 0..7 {
            let found = framed.read(&bytes[..part]);
            assert_eq!(found, Ok(Found::Part { consumed: 0 }));
        }
        // What is shorter than what was sent is told apart by its text.
        let short = Found::Reply {
            text: b"a",
            consumed: 5,
        };
        assert_eq!(framed.read(&[0, 0, 0, 1, b'a']), Ok(short));
    }

    #[test]
    fn a_length_that_nobody_sent_is_an_error() {
        let error = Framed::new(3).read(b"HTTP/1.1").unwrap_err().to_string();
        assert_eq!(error, "the frame is over its limit of 3 bytes: 1213486160");
    }
}
