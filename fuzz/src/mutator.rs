//! Inputs made from those of a corpus.

/// The longest input, in bytes.
pub const INPUT_BYTES_MAX: usize = 4096;

/// Bytes that mean something at a border: of numbers, of CBOR, of BARE, of text.
const MARKED: &[u8] = &[
    0x00, 0x01, 0x02, 0x03, 0x04, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x40, 0x58, 0x5b, 0x5f, 0x60,
    0x7f, 0x80, 0x81, 0x82, 0x83, 0x84, 0x98, 0x9b, 0x9f, 0xf6, 0xfe, 0xff, b'#', b'=', b'>', b' ',
];

/// Numbers that lengths are confused by.
const LENGTHS: &[u64] = &[
    0,
    1,
    23,
    24,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    1024,
    1025,
    4096,
    65_535,
    65_536,
    16 << 20,
    (16 << 20) + 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 63,
    u64::MAX,
];

/// Makes inputs from the entries of a corpus. The same seed and corpus give the same inputs.
///
/// ```
/// use ringpost_fuzz::Mutator;
///
/// let corpus = vec![b"some input".to_vec()];
/// let mut one = Mutator::new(7, corpus.clone());
/// let mut other = Mutator::new(7, corpus);
/// for _ in 0..100 {
///     assert_eq!(one.next_input(), other.next_input());
/// }
/// ```
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    corpus: Vec<Vec<u8>>,
    input: Vec<u8>,
}

impl Mutator {
    /// A mutator of these entries; of the empty input, if there is none.
    #[must_use]
    pub fn new(seed: u64, mut corpus: Vec<Vec<u8>>) -> Self {
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        Self {
            random: Random(seed),
            corpus,
            input: Vec::new(),
        }
    }

    /// The next input, of at most [`INPUT_BYTES_MAX`].
    pub fn next_input(&mut self) -> &[u8] {
        let entry = self.random.below(self.corpus.len());
        self.input.clear();
        self.input.extend_from_slice(&self.corpus[entry]);
        // Mostly one or two changes: more of them rarely leave anything whole.
        let changes = 1 << self.random.below(4).min(self.random.below(4));
        for _ in 0..changes {
            self.change();
        }
        self.input.truncate(INPUT_BYTES_MAX);
        &self.input
    }

    fn change(&mut self) {
        match self.random.below(9) {
            0 => self.replace(|random, byte| byte ^ (1 << random.below(8))),
            1 => self.replace(|random, _| random.next() as u8),
            2 => self.replace(|random, _| random.of(MARKED)),
            3 => self
                .replace(|random, byte| byte.wrapping_add(random.below(7) as u8).wrapping_sub(3)),
            4 => self.insert(),
            5 => self.remove(),
            6 => self.repeat(),
            7 => self.write_length(),
            _ => self.splice(),
        }
    }

    fn replace(&mut self, change: impl FnOnce(&mut Random, u8) -> u8) {
        if !self.input.is_empty() {
            let at = self.random.below(self.input.len());
            self.input[at] = change(&mut self.random, self.input[at]);
        }
    }

    fn insert(&mut self) {
        let at = self.random.below(self.input.len() + 1);
        let byte = self.random.of(MARKED);
        self.input.insert(at, byte);
    }

    /// A part of the input, which may be all or nothing of it.
    fn part(&mut self) -> std::ops::Range<usize> {
        let start = self.random.below(self.input.len() + 1);
        let len = self.random.below(self.input.len() - start + 1);
        // Short parts are more often something of their own.
        let len = len.min(1 << self.random.below(12));
        start..start + len
    }

    fn remove(&mut self) {
        let part = self.part();
        self.input.drain(part);
    }

    fn repeat(&mut self) {
        let part = self.part();
        let repeated = self.input[part.clone()].repeat(1 + self.random.below(8));
        self.input.splice(part.end..part.end, repeated);
        self.input.truncate(2 * INPUT_BYTES_MAX);
    }

    /// Writes a number of 1 to 8 bytes, big- or little-endian, over what is there.
    fn write_length(&mut self) {
        let number = self.random.of(LENGTHS);
        let bytes = 1 << self.random.below(4);
        let written: Vec<u8> = match self.random.below(2) {
            0 => number.to_be_bytes()[8 - bytes..].to_vec(),
            _ => number.to_le_bytes()[..bytes].to_vec(),
        };
        let at = self.random.below(self.input.len() + 1);
        let end = self.input.len().min(at + bytes);
        self.input.splice(at..end, written);
    }

    /// Goes on with the end of another entry.
    fn splice(&mut self) {
        let other = self.random.below(self.corpus.len());
        let other = &self.corpus[other];
        let from = self.random.below(other.len() + 1);
        let at = self.random.below(self.input.len() + 1);
        self.input.truncate(at);
        self.input.extend_from_slice(&other[from..]);
    }
}

/// SplitMix64: fast, and good enough for choosing.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_bounded_and_mostly_new() {
        let corpus = vec![vec![7; INPUT_BYTES_MAX], b"short".to_vec(), Vec::new()];
        let mut mutator = Mutator::new(1, corpus.clone());
        let mut same = 0;
        for _ in 0..10_000 {
            let input = mutator.next_input();
            assert!(input.len() <= INPUT_BYTES_MAX);
            same += u32::from(corpus.iter().any(|entry| entry == input));
        }
        assert!(same < 5_000, "{same} of 10,000 inputs are as they were");
    }

    #[test]
    fn every_byte_of_a_short_entry_is_changed_to_every_other() {
        let mut mutator = Mutator::new(2, vec![vec![0; 2]]);
        let mut seen = [[false; 256]; 2];
        for _ in 0..50_000 {
            if let [first, second] = mutator.next_input() {
                seen[0][usize::from(*first)] = true;
                seen[1][usize::from(*second)] = true;
            }
        }
        assert!(seen.as_flattened().iter().all(|seen| *seen));
    }
}
