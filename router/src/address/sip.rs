//! SipHash-1-3 over words.
//!
//! Written here and not taken from a crate so that a short name is hashed from the words that it is
//! stored in, and so that the hash of a literal can be folded by the compiler. The tests hold it to
//! the `siphasher` crate.

use super::words::Words;

/// The state between two blocks.
struct Sip([u64; 4]);

impl Sip {
    #[inline]
    fn new(key0: u64, key1: u64) -> Self {
        Self([
            key0 ^ 0x736f_6d65_7073_6575,
            key1 ^ 0x646f_7261_6e64_6f6d,
            key0 ^ 0x6c79_6765_6e65_7261,
            key1 ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline]
    fn round(self) -> Self {
        let Self([mut a, mut b, mut c, mut d]) = self;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        Self([a, b, c.rotate_left(32), d])
    }

    #[inline]
    fn block(self, word: u64) -> Self {
        let Self([a, b, c, d]) = self;
        let Self([a, b, c, d]) = Self([a, b, c, d ^ word]).round();
        Self([a ^ word, b, c, d])
    }

    /// Takes the last block, whose top byte is free for the length of all.
    #[inline]
    fn finish(self, tail: u64, len: usize) -> u64 {
        let Self([a, b, c, d]) = self.block(tail | (len as u64) << 56);
        let Self([a, b, c, d]) = Self([a, b, c ^ 0xff, d]).round().round().round();
        a ^ b ^ c ^ d
    }
}

#[inline]
pub(super) fn hash_words(key0: u64, key1: u64, name: &Words) -> u64 {
    let [first, second, third] = name.words;
    let mut sip = Sip::new(key0, key1);
    let mut tail = first;
    if name.len >= 8 {
        sip = sip.block(first);
        tail = second;
    }
    if name.len >= 16 {
        sip = sip.block(second);
        tail = third;
    }
    sip.finish(tail, name.len)
}

pub(crate) fn hash_bytes(key0: u64, key1: u64, name: &[u8]) -> u64 {
    let (blocks, rest) = name.as_chunks();
    let mut sip = Sip::new(key0, key1);
    for block in blocks {
        sip = sip.block(u64::from_le_bytes(*block));
    }
    let tail = rest
        .iter()
        .rev()
        .fold(0, |tail, &byte| tail << 8 | u64::from(byte));
    sip.finish(tail, name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip::SipHasher13;

    #[test]
    fn hashes_agree_with_the_crate() {
        let bytes: Vec<u8> = (0..300_u32).map(|i| (i * 31) as u8).collect();
        for len in 0..bytes.len() {
            let name = &bytes[..len];
            let expected = SipHasher13::new_with_keys(7, 11).hash(name);
            assert_eq!(hash_bytes(7, 11, name), expected, "{len}");
            if let Some(words) = Words::new(name) {
                assert_eq!(hash_words(7, 11, &words), expected, "{len}");
            }
        }
    }
}
