//! What holds for a connection: who may be reached over it, and its limits.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_router::{Address, Route, TransportType, wire};

use super::{Acceptor, TcpLimits, UdpLimits};
use crate::task::panics::guarded;
use crate::transport::Backoff;

type Predicate = Arc<dyn Fn(&Address) -> bool + Send + Sync>;

/// What both kinds of options hold.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(super) names: BTreeSet<Address>,
    pub(super) prefixes: Vec<String>,
    pub(super) predicates: Vec<Predicate>,
    pub(super) relays: BTreeSet<Address>,
    pub(crate) reconnect: Option<Backoff>,
    pub(crate) acceptor: Acceptor,
    /// What holds besides the limits where messages are datagrams.
    pub(crate) datagrams: Option<UdpLimits>,
    pub(crate) limits: TcpLimits,
}

impl Terms {
    /// The usual ones of this transport.
    pub(crate) fn of(transport: TransportType) -> Self {
        match transport {
            TransportType::UDP => Self::over_datagrams(UdpLimits::default()),
            _ => Self::default(),
        }
    }

    pub(super) fn over_datagrams(limits: UdpLimits) -> Self {
        let mut terms = Self::default();
        terms.set_datagrams(limits);
        terms
    }

    pub(super) fn set_datagrams(&mut self, limits: UdpLimits) {
        let body = limits
            .datagram_bytes_max
            .saturating_sub(wire::DATAGRAM_HEAD_BYTES);
        let frame_bytes_max = u32::try_from(body).unwrap_or(u32::MAX);
        self.limits = TcpLimits {
            frame: wire::Limits {
                frame_bytes_max,
                ..wire::Limits::default()
            },
            queued_bytes_max: limits.queued_bytes_max,
            peer_credits: 0,
            watches_max: 0,
            waiting_frames_max: limits.waiting_datagrams_max,
            unhandled_bytes_max: 1 << 20,
            return_routes_max: limits.return_routes_max,
            return_route_bytes_max: 1 << 20,
            heartbeats_max: u32::MAX,
            ..TcpLimits::default()
        };
        self.datagrams = Some(limits);
    }

    /// Whether the peer may send to this address of the node.
    pub(crate) fn exposes(&self, address: &Address) -> bool {
        self.always_exposes(address)
            || address.is_local() && self.predicates.iter().any(|allows| says(allows, address))
    }

    /// Whether the peer may send to this address, whatever predicates say from one time to the next.
    pub(crate) fn always_exposes(&self, address: &Address) -> bool {
        let begins = |prefix: &String| address.as_bytes().starts_with(prefix.as_bytes());
        address.is_local() && (self.names.contains(address) || self.prefixes.iter().any(begins))
    }

    /// Where on this way the peer may not go. What lies behind the first hop over a transport is for the
    /// node there to decide.
    pub(crate) fn denied<'a>(&self, onward: &'a Route) -> Option<&'a Address> {
        if is_planted(Canary::SkippedAccess) {
            return None;
        }
        for address in onward.iter() {
            if !address.is_local() {
                return (!self.relays.contains(address)).then_some(address);
            }
            if !self.exposes(address) {
                return Some(address);
            }
        }
        None
    }
}

/// What a predicate says. One that panics allows nothing.
fn says(allows: &Predicate, address: &Address) -> bool {
    let mut is_allowed = false;
    let what = "a predicate for what is exposed panicked";
    guarded(what, Some(address), || is_allowed = allows(address));
    is_allowed
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("names", &self.names)
            .field("prefixes", &self.prefixes)
            .field("predicates", &self.predicates.len())
            .field("relays", &self.relays)
            .finish_non_exhaustive()
    }
}
