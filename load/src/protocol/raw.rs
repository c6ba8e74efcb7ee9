//! A plain byte stream that comes back as it was sent, cut into records of one size.

use super::Found;

/// Records of one size. A lost or added byte spoils all records behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    size: usize,
}

impl Raw {
    pub(crate) fn new(size: usize) -> Self {
        Self { size }
    }

    pub(crate) fn size(self) -> usize {
        self.size
    }

    #[inline]
    pub(crate) fn read(self, bytes: &[u8]) -> Found<'_> {
        match bytes.get(..self.size) {
            Some(text) => Found::Reply {
                text,
                consumed: self.size,
            },
            None => Found::Part { consumed: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_at_their_size() {
        let raw = Raw::new(3);
        let reply = Found::Reply {
            text: b"abc",
            consumed: 3,
        };
        assert_eq!(raw.read(b"abcd"), reply);
        assert_eq!(raw.read(b"ab"), Found::Part { consumed: 0 });
        assert_eq!(raw.read(b""), Found::Part { consumed: 0 });
    }
}
