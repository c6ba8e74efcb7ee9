//! Routes through serde: a list of addresses; hints stay at home.

use core::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{self, Serialize, Serializer};

use super::{Hop, Route};
use crate::Address;

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.address.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Hop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Address::deserialize(deserializer).map(Hop::new)
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.check().map_err(ser::Error::custom)?;
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RouteVisitor)
    }
}

struct RouteVisitor;

impl<'de> Visitor<'de> for RouteVisitor {
    type Value = Route;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} addresses", Route::HOPS_MAX)
    }

    /// Trusts no announced length: nothing is set aside for addresses that have not been read.
    fn visit_seq<A: SeqAccess<'de>>(self, mut addresses: A) -> Result<Route, A::Error> {
        let mut hops = Vec::new();
        while let Some(address) = addresses.next_element::<Address>()? {
            if hops.len() == Route::HOPS_MAX {
                return Err(de::Error::invalid_length(
                    hops.len().saturating_add(1),
                    &self,
                ));
            }
            hops.push(Hop::new(address));
        }
        Ok(Route::from_hops(hops))
    }
}
