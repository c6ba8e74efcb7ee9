//! Editing a route in one chain of calls.

use super::{Hop, Route};
use crate::{Address, TransportType};

/// Edits a [`Route`] in place; made by [`Route::modify`].
///
/// Each call takes effect at once; nothing is left to be done when the builder is dropped.
///
/// ```
/// use ringpost_router::route;
///
/// let mut route = route!["a", "b"];
/// route.modify().pop_front().prepend("x").append("y");
/// assert_eq!(route, route!["x", "b", "y"]);
/// ```
#[derive(Debug)]
pub struct RouteBuilder<'a> {
    route: &'a mut Route,
}

impl<'a> RouteBuilder<'a> {
    pub(super) fn new(route: &'a mut Route) -> Self {
        Self { route }
    }

    /// Adds an address at the end.
    pub fn append(self, address: impl Into<Address>) -> Self {
        self.route.push_back(Hop::new(address));
        self
    }

    /// Adds an address of the given transport type at the end.
    pub fn append_t(self, transport: TransportType, name: impl Into<String>) -> Self {
        self.append(Address::new(transport, name.into()))
    }

    /// Adds all of another route at the end.
    pub fn append_route(self, other: impl Into<Route>) -> Self {
        self.replace_with(|route| route.append_route(other))
    }

    /// Adds an address at the front.
    pub fn prepend(self, address: impl Into<Address>) -> Self {
        self.route.push_front(Hop::new(address));
        self
    }

    /// Adds all of another route at the front.
    pub fn prepend_route(self, other: impl Into<Route>) -> Self {
        self.replace_with(|route| route.prepend_route(other))
    }

    /// Puts an address in the place of the first, or as the first where there is none.
    pub fn replace(self, address: impl Into<Address>) -> Self {
        self.pop_front().prepend(address)
    }

    /// Takes the first address off, if there is one.
    pub fn pop_front(self) -> Self {
        self.route.pop_front();
        self
    }

    /// Takes the last address off, if there is one.
    pub fn pop_back(self) -> Self {
        self.route.pop_back();
        self
    }

    fn replace_with(self, change: impl FnOnce(Route) -> Route) -> Self {
        *self.route = change(core::mem::take(self.route));
        self
    }
}

impl From<RouteBuilder<'_>> for Route {
    /// Copies the route as edited so far.
    fn from(builder: RouteBuilder<'_>) -> Self {
        builder.route.clone()
    }
}
