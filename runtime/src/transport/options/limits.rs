//! How much a connection, or a peer that sends datagrams, may take.

use std::time::Duration;

use ringpost_router::wire;

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
