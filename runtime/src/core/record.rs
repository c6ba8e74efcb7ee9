//! What travels in the rings besides payloads.
//!
//! A ring's slot is one message cell of 32 bytes. On the data ring, payloads are preceded by a
//! [`Record::Head`] that says which link they are for and who sent them; a run of payloads with the
//! same head carries it once. On the control ring every slot is a [`Control`], but for the payload of
//! an answer, which follows its [`Control::Answer`].

use std::rc::Rc;

use ringpost_mailbox::pool::Chain;
use ringpost_router::{Address, CodecError, Handle, Message};

use crate::core::Core;
use crate::core::returning::Returning;
use crate::core::urgent::Hurrying;
use crate::error::Error;
use crate::transport::Unhandled;

/// A slot of the data ring that is not a payload.
pub(crate) enum Record {
    /// The payloads that follow are for this link, from this sender.
    Head {
        link: u32,
        from: Handle,
        reply: Handle,
    },
    /// As `Head`, for one payload that carries its routes with it.
    DetourHead { link: u32, from: Handle },
    /// From now on, heads may name this sender by its handle alone.
    Introduce(Box<Introduction>),
    /// From now on, this link leads there.
    Open(Box<Opening>),
    /// This link will not be used again until it is opened anew.
    Close { link: u32 },
    /// Work to be done after all that was sent before it has arrived.
    Job(Job),
}

/// The name behind a handle.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) handle: Handle,
    pub(crate) address: Address,
}

/// Where a link leads.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) link: u32,
    pub(crate) target: Target,
}

/// The far end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A place in the table: good for one worker's life.
    Place(Handle, Address),
    /// A name: good for whoever has it.
    Name(Address),
}

impl Target {
    pub(crate) fn address(&self) -> &Address {
        match self {
            Target::Place(_, address) | Target::Name(address) => address,
        }
    }

    /// The place, or `NONE` for a name.
    pub(crate) fn place(&self) -> Handle {
        match self {
            Target::Place(place, _) => *place,
            Target::Name(_) => Handle::NONE,
        }
    }
}

/// Work for the core that receives it. A job takes no time to speak of and never blocks.
pub(crate) type Job = Box<dyn FnOnce(&Rc<Core>) + Send>;

/// A slot of the control ring.
pub(crate) enum Control {
    /// So many credits of this link come back; `ended` if its far end is gone.
    Credit { link: u32, count: u32, ended: bool },
    /// The far end has forgotten this link; its number may be used again.
    LinkFree { link: u32 },
    /// The next slot answers this request.
    Answer { to: Handle },
    /// Whether the worker at the far end of this link refuses what it has no room for.
    Refuses { link: u32, refuses: bool },
    /// Buffers that go home.
    Chain(Chain),
    /// An answer that goes back the way the request came.
    Return(Box<Returning>),
    /// A message that passes those in the data ring.
    Urgent(Box<Hurrying>),
    /// A message of this lane was taken.
    UrgentTaken { lane: u32 },
    /// This request will not be answered.
    Fail { to: Handle, error: Error },
}

macro_rules! node_internal {
    ($($type:ty),*) => {$(
        impl Message for $type {
            fn encode(&self, _out: &mut Vec<u8>) -> Result<(), CodecError> {
                Err(CodecError::not_encodable("what cores tell each other"))
            }

            fn decode(_bytes: &[u8]) -> Result<Self, CodecError> {
                Err(CodecError::not_encodable("what cores tell each other"))
            }
        }
    )*};
}

node_internal!(Record, Control, Unhandled);

const _: () = assert!(size_of::<Record>() <= 24, "a record fits into a slot");
const _: () = assert!(
    size_of::<Control>() <= 24,
    "a control message fits into a slot"
);
