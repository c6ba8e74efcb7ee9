//! What a route can be made of.

use super::hops::Hops;
use super::{Hop, Route};
use crate::Address;

/// Joins anything that is `Into<Route>` into one [`Route`](crate::Route).
///
/// ```
/// use ringpost_router::{Address, Route, route};
///
/// let tail: Route = route!["relay", "echoer"];
/// let all = route!["hop", Address::from("1#10.0.0.1:4000"), tail];
/// assert_eq!(all.len(), 4);
/// assert!(route![].is_empty());
/// ```
#[macro_export]
macro_rules! route {
    ($($part:expr),* $(,)?) => {
        $crate::Route::new()$(.append_route($part))*
    };
}

impl From<Hop> for Route {
    #[inline]
    fn from(hop: Hop) -> Self {
        Self {
            hops: Hops::one(hop),
        }
    }
}

impl From<Address> for Route {
    #[inline]
    fn from(address: Address) -> Self {
        Hop::new(address).into()
    }
}

impl From<&Address> for Route {
    #[inline]
    fn from(address: &Address) -> Self {
        address.clone().into()
    }
}

impl From<&str> for Route {
    /// A route of one address, read as `From<&str>` for [`Address`] does; for more, see
    /// [`Route::parse`].
    #[inline]
    fn from(text: &str) -> Self {
        Address::from(text).into()
    }
}

impl From<String> for Route {
    #[inline]
    fn from(text: String) -> Self {
        Address::from(text).into()
    }
}

impl From<&String> for Route {
    #[inline]
    fn from(text: &String) -> Self {
        Address::from(text).into()
    }
}

impl From<&Route> for Route {
    #[inline]
    fn from(route: &Route) -> Self {
        route.clone()
    }
}

impl<T: Into<Address>> From<Vec<T>> for Route {
    fn from(addresses: Vec<T>) -> Self {
        addresses.into_iter().collect()
    }
}

impl<T: Into<Address>, const N: usize> From<[T; N]> for Route {
    fn from(addresses: [T; N]) -> Self {
        addresses.into_iter().collect()
    }
}

impl<T: Into<Address>> FromIterator<T> for Route {
    fn from_iter<I: IntoIterator<Item = T>>(addresses: I) -> Self {
        Self::from_hops(addresses.into_iter().map(Hop::new))
    }
}

impl<T: Into<Address>> Extend<T> for Route {
    fn extend<I: IntoIterator<Item = T>>(&mut self, addresses: I) {
        self.hops
            .append(addresses.into_iter().map(Hop::new).collect());
    }
}

impl IntoIterator for Route {
    type Item = Address;
    type IntoIter = core::iter::Map<core::iter::Rev<std::vec::IntoIter<Hop>>, fn(Hop) -> Address>;

    /// The addresses, first to last, without their hints.
    fn into_iter(self) -> Self::IntoIter {
        self.hops
            .into_reversed()
            .into_iter()
            .rev()
            .map(|hop| hop.address)
    }
}
