//! The name of a worker: a transport type and some bytes.

mod hash;
mod parse;
mod random;
mod repr;
mod sip;
mod transport;
mod wire;
mod words;

pub use parse::AddressError;
pub use transport::TransportType;

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

pub(crate) use sip::hash_bytes as hash_keyed;

use repr::Repr;

/// The name of a worker, or of a place that a transport can reach.
///
/// An address is a [`TransportType`] and a name, which is any sequence of bytes; `0#echoer` is how
/// the local worker `echoer` is printed. It takes 40 bytes. A name of up to
/// [`INLINE_BYTES`](Self::INLINE_BYTES) bytes lies inside it, and cloning such an address is a
/// plain copy; a longer name is shared by counting.
///
/// The hash of the name is computed once, when the address is made. If the name has a part in
/// braces, such as `{order-17}`, then only that part decides on the core where the worker lives, so
/// all workers of one order share a core; see [`tag`](Self::tag).
///
/// Addresses are equal when both parts are, and are ordered by transport type, then by name.
///
/// ```
/// use ringpost_router::{Address, TransportType};
///
/// let echoer = Address::from("echoer");
/// assert_eq!(echoer, Address::local("echoer"));
/// assert_eq!(echoer.to_string(), "0#echoer");
///
/// let remote = Address::from("1#127.0.0.1:4000");
/// assert_eq!(remote.transport(), TransportType::TCP);
/// assert_eq!(remote.as_bytes(), b"127.0.0.1:4000");
/// ```
pub struct Address {
    repr: Repr,
}

impl Clone for Address {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            repr: self.repr.clone(),
        }
    }

    #[inline]
    fn clone_from(&mut self, other: &Self) {
        self.repr.clone_from(&other.repr);
    }
}

const _: () = assert!(size_of::<Address>() == 40);

impl Address {
    /// The longest name, in bytes, that is kept inside the address.
    pub const INLINE_BYTES: usize = repr::INLINE_BYTES;

    /// The longest name, in bytes, that crosses a connection or is accepted by
    /// [`FromStr`](core::str::FromStr).
    ///
    /// A longer one can be made and used inside a node; encoding it is an error.
    pub const WIRE_BYTES_MAX: usize = 1024;

    /// Makes an address of a transport type and a name, both as they stand.
    #[inline]
    pub fn new(transport: TransportType, name: impl AsRef<[u8]>) -> Self {
        Self::from_parts(transport.0, name.as_ref())
    }

    /// Makes the address of a worker on its own node.
    #[inline]
    pub fn local(name: impl AsRef<[u8]>) -> Self {
        Self::from_parts(TransportType::LOCAL.0, name.as_ref())
    }

    /// Makes a local address of 22 characters that nobody can guess, if nobody can guess `entropy`.
    ///
    /// ```
    /// use ringpost_router::Address;
    ///
    /// let address = Address::random_local(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    /// assert_eq!(address.as_bytes().len(), 22);
    /// ```
    pub fn random_local(entropy: u128) -> Self {
        Self::local(random::base64url(entropy))
    }

    /// The address where there is none. Only its words matter, which are cheap to write.
    #[inline]
    pub(crate) const fn nameless() -> Self {
        Self {
            repr: Repr::nameless(),
        }
    }

    /// Whether the name lies inside the address.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.repr.is_short()
    }

    /// A copy of an address with a short name.
    #[inline(always)]
    pub(crate) fn copy_short(&self) -> Self {
        Self {
            repr: self.repr.copy_short(),
        }
    }

    /// Makes such a copy one of this address, whose name may be long.
    #[inline(always)]
    pub(crate) fn share_long(&mut self, of: &Self) {
        self.repr.share_long(&of.repr);
    }

    #[inline]
    fn from_parts(transport: u8, bytes: &[u8]) -> Self {
        Self {
            repr: Repr::new(transport, bytes),
        }
    }

    /// The transport type.
    #[inline]
    pub fn transport(&self) -> TransportType {
        TransportType(self.repr.transport())
    }

    /// The name.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.repr.as_bytes()
    }

    /// The name as text, or `None` if it is not UTF-8.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }

    /// Whether the address names a worker of its own node.
    #[inline]
    pub fn is_local(&self) -> bool {
        self.transport() == TransportType::LOCAL
    }

    /// The hash of the address, the same on every node and in every run.
    ///
    /// It is [`Placement`](crate::Placement) that makes it hard to predict. Bits 32 and up come from
    /// the [`tag`](Self::tag) alone where there is one, the others from the whole address.
    #[inline]
    pub fn hash64(&self) -> u64 {
        self.repr.hash64()
    }

    /// What stands between the first `{` and the next `}` of the name, if that is not empty.
    ///
    /// ```
    /// use ringpost_router::Address;
    ///
    /// assert_eq!(Address::from("cart{user-7}").tag(), Some(&b"user-7"[..]));
    /// assert_eq!(Address::from("cart").tag(), None);
    /// assert_eq!(Address::from("cart{}").tag(), None);
    /// ```
    pub fn tag(&self) -> Option<&[u8]> {
        hash::tag(self.as_bytes())
    }
}

impl PartialEq for Address {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.repr == other.repr
    }
}

impl Eq for Address {}

impl Hash for Address {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash64());
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.transport(), self.as_bytes()).cmp(&(other.transport(), other.as_bytes()))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Address {
    /// Prints the type, `#` and the name; bytes that are not UTF-8 are printed as `\x` and two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#", self.transport().0)?;
        for chunk in self.as_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_names_behave_alike() {
        for len in [0, 1, 7, 8, 21, 22, 23, 24, 300] {
            let name = "x".repeat(len);
            let address = Address::new(TransportType::UDP, &name);
            assert_eq!(address.transport(), TransportType::UDP);
            assert_eq!(address.as_bytes(), name.as_bytes());
            assert_eq!(address.as_str(), Some(name.as_str()));
            assert_eq!(address, address.clone());
            assert_ne!(address, Address::local(&name));
            assert_ne!(address, Address::new(TransportType::UDP, name + "x"));
        }
    }

    #[test]
    fn equality_is_by_both_parts_and_order_by_type_first() {
        let mut addresses: Vec<Address> = ["1#a", "b", "0#a", "2#", "abc"]
            .into_iter()
            .map(Address::from)
            .collect();
        addresses.sort();
        let printed: Vec<String> = addresses.iter().map(Address::to_string).collect();
        assert_eq!(printed, ["0#a", "0#abc", "0#b", "1#a", "2#"]);
    }

    #[test]
    fn a_name_that_is_not_text_prints_its_bytes() {
        let address = Address::local([b'a', 0xff, b'b']);
        assert_eq!(address.to_string(), "0#a\\xffb");
        assert_eq!(format!("{address:?}"), "Address(0#a\\xffb)");
        assert_eq!(address.as_str(), None);
    }

    #[test]
    fn random_addresses_are_local_printable_and_distinct() {
        let one = Address::random_local(1);
        let two = Address::random_local(1 << 127);
        assert_ne!(one, two);
        assert!(one.is_local());
        assert_eq!(
            one.as_str(),
            Some(
                "BAAAAAAAAAAAAAAAAAAAAA"
                    .chars()
                    .rev()
                    .collect::<String>()
                    .as_str()
            )
        );
    }
}
