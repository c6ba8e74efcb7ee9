//! Addresses from text: strict for what people type, total for what programs write.

use core::str::FromStr;

use super::{Address, TransportType};

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no name.
    #[error("the address has no name; write `name` or `type#name`")]
    Empty,
    /// What stands before the first `#` is not a transport type.
    #[error("`{found}` is not a transport type; before `#` stands a number from 0 to 255")]
    Transport {
        /// What was found there.
        found: String,
    },
    /// The name is longer than [`Address::WIRE_BYTES_MAX`].
    #[error(
        "the name has {bytes} bytes; at most {} are allowed",
        Address::WIRE_BYTES_MAX
    )]
    TooLong {
        /// The length of the name.
        bytes: usize,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `name` or `type#name`; the name may hold more `#`.
    ///
    /// # Errors
    ///
    /// [`AddressError`] if the name is empty or too long, or if the type is not a number from 0 to
    /// 255. Use `From<&str>` where any text should do.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (transport, name) = match (split_transport(text), text.split_once('#')) {
            (Some(parts), _) => parts,
            (None, None) => (TransportType::LOCAL, text),
            (None, Some((found, _))) => {
                let found = found.chars().take(16).collect();
                return Err(AddressError::Transport { found });
            }
        };
        match name.len() {
            0 => Err(AddressError::Empty),
            bytes if bytes > Self::WIRE_BYTES_MAX => Err(AddressError::TooLong { bytes }),
            _ => Ok(Self::new(transport, name)),
        }
    }
}

impl From<&str> for Address {
    /// Reads `type#name` if the text has that form; anything else is a local name as it stands.
    ///
    /// ```
    /// use ringpost_router::{Address, TransportType};
    ///
    /// assert_eq!(Address::from("5#/run/x"), Address::new(TransportType::UDS, "/run/x"));
    /// assert_eq!(Address::from("issue#12"), Address::local("issue#12"));
    /// assert_eq!(Address::from("256#x"), Address::local("256#x"));
    /// ```
    #[inline]
    fn from(text: &str) -> Self {
        let (transport, name) = split_transport(text).unwrap_or((TransportType::LOCAL, text));
        Self::new(transport, name)
    }
}

impl From<String> for Address {
    #[inline]
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Address {
    #[inline]
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Address> for Address {
    #[inline]
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

/// Cuts a decimal 0..=255 and the `#` behind it off the front.
#[inline]
fn split_transport(text: &str) -> Option<(TransportType, &str)> {
    let digits = match text.as_bytes() {
        [_, b'#', ..] => 1,
        [_, _, b'#', ..] => 2,
        [_, _, _, b'#', ..] => 3,
        _ => return None,
    };
    parse_transport(text, digits)
}

fn parse_transport(text: &str, digits: usize) -> Option<(TransportType, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    // `parse` would let a sign pass.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((TransportType(number.parse().ok()?), rest.strip_prefix('#')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_parsing_names_what_is_wrong() {
        assert_eq!("".parse::<Address>(), Err(AddressError::Empty));
        assert_eq!("1#".parse::<Address>(), Err(AddressError::Empty));
        for bad in [
            "256#x", "x#y", "-1#x", "+1#x", "#x", " 1#x", "é#x", "0000#x",
        ] {
            let error = bad.parse::<Address>().unwrap_err();
            assert!(
                matches!(error, AddressError::Transport { .. }),
                "{bad}: {error}"
            );
        }
        let long = "x".repeat(Address::WIRE_BYTES_MAX + 1);
        let error = long.parse::<Address>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the name has 1025 bytes; at most 1024 are allowed"
        );
    }

    #[test]
    fn the_first_hash_sign_ends_the_type() {
        let address: Address = "1#a#b".parse().unwrap();
        assert_eq!(
            (address.transport(), address.as_str()),
            (TransportType::TCP, Some("a#b"))
        );
        assert_eq!(Address::from("255#x").transport(), TransportType(255));
        assert_eq!(Address::from("#x"), Address::local("#x"));
    }

    #[test]
    fn every_source_of_text_gives_the_same_address() {
        let text = String::from("2#host:1");
        let address = Address::from("2#host:1");
        assert_eq!(Address::from(&text), address);
        assert_eq!(Address::from(text), address);
        assert_eq!(Address::from(&address), address);
    }
}
