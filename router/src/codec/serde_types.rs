//! The types of the standard library, and this crate's own, as messages.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CodecError, Message, decode_serde, encode_serde};
use crate::{Address, Route};

macro_rules! over_serde {
    ($([$($param:ident: $($bound:path),+);*] $type:ty),* $(,)?) => {$(
        impl<$($param: $($bound +)+ Send + 'static),*> Message for $type {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
                encode_serde(self, out)
            }

            fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                decode_serde(bytes)
            }
        }
    )*};
}

over_serde!(
    [] (), [] bool, [] char, [] String, [] Duration, [] Address, [] Route,
    [] u8, [] u16, [] u32, [] u64, [] u128, [] usize,
    [] i8, [] i16, [] i32, [] i64, [] i128, [] isize, [] f32, [] f64,
    [] IpAddr, [] SocketAddr, [] Box<str>,
    [T: Serialize, DeserializeOwned] VecDeque<T>,
    [T: Serialize, DeserializeOwned] Option<T>,
    [T: Serialize, DeserializeOwned] Box<T>,
    [T: Serialize, DeserializeOwned; E: Serialize, DeserializeOwned] Result<T, E>,
    [T: Serialize, DeserializeOwned, Ord] BTreeSet<T>,
    [T: Serialize, DeserializeOwned, Eq, Hash] HashSet<T>,
    [K: Serialize, DeserializeOwned, Ord; V: Serialize, DeserializeOwned] BTreeMap<K, V>,
    [K: Serialize, DeserializeOwned, Eq, Hash; V: Serialize, DeserializeOwned] HashMap<K, V>,
);

macro_rules! tuples {
    ($(($($part:ident)+))*) => {
        over_serde!($([$($part: Serialize, DeserializeOwned);+] ($($part,)+)),*);
    };
}

tuples!(
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
);

impl<T, const N: usize> Message for [T; N]
where
    [T; N]: Serialize + DeserializeOwned + Send + 'static,
{
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_serde(self, out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode_serde(bytes)
    }
}
