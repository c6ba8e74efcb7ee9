//! Who may be reached over a connection, and how much it may take.

mod limits;
mod terms;

use std::sync::Arc;

use ringpost_router::Address;

use crate::transport::Backoff;
use crate::transport::tcp::normal;

pub use self::limits::{TcpLimits, UdpLimits};
pub(crate) use self::terms::Terms;

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
