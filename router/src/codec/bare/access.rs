//! What a list, a map, a struct and an enum hand to serde's visitors, one part after the other.

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use super::{AHEAD_MAX, Fault, Reader};

/// The parts of a tuple or struct, as many as its type has.
pub(super) struct Fields<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) left: usize,
}

impl<'de> de::SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a list or map, as many as the bytes say.
pub(super) struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u64,
    /// Whether the last key of a map took no bytes; its value is then counted as keys are.
    key_was_empty: bool,
}

impl<'a, 'de> Elements<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, left: u64) -> Self {
        Self {
            reader,
            left,
            key_was_empty: false,
        }
    }

    /// What memory may be set aside for before anything is read. A few elements and no more, since
    /// nobody knows here how large one is, and lists that lie in each other each set aside their own.
    fn size_hint(&self) -> Option<usize> {
        let most = self.reader.rest.len().min(AHEAD_MAX);
        Some(usize::try_from(self.left).map_or(most, |left| left.min(most)))
    }

    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.reader.element(seed).map(Some)
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.size_hint()
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let before = self.reader.rest.len();
        let key = self.next(seed)?;
        self.key_was_empty = self.reader.rest.len() == before;
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        match self.key_was_empty {
            true => self.reader.element(seed),
            false => seed.deserialize(&mut *self.reader),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.size_hint()
    }
}

/// The variant of an enum, and then what it holds.
pub(super) struct Choice<'a, 'de>(pub(super) &'a mut Reader<'de>);

impl<'de> de::EnumAccess<'de> for Choice<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        Ok((seed.deserialize(&mut *self.0)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.0.deserialize_tuple(fields.len(), visitor)
    }
}
