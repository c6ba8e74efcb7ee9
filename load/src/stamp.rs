//! What a message consists of, and how a reply is recognised as the whole and unchanged message.
//!
//! A message is text, so that services which take text can echo it too:
//!
//! ```text
//! bytes 0 to 7     its number on the connection, counted from 0, six bits to a character
//! bytes 8 to 15    a checksum of the number that only this connection of this run makes
//! the rest         filler, cut from the connection's own at a place that depends on the number
//! ```
//!
//! All of it is compared, so that a reply with parts of another message, even of the same connection,
//! does not pass.

/// How many bytes a message has at least: its number and the checksum.
pub(crate) const STAMP_BYTES: usize = 16;

/// Numbers wrap around here, which no run lives to see.
const NUMBER_MAX: u64 = (1 << 48) - 1;

/// Messages whose numbers differ by less than this have different fillers.
const SHIFTS: usize = 64;

/// What is added to six bits to make a character: `0` to `o`.
const ZERO: u64 = 0x3030_3030_3030_3030;

/// Writes the messages of one connection, and knows them again.
#[derive(Debug)]
pub(crate) struct Stamper {
    key: u64,
    size: usize,
    filler: Box<[u8]>,
}

/// What is wrong with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrupt {
    /// Number and checksum do not belong together, or to this connection.
    Stamp,
    /// The stamp is right, and the rest differs from what was sent.
    Filler {
        /// The number of the message.
        number: u64,
    },
}

impl Stamper {
    /// For messages of `size` bytes, at least [`STAMP_BYTES`].
    pub(crate) fn new(run: u64, connection: u64, size: usize) -> Self {
        let key = fold(run ^ fold(connection));
        let filler_bytes = size.saturating_sub(STAMP_BYTES).saturating_add(SHIFTS);
        let words = (0u64..).map(|at| spread(fold(key ^ at)));
        let filler = words.flatten().take(filler_bytes).collect();
        Self { key, size, filler }
    }

    /// Appends the message with this number.
    #[inline]
    pub(crate) fn write(&self, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&spread(number));
        out.extend_from_slice(&spread(self.checksum(number)));
        out.extend_from_slice(self.filler(number));
    }

    /// The number of the message that this is.
    #[inline]
    pub(crate) fn read(&self, text: &[u8]) -> Result<u64, Corrupt> {
        let stamp = text.split_first_chunk::<8>();
        let stamp = stamp.and_then(|(number, rest)| {
            let (checksum, filler) = rest.split_first_chunk::<8>()?;
            Some((gather(*number)?, gather(*checksum)?, filler))
        });
        let Some((number, checksum, filler)) = stamp else {
            return Err(Corrupt::Stamp);
        };
        if checksum != self.checksum(number) {
            return Err(Corrupt::Stamp);
        }
        if filler != self.filler(number) {
            return Err(Corrupt::Filler { number });
        }
        Ok(number)
    }

    #[inline]
    fn checksum(&self, number: u64) -> u64 {
        fold(number ^ self.key) & NUMBER_MAX
    }

    #[inline]
    fn filler(&self, number: u64) -> &[u8] {
        let at = number as usize % SHIFTS;
        let bytes = self.size.saturating_sub(STAMP_BYTES);
        self.filler.get(at..at + bytes).unwrap_or_default()
    }
}

/// Mixes the bits of a number.
fn fold(number: u64) -> u64 {
    let wide = u128::from(number ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    let once = (wide as u64) ^ ((wide >> 64) as u64);
    let wide = u128::from(once) * 0xa076_1d64_78bd_642f_u128;
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Spreads the lower 48 bits over eight characters.
#[inline]
fn spread(bits: u64) -> [u8; 8] {
    let bits = bits & NUMBER_MAX;
    let bits = (bits & 0x0000_0000_00ff_ffff) | ((bits & 0x0000_ffff_ff00_0000) << 8);
    let bits = (bits & 0x0000_0fff_0000_0fff) | ((bits & 0x00ff_f000_00ff_f000) << 4);
    let bits = (bits & 0x003f_003f_003f_003f) | ((bits & 0x0fc0_0fc0_0fc0_0fc0) << 2);
    (bits + ZERO).to_le_bytes()
}

/// The 48 bits that eight characters stand for, if each of them stands for six.
#[inline]
fn gather(characters: [u8; 8]) -> Option<u64> {
    let bits = u64::from_le_bytes(characters).wrapping_sub(ZERO);
    if bits & 0xc0c0_c0c0_c0c0_c0c0 != 0 {
        return None;
    }
    let bits = (bits & 0x003f_003f_003f_003f) | ((bits & 0x3f00_3f00_3f00_3f00) >> 2);
    let bits = (bits & 0x0000_0fff_0000_0fff) | ((bits & 0x0fff_0000_0fff_0000) >> 4);
    Some((bits & 0x0000_0000_00ff_ffff) | ((bits & 0x00ff_ffff_0000_0000) >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(stamper: &Stamper, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        stamper.write(number, &mut out);
        out
    }

    #[test]
    fn messages_are_text_of_the_size_asked_for_and_are_known_again() {
        for size in [16, 17, 64, 1000] {
            let stamper = Stamper::new(1, 2, size);
            for number in [0, 1, 63, 64, 4095, 1 << 24, 0x1234_5678_9abc, NUMBER_MAX] {
                let text = message(&stamper, number);
                assert_eq!(text.len(), size);
                assert!(text.iter().all(|byte| (b'0'..=b'o').contains(byte)));
                assert_eq!(stamper.read(&text), Ok(number));
            }
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let stamper = Stamper::new(1, 2, 40);
        let text = message(&stamper, 77);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                let expected = match at < STAMP_BYTES {
                    true => Corrupt::Stamp,
                    false => Corrupt::Filler { number: 77 },
                };
                assert_eq!(stamper.read(&changed), Err(expected), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_length_that_differs_is_noticed() {
        let stamper = Stamper::new(1, 2, 40);
        let mut text = message(&stamper, 5);
        text.push(b'0');
        assert_eq!(stamper.read(&text), Err(Corrupt::Filler { number: 5 }));
        assert_eq!(
            stamper.read(&text[..39]),
            Err(Corrupt::Filler { number: 5 })
        );
        for cut in 0..STAMP_BYTES {
            assert_eq!(stamper.read(&text[..cut]), Err(Corrupt::Stamp));
        }
    }

    #[test]
    fn messages_of_other_connections_and_runs_do_not_pass() {
        let stamper = Stamper::new(1, 2, 64);
        for (run, connection) in [(1, 3), (2, 2), (2, 1)] {
            let other = Stamper::new(run, connection, 64);
            assert_eq!(stamper.read(&message(&other, 9)), Err(Corrupt::Stamp));
        }
    }

    #[test]
    fn halves_of_two_messages_of_one_connection_do_not_pass() {
        let stamper = Stamper::new(1, 2, 64);
        let (one, other) = (message(&stamper, 9), message(&stamper, 10));
        let mixed = [&one[..32], &other[32..]].concat();
        assert_eq!(stamper.read(&mixed), Err(Corrupt::Filler { number: 9 }));
    }
}
