//! Workers that wait for each other in a circle.

use std::fmt;

use ringpost_router::Address;

/// Workers of which each waits for the next, and the last for the first. Nothing but a deadline of one of them
/// ends that, or their stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitCycle {
    /// Who waits for whom. It begins with the worker of the lowest address.
    pub waits: Vec<Wait>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Who waits.
    pub worker: Address,
    /// The core that it lives on.
    pub core: usize,
    /// For what.
    pub awaited: Awaited,
    /// Of whom: the worker that the next entry is about.
    pub of: Address,
}

/// What one worker can wait for at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Awaited {
    /// Room in its mailbox.
    Room,
    /// Room for an urgent message ([`Limits::urgent_credits`](crate::Limits::urgent_credits)).
    UrgentRoom,
    /// The reply to a request that it has not taken yet.
    Reply,
}

impl fmt::Display for WaitCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, wait) in self.waits.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{wait}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            worker,
            awaited,
            of,
            ..
        } = self;
        match awaited {
            Awaited::Room => write!(f, "{worker} waits for room at {of}"),
            Awaited::UrgentRoom => write!(f, "{worker} waits for urgent room at {of}"),
            Awaited::Reply => write!(f, "{worker} waits for a reply of {of}"),
        }
    }
}
