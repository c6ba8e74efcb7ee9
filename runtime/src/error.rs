//! What can go wrong, said in full: what was asked, what happened, what to do.
//!
//! An [`Error`] is one pointer wide, so that `Result<()>` stays small on the message path. A failed
//! send keeps the message inside the error: [`Error::into_message`] gives it back.

use std::fmt;
use std::time::Duration;

use ringpost_mailbox::sync::Mutex;
use ringpost_router::{Address, Any, Body, CodecError, Message, Route};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. Open: later versions add kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No worker lives at this address, or it has stopped.
    NotFound {
        /// The address that was asked for.
        address: Address,
    },
    /// Another worker holds this address; nothing was changed.
    AlreadyExists {
        /// The address that was asked for.
        address: Address,
    },
    /// The name is reserved or empty and cannot be given to a worker.
    InvalidAddress {
        /// The address that was asked for.
        address: Address,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The receiver has no credit left, or the ring to its core is full.
    Full {
        /// The receiver.
        address: Address,
    },
    /// A core has as many requests under way, or watches and news of them that nobody has taken, as it may have by this limit
    /// of [`Limits`](crate::Limits).
    LimitReached {
        /// The limit's name.
        limit: &'static str,
        /// The limit.
        most: u32,
    },
    /// The system has no memory for this.
    NoMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
    /// The receiver takes messages of another type.
    WrongType {
        /// The receiver; of an answer, who asked.
        address: Address,
        /// The type that the receiver takes.
        expected: &'static str,
        /// The type that was sent.
        found: &'static str,
    },
    /// Nothing came within the time allowed.
    Timeout {
        /// What was waited for.
        waiting_for: String,
        /// How long.
        after: Duration,
    },
    /// The worker panicked; the text is the panic's message.
    Panicked {
        /// The worker.
        address: Address,
        /// The panic's message.
        message: String,
    },
    /// No answer will come: the receiver ended before it took the message, or let go of it without an
    /// answer. A handler that has asked a request for its return route may answer later, so then this is
    /// said only if the handler fails, panics or is cancelled.
    Dropped {
        /// Who had it.
        address: Address,
    },
    /// What was asked for could only come from who asks, and it would wait for itself: a request to its own
    /// address, or a message to itself for which its mailbox has no room.
    WaitsForItself {
        /// Who would wait.
        address: Address,
    },
    /// A route has no hop to send to.
    EmptyRoute,
    /// A route has more addresses than are allowed: [`Route::HOPS_MAX`].
    RouteTooLong {
        /// How many it has.
        hops: usize,
    },
    /// A route goes on to an address type for which no transport is registered.
    NoTransport {
        /// The hop that needs the transport.
        address: Address,
    },
    /// A blocking call was made by code that runs on a core of the same node, which would wait for
    /// itself.
    WouldBlockCore {
        /// The call.
        call: &'static str,
    },
    /// The node has no core of this number.
    NoSuchCore {
        /// The core that was asked for.
        core: usize,
        /// How many cores the node has; they are numbered from 0.
        cores: usize,
    },
    /// The node is stopping or has stopped.
    Stopping,
    /// A value of the configuration cannot be used.
    Config {
        /// The setting and what is wrong with it.
        reason: String,
    },
    /// A payload could not be encoded or decoded.
    Codec(CodecError),
    /// The peer does not let messages from here reach that address.
    Refused {
        /// The address, as the peer names it.
        address: Address,
    },
    /// A connection could not be opened, or ended before the answer came.
    Disconnected {
        /// The connection.
        address: Address,
        /// What ended it.
        reason: String,
    },
    /// An error of the operating system.
    Io(String),
    /// An error of the application.
    Other(String),
}

struct Inner {
    kind: ErrorKind,
    /// A message that could not be sent. The lock only makes the error `Sync`; it is never contended.
    message: Mutex<Option<Body>>,
}

/// An error of ringpost. See [`ErrorKind`] for the causes.
///
/// ```
/// use ringpost::{Error, ErrorKind};
/// let error = Error::other("the disk is full");
/// assert_eq!(error.kind(), &ErrorKind::Other("the disk is full".into()));
/// ```
pub struct Error(Box<Inner>);

impl Error {
    /// An error of this kind.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            message: Mutex::new(None),
        }))
    }

    /// An error of the application, with the text of `cause`.
    #[must_use]
    pub fn other(cause: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Other(cause.to_string()))
    }

    /// An error of this kind that hands `message` back to the sender.
    #[cold]
    pub(crate) fn returning(kind: ErrorKind, message: Body) -> Self {
        Self(Box::new(Inner {
            kind,
            message: Mutex::new(Some(message)),
        }))
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The message that could not be sent, if this error carries one of type `M`.
    ///
    /// # Errors
    /// The error itself, unchanged, when it carries no message or one of another type.
    pub fn into_message<M: Message>(self) -> std::result::Result<M, Self> {
        let Some(body) = self.0.message.lock().take() else {
            return Err(self);
        };
        match M::from_body(body) {
            Ok(message) => Ok(message),
            Err(mismatch) => {
                *self.0.message.lock() = mismatch.into_body();
                Err(self)
            }
        }
    }

    /// The message that is handed back, of whatever type.
    pub(crate) fn into_body(self) -> Option<Body> {
        self.0.message.lock().take()
    }

    /// Whether a message is handed back.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.0.message.lock().is_some()
    }
}

/// The sentence of `Display`, as this is what a person sees when `main` returns an error or one is
/// unwrapped; `{:#?}` shows the kind with its fields.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.debug_tuple("Error").field(&self.0.kind).finish()
        } else {
            fmt::Display::fmt(self, f)
        }
    }
}

fn fmt_refused(f: &mut fmt::Formatter<'_>, address: &Address) -> fmt::Result {
    write!(
        f,
        "the peer does not let messages reach {address}: it has to be exposed to this connection"
    )
}

fn fmt_limit(f: &mut fmt::Formatter<'_>, limit: &str, most: u32) -> fmt::Result {
    let what = match limit {
        "watches_max" => "watches under way, or news of them that nobody has taken",
        "starts_max" => "starts and stops of workers under way",
        _ => "requests under way",
    };
    write!(
        f,
        "this core has {limit} = {most} {what}: wait until there are fewer, or raise the limit"
    )
}

fn fmt_memory(f: &mut fmt::Formatter<'_>, bytes: usize) -> fmt::Result {
    write!(
        f,
        "the system has no memory for {bytes} bytes more: try again when others have given some back, or give the process more"
    )
}

fn fmt_itself(f: &mut fmt::Formatter<'_>, address: &Address) -> fmt::Result {
    write!(
        f,
        "{address} would wait for itself: let its own code do what is asked, or send with try_send_message and go on"
    )
}

fn fmt_disconnected(f: &mut fmt::Formatter<'_>, address: &Address, reason: &str) -> fmt::Result {
    write!(
        f,
        "no connection by {address}: {reason}; what it had taken may have been handled or not"
    )
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::NotFound { address } => write!(
                f,
                "no worker at {address}: it was never started, or it has stopped; start it first or check the name"
            ),
            ErrorKind::AlreadyExists { address } => write!(
                f,
                "the address {address} is taken: stop its worker first or choose another name"
            ),
            ErrorKind::InvalidAddress { address, reason } => {
                write!(f, "the address {address} cannot be used: {reason}")
            }
            ErrorKind::Full { address } => write!(
                f,
                "{address} has no room for a message now: wait with send_message, or try again later"
            ),
            ErrorKind::LimitReached { limit, most } => fmt_limit(f, limit, *most),
            ErrorKind::NoMemory { bytes } => fmt_memory(f, *bytes),
            ErrorKind::WrongType {
                address,
                expected,
                found,
            } => write!(
                f,
                "{address} takes messages of type {expected}, but was sent {found}"
            ),
            ErrorKind::Timeout { waiting_for, after } => {
                write!(f, "waited {after:?} for {waiting_for}, and nothing came")
            }
            ErrorKind::Panicked { address, message } => {
                write!(f, "the worker at {address} panicked: {message}")
            }
            ErrorKind::Dropped { address } => {
                write!(f, "{address} ended, or left it, without an answer")
            }
            ErrorKind::WaitsForItself { address } => fmt_itself(f, address),
            ErrorKind::EmptyRoute => {
                f.write_str("the route has no address to send to: append at least one")
            }
            ErrorKind::RouteTooLong { hops } => write!(
                f,
                "the route has {hops} addresses and may have {}: shorten it, or look for workers that pass the message round in a circle",
                Route::HOPS_MAX
            ),
            ErrorKind::WouldBlockCore { call } => write!(
                f,
                "{call} was called on a core of the same node, which would wait for itself for ever; \
                 await the call of Context or NodeHandle that does not block, or make it from another thread"
            ),
            ErrorKind::NoTransport { address } => write!(
                f,
                "no transport for {address}: create the transport of type {} first",
                address.transport().0
            ),
            ErrorKind::NoSuchCore { core, cores } => write!(
                f,
                "there is no core {core}: the node has {cores}, numbered from 0; ask for one below {cores}"
            ),
            ErrorKind::Stopping => write!(f, "the node is stopping and takes no new work"),
            ErrorKind::Config { reason } => write!(f, "the node cannot start: {reason}"),
            ErrorKind::Codec(cause) => write!(f, "{cause}"),
            ErrorKind::Refused { address } => fmt_refused(f, address),
            ErrorKind::Disconnected { address, reason } => fmt_disconnected(f, address, reason),
            ErrorKind::Io(cause) => write!(f, "the operating system says: {cause}"),
            ErrorKind::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<CodecError> for Error {
    fn from(cause: CodecError) -> Self {
        Self::new(ErrorKind::Codec(cause))
    }
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io(cause.to_string()))
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

macro_rules! from_text {
    ($($cause:ty),* $(,)?) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::other(cause)
            }
        }
    )*};
}

from_text!(
    fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::num::TryFromIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::net::AddrParseError,
    ringpost_router::AddressError,
    ringpost_router::RouteError,
    &str,
    String,
);

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

/// The kind that stands for a missing worker at the first hop of `route`.
pub(crate) fn not_found(route: &Route) -> ErrorKind {
    match route.first() {
        Some(hop) => ErrorKind::NotFound {
            address: hop.address.clone(),
        },
        None => ErrorKind::EmptyRoute,
    }
}

/// Whether a message can be sent along this route, as far as its length goes.
pub(crate) fn check_route(route: &Route) -> std::result::Result<(), ErrorKind> {
    match route.len() {
        0 => Err(ErrorKind::EmptyRoute),
        1..=Route::HOPS_MAX => Ok(()),
        hops => Err(ErrorKind::RouteTooLong { hops }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_main_is_printed_as_one_sentence() {
        let error = Error::new(ErrorKind::EmptyRoute);
        assert_eq!(format!("{error:?}"), error.to_string());
        assert_eq!(format!("{error:#?}"), "Error(\n    EmptyRoute,\n)");
    }
}
