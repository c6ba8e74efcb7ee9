//! The hash of an address, and the tag that steers it.
//!
//! The key is public and fixed, so that a hash means the same on every node and in every run of a
//! simulation; the secret of a node enters in [`Placement`](crate::Placement). SipHash and not
//! something quicker, because with a weak mix anyone could write down names that collide under every
//! seed.

use super::sip::{hash_bytes, hash_words};
use super::words::Words;

const KEY_NAME: u64 = 0x7269_6e67_706f_7374;
const KEY_TAG: u64 = 0x7461_6767_6564_2d31;
const KEY_BOTH: u64 = 0x6164_6472_6573_7365;
const LOW: u64 = 0xffff_ffff;

/// The hash of a short name, which is given in both forms.
#[inline]
pub(super) fn hash_short(transport: u8, words: &Words, name: &[u8]) -> u64 {
    let whole = hash_words(KEY_NAME ^ u64::from(transport), KEY_BOTH, words);
    if words.may_contain(b'{') {
        return with_tag(whole, name);
    }
    whole
}

/// The hash of a name of any length.
pub(super) fn hash_long(transport: u8, name: &[u8]) -> u64 {
    with_tag(
        hash_bytes(KEY_NAME ^ u64::from(transport), KEY_BOTH, name),
        name,
    )
}

#[inline(never)]
fn with_tag(whole: u64, name: &[u8]) -> u64 {
    match tag(name) {
        Some(tag) => (hash_bytes(KEY_TAG, KEY_BOTH, tag) & !LOW) | (whole & LOW),
        None => whole,
    }
}

pub(super) fn tag(name: &[u8]) -> Option<&[u8]> {
    let after_open = name.splitn(2, |&byte| byte == b'{').nth(1)?;
    let mut parts = after_open.splitn(2, |&byte| byte == b'}');
    let inside = parts.next()?;
    // Without a second part there was no closing brace.
    parts.next()?;
    (!inside.is_empty()).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash64(transport: u8, name: &[u8]) -> u64 {
        let long = hash_long(transport, name);
        assert_eq!(
            hash_short(transport, &Words::new(name).unwrap(), name),
            long
        );
        long
    }

    #[test]
    fn a_tag_needs_both_braces_and_something_between() {
        for (name, expected) in [
            ("{a}", Some("a")),
            ("x{a}y", Some("a")),
            ("x{a}y{b}", Some("a")),
            ("x{a{b}", Some("a{b")),
            ("}x{a}", Some("a")),
            ("{}{a}", None),
            ("{a", None),
            ("a}", None),
            ("", None),
        ] {
            assert_eq!(tag(name.as_bytes()), expected.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn the_upper_half_comes_from_the_tag_and_the_lower_from_the_whole() {
        let one = hash64(0, b"one{t}");
        let two = hash64(0, b"two{t}");
        let remote = hash64(1, b"one{t}");
        assert_eq!(one >> 32, two >> 32);
        assert_eq!(one >> 32, remote >> 32);
        assert_ne!(one & LOW, two & LOW);
        assert_ne!(one & LOW, remote & LOW);
        let long = hash_long(0, b"a name of many more bytes {t} than fit");
        assert_eq!(one >> 32, long >> 32);
    }

    /// The values are part of nothing that crosses the wire, but recorded simulation traces hold
    /// placements that follow from them.
    #[test]
    fn hashes_are_the_same_in_every_build() {
        assert_eq!(hash64(0, b"echoer"), 1_969_723_529_831_521_065);
        assert_ne!(hash64(0, b"echoer"), hash64(1, b"echoer"));
        assert_ne!(hash64(0, b""), hash64(0, b"\0"));
    }
}
