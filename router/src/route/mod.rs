//! The list of addresses that a message visits.

mod convert;
mod hops;
mod modify;
mod parse;
mod wire;

pub use modify::RouteBuilder;
pub use parse::RouteError;

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::{Address, Handle, Hint, NodeCore, Seen, TransportType, WorkersOf};
use hops::Hops;

/// What a hop takes besides the bytes of its address, or nearly.
const HOP_BYTES: usize = 64;

/// One step of a [`Route`]: an address, and where it was last seen.
///
/// Hops are equal when their addresses are; the hint is a memory aid and not part of the value.
pub struct Hop {
    /// Who is visited.
    pub address: Address,
    seen: Seen,
}

impl Hop {
    /// A hop without a hint.
    #[inline]
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            seen: Seen::default(),
        }
    }

    /// A hop to a place known to the sender.
    #[inline]
    pub fn with_hint(address: Address, hint: Hint) -> Self {
        Self {
            address,
            seen: Seen::new(hint),
        }
    }

    /// A hop to where a worker was seen, if it was.
    #[inline]
    pub fn to_seen(address: Address, seen: Seen) -> Self {
        Self { address, seen }
    }

    /// Where that worker was last seen, if known.
    #[inline]
    pub fn hint(&self) -> Option<Hint> {
        self.seen.hint()
    }

    /// Where that worker was last seen, if the node with this number has seen it.
    #[inline]
    pub fn hint_of(&self, node: u32) -> Option<Hint> {
        self.seen.hint_of(node)
    }

    /// A copy of a hop with a short name.
    #[inline(always)]
    fn copy_short(&self) -> Self {
        Self {
            address: self.address.copy_short(),
            seen: self.seen,
        }
    }

    /// Makes such a copy one of this hop, whose name may be long.
    #[inline(always)]
    fn share_long(&mut self, of: &Self) {
        self.address.share_long(&of.address);
    }

    /// Whether nothing is known of where that worker is.
    #[inline]
    pub fn is_unseen(&self) -> bool {
        self.seen.is_none()
    }

    /// The number of the core where that worker was last seen, of whatever node; any if it was not seen.
    #[inline]
    pub fn near(&self) -> u16 {
        self.seen.core()
    }

    /// The worker's handle, if it was last seen on this core.
    #[inline]
    pub fn worker_on(&self, core: NodeCore) -> Option<Handle> {
        self.seen.worker_on(core)
    }

    /// The worker's handle, if it was last seen among these.
    #[inline]
    pub fn worker_of(&self, workers: WorkersOf) -> Option<Handle> {
        self.seen.worker_of(workers)
    }

    /// The place where a reply is waited for, if that is on this core.
    #[inline]
    pub fn reply_on(&self, core: NodeCore) -> Option<Handle> {
        self.seen.reply_on(core)
    }
}

impl Clone for Hop {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            seen: self.seen,
        }
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop")
            .field("address", &self.address)
            .field("hint", &self.hint())
            .finish()
    }
}

impl PartialEq for Hop {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Hop {}

impl Hash for Hop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

/// The list of addresses that a message visits, first to last.
///
/// Workers on the way take themselves off the front of a message's onward route and put themselves
/// on the front of its return route. A route of no or one address lies inside the value, so making,
/// moving and cloning it takes no memory from the heap; that is the route of every message between
/// two workers of a node.
///
/// Routes that travel may have up to [`HOPS_MAX`](Self::HOPS_MAX) addresses. The methods here build
/// longer ones without complaint; [`check`](Self::check) tells, and sending, parsing and encoding
/// refuse.
///
/// ```
/// use ringpost_router::{Route, TransportType, route};
///
/// let onward = Route::new()
///     .append("relay")
///     .append_t(TransportType::TCP, "127.0.0.1:4000")
///     .append("echoer");
/// assert_eq!(onward.to_string(), "0#relay => 1#127.0.0.1:4000 => 0#echoer");
/// assert_eq!(onward, route!["relay", "1#127.0.0.1:4000", "echoer"]);
/// assert_eq!(onward, Route::parse("relay => 1#127.0.0.1:4000 => echoer")?);
/// # Ok::<(), ringpost_router::RouteError>(())
/// ```
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Route {
    hops: Hops,
}

impl Clone for Route {
    #[inline(always)]
    fn clone(&self) -> Self {
        Self {
            hops: self.hops.clone(),
        }
    }
}

const _: () = assert!(size_of::<Hop>() == 56 && size_of::<Route>() == 72);

impl Route {
    /// The most addresses that a route may have when it is sent, parsed or decoded.
    pub const HOPS_MAX: usize = 64;

    /// The route that leads nowhere.
    #[inline]
    pub fn new() -> Self {
        Self { hops: Hops::none() }
    }

    /// The route of one hop, to where a worker with this address was seen: what it says is copied as plain words where
    /// the name is short.
    #[inline(always)]
    pub fn to_seen(address: &Address, seen: Seen) -> Self {
        Self {
            hops: Hops::to_seen(address, seen),
        }
    }

    /// A route of hops, which keep their hints.
    pub fn from_hops(hops: impl IntoIterator<Item = Hop>) -> Self {
        Self {
            hops: hops.into_iter().collect(),
        }
    }

    /// Adds an address at the end.
    #[must_use]
    #[inline]
    pub fn append(mut self, address: impl Into<Address>) -> Self {
        self.push_back(Hop::new(address));
        self
    }

    /// Adds an address of the given transport type at the end; the name is taken as it stands.
    #[must_use]
    pub fn append_t(self, transport: TransportType, name: impl Into<String>) -> Self {
        self.append(Address::new(transport, name.into()))
    }

    /// Adds an address at the front.
    #[must_use]
    #[inline]
    pub fn prepend(mut self, address: impl Into<Address>) -> Self {
        self.push_front(Hop::new(address));
        self
    }

    /// Adds all of another route at the end, hints included.
    #[must_use]
    pub fn append_route(mut self, other: impl Into<Route>) -> Self {
        self.hops.append(other.into().hops);
        self
    }

    /// Adds all of another route at the front, hints included.
    #[must_use]
    pub fn prepend_route(self, other: impl Into<Route>) -> Self {
        other.into().append_route(self)
    }

    /// Adds a hop at the front.
    #[inline]
    pub fn push_front(&mut self, hop: Hop) {
        self.hops.push_front(hop);
    }

    /// Adds a hop at the end.
    #[inline]
    pub fn push_back(&mut self, hop: Hop) {
        self.hops.push_back(hop);
    }

    /// Takes the first hop off.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Hop> {
        self.hops.pop_front()
    }

    /// Takes the last hop off.
    #[inline]
    pub fn pop_back(&mut self) -> Option<Hop> {
        self.hops.pop_back()
    }

    /// The first hop.
    #[inline]
    pub fn first(&self) -> Option<&Hop> {
        self.hops.first()
    }

    /// The hop of a route that has no other.
    #[inline]
    pub fn only(&self) -> Option<&Hop> {
        self.hops.only()
    }

    /// The hop of a route that has no other, if its name is so short that it lies in the route: such a route
    /// is copied, moved and dropped as plain words.
    #[inline]
    pub fn only_short(&self) -> Option<&Hop> {
        self.hops.only_short()
    }

    /// The last address, which is the recipient.
    #[inline]
    pub fn last(&self) -> Option<&Address> {
        self.hops.last().map(|hop| &hop.address)
    }

    /// The last hop.
    #[inline]
    pub fn last_hop(&self) -> Option<&Hop> {
        self.hops.last()
    }

    /// The first address.
    ///
    /// # Errors
    ///
    /// [`RouteError::Empty`] if there is none.
    pub fn next(&self) -> Result<&Address, RouteError> {
        self.first()
            .map(|hop| &hop.address)
            .ok_or(RouteError::Empty)
    }

    /// Takes the first address off.
    ///
    /// # Errors
    ///
    /// [`RouteError::Empty`] if there is none.
    pub fn step(&mut self) -> Result<Address, RouteError> {
        self.pop_front()
            .map(|hop| hop.address)
            .ok_or(RouteError::Empty)
    }

    /// The last address.
    ///
    /// # Errors
    ///
    /// [`RouteError::Empty`] if there is none.
    pub fn recipient(&self) -> Result<&Address, RouteError> {
        self.last().ok_or(RouteError::Empty)
    }

    /// Edits the route in place, in one chain of calls.
    pub fn modify(&mut self) -> RouteBuilder<'_> {
        RouteBuilder::new(self)
    }

    /// How many addresses there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.hops.reversed().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.hops.is_empty()
    }

    /// About how many bytes of memory it takes: those of its addresses, and 64 for each hop.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let bytes = |hop: &Address| hop.as_bytes().len().saturating_add(HOP_BYTES);
        self.iter().map(bytes).sum()
    }

    /// Checks the length.
    ///
    /// # Errors
    ///
    /// [`RouteError::TooLong`] if there are more than [`HOPS_MAX`](Self::HOPS_MAX) addresses.
    pub fn check(&self) -> Result<(), RouteError> {
        match self.len() {
            hops if hops > Self::HOPS_MAX => Err(RouteError::TooLong { hops }),
            _ => Ok(()),
        }
    }

    /// Whether this is a clone of the other, or it of this, and neither was edited since. Routes of which this is not
    /// known may be equal all the same.
    #[inline]
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        self.hops.shares_with(&other.hops)
    }

    /// The addresses, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Address> + ExactSizeIterator + Clone {
        self.hops().map(|hop| &hop.address)
    }

    /// The hops, first to last.
    pub fn hops(&self) -> impl DoubleEndedIterator<Item = &Hop> + ExactSizeIterator + Clone {
        self.hops.reversed().iter().rev()
    }

    /// Whether the addresses of `other` occur here, one behind the other; an empty route does.
    pub fn contains_route(&self, other: &Route) -> bool {
        // Both sides are reversed alike.
        let sought = other.hops.reversed();
        sought.is_empty()
            || self
                .hops
                .reversed()
                .windows(sought.len())
                .any(|part| part == sought)
    }
}

impl fmt::Display for Route {
    /// Prints the addresses with ` => ` between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, address) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { " => " };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({self})")
    }
}

#[cfg(test)]
mod tests;
