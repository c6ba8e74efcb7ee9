//! How an address is stored: five plain words.

use std::sync::Arc;

use super::hash;
use super::words::Words;

pub(super) const INLINE_BYTES: usize = 22;

/// ```text
///           0 .. 8    8 .. 30                    30          31                  32 .. 40
/// short     hash64    the name, zeros behind     transport   length, 0 to 22     nothing
/// long      hash64    zeros ................     transport   255                 the name, counted
/// ```
///
/// Not an enum of the two forms: an address is copied several times for each message, and a compiler
/// that has to keep two forms apart copies piece by piece. So a short name is copied as five words
/// whatever they hold, and compared likewise.
pub(super) struct Repr {
    hash64: u64,
    words: [u64; 3],
    long: LongName,
}

/// The name, if it does not fit into the words.
struct LongName(Option<Arc<Long>>);

#[derive(PartialEq, Eq)]
struct Long(Box<[u8]>);

const _: () = assert!(size_of::<Repr>() == 40);

/// Where in the bytes of the words the transport type is, and the length.
const TRANSPORT: usize = 22;
const LENGTH: usize = 23;
const LENGTH_LONG: u8 = 255;

impl Repr {
    #[inline]
    pub(super) fn new(transport: u8, name: &[u8]) -> Self {
        let Some(short) = Words::new(name) else {
            return Self::long(transport, name);
        };
        Self {
            hash64: hash::hash_short(transport, &short, name),
            words: pack(short.words, transport, short.len as u8),
            long: LongName(None),
        }
    }

    #[inline]
    pub(super) const fn nameless() -> Self {
        Self {
            hash64: 0,
            words: [0; 3],
            long: LongName(None),
        }
    }

    #[cold]
    #[inline(never)]
    fn long(transport: u8, name: &[u8]) -> Self {
        Self {
            hash64: hash::hash_long(transport, name),
            words: pack([0; 3], transport, LENGTH_LONG),
            long: LongName(Some(Arc::new(Long(name.into())))),
        }
    }

    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.long.0.is_none()
    }

    /// A copy, where the name is known to be short.
    #[inline(always)]
    pub(super) fn copy_short(&self) -> Self {
        Self {
            hash64: self.hash64,
            words: self.words,
            long: LongName(None),
        }
    }

    /// Makes such a copy one of this, whose name may be long.
    #[inline(always)]
    pub(super) fn share_long(&mut self, of: &Self) {
        self.long = of.long.clone();
    }

    #[cold]
    #[inline(never)]
    fn replace_long(&mut self, by: &LongName) {
        self.long = by.clone();
    }

    #[inline]
    pub(super) fn hash64(&self) -> u64 {
        self.hash64
    }

    #[inline]
    fn bytes(&self) -> &[u8; 24] {
        bytemuck::cast_ref(&self.words)
    }

    #[inline]
    pub(super) fn transport(&self) -> u8 {
        self.bytes()[TRANSPORT]
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match &self.long.0 {
            None => {
                let length = usize::from(self.bytes()[LENGTH]);
                self.bytes().get(..length).unwrap_or_default()
            }
            Some(long) => &long.0,
        }
    }
}

/// The words as they are stored: the order of their bytes is that of the name on every machine.
#[inline]
fn pack(little_endian: [u64; 3], transport: u8, length: u8) -> [u64; 3] {
    let [first, second, third] = little_endian;
    let tail = u64::from(transport) << 48 | u64::from(length) << 56;
    [first, second, third | tail].map(u64::to_le)
}

impl PartialEq for Repr {
    /// Word by word, for the reason for which long names are dropped by value.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let [a, b, c] = self.words;
        let [d, e, f] = other.words;
        self.hash64 == other.hash64
            && (a ^ d) | (b ^ e) | (c ^ f) == 0
            && match (&self.long.0, &other.long.0) {
                (None, None) => true,
                (one, another) => one == another,
            }
    }
}

impl Eq for Repr {}

impl Clone for Repr {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            hash64: self.hash64,
            words: self.words,
            long: self.long.clone(),
        }
    }

    /// Word by word too, so that what is overwritten is nowhere else before.
    #[inline]
    fn clone_from(&mut self, other: &Self) {
        let [first, second, third] = other.words;
        self.hash64 = other.hash64;
        self.words = [first, second, third];
        if !(self.is_short() && other.is_short()) {
            self.replace_long(&other.long);
        }
    }
}

/// Cloned and dropped out of line, and there by value: where a short name is only looked at, the
/// optimizer then sees that no copy of it needs to be in memory at all.
impl Clone for LongName {
    #[inline]
    fn clone(&self) -> Self {
        Self(match &self.0 {
            None => None,
            Some(long) => counted(long),
        })
    }
}

#[cold]
#[inline(never)]
fn counted(long: &Arc<Long>) -> Option<Arc<Long>> {
    Some(Arc::clone(long))
}

impl Drop for LongName {
    #[inline]
    fn drop(&mut self) {
        if let Some(long) = self.0.take() {
            uncounted(long);
        }
    }
}

#[cold]
#[inline(never)]
fn uncounted(long: Arc<Long>) {
    drop(long);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_up_to_the_limit_is_inline() {
        for len in 0..=INLINE_BYTES + 1 {
            let name: Vec<u8> = (0..len as u8).collect();
            let stored = Repr::new(9, &name);
            assert_eq!(stored.long.0.is_none(), len <= INLINE_BYTES);
            assert_eq!(
                (stored.transport(), stored.as_bytes()),
                (9, name.as_slice())
            );
            assert_eq!(stored.hash64(), hash::hash_long(9, &name));
            assert!(stored == stored.clone());
            assert!(stored != Repr::new(8, &name));
        }
    }

    #[test]
    fn names_that_differ_in_one_byte_differ() {
        for len in [1, 8, 16, 22, 23, 40] {
            let name = vec![7; len];
            for at in 0..len {
                let mut other = name.clone();
                other[at] = 8;
                assert!(Repr::new(0, &name) != Repr::new(0, &other));
            }
        }
    }
}
