//! Reading BARE from bytes that nobody vouches for.
//!
//! `serde_bare` writes; this reads. A reader of its own, because a few bytes may claim anything, and
//! three claims have to be refused before they cost more than the bytes did:
//!
//! 1. a length of more elements than there are bytes, unless the elements are empty, and then of no
//!    more than [`EMPTY_MAX`] of them, which take no more than [`EMPTY_BYTES_MAX`] of memory:
//!    `[(); 2^60]` takes nine bytes and a lifetime to read, and what has no bytes may yet be large;
//! 2. values inside values, more than [`DEPTH_MAX`] deep, which would use up the stack;
//! 3. memory set aside for elements that have not been read, beyond the first few.

mod access;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};

use access::{Choice, Elements, Fields};

/// How deep values may lie in each other.
pub const DEPTH_MAX: u32 = 128;

/// How many elements that take no bytes one message may have, in all its lists and maps together.
pub const EMPTY_MAX: u32 = 4096;

/// How many bytes of memory those elements may take, as values of their types. What such a value makes
/// for itself on the heap, out of nothing, is not known here.
pub const EMPTY_BYTES_MAX: usize = 4096;

/// How many elements of a list or map memory is set aside for before they are read.
const AHEAD_MAX: usize = 16;

/// What is wrong with the bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it ends too early")]
    Ended,
    #[error("{0} bytes too many")]
    Left(usize),
    #[error("a length or a number has more than 64 bits")]
    Uint,
    #[error("{0} is neither 0 nor 1, and no bool")]
    Bool(u8),
    #[error("{0:#x} is no character")]
    Char(u32),
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a length of {0} is more than the bytes can hold")]
    Length(u64),
    #[error(
        "its elements without bytes are more than {EMPTY_MAX}, or take more than {EMPTY_BYTES_MAX} bytes of memory"
    )]
    Empty,
    #[error("more than {DEPTH_MAX} values lie in each other")]
    Depth,
    #[error("BARE does not say what comes next, and the type leaves it open")]
    Untyped,
    #[error("{0}")]
    Type(String),
}

impl de::Error for Fault {
    fn custom<T: core::fmt::Display>(cause: T) -> Self {
        Self::Type(cause.to_string())
    }
}

/// Reads one value that takes up all the bytes.
pub(super) fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Fault> {
    let mut reader = Reader::new(bytes);
    let value = T::deserialize(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Reads a length and as many bytes, which are all there is.
pub(super) fn read_data(bytes: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = Reader::new(bytes);
    let data = reader.data()?;
    reader.finish()?;
    Ok(data)
}

struct Reader<'de> {
    rest: &'de [u8],
    depth_left: u32,
    empty_left: u32,
    empty_bytes_left: usize,
}

impl<'de> Reader<'de> {
    fn new(rest: &'de [u8]) -> Self {
        Self {
            rest,
            depth_left: DEPTH_MAX,
            empty_left: EMPTY_MAX,
            empty_bytes_left: EMPTY_BYTES_MAX,
        }
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Fault::Left(left)),
        }
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(Fault::Ended)?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn bool(&mut self) -> Result<bool, Fault> {
        match self.chunk()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Fault::Bool(other)),
        }
    }

    /// Seven bits a byte, low ones first; the top bit says that more follow.
    fn uint(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.chunk()?;
            let bits = u64::from(byte & 0x7f);
            let moved = bits.wrapping_shl(shift);
            if moved.wrapping_shr(shift) != bits {
                return Err(Fault::Uint);
            }
            value |= moved;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Uint)
    }

    fn data(&mut self) -> Result<&'de [u8], Fault> {
        let len = self.uint()?;
        let split = usize::try_from(len).ok();
        let split = split.and_then(|len| self.rest.split_at_checked(len));
        let (data, rest) = split.ok_or(Fault::Length(len))?;
        self.rest = rest;
        Ok(data)
    }

    fn text(&mut self) -> Result<&'de str, Fault> {
        core::str::from_utf8(self.data()?).map_err(|_| Fault::Utf8)
    }

    /// The length of a list or map, if the bytes can hold as many elements.
    fn len(&mut self) -> Result<u64, Fault> {
        let len = self.uint()?;
        let most = (self.rest.len() as u64).saturating_add(u64::from(self.empty_left));
        if len > most {
            return Err(Fault::Length(len));
        }
        Ok(len)
    }

    /// Reads an element and counts it if it took no bytes.
    fn element<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let before = self.rest.len();
        let value = seed.deserialize(&mut *self)?;
        if self.rest.len() == before {
            self.count_empty(size_of::<S::Value>())?;
        }
        Ok(value)
    }

    fn count_empty(&mut self, size: usize) -> Result<(), Fault> {
        let bytes_left = self.empty_bytes_left.checked_sub(size);
        self.empty_left = self.empty_left.checked_sub(1).ok_or(Fault::Empty)?;
        self.empty_bytes_left = bytes_left.ok_or(Fault::Empty)?;
        Ok(())
    }

    /// Reads something that may hold other values. After an error nothing is read any more, so the
    /// depth is not set back.
    fn nested<T>(&mut self, visit: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Fault::Depth)?;
        let value = visit(self)?;
        self.depth_left = self.depth_left.saturating_add(1);
        Ok(value)
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(<$type>::from_le_bytes(self.chunk()?))
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    numbers!(
        deserialize_u8 visit_u8 u8, deserialize_i8 visit_i8 i8,
        deserialize_u16 visit_u16 u16, deserialize_i16 visit_i16 i16,
        deserialize_u32 visit_u32 u32, deserialize_i32 visit_i32 i32,
        deserialize_u64 visit_u64 u64, deserialize_i64 visit_i64 i64,
        deserialize_u128 visit_u128 u128, deserialize_i128 visit_i128 i128,
        deserialize_f32 visit_f32 f32, deserialize_f64 visit_f64 f64,
    );

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.bool()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = u32::from_le_bytes(self.chunk()?);
        visitor.visit_char(char::from_u32(number).ok_or(Fault::Char(number))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_bytes(self.data()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.bool()? {
            true => self.nested(|reader| visitor.visit_some(reader)),
            false => visitor.visit_none(),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.nested(|reader| visitor.visit_newtype_struct(reader))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let left = self.len()?;
        self.nested(|reader| visitor.visit_seq(Elements::new(reader, left)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let left = self.len()?;
        self.nested(|reader| visitor.visit_map(Elements::new(reader, left)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.nested(|reader| visitor.visit_seq(Fields { reader, left: len }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.nested(|reader| visitor.visit_enum(Choice(reader)))
    }

    /// Which variant of an enum.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(self.uint()?)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::Untyped)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::Untyped)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
