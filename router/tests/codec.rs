//! Messages: what is written can be read, and any bytes are answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, hash_map, vec};
use proptest::prelude::*;
use ringpost_mailbox::buf::Buf;
use ringpost_router::{
    Address, Any, Body, CodecError, Encoded, Message, Pod, PodView, Route, Unpack, accepts,
    local_message, unpack,
};

/// Sends a message through its bytes, as a transport would, and through a body alone.
fn there_and_back<M: Message + Clone + PartialEq + Debug>(message: M) -> Result<(), TestCaseError> {
    let body = message.clone().into_body();
    prop_assert!(accepts::<M>(&body));
    let mut bytes = Vec::new();
    (body.meta().encode)(&body, &mut bytes).unwrap();
    prop_assert_eq!(&unpack::<M>(body).unwrap(), &message);
    prop_assert_eq!(&M::decode(&bytes).unwrap(), &message);
    let received = Encoded(bytes.as_slice().into()).into_body();
    prop_assert!(accepts::<M>(&received));
    prop_assert_eq!(&unpack::<M>(received).unwrap(), &message);
    let any = unpack::<Any>(message.clone().into_body()).unwrap();
    prop_assert!(any.is::<M>());
    let mut again = Vec::new();
    any.encode(&mut again).unwrap();
    prop_assert_eq!(&again, &bytes);
    let Encoded(through) = unpack(any.into_body()).unwrap();
    prop_assert_eq!(&through[..], &bytes[..]);
    Ok(())
}

/// Whatever can be read was written the same way, up to the order of sets and maps.
fn any_bytes<M: Message>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let mut again = Vec::new();
        message.encode(&mut again).unwrap();
    }
}

proptest! {
    #[test]
    fn numbers(a: u8, b: i16, c: u32, d: i64, e: u128, f: bool, g: char, h: usize) {
        there_and_back(a)?;
        there_and_back((a, b, c, d, e, f, g, h))?;
        there_and_back([d; 5])?;
        there_and_back(Duration::new(d.unsigned_abs(), c % 1_000_000_000))?;
        there_and_back(())?;
        there_and_back(f32::from(b))?;
    }

    #[test]
    fn texts_and_lists(
        text in ".*",
        bytes: Vec<u8>,
        words in vec(".{0,5}", 0..9),
        maybe: Option<Result<u8, String>>,
    ) {
        there_and_back(text.clone())?;
        there_and_back(text.into_boxed_str())?;
        there_and_back(Bytes::from(bytes.clone()))?;
        there_and_back(Pod::new(bytes.clone()))?;
        there_and_back(bytes)?;
        there_and_back(words)?;
        there_and_back(maybe)?;
    }

    #[test]
    fn sets_and_maps(
        set in btree_set(any::<u16>(), 0..9),
        map in btree_map(any::<u16>(), ".{0,5}", 0..9),
        hashed in hash_map(any::<u16>(), any::<f64>(), 0..2),
    ) {
        there_and_back::<BTreeSet<u16>>(set)?;
        there_and_back::<BTreeMap<u16, String>>(map)?;
        there_and_back::<HashMap<u16, f64>>(hashed)?;
    }

    #[test]
    fn addresses_and_routes(names in vec(".{0,30}", 0..=Route::HOPS_MAX)) {
        there_and_back(Address::from(names.concat().chars().take(200).collect::<String>()))?;
        there_and_back(names.iter().map(Address::from).collect::<Route>())?;
    }

    #[test]
    fn plain_old_data(values: Vec<u64>) {
        let pod = Pod::new(values);
        there_and_back(pod.clone())?;
        let bytes = pod.as_bytes();
        let cut = bytes.len().saturating_sub(3);
        prop_assert_eq!(Pod::<u64>::decode(&bytes[..cut]).is_ok(), bytes.is_empty());
        let view = unpack::<PodView<u64>>(Encoded(bytes.into()).into_body()).unwrap();
        prop_assert_eq!(&view[..], &pod[..]);
        there_and_back(view.into_buf().share())?;
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes in vec(any::<u8>(), 0..200)) {
        any_bytes::<Vec<u64>>(&bytes);
        any_bytes::<Vec<()>>(&bytes);
        any_bytes::<Vec<Vec<Option<String>>>>(&bytes);
        any_bytes::<HashMap<String, Vec<u8>>>(&bytes);
        any_bytes::<BTreeMap<(), BTreeSet<bool>>>(&bytes);
        any_bytes::<Result<Box<str>, [u16; 7]>>(&bytes);
        any_bytes::<(u128, char, f64, Duration)>(&bytes);
        any_bytes::<Address>(&bytes);
        any_bytes::<Route>(&bytes);
        any_bytes::<Pod<u32>>(&bytes);
        any_bytes::<PodView<u64>>(&bytes);
        any_bytes::<Bytes>(&bytes);
        any_bytes::<Buf>(&bytes);
        any_bytes::<Any>(&bytes);
    }
}

#[test]
fn a_list_of_2_to_the_60_in_nine_bytes_is_refused() {
    let claim = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    for refused in [
        Vec::<u64>::decode(&claim).map(drop),
        Vec::<u8>::decode(&claim).map(drop),
        Vec::<()>::decode(&claim).map(drop),
        String::decode(&claim).map(drop),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("more than the bytes can hold"), "{text}");
    }
}

/// Counts its drops through the count of the `Arc`.
#[derive(Debug)]
struct Token(#[expect(dead_code, reason = "held to be counted")] Arc<()>);
local_message!(Token);

#[test]
fn a_message_that_stays_inside_is_moved_and_has_no_bytes() {
    let count = Arc::new(());
    let body = Token(Arc::clone(&count)).into_body();
    let error = unpack::<Encoded>(body).unwrap_err();
    assert!(
        matches!(&error, Unpack::Codec(CodecError::NotEncodable { .. })),
        "{error:?}"
    );
    drop(error);
    assert_eq!(Arc::strong_count(&count), 1);
    let error = unpack::<Token>(Encoded(Buf::default()).into_body()).unwrap_err();
    assert!(error.into_body().is_none());
    let token = unpack::<Token>(Token(Arc::clone(&count)).into_body()).unwrap();
    assert_eq!(Arc::strong_count(&count), 2);
    drop(token);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_body_of_another_type_comes_back_whole() {
    let count = Arc::new(());
    let body: Body = Token(Arc::clone(&count)).into_body();
    assert!(!accepts::<String>(&body) && accepts::<Any>(&body));
    let error = unpack::<String>(body).unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("String") && text.contains("Token"), "{text}");
    let body = error.into_body().unwrap();
    assert_eq!(Arc::strong_count(&count), 2);
    drop(unpack::<Token>(body).unwrap());
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn errors_say_what_happened() {
    assert_eq!(
        CodecError::not_encodable("a session").to_string(),
        "a session has no encoding and cannot leave the node"
    );
    let error = u16::decode(&[1, 2, 3]).unwrap_err();
    assert_eq!(error, error.clone());
    assert_eq!(
        error.to_string(),
        "the payload is not a u16: 1 bytes too many"
    );
    let long = Address::local([b'x'; 2_000]);
    let error = long.encode(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("too long to be sent"), "{error}");
}
