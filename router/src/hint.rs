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

const _: () = assert!(size_of::<Handle>() == 8 && size_of::<Option<Hint>>() == 12);
