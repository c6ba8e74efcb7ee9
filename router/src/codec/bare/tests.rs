use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{AHEAD_MAX, DEPTH_MAX, EMPTY_BYTES_MAX, EMPTY_MAX, Fault, read, read_data};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Shape {
    Nothing,
    Wrapped(u16),
    Pair(i8, String),
    Named { at: (i64, f32), tags: Vec<char> },
    Inner(Option<Box<Shape>>),
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Wrapper(BTreeMap<String, Vec<Shape>>);

/// A uint of 2^60.
const HUGE: [u8; 9] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];

fn nested(depth: u32) -> Shape {
    (0..depth).fold(Shape::Nothing, |inner, _| {
        Shape::Inner(Some(Box::new(inner)))
    })
}

#[test]
fn what_serde_bare_writes_is_read() {
    let shapes = vec![
        Shape::Nothing,
        Shape::Wrapped(513),
        Shape::Pair(-1, "ä".into()),
        Shape::Named {
            at: (i64::MIN, 0.5),
            tags: vec!['x', '🦀'],
        },
        nested(3),
    ];
    let value = Wrapper(BTreeMap::from([(String::from("all"), shapes)]));
    let bytes = serde_bare::to_vec(&value).unwrap();
    assert_eq!(read::<Wrapper>(&bytes).unwrap(), value);
    assert_eq!(
        read::<Wrapper>(&bytes[..bytes.len() - 1]),
        Err(Fault::Ended)
    );
    let numbers = (
        u128::MAX,
        i128::MIN,
        u32::MAX,
        i32::MIN,
        i16::MIN,
        f64::MAX,
        (),
    );
    let bytes = serde_bare::to_vec(&numbers).unwrap();
    assert_eq!(read(&bytes), Ok(numbers));
}

#[test]
fn a_length_that_the_bytes_cannot_hold_is_refused_at_once() {
    assert_eq!(read::<Vec<u64>>(&HUGE), Err(Fault::Length(1 << 60)));
    assert_eq!(read::<String>(&HUGE), Err(Fault::Length(1 << 60)));
    assert_eq!(read_data(&HUGE), Err(Fault::Length(1 << 60)));
    assert_eq!(read::<BTreeMap<u8, u8>>(&HUGE), Err(Fault::Length(1 << 60)));
}

#[test]
fn empty_elements_are_counted() {
    assert_eq!(read::<Vec<()>>(&HUGE), Err(Fault::Length(1 << 60)));
    assert_eq!(read::<HashSet<()>>(&[3]).unwrap().len(), 1);
    let at_limit = serde_bare::to_vec(&serde_bare::Uint(u64::from(EMPTY_MAX))).unwrap();
    assert_eq!(
        read::<Vec<()>>(&at_limit).unwrap().len(),
        EMPTY_MAX as usize
    );
    // Each list is within the limit, all of them together are not.
    let lists = vec![vec![(); EMPTY_MAX as usize / 2 + 1]; 2];
    let bytes = serde_bare::to_vec(&lists).unwrap();
    assert!(matches!(
        read::<Vec<Vec<()>>>(&bytes),
        Err(Fault::Length(_))
    ));
    let lists = vec![vec![(); EMPTY_MAX as usize / 2]; 3];
    let mut bytes = serde_bare::to_vec(&lists).unwrap();
    bytes.extend([0; EMPTY_MAX as usize]);
    assert_eq!(read::<Vec<Vec<()>>>(&bytes), Err(Fault::Empty));
}

/// Takes 300 bytes of memory and no byte of a message.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Heavy {
    #[serde(skip, default = "Heavy::contents")]
    contents: [u8; 300],
}

impl Heavy {
    fn contents() -> [u8; 300] {
        [7; 300]
    }
}

#[test]
fn empty_elements_are_weighed() {
    let most = EMPTY_BYTES_MAX / size_of::<Heavy>();
    let list = |len| serde_bare::to_vec(&serde_bare::Uint(len as u64)).unwrap();
    assert_eq!(read::<Vec<Heavy>>(&list(most)).unwrap().len(), most);
    assert_eq!(read::<Vec<Heavy>>(&list(most + 1)), Err(Fault::Empty));
    assert_eq!(
        read::<Vec<Heavy>>(&list(EMPTY_MAX as usize)),
        Err(Fault::Empty)
    );
    // Also where they are the values of a map whose keys are empty, and in several lists together.
    assert_eq!(read::<Pairs>(&list(most)).unwrap().0.len(), most);
    assert_eq!(read::<Pairs>(&list(most + 1)), Err(Fault::Empty));
    let lists = [list(2), list(most - 1), list(2)].concat();
    assert_eq!(read::<Vec<Vec<Heavy>>>(&lists), Err(Fault::Empty));
}

#[test]
fn values_inside_values_end_before_the_stack_does() {
    let deep = serde_bare::to_vec(&nested(DEPTH_MAX / 2 - 1)).unwrap();
    assert!(read::<Shape>(&deep).is_ok());
    assert_eq!(read::<Shape>(&[4, 1].repeat(1 << 20)), Err(Fault::Depth));
}

#[test]
fn numbers_have_one_form_and_64_bits() {
    assert_eq!(read_data(&[2, 7, 8]), Ok(&[7, 8][..]));
    assert_eq!(read_data(&[1, 7, 8]), Err(Fault::Left(1)));
    assert_eq!(read_data(&[0xff; 11]), Err(Fault::Uint));
    let mut over = [0x80; 10];
    over[9] = 2;
    assert_eq!(read_data(&over), Err(Fault::Uint));
    over[9] = 1;
    assert_eq!(read_data(&over), Err(Fault::Length(1 << 63)));
}

#[test]
fn what_no_type_allows_is_named() {
    assert_eq!(read::<bool>(&[2]), Err(Fault::Bool(2)));
    assert_eq!(
        read::<char>(&0xd800_u32.to_le_bytes()),
        Err(Fault::Char(0xd800))
    );
    assert_eq!(read::<String>(&[1, 0xff]), Err(Fault::Utf8));
    assert!(matches!(read::<Shape>(&[9]), Err(Fault::Type(_))));
    assert_eq!(
        read::<serde::de::IgnoredAny>(&[0]).map(|_| ()),
        Err(Fault::Untyped)
    );
    assert_eq!(Fault::Char(0xd800).to_string(), "0xd800 is no character");
}

/// A map as a list of what it holds, key by key.
#[derive(PartialEq, Debug)]
struct Pairs(Vec<((), Heavy)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ask;
        impl<'de> serde::de::Visitor<'de> for Ask {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Ask)
    }
}

/// A list that keeps nothing but what it was told to make room for.
#[derive(PartialEq, Debug)]
struct Told(Option<usize>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ask;
        impl<'de> serde::de::Visitor<'de> for Ask {
            type Value = Told;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Told, A::Error> {
                let told = list.size_hint();
                while list.next_element::<u8>()?.is_some() {}
                Ok(Told(told))
            }
        }
        deserializer.deserialize_seq(Ask)
    }
}

#[test]
fn room_is_made_for_the_first_few_elements_only() {
    for (len, told) in [(0, 0), (3, 3), (100, AHEAD_MAX)] {
        let bytes = serde_bare::to_vec(&vec![7_u8; len]).unwrap();
        assert_eq!(read::<Told>(&bytes), Ok(Told(Some(told))));
    }
}
