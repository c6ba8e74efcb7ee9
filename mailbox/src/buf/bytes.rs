//! What all buffers have in common: they are read as a slice of bytes.

use std::fmt;

/// How many bytes `Debug` prints.
const SHOWN: usize = 16;

/// Prints the length and the first bytes.
pub(super) fn debug(name: &str, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let rest = if bytes.len() > SHOWN { ".." } else { "" };
    let first = format_args!("b\"{}\"{rest}", shown.escape_ascii());
    f.debug_struct(name)
        .field("len", &bytes.len())
        .field("first", &first)
        .finish()
}

/// Implements the traits of a slice of bytes for a buffer with a method `bytes`.
macro_rules! read_as_bytes {
    ($name:ident) => {
        impl std::ops::Deref for $name {
            type Target = [u8];

            #[inline]
            fn deref(&self) -> &[u8] {
                self.bytes()
            }
        }

        impl AsRef<[u8]> for $name {
            #[inline]
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for $name {
            fn eq(&self, other: &T) -> bool {
                **self == *other.as_ref()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::buf::bytes::debug(stringify!($name), self, f)
            }
        }
    };
}

pub(super) use read_as_bytes;
