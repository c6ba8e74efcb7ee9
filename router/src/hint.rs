//! Places in a core's table, and what senders remember of them.

use core::fmt;

/// A place in one core's [`Slab`](crate::Slab) or [`Table`](crate::Table), and which of its
/// successive users is meant.
///
/// A handle that outlives its value is stale: it resolves to nothing, also after the place has been
/// used again. `Handle::default()` never resolves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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

    /// Both in one word, which is compared in one step.
    #[inline]
    #[must_use]
    pub const fn word(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }
}

/// Which of a core's tables a [`Hint`] points into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HandleKind {
    /// A worker, or a detached context, that has an address.
    Worker,
    /// A place that waits for one reply.
    Reply,
}

/// One core of one node, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeCore(u64);

/// Where the number of the node begins; the core is in the lowest 16 bits.
const NODE: u32 = 32;

impl NodeCore {
    /// That core of the node with this number.
    #[inline]
    pub const fn new(node: u32, core: u16) -> Self {
        Self((node as u64) << NODE | core as u64)
    }

    /// The number of the node.
    #[inline]
    pub const fn node(self) -> u32 {
        (self.0 >> NODE) as u32
    }

    /// The core, from 0.
    #[inline]
    pub const fn index(self) -> u16 {
        self.0 as u16
    }
}

/// The workers of one core, in the word that stands for them in a [`Hop`](crate::Hop).
#[derive(Clone, Copy, Debug)]
pub struct WorkersOf(u64);

impl WorkersOf {
    /// Those that no hop is known to lead to.
    pub const NOBODY: Self = Self(u64::MAX);
}

impl From<NodeCore> for WorkersOf {
    fn from(core: NodeCore) -> Self {
        Self(WORKER | core.0)
    }
}

impl fmt::Debug for NodeCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {} of node {}", self.index(), self.node())
    }
}

/// Where an address was last seen: a core and a place in its table.
///
/// Senders keep it beside the address and send it along; the core it names checks it. A stale hint to a
/// worker leads nowhere. A hint is worth something only to the node that made it: another node, also of
/// the same process, asks with [`Hop::hint_of`](crate::Hop::hint_of) and looks the address up instead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hint {
    /// The core, and the node that made the hint.
    pub core: NodeCore,
    /// The table.
    pub kind: HandleKind,
    /// The place in the table.
    pub handle: Handle,
}

/// An `Option<Hint>` in two words that are copied as such. The enum would be copied field by field, and
/// what is read back in larger pieces than it was written stalls the processor; this lies in every
/// route of every message, and beside the name of every worker.
///
/// ```
/// use ringpost_router::{Handle, NodeCore, Route, Seen};
///
/// let core = NodeCore::new(7, 1);
/// let nowhere = Seen::worker(core, Handle::NONE);
/// assert_eq!((nowhere.node_core(), nowhere.handle()), (core, Handle::NONE));
/// assert!(Route::to_seen(&"echoer".into(), nowhere).first().unwrap().is_unseen());
///
/// let handle = Handle { index: 3, generation: 1 };
/// let route = Route::to_seen(&"echoer".into(), Seen::worker(core, handle));
/// assert_eq!(route.first().unwrap().worker_on(core), Some(handle));
/// ```
#[derive(Clone, Copy, Default)]
pub struct Seen {
    handle: Handle,
    /// The core and its node, as in [`NodeCore`], with one of the kinds between them; with none if nothing was seen.
    place: u64,
}

const WORKER: u64 = 1 << 16;
const REPLY: u64 = 2 << 16;
const KINDS: u64 = WORKER | REPLY;

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hint().fmt(f)
    }
}

impl Seen {
    /// A worker of this core at this place; nothing was seen if that is [`Handle::NONE`].
    #[inline]
    #[must_use]
    pub fn worker(core: NodeCore, handle: Handle) -> Self {
        let kind = if handle == Handle::NONE { 0 } else { WORKER };
        Self {
            handle,
            place: kind | core.0,
        }
    }

    /// The place in the table; [`Handle::NONE`] if there is none.
    #[inline]
    #[must_use]
    pub fn handle(self) -> Handle {
        self.handle
    }

    /// The core, and its node.
    #[inline]
    #[must_use]
    pub fn node_core(self) -> NodeCore {
        NodeCore(self.place & !KINDS)
    }

    #[inline]
    pub(crate) fn new(hint: Hint) -> Self {
        let kind = match hint.kind {
            HandleKind::Worker => WORKER,
            HandleKind::Reply => REPLY,
        };
        Self {
            handle: hint.handle,
            place: kind | hint.core.0,
        }
    }

    #[inline]
    pub(crate) fn hint(self) -> Option<Hint> {
        self.hint_of((self.place >> NODE) as u32)
    }

    /// The hint, if this node made it.
    #[inline]
    pub(crate) fn hint_of(self, node: u32) -> Option<Hint> {
        // Of another node's, more than the kind is left.
        let kind = match (self.place ^ u64::from(node) << NODE) & !0xffff {
            WORKER => HandleKind::Worker,
            REPLY => HandleKind::Reply,
            _ => return None,
        };
        Some(Hint {
            core: NodeCore::new(node, self.place as u16),
            kind,
            handle: self.handle,
        })
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.place & KINDS == 0
    }

    #[inline]
    pub(crate) fn core(self) -> u16 {
        self.place as u16
    }

    #[inline]
    pub(crate) fn worker_on(self, core: NodeCore) -> Option<Handle> {
        (self.place == WORKER | core.0).then_some(self.handle)
    }

    #[inline]
    pub(crate) fn worker_of(self, workers: WorkersOf) -> Option<Handle> {
        (self.place == workers.0).then_some(self.handle)
    }

    #[inline]
    pub(crate) fn reply_on(self, core: NodeCore) -> Option<Handle> {
        (self.place == REPLY | core.0).then_some(self.handle)
    }
}

const _: () = assert!(size_of::<Handle>() == 8 && size_of::<Seen>() == 16);
