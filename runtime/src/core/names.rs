//! Names that were found on this core lately.

use std::cell::Cell;

use ringpost_router::{Address, Handle};

use crate::task::raw::MailboxRc;

/// How many names are remembered. A power of two.
const NAMES: usize = 256;

/// A direct-mapped memory of which handle a name had, in front of the core's table: most sends by
/// name are to a name that was used a moment ago, and comparing one address is much less work than
/// searching for it.
///
/// What is remembered may be stale, or of another name with the same place: whoever asks checks that
/// the handle is still good and that the mailbox has the name.
pub(crate) struct Names {
    handles: Box<[Cell<Handle>; NAMES]>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let handles = Box::new([const { Cell::new(Handle::NONE) }; NAMES]);
        Self { handles }
    }

    /// The handle of the name that was last found at this name's place.
    #[inline]
    pub(crate) fn recall(&self, address: &Address) -> Handle {
        self.place(address).get()
    }

    /// Remembers the name of this mailbox.
    #[inline]
    pub(crate) fn note(&self, mailbox: &MailboxRc) {
        self.place(&mailbox.address).set(mailbox.handle());
    }

    #[inline]
    fn place(&self, address: &Address) -> &Cell<Handle> {
        &self.handles[address.hash64() as usize % NAMES]
    }
}
