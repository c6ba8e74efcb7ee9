//! Who may be reached over a connection, and how much it may take.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_router::{Address, Route, TransportType, wire};

use crate::task::panics::guarded;
use crate::transport::Backoff;
use crate::transport::tcp::normal;

type Predicate = Arc<dyn Fn(&Address) -> bool + Send + Sync>;

/// What each connection may take, and how long its peer may be silent.
///
/// A connection that goes over a limit is closed, with the limit named in the log and in the errors of
/// the requests that waited on it. No other connection notices.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TcpLimits {
    /// What one frame may hold: 16 MiB, 64 addresses in each route.
    pub frame: wire::Limits,
    /// Bytes of frames that wait to be written. Who sends more waits. Default 1 MiB.
    pub queued_bytes_max: usize,
    /// Frames that wait to be written. While messages for a node of this make wait for a credit, as many of its own are
    /// taken in that find no room here, beyond `peer_credits`: the credit may come behind them. Default 4,096.
    pub queued_frames_max: usize,
    /// Messages that a node of this make may have under way here: sent, and not yet in a mailbox. 0 does not
    /// limit them, and lets them wait as those of other peers do. Replies take none; of messages that are none and go to
    /// names like theirs (22 characters, the last of them `E` to `H`) no more than this may wait, or the connection is
    /// closed. Default 512.
    pub peer_credits: u32,
    /// Workers here whose ends a node of this make may ask to be told of at one time; further ones wait there until
    /// others have ended. While more than so many that it asks for, or gives up, are not noted yet by the cores of those
    /// workers, no more is read. 0 for none. Default 1,024.
    pub watches_max: u32,
    /// Messages of another peer that wait for room at their receivers; then no more is read. Default 64.
    pub waiting_frames_max: usize,
    /// Bytes of messages of any peer that wait so, beyond which no more is read. Default 1 MiB.
    pub waiting_bytes_max: usize,
    /// Bytes of what any peer has sent that nobody has handled yet, in the mailboxes of workers as well as before them.
    /// From half of that on a node of this make is given credits only each quarter of [`stall`](Self::stall), and beyond
    /// it no more is read; so there may be as much and one frame more. A message counts with its routes, until its
    /// handler is done with it or it is encoded for another node; where that is less than 2 KiB it does not, and what
    /// limits such messages is how many a mailbox takes. Default 16 MiB.
    pub unhandled_bytes_max: usize,
    /// Return routes that the peer can reply to. The longest unused makes way. Default 65,536.
    pub return_routes_max: usize,
    /// Bytes that they take, likewise: 256 for each, and 64 and its address for each hop. So many other nodes may have
    /// messages relayed to the peer with return routes as long as they like. Default 16 MiB.
    pub return_route_bytes_max: usize,
    /// How long the peer may take for its first byte. Default 10 seconds.
    pub handshake: Duration,
    /// How long nothing may come; `None`, the default, is for ever.
    pub idle: Option<Duration>,
    /// How long a frame that was begun may take, besides what its bytes are allowed. Default 10 seconds.
    pub frame_grace: Duration,
    /// Bytes of a frame that was begun that must come in a second. Default 1,024.
    pub frame_bytes_per_second_min: u32,
    /// How long the peer may take nothing of what waits to be written, and how long a node of this make may give no
    /// credit while it has all that was sent and more waits for that; also, how long what a peer sent before it ended
    /// the connection may find no room. A worker here that is to be slower than that for a single message, with as
    /// many waiting as there are credits, needs longer at those who send to it. Default 60 seconds.
    pub stall: Duration,
    /// How long a peer that has ended its side, and may still read, waits for what its messages bring it when all of them
    /// are handled and not all are answered: they may have been passed on. Counted anew with each answer. It is over
    /// when as many answers have come as messages; it has not begun while the workers that they were for have anything
    /// to handle. In all that is no longer than [`stall`](Self::stall). A peer that was connected to, or greets as a node of
    /// this make, is not waited for, as those end both sides. Default 5 seconds.
    pub half_closed: Duration,
    /// Signs of life without a message between them. Default 1,024.
    pub heartbeats_max: u32,
    /// Connections that a listener keeps at one time on one core. Default 65,536.
    pub connections_max: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            frame: wire::Limits::default(),
            queued_bytes_max: 1 << 20,
            queued_frames_max: 4096,
            peer_credits: 512,
            watches_max: 1024,
            waiting_frames_max: 64,
            waiting_bytes_max: 1 << 20,
            unhandled_bytes_max: 16 << 20,
            return_routes_max: 65_536,
            return_route_bytes_max: 16 << 20,
            handshake: Duration::from_secs(10),
            idle: None,
            frame_grace: Duration::from_secs(10),
            frame_bytes_per_second_min: 1024,
            stall: Duration::from_secs(60),
            half_closed: Duration::from_secs(5),
            heartbeats_max: 1024,
            connections_max: 65_536,
        }
    }
}

/// What is held for each peer that datagrams come from, and for how many.
///
/// Anybody can write any sender on a datagram, so what is held for one, and how many there are, is bounded; what goes
/// over a limit is dropped and counted ([`TransportStats::datagrams_dropped`]).
///
/// [`TransportStats::datagrams_dropped`]: crate::transport::TransportStats::datagrams_dropped
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UdpLimits {
    /// Bytes of one datagram, of which 19 and the routes are not payload; at most 65,507. Sending a longer message fails
    /// with [`ErrorKind::Codec`](crate::ErrorKind::Codec), which names the limit. Default 1,232: what fits into one
    /// packet nearly everywhere, as the loss of one piece is the loss of all.
    pub datagram_bytes_max: usize,
    /// Peers of a listener at one time. While there are so many, others are not heard. Default 1,024.
    pub peers_max: usize,
    /// Datagrams of one peer that wait for room at their receivers, and as many that wait to be looked at. More are
    /// dropped, and so are any while 1 MiB of that peer's is not handled yet, counted as for
    /// [`TcpLimits::unhandled_bytes_max`]. Default 64.
    pub waiting_datagrams_max: usize,
    /// Bytes that wait to be sent to one peer. Who sends more waits. Default 64 KiB.
    pub queued_bytes_max: usize,
    /// Return routes that one peer can reply to, and that take 1 MiB at the most, counted as for
    /// [`TcpLimits::return_route_bytes_max`]. The longest unused makes way. Default 1,024.
    pub return_routes_max: usize,
    /// How long nothing may come or go until a peer is forgotten, with what it could reply to. Default 60 seconds.
    pub idle: Duration,
}

impl Default for UdpLimits {
    fn default() -> Self {
        Self {
            datagram_bytes_max: 1_232,
            peers_max: 1_024,
            waiting_datagrams_max: 64,
            queued_bytes_max: 64 * 1024,
            return_routes_max: 1_024,
            idle: Duration::from_secs(60),
        }
    }
}

/// How the connections of a listener come to the cores, on which they then stay.
///
/// ```
/// use ringpost::TcpListenerOptions;
/// use ringpost::transport::Acceptor;
/// let options = TcpListenerOptions::new().acceptor(Acceptor::HandOver);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Acceptor {
    /// Every core has a socket, and the system spreads connections over them (`SO_REUSEPORT`), by chance. Where the
    /// system lets one socket alone listen at an address, this is [`HandOver`](Self::HandOver).
    #[default]
    ReusePort,
    /// One core, that of the context which listens, accepts and hands what it accepts to all cores in turn. For systems
    /// that give all connections to one of several sockets, and where few connections, each with much to do, are to be
    /// spread evenly. It takes one message between cores for each connection.
    HandOver,
}

/// What both kinds of options hold.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    names: BTreeSet<Address>,
    prefixes: Vec<String>,
    predicates: Vec<Predicate>,
    relays: BTreeSet<Address>,
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

    fn over_datagrams(limits: UdpLimits) -> Self {
        let mut terms = Self::default();
        terms.set_datagrams(limits);
        terms
    }

    fn set_datagrams(&mut self, limits: UdpLimits) {
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

macro_rules! options {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            pub(crate) terms: Terms,
        }

        impl $name {
            /// Options with the usual limits, that expose nothing.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Lets the peer send to the worker at this address.
            #[must_use]
            pub fn expose(mut self, address: impl Into<Address>) -> Self {
                self.terms.names.insert(address.into());
                self
            }

            /// Lets the peer send to workers whose names begin like this.
            #[must_use]
            pub fn expose_prefix(mut self, prefix: impl Into<String>) -> Self {
                self.terms.prefixes.push(prefix.into());
                self
            }

            /// Lets the peer send to workers of whose addresses `allows` says so. Where that panics, it does not.
            #[must_use]
            pub fn expose_if(
                mut self,
                allows: impl Fn(&Address) -> bool + Send + Sync + 'static,
            ) -> Self {
                self.terms.predicates.push(Arc::new(allows));
                self
            }

            /// Lets the peer send through this node to the one at this TCP address, as it is written here; `4000` and
            /// `:4000` are also `127.0.0.1:4000`, as where it is connected to.
            #[must_use]
            pub fn relay_to(self, peer: impl AsRef<str>) -> Self {
                let peer = peer.as_ref();
                self.relay_to_address(Address::new(crate::TCP, peer))
                    .relay_to_address(Address::new(crate::TCP, normal(peer)))
            }

            /// Lets the peer send through this node to the one at this address, over whatever transport.
            ///
            /// ```
            #[doc = concat!("# use ringpost::{Address, UDS, transport::", stringify!($name), "};")]
            #[doc = concat!("let options = ", stringify!($name), "::new();")]
            /// let options = options.relay_to_address(Address::new(UDS, "/run/other.sock"));
            /// ```
            #[must_use]
            pub fn relay_to_address(mut self, peer: impl Into<Address>) -> Self {
                self.terms.relays.insert(peer.into());
                self
            }
        }
    };
}

macro_rules! stream_limits {
    ($name:ident) => {
        impl $name {
            /// Other limits than the usual ones.
            #[must_use]
            pub fn limits(mut self, limits: TcpLimits) -> Self {
                self.terms.limits = limits;
                self
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    terms: Terms::default(),
                }
            }
        }
    };
}

stream_limits!(TcpListenerOptions);
stream_limits!(TcpConnectionOptions);
stream_limits!(UnixListenerOptions);
stream_limits!(UnixConnectionOptions);

options! {
    /// What peers that connect may reach, and the limits of their connections.
    ///
    /// ```
    /// use ringpost::TcpListenerOptions;
    /// let options = TcpListenerOptions::new().expose("echoer").relay_to("127.0.0.1:5000");
    /// ```
    TcpListenerOptions
}

impl TcpListenerOptions {
    /// How connections come to the cores. Default [`Acceptor::ReusePort`].
    #[must_use]
    pub fn acceptor(mut self, acceptor: Acceptor) -> Self {
        self.terms.acceptor = acceptor;
        self
    }
}

options! {
    /// What the peer that is connected to may reach, and the limits of the connection.
    ///
    /// ```
    /// use ringpost::TcpConnectionOptions;
    /// let options = TcpConnectionOptions::new().expose_prefix("callback-");
    /// ```
    TcpConnectionOptions
}

options! {
    /// What peers that connect over a Unix socket may reach, and the limits of their connections. Who may connect at
    /// all is for the rights of the socket's file and its folder to say.
    ///
    /// ```
    /// use ringpost::UnixListenerOptions;
    /// let options = UnixListenerOptions::new().expose("echoer");
    /// ```
    UnixListenerOptions
}

options! {
    /// What the peer behind a Unix socket may reach, and the limits of the connection.
    ///
    /// ```
    /// use ringpost::UnixConnectionOptions;
    /// let options = UnixConnectionOptions::new().expose_prefix("callback-");
    /// ```
    UnixConnectionOptions
}

options! {
    /// What peers that send datagrams may reach, and the limits for each of them.
    ///
    /// ```
    /// use ringpost::UdpListenerOptions;
    /// let options = UdpListenerOptions::new().expose("telemetry");
    /// ```
    UdpListenerOptions
}

options! {
    /// What the peer to which datagrams are sent may reach, and the limits for it.
    ///
    /// ```
    /// use ringpost::UdpConnectionOptions;
    /// let options = UdpConnectionOptions::new().expose_prefix("callback-");
    /// ```
    UdpConnectionOptions
}

macro_rules! datagram_limits {
    ($name:ident) => {
        impl $name {
            /// Other limits than the usual ones.
            #[must_use]
            pub fn limits(mut self, limits: UdpLimits) -> Self {
                self.terms.set_datagrams(limits);
                self
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    terms: Terms::over_datagrams(UdpLimits::default()),
                }
            }
        }
    };
}

datagram_limits!(UdpListenerOptions);
datagram_limits!(UdpConnectionOptions);

macro_rules! reconnect {
    ($name:ident, $transport:ident) => {
        impl $name {
            /// Opens the connection again when it breaks, or cannot be opened, until it is
            #[doc = concat!("[ended](crate::", stringify!($transport), "::disconnect). Messages that are sent meanwhile")]
            /// wait, as far as there is room, and then their senders do. What was under way when it broke is reported
            /// undelivered, and requests that waited for replies end with
            /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected).
            ///
            /// ```
            #[doc = concat!("use ringpost::transport::{", stringify!($name), ", Backoff};")]
            #[doc = concat!("let options = ", stringify!($name), "::new().reconnect(Backoff::default());")]
            /// ```
            #[must_use]
            pub fn reconnect(mut self, backoff: Backoff) -> Self {
                self.terms.reconnect = Some(backoff);
                self
            }
        }
    };
}

reconnect!(TcpConnectionOptions, TcpTransport);
reconnect!(UnixConnectionOptions, UnixTransport);

#[cfg(test)]
mod tests {
    use super::TcpListenerOptions;
    use crate::{Route, TCP};

    #[test]
    fn who_is_relayed_to_by_a_port_is_so_by_its_whole_address() {
        let options = TcpListenerOptions::new().relay_to("4000");
        let denied = |peer: &str| {
            let way = Route::new().append_t(TCP, peer).append("worker");
            options.terms.denied(&way).is_some()
        };
        assert!(!denied("4000") && !denied("127.0.0.1:4000"));
        assert!(denied("127.0.0.1:4001") && denied("10.0.0.1:4000"));
    }
}
