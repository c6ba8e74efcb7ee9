//! What is not begun when the system has no memory for it.
//!
//! The pool of a core keeps a few spare blocks, for what is under way: see [`SPARES`](super::SPARES). When one of them had to
//! be used, each message that would take a block is refused where it is sent, and comes back; what lies in its cell goes
//! on as ever, and pays nothing.

use ringpost_router::{Body, Message};

use crate::core::Core;
use crate::envelope::Routes;
use crate::error::{Error, ErrorKind, Result};

impl Core {
    /// Whether messages of this type take a block, and there is no memory for more.
    #[inline(always)]
    pub(crate) fn lacks_memory_for<M: Message>(&self) -> bool {
        M::TAKES_MEMORY && self.pool.is_short()
    }

    /// The message as it travels, if there is memory for it.
    #[inline(always)]
    pub(crate) fn body_of<M: Message>(&self, message: M) -> Result<Body> {
        match self.lacks_memory_for::<M>() {
            true => Err(self.no_memory(message)),
            false => Ok(message.into_body()),
        }
    }

    /// A message is handed back for want of memory. It takes one of the blocks that are left.
    #[cold]
    #[inline(never)]
    pub(crate) fn no_memory<M: Message>(&self, message: M) -> Error {
        self.refuse_memory(size_of::<M>(), message.into_body())
    }

    /// As [`no_memory`](Self::no_memory), where it is the routes of the message that need it.
    #[cold]
    #[inline(never)]
    pub(crate) fn no_memory_for_routes(&self, body: Body) -> Error {
        self.refuse_memory(size_of::<Routes>(), body)
    }

    fn refuse_memory(&self, bytes: usize, body: Body) -> Error {
        self.tally().memory_refused.add(1);
        Error::returning(ErrorKind::NoMemory { bytes }, body)
    }
}
