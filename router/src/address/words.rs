//! A short name as three words, without a loop and without a call to copy it.

use super::repr::INLINE_BYTES;

/// The bytes of a name of up to [`INLINE_BYTES`], little-endian, with zeros behind them.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) words: [u64; 3],
    pub(super) len: usize,
}

impl Words {
    /// Reads a short name; `None` if it is not short.
    #[inline]
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let len = name.len();
        if len > INLINE_BYTES {
            return None;
        }
        // Each case reads whole words from both ends, which overlap, and shifts away what it has
        // read before.
        let words = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => {
                let last = u64::from_le_bytes(*last);
                match name.get(8..).and_then(<[u8]>::first_chunk) {
                    Some(second) => {
                        let second = u64::from_le_bytes(*second);
                        [u64::from_le_bytes(*first), second, drop_low(last, len)]
                    }
                    None => [u64::from_le_bytes(*first), drop_low(last, len), 0],
                }
            }
            _ => [under_eight(name), 0, 0],
        };
        Some(Self { words, len })
    }

    /// Whether any byte equals `byte`; may err towards `true`.
    #[inline]
    pub(super) fn may_contain(&self, byte: u8) -> bool {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const TOPS: u64 = 0x8080_8080_8080_8080;
        let pattern = u64::from(byte).wrapping_mul(ONES);
        // A byte that is zero after the `^` borrows from its top bit.
        let hits = self.words.map(|word| {
            let differing = word ^ pattern;
            differing.wrapping_sub(ONES) & !differing & TOPS
        });
        let [a, b, c] = hits;
        (a | b | c) != 0
    }
}

/// The last `len % 8` bytes of the word, moved down.
#[inline]
fn drop_low(last: u64, len: usize) -> u64 {
    let keep_bits = (len as u32 & 7).wrapping_mul(8);
    last.checked_shr(64_u32.wrapping_sub(keep_bits))
        .unwrap_or(0)
}

#[inline]
fn under_eight(name: &[u8]) -> u64 {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => {
            let high = u64::from(u32::from_le_bytes(*last));
            let shift = (name.len() as u32).wrapping_sub(4).wrapping_mul(8);
            u64::from(u32::from_le_bytes(*first)) | high.checked_shl(shift).unwrap_or(0)
        }
        _ => match *name {
            [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
            [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
            [a] => u64::from(a),
            _ => 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_the_bytes_and_zeros() {
        let name: Vec<u8> = (1..=INLINE_BYTES as u8 + 1)
            .map(|byte| byte ^ 0xa0)
            .collect();
        for len in 0..=INLINE_BYTES {
            let words = Words::new(&name[..len]).unwrap();
            let mut expected = [0; 24];
            expected[..len].copy_from_slice(&name[..len]);
            assert_eq!(
                words.words.map(u64::to_le_bytes).concat(),
                expected,
                "{len}"
            );
            assert_eq!(words.len, len);
        }
        assert!(Words::new(&name).is_none());
    }

    #[test]
    fn no_byte_is_overlooked() {
        for len in 0..=INLINE_BYTES {
            let mut name = vec![b'z'; len];
            assert!(!Words::new(&name).unwrap().may_contain(b'{'));
            for at in 0..len {
                name[at] = b'{';
                assert!(Words::new(&name).unwrap().may_contain(b'{'), "{len} {at}");
                name[at] = b'z';
            }
        }
    }
}
