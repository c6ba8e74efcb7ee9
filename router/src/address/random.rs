//! Names made of random bits.

use super::repr::INLINE_BYTES;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes `value` as 22 digits of base 64, the first of which holds the two highest bits.
pub(super) fn base64url(value: u128) -> [u8; INLINE_BYTES] {
    let mut digits = [b'A'; INLINE_BYTES];
    // Ten digits of each word at the most: shifting one word is much less work than shifting two.
    let mut words = [value as u64, (value >> 60) as u64, (value >> 120) as u64];
    for (word, digits) in words.iter_mut().zip(digits.rchunks_mut(10)) {
        for digit in digits.iter_mut().rev() {
            let low = (*word & 63) as usize;
            *digit = DIGITS.get(low).copied().unwrap_or_default();
            *word >>= 6;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_kept() {
        let mut seen = std::collections::HashSet::new();
        for bit in 0..128 {
            assert!(seen.insert(base64url(1 << bit)));
        }
        assert_eq!(&base64url(u128::MAX), b"D_____________________");
    }
}
