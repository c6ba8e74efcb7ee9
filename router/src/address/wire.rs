//! Addresses through serde: a type byte and the bytes of the name.

use core::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{self, Serialize, SerializeTuple, Serializer};

use super::{Address, TransportType};

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.as_bytes().len() > Self::WIRE_BYTES_MAX {
            return Err(ser::Error::custom(
                "the name of the address is too long to be sent",
            ));
        }
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&self.transport())?;
        pair.serialize_element(&NameBytes(self.as_bytes()))?;
        pair.end()
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(2, AddressVisitor)
    }
}

/// Serialized as data, not as a sequence of numbers, which serde takes slices for.
struct NameBytes<'a>(&'a [u8]);

impl Serialize for NameBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct AddressVisitor;

impl<'de> Visitor<'de> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transport type and a name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Address, A::Error> {
        let transport: TransportType = parts
            .next_element()?
            .ok_or_else(|| de::Error::invalid_length(0, &self))?;
        parts
            .next_element_seed(NameSeed(transport))?
            .ok_or_else(|| de::Error::invalid_length(1, &self))
    }
}

/// Makes the address straight from the bytes, wherever the format keeps them.
struct NameSeed(TransportType);

impl<'de> de::DeserializeSeed<'de> for NameSeed {
    type Value = Address;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Address, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name of at most {} bytes", Address::WIRE_BYTES_MAX)
    }

    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Address, E> {
        if name.len() > Address::WIRE_BYTES_MAX {
            return Err(E::invalid_length(name.len(), &self));
        }
        Ok(Address::new(self.0, name))
    }

    /// Formats made of text have no bytes and write a list of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Address, A::Error> {
        let mut name = Vec::new();
        while let Some(byte) = numbers.next_element::<u8>()? {
            if name.len() == Address::WIRE_BYTES_MAX {
                return Err(de::Error::invalid_length(
                    name.len().saturating_add(1),
                    &self,
                ));
            }
            name.push(byte);
        }
        Ok(Address::new(self.0, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_form_is_type_length_and_name() {
        let address = Address::from("1#ab");
        let bytes = serde_bare::to_vec(&address).unwrap();
        assert_eq!(bytes, [1, 2, b'a', b'b']);
        assert_eq!(serde_bare::from_slice::<Address>(&bytes).unwrap(), address);
    }

    #[test]
    fn a_name_over_the_limit_goes_neither_out_nor_in() {
        let long = Address::local([b'x'; Address::WIRE_BYTES_MAX + 1]);
        assert!(serde_bare::to_vec(&long).is_err());
        let raw = serde_bare::to_vec(&(0_u8, long.as_str().unwrap())).unwrap();
        assert!(serde_bare::from_slice::<Address>(&raw).is_err());
    }

    #[test]
    fn formats_without_bytes_may_give_numbers() {
        use serde::de::value::{Error, SeqDeserializer};
        let numbers = SeqDeserializer::<_, Error>::new([b'a', b'b'].into_iter());
        let address = NameSeed(TransportType::TCP).visit_seq(numbers).unwrap();
        assert_eq!(address, Address::from("1#ab"));
        let endless = SeqDeserializer::<_, Error>::new(core::iter::repeat(1_u8));
        assert!(NameSeed(TransportType::TCP).visit_seq(endless).is_err());
    }
}
