//! What can go wrong, said in full: what was asked, what happened, what to do.
//!
//! An [`Error`] is one pointer wide, so that `Result<()>` stays small on the message path. A failed
//! send keeps the message inside the error: [`Error::into_message`] gives it back.

mod text;
mod undelivered;

use std::fmt;
use std::time::Duration;

use ringpost_mailbox::sync::Mutex;
use ringpost_router::{Address, Body, CodecError, Message, Route};

pub use self::undelivered::{DeadLetter, Reason, Undelivered};

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
