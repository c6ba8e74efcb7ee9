//! Plain old data: messages whose bytes are their meaning.

use std::ops::Deref;

use bytemuck::{AnyBitPattern, NoUninit};

use super::{CodecError, Message, undecodable};

/// A list of plain-old-data values, read where it lies.
///
/// Inside a node it moves by its pointer: the bytes stay where they are, from core to core. A transport
/// writes it as its raw bytes, in the byte order of the machine.
///
/// ```
/// use ringpost_router::Pod;
///
/// let samples = Pod::new(vec![1.5f32, 2.5]);
/// assert_eq!(samples.len(), 2);
/// assert_eq!(samples.as_bytes().len(), 8);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pod<T>(Box<[T]>);

impl<T: AnyBitPattern + NoUninit + Send> Pod<T> {
    /// Takes the values over.
    pub fn new(values: impl Into<Box<[T]>>) -> Self {
        Self(values.into())
    }

    /// The values as the bytes that they are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    /// The values, by value.
    #[must_use]
    pub fn into_values(self) -> Box<[T]> {
        self.0
    }
}

impl<T> Deref for Pod<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: AnyBitPattern + NoUninit + Send> Message for Pod<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let whole = size_of::<T>() != 0 && bytes.len().is_multiple_of(size_of::<T>());
        if !whole {
            let cause = format!("{} bytes are not a whole number of values", bytes.len());
            return Err(undecodable::<Self>(cause));
        }
        let chunks = bytes.chunks_exact(size_of::<T>());
        Ok(Self(chunks.map(bytemuck::pod_read_unaligned).collect()))
    }
}
