//! Messages that nobody handled, and why.

use std::fmt;

use ringpost_router::{Address, Any};

/// Why a message was not handled. Open: later versions add reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// No worker at the address.
    NotFound,
    /// The worker takes another type.
    WrongType,
    /// The payload could not be decoded.
    Undecodable,
    /// The worker was stopped before it took the message.
    Stopped,
    /// The worker panicked before it took the message.
    Panicked,
    /// The reply came after its requester had given up.
    LateReply,
    /// The node stopped before the message was taken.
    NodeStopped,
    /// No transport for the next hop of the route.
    NoTransport,
    /// It came from a peer, or went to one, that may not send to its address.
    Refused,
    /// Its connection ended.
    Disconnected,
    /// It has no encoding, or one that is too long for the wire.
    Unencodable,
    /// Its receiver had no room, and does not let senders wait: see [`Overflow`](crate::Overflow).
    Overflow,
    /// A worker panicked while it handled it, or a supervised one was stopped in that. Of others that are stopped such a
    /// message counts as handled.
    InHand,
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = 13;

    /// Every reason, in the order of the counters.
    pub const ALL: [Reason; Self::COUNT] = [
        Reason::NotFound,
        Reason::WrongType,
        Reason::Undecodable,
        Reason::Stopped,
        Reason::Panicked,
        Reason::LateReply,
        Reason::NodeStopped,
        Reason::NoTransport,
        Reason::Refused,
        Reason::Disconnected,
        Reason::Unencodable,
        Reason::Overflow,
        Reason::InHand,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotFound => "there is no worker; it was never started, or it has stopped",
            Reason::WrongType => "the worker takes another type",
            Reason::Undecodable => "the payload could not be decoded",
            Reason::Stopped => "the worker was stopped first",
            Reason::Panicked => "the worker panicked first",
            Reason::LateReply => "the reply came after its requester had given up",
            Reason::NodeStopped => "the node stopped first",
            Reason::NoTransport => "there is no transport for the next hop",
            Reason::Refused => "the peer may not send there",
            Reason::Disconnected => "the connection has ended",
            Reason::InHand => "its worker panicked in handling it, or was stopped in that",
            Reason::Unencodable => "it has no encoding, or one that is too long",
            Reason::Overflow => "the mailbox was full",
        })
    }
}

/// A message that was accepted and could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undelivered {
    /// Where it was going.
    pub to: Address,
    /// Who sent it. It is `~outside` for threads outside the node, and where nobody has noted it: for a message in whose
    /// handling a worker without supervision panicked.
    pub from: Address,
    /// The type of the payload; what the worker takes, where the message was in hand.
    pub type_name: &'static str,
    /// The type that the worker takes, where the payload is of another.
    pub expected: Option<&'static str>,
    /// Why it was not handled.
    pub reason: Reason,
}

/// A message that was not delivered, as the worker for [dead letters](crate::NodeBuilder::dead_letters) gets it.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it was going, from whom, and why it did not get there.
    pub undelivered: Undelivered,
    /// The message, where there is more left of it than that.
    pub message: Option<Any>,
}

ringpost_router::local_message!(DeadLetter);

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            to,
            from,
            type_name,
            expected,
            reason,
        } = self;
        write!(f, "a {type_name} from {from} to {to}: {reason}")?;
        expected.map_or(Ok(()), |expected| write!(f, ", which is {expected}"))
    }
}
