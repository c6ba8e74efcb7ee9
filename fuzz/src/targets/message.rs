//! Payloads: each of many types takes them or refuses them, and what was taken is written and read alike.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ringpost_router::codec::{decode_serde, encode_serde};
use ringpost_router::{Address, Message, Pod, Route};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// All that lies in messages: numbers, texts, lists, maps, options, tuples.
#[derive(Debug, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    byte: u8,
    number: i64,
    float: f32,
    letter: char,
    text: String,
    list: Vec<(u16, Option<String>)>,
    map: BTreeMap<String, Vec<u8>>,
    nothing: (),
    array: [i16; 3],
}

/// Values in values.
#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Byte(u8),
    Branch(Vec<Tree>),
    Pair { left: Box<Tree>, right: Box<Tree> },
    Maybe(Option<Box<Tree>>),
}

pub(super) fn run(bytes: &[u8]) {
    serde::<Everything>(bytes);
    serde::<Tree>(bytes);
    serde::<Vec<Tree>>(bytes);
    // Elements that take no bytes.
    serde::<Vec<()>>(bytes);
    serde::<BTreeMap<(), Vec<[(); 9]>>>(bytes);
    serde::<Vec<Vec<Vec<u128>>>>(bytes);
    serde::<(Address, Route)>(bytes);

    message::<String>(bytes);
    message::<Vec<u8>>(bytes);
    message::<Vec<String>>(bytes);
    message::<Option<u64>>(bytes);
    message::<Pod<u32>>(bytes);
}

fn serde<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok(value) = decode_serde::<T>(bytes) else {
        return;
    };
    let written = |value: &T| {
        let mut out = Vec::new();
        encode_serde(value, &mut out).expect("what was read can be written");
        out
    };
    let first = written(&value);
    let again = decode_serde::<T>(&first).expect("what was written can be read");
    // The bytes and not the values are compared, since a float may be unequal to itself.
    assert_eq!(written(&again), first, "{value:?}");
}

fn message<M: Message>(bytes: &[u8]) {
    let Ok(message) = M::decode(bytes) else {
        return;
    };
    let written = |message: &M| {
        let mut out = Vec::new();
        message
            .encode(&mut out)
            .expect("what was read can be written");
        out
    };
    let first = written(&message);
    let again = M::decode(&first).expect("what was written can be read");
    assert_eq!(written(&again), first);
}
