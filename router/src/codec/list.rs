//! Lists as messages; lists of bytes without a visit to each.

use core::any::Any;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::{CodecError, Message, bare, decode_serde, encode_serde, undecodable};

/// Bytes as BARE data: a length and the bytes.
struct Data<'a>(&'a [u8]);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A list is its length and its elements. For a list of bytes that comes to the same as BARE data,
/// which is copied in one go.
impl<T: Serialize + DeserializeOwned + Send + 'static> Message for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match (self as &dyn Any).downcast_ref::<Vec<u8>>() {
            Some(bytes) => encode_serde(&Data(bytes), out),
            None => encode_serde(self, out),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut list: Option<Self> = None;
        if let Some(list) = (&mut list as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>() {
            let data = bare::read_data(bytes).map_err(undecodable::<Self>)?;
            *list = Some(data.to_vec());
        }
        list.map_or_else(|| decode_serde(bytes), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_bytes_is_written_as_every_other_list() {
        let list = vec![7u8; 300];
        let mut bytes = Vec::new();
        list.encode(&mut bytes).unwrap();
        assert_eq!(bytes, serde_bare::to_vec(&list).unwrap());
        assert_eq!(Vec::<u8>::decode(&bytes).unwrap(), list);
        assert!(Vec::<u8>::decode(&bytes[1..]).is_err());
        assert_eq!(Vec::<u16>::decode(&[1, 2, 3]).unwrap(), [0x302]);
    }
}
