//! As much of CBOR (RFC 8949) as frames are made of.
//!
//! Each item begins with a byte: its kind in the upper three bits, and below them its argument (a value
//! or a length), or in how many bytes behind that byte the argument stands.

/// The kinds of items, as they stand in the upper bits.
const UNSIGNED: u8 = 0 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;

/// An array without a length, which goes on until there is a [`BREAK`].
const ARRAY_OPEN: u8 = ARRAY | 31;
const BREAK: u8 = 0xff;
const NULL: u8 = 0xf6;

const KIND: u8 = 0b1110_0000;

/// What is wrong with an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end within it.
    Ended,
    /// It begins with this byte and is something else than was asked for.
    Kind(u8),
}

/// Reads items off the front of bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The beginning of an array: how many items it has, or `None` if a break ends it.
    #[inline]
    pub(super) fn array(&mut self) -> Result<Option<u64>, Fault> {
        match self.takes(ARRAY_OPEN) {
            true => Ok(None),
            false => self.argument(ARRAY).map(Some),
        }
    }

    /// Takes the break that ends an array without a length, if it is next.
    #[inline]
    pub(super) fn takes_break(&mut self) -> bool {
        self.takes(BREAK)
    }

    /// Takes a null, if it is next.
    #[inline]
    pub(super) fn takes_null(&mut self) -> bool {
        self.takes(NULL)
    }

    /// A number from 0 to 255.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let first = self.rest.first().copied().ok_or(Fault::Ended)?;
        u8::try_from(self.argument(UNSIGNED)?).map_err(|_| Fault::Kind(first))
    }

    /// The length of a byte string, whose bytes are [taken](Self::take) next.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<u64, Fault> {
        self.argument(BYTES)
    }

    /// The length of a text, whose bytes are [taken](Self::take) next.
    #[inline]
    pub(super) fn text(&mut self) -> Result<u64, Fault> {
        self.argument(TEXT)
    }

    /// Everything that has not been read.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes these bytes, if they are next.
    #[inline]
    pub(super) fn takes_bytes(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The next bytes as they stand.
    #[inline]
    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let split = usize::try_from(len).ok();
        let split = split.and_then(|len| self.rest.split_at_checked(len));
        let (taken, rest) = split.ok_or(Fault::Ended)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The argument of an item that must be of this kind.
    #[inline]
    fn argument(&mut self, kind: u8) -> Result<u64, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Ended)?;
        if first & KIND != kind {
            return Err(Fault::Kind(*first));
        }
        self.rest = rest;
        match first & !KIND {
            small @ 0..=23 => Ok(u64::from(small)),
            24 => Ok(u64::from(u8::from_be_bytes(self.chunk()?))),
            25 => Ok(u64::from(u16::from_be_bytes(self.chunk()?))),
            26 => Ok(u64::from(u32::from_be_bytes(self.chunk()?))),
            27 => Ok(u64::from_be_bytes(self.chunk()?)),
            _ => Err(Fault::Kind(*first)),
        }
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(Fault::Ended)?;
        self.rest = rest;
        Ok(*chunk)
    }
}

/// Appends the beginning of an array of so many items.
pub(super) fn put_array(out: &mut Vec<u8>, items: u64) {
    put(out, ARRAY, items);
}

/// Appends a number from 0 to 255.
pub(super) fn put_byte(out: &mut Vec<u8>, byte: u8) {
    put(out, UNSIGNED, u64::from(byte));
}

/// Appends the beginning of a string of so many bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, len: u64) {
    put(out, BYTES, len);
}

/// Appends the beginning of a text of so many bytes.
pub(super) fn put_text(out: &mut Vec<u8>, len: u64) {
    put(out, TEXT, len);
}

/// How many bytes an item begins with that has this argument.
pub(super) fn head_bytes(argument: u64) -> u64 {
    match argument {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

/// Writes the argument in as few bytes as it needs.
#[inline]
fn put(out: &mut Vec<u8>, kind: u8, argument: u64) {
    match u8::try_from(argument) {
        Ok(value) if value < 24 => out.push(kind | value),
        _ => put_long(out, kind, argument),
    }
}

fn put_long(out: &mut Vec<u8>, kind: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (info, behind): (u8, &[u8]) = match (head_bytes(argument), &bytes) {
        (2, [.., a]) => (24, core::slice::from_ref(a)),
        (3, [_, _, _, _, _, _, behind @ ..]) => (25, behind),
        (5, [_, _, _, _, behind @ ..]) => (26, behind),
        (_, all) => (27, all),
    };
    out.push(kind | info);
    out.extend_from_slice(behind);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_written_as_short_as_can_be_and_read_back() {
        let arguments = [
            (0, 1),
            (23, 1),
            (24, 2),
            (255, 2),
            (256, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX, 9),
        ];
        for (argument, bytes) in arguments {
            let mut out = Vec::new();
            put_bytes(&mut out, argument);
            assert_eq!((out.len(), head_bytes(argument)), (bytes, bytes as u64));
            let mut reader = Reader::new(&out);
            assert_eq!(reader.bytes(), Ok(argument));
            assert!(reader.rest.is_empty());
            for cut in 0..out.len() {
                assert_eq!(Reader::new(&out[..cut]).bytes(), Err(Fault::Ended));
            }
        }
    }

    #[test]
    fn numbers_may_take_more_bytes_than_they_need_but_not_more_than_fit() {
        assert_eq!(Reader::new(&[0x18, 5]).byte(), Ok(5));
        assert_eq!(
            Reader::new(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 255]).byte(),
            Ok(255)
        );
        assert_eq!(Reader::new(&[0x19, 1, 0]).byte(), Err(Fault::Kind(0x19)));
    }

    #[test]
    fn every_other_first_byte_is_named() {
        for first in 0..=255 {
            let bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0];
            let is = |kind: u8| first & KIND == kind && first & !KIND < 28;
            let name = |right: bool| {
                if right {
                    None
                } else {
                    Some(Fault::Kind(first))
                }
            };
            assert_eq!(Reader::new(&bytes).byte().err(), name(is(UNSIGNED)));
            assert_eq!(Reader::new(&bytes).bytes().err(), name(is(BYTES)));
            assert_eq!(Reader::new(&bytes).text().err(), name(is(TEXT)));
            let array = is(ARRAY) || first == ARRAY_OPEN;
            assert_eq!(Reader::new(&bytes).array().err(), name(array));
        }
    }
}
