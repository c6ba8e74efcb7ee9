//! Frames as all servers here read them: four bytes of length, the highest first, and so many bytes.

/// What a frame may hold at the most.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// What a connection reads into, to begin with.
const BUFFER_BYTES: usize = 64 << 10;
const LENGTH_BYTES: usize = 4;

/// A frame that is too long; its connection is closed.
#[derive(Debug)]
pub struct TooLong;

/// The bytes of a connection: frames, and the beginning of one.
pub struct Inbox {
    bytes: Vec<u8>,
    held: usize,
}

impl Inbox {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER_BYTES],
            held: 0,
        }
    }

    /// Where more is to be read to.
    pub fn room(&mut self) -> &mut [u8] {
        if self.held == self.bytes.len() {
            self.bytes.resize(2 * self.held, 0);
        }
        &mut self.bytes[self.held..]
    }

    /// So many bytes were read.
    pub fn commit(&mut self, count: usize) {
        self.held += count;
    }

    /// The whole frames that are there.
    pub fn frames(&self) -> Result<&[u8], TooLong> {
        let end = end_of_frames(&self.bytes[..self.held])?;
        Ok(&self.bytes[..end])
    }

    /// The first bytes are done with.
    pub fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.held, 0);
        self.held -= count;
    }
}

/// Where the last whole frame ends.
pub fn end_of_frames(bytes: &[u8]) -> Result<usize, TooLong> {
    let mut end = 0;
    while let Some((length, rest)) = bytes[end..].split_first_chunk::<LENGTH_BYTES>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(TooLong);
        }
        if rest.len() < length {
            break;
        }
        end += LENGTH_BYTES + length;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_frames_are_found_and_the_rest_is_kept() {
        let bytes = [0, 0, 0, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 2, b'b'];
        let mut inbox = Inbox::new();
        inbox.room()[..bytes.len()].copy_from_slice(&bytes);
        inbox.commit(bytes.len());
        assert_eq!(inbox.frames().unwrap(), &bytes[..9]);
        inbox.consume(9);
        assert!(inbox.frames().unwrap().is_empty());
        inbox.room()[0] = b'c';
        inbox.commit(1);
        assert_eq!(inbox.frames().unwrap(), &[0, 0, 0, 2, b'b', b'c']);
        assert!(end_of_frames(&[0xff; 4]).is_err());
    }
}
