//! What nodes ask of the system, counted, so that a test can have each of these calls fail in turn.

use std::fmt;
use std::io;
use std::time::Duration;

/// What a node asks of the system. Open: later versions ask more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SystemCall {
    /// Sleep until something happens.
    Poll,
    /// Wake a core that sleeps.
    Wake,
    /// Listen at an address.
    Listen,
    /// Open a socket for datagrams.
    Bind,
    /// Begin to connect.
    Connect,
    /// Ask whether a connection stands.
    Connected,
    /// Accept a connection.
    Accept,
    /// Have the readiness of an accepted connection reported.
    Register,
    /// Read from a connection.
    Read,
    /// Write to a connection.
    Write,
    /// End a direction of a connection.
    Shutdown,
    /// Set an option of a connection.
    SetOption,
    /// Send a datagram.
    SendTo,
    /// Receive a datagram.
    RecvFrom,
}

/// What befalls a call: see [`Sim::fail_call`](super::Sim::fail_call). Open: later versions add kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallFault {
    /// It fails with this error number of the system. A socket that says it would block is ready soon after. A core
    /// that cannot be woken wakes when its sleep is over.
    Errno(i32),
    /// It moves one byte, if it moves any.
    OneByte,
    /// The core that makes it does not run for so long afterwards.
    Stall(Duration),
    /// The clock of its node jumps ahead afterwards.
    Jump(Duration),
}

/// The calls of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    count: u64,
    /// All of them, if they are asked for.
    listed: Option<Vec<SystemCall>>,
    /// The call that something befalls, counted from 0.
    planned: Option<(u64, CallFault)>,
    /// What is to be done when the turn of its core is over.
    after: Option<CallFault>,
}

impl Calls {
    pub(crate) fn new(is_listed: bool, planned: Option<(u64, CallFault)>) -> Self {
        Self {
            listed: is_listed.then(Vec::new),
            planned,
            ..Self::default()
        }
    }

    /// Counts a call. What befalls it at once, if anything does.
    pub(crate) fn note(&mut self, call: SystemCall) -> Option<CallFault> {
        let number = self.count;
        self.count += 1;
        if let Some(listed) = &mut self.listed {
            listed.push(call);
        }
        let (_, fault) = self.planned.filter(|(at, _)| *at == number)?;
        match fault {
            CallFault::Errno(_) | CallFault::OneByte => Some(fault),
            CallFault::Stall(_) | CallFault::Jump(_) => {
                self.after = Some(fault);
                None
            }
        }
    }

    /// What befalls the core that has had a turn, or its node.
    pub(crate) fn take_after(&mut self) -> Option<CallFault> {
        self.after.take()
    }

    pub(crate) fn listed(&self) -> Vec<SystemCall> {
        self.listed.clone().unwrap_or_default()
    }
}

impl CallFault {
    /// The error of a call that fails.
    pub(crate) fn error(self) -> Option<io::Error> {
        match self {
            Self::Errno(number) => Some(io::Error::from_raw_os_error(number)),
            _ => None,
        }
    }
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
