//! Each kind of error as a sentence.

use std::fmt;

use ringpost_router::{Address, Route};

use super::{Error, ErrorKind};

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
