//! Places in a core's table, and what senders remember of them.

/// A place in one core's [`Slab`](crate::Slab) or [`Table`](crate::Table), and which of its
/// successive users is meant.
///
/// A handle that outlives its value is stale: it resolves to nothing, also after the place has been
/// used again. `Handle::default()` never resolves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Handle {
    /// The place.
    pub index: u32,
    /// Which use of the place; counts from 1.
    pub generation: u32,
}

impl Handle {
    /// The handle that never resolves.
    pub const NONE: Self = Self {
        index: 0,
        generation: 0,
    };
}

/// Which of a core's tables a [`Hint`] points into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HandleKind {
    /// A worker, or a detached context, that has an address.
    Worker,
    /// A place that waits for one reply.
    Reply,
}

/// Where an address was last seen: a core and a place in its table.
///
/// Senders keep it beside the address and send it along; the core it names checks it and, when it is
/// stale, looks the address up instead. A wrong hint therefore costs a look-up and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hint {
    /// The core.
    pub core: u16,
    /// The table.
    pub kind: HandleKind,
    /// The place in the table.
    pub handle: Handle,
}

/// An `Option<Hint>` in two words that are copied as such. The enum would be copied field by field, and
/// what is read back in larger pieces than it was written stalls the processor; this lies in every
/// route of every message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kept {
    handle: Handle,
    /// The core below, one of the kinds above it.
    place: u64,
}

const WORKER: u64 = 1 << 16;
const REPLY: u64 = 2 << 16;

impl Kept {
    #[inline]
    pub(crate) fn new(hint: Hint) -> Self {
        let kind = match hint.kind {
            HandleKind::Worker => WORKER,
            HandleKind::Reply => REPLY,
        };
        Self {
            handle: hint.handle,
            place: kind | u64::from(hint.core),
        }
    }

    #[inline]
    pub(crate) fn hint(self) -> Option<Hint> {
        let kind = match self.place & !0xffff {
            WORKER => HandleKind::Worker,
            REPLY => HandleKind::Reply,
            _ => return None,
        };
        Some(Hint {
            core: self.place as u16,
            kind,
            handle: self.handle,
        })
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.place == 0
    }

    #[inline]
    pub(crate) fn worker_on(self, core: u16) -> Option<Handle> {
        (self.place == WORKER | u64::from(core)).then_some(self.handle)
    }
}

const _: () = assert!(size_of::<Handle>() == 8 && size_of::<Option<Hint>>() == 12);
