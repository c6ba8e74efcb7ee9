//! How an address is stored: 32 bytes, either way.

use std::sync::Arc;

use super::hash;
use super::words::Words;

pub(super) const INLINE_BYTES: usize = 22;

/// ```text
///           0 .. 8    8 .. 24                   24 .. 30    30          31
/// Inline    hash64    the name, zeros behind it .......     transport   length, 0..=22
/// Shared    hash64    counted pointer           unused      unused      another value
/// ```
pub(super) enum Repr {
    Inline(Inline),
    Shared(Shared),
}

const _: () = assert!(size_of::<Repr>() == 32 && size_of::<Option<Repr>>() == 32);

/// `Copy`, so that a clone is a copy of the whole and not field by field.
///
/// The length is an enum so that its unused values can tell the forms apart; a plain `u8` would cost
/// the tag a word of its own. It comes last because the other form then fits in front of it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Inline {
    hash64: u64,
    bytes: [u8; INLINE_BYTES],
    transport: u8,
    len: Len,
}

#[derive(PartialEq, Eq)]
#[repr(C)]
pub(super) struct Shared {
    hash64: u64,
    /// The transport type, then the name.
    bytes: Arc<[u8]>,
}

impl Repr {
    #[inline]
    pub(super) fn new(transport: u8, name: &[u8]) -> Self {
        let short = Words::new(name).and_then(|words| Some((words, *LENS.get(words.len)?)));
        let Some((words, len)) = short else {
            return Self::shared(transport, name);
        };
        let hash64 = hash::hash_short(transport, &words, name);
        Self::Inline(Inline {
            hash64,
            bytes: to_bytes(&words),
            transport,
            len,
        })
    }

    #[cold]
    #[inline(never)]
    fn shared(transport: u8, name: &[u8]) -> Self {
        let hash64 = hash::hash_long(transport, name);
        let bytes = core::iter::once(transport)
            .chain(name.iter().copied())
            .collect();
        Self::Shared(Shared { hash64, bytes })
    }

    #[inline]
    pub(super) fn hash64(&self) -> u64 {
        match self {
            Self::Inline(inline) => inline.hash64,
            Self::Shared(shared) => shared.hash64,
        }
    }

    #[inline]
    pub(super) fn transport(&self) -> u8 {
        match self {
            Self::Inline(inline) => inline.transport,
            Self::Shared(shared) => shared.bytes.first().copied().unwrap_or_default(),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline(inline) => inline.bytes.get(..inline.len as usize).unwrap_or_default(),
            Self::Shared(shared) => shared.bytes.get(1..).unwrap_or_default(),
        }
    }
}

impl Clone for Repr {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Inline(inline) => Self::Inline(*inline),
            Self::Shared(shared) => shared.counted(),
        }
    }
}

impl Shared {
    /// Out of line, so that the other form is cloned by one plain copy.
    #[cold]
    #[inline(never)]
    fn counted(&self) -> Repr {
        Repr::Shared(Self {
            hash64: self.hash64,
            bytes: Arc::clone(&self.bytes),
        })
    }
}

impl PartialEq for Repr {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(one), Self::Inline(other)) => one == other,
            (Self::Shared(one), Self::Shared(other)) => one == other,
            _ => false,
        }
    }
}

/// Writes pieces of a power of two of bytes, which stay whole words in the compiled code.
#[inline]
fn to_bytes(words: &Words) -> [u8; INLINE_BYTES] {
    let [first, second, third] = words.words;
    let mut bytes = [0; INLINE_BYTES];
    let mut rest = bytes.as_mut_slice();
    put(&mut rest, first.to_le_bytes());
    put(&mut rest, second.to_le_bytes());
    put(&mut rest, (third as u32).to_le_bytes());
    put(&mut rest, ((third >> 32) as u16).to_le_bytes());
    bytes
}

#[inline]
fn put<const N: usize>(rest: &mut &mut [u8], piece: [u8; N]) {
    if let Some((to, behind)) = core::mem::take(rest).split_first_chunk_mut() {
        *to = piece;
        *rest = behind;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(super) enum Len {
    L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11,
    L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22,
}

#[rustfmt::skip]
const LENS: [Len; INLINE_BYTES + 1] = [
    Len::L0, Len::L1, Len::L2, Len::L3, Len::L4, Len::L5, Len::L6, Len::L7, Len::L8, Len::L9,
    Len::L10, Len::L11, Len::L12, Len::L13, Len::L14, Len::L15, Len::L16, Len::L17, Len::L18,
    Len::L19, Len::L20, Len::L21, Len::L22,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_up_to_the_limit_is_inline() {
        for len in 0..=INLINE_BYTES + 1 {
            let name: Vec<u8> = (0..len as u8).collect();
            let stored = Repr::new(9, &name);
            assert_eq!(matches!(stored, Repr::Inline(_)), len <= INLINE_BYTES);
            assert_eq!(
                (stored.transport(), stored.as_bytes()),
                (9, name.as_slice())
            );
            assert_eq!(stored.hash64(), hash::hash_long(9, &name));
            assert!(stored == stored.clone());
        }
    }
}
