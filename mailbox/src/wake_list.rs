//! Tasks to be run again, named by any thread: a stack of wakes that never blocks, never fills, and
//! holds a task once.
//!
//! A waker may be called from anywhere, at any time, any number of times. Each task has one
//! [`WakeNode`], made with the task, so waking allocates nothing; while the node is in the list,
//! further wakes of it are absorbed.
//!
//! ```
//! use ringpost_mailbox::wake_list::{WakeList, WakeNode};
//!
//! let mut list = WakeList::new();
//! let handle = list.handle();
//! let node = WakeNode::new(7);
//! assert!(handle.push(&node));
//! assert!(!handle.push(&node)); // it is there already
//!
//! let mut woken = Vec::new();
//! list.drain(|key| woken.push(key));
//! assert_eq!(woken, [7]);
//! ```
//!
//! # Proof page
//!
//! A node is *queued* from the moment a push raises its flag until the drain lowers it. The list's
//! head points to the newest node, each node's `next` to the one pushed before it; the list owns
//! one reference count of each.
//!
//! 1. Only the push that raised `queued` from false links the node, and only while it is raised; so
//!    a node is in at most one place, and its `next` has one writer.
//! 2. A push writes `next`, then exchanges the head (Release). The drain takes the whole stack by
//!    one swap (Acquire), so it sees every `next` in it. Pushers never look behind the head, so a
//!    node that comes back at the same address misleads nobody.
//! 3. For each node the drain reads `next`, **then** lowers `queued`, **then** hands the key out. A
//!    wake after the lowering links the node again; a wake before it is absorbed, and its sender's
//!    writes are seen by whoever runs the task, because the flag is raised and lowered by swaps,
//!    each AcqRel: the lowering reads the last raise, which follows all earlier ones. Lowering
//!    after the key is out would lose a wake that came while the task ran.
//! 4. The same two swaps order the drain's read of `next` before the next push's write of it.
//! 5. Dropping the list swaps a mark into the head that is no node; a push that finds it gives its
//!    reference back. Nodes and handles may outlive the list.
//! 6. What a drain has taken and not handed out yet hangs on the list itself, so a panic of the
//!    closure loses nothing: the next drain goes on with it.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::sync::atomic::{AcqRel, Acquire, AtomicBool, AtomicPtr, Relaxed, Release};
use crate::sync::cell::UnsafeCell;
use crate::sync::{Arc, CachePadded};

/// What stands for one task in a [`WakeList`].
pub struct WakeNode {
    key: u64,
    queued: AtomicBool,
    next: UnsafeCell<*const WakeNode>,
}

// SAFETY: `next` is written by the push that raised `queued` and read by the drain before it lowers
// it, and the AcqRel swaps of the flag order the two (rules 1, 3, 4). It points to a node that the
// list holds a count of.
unsafe impl Send for WakeNode {}
// SAFETY: as above.
unsafe impl Sync for WakeNode {}

impl WakeNode {
    /// A node that hands `key` out when its wake is drained.
    #[allow(
        clippy::new_ret_no_self,
        reason = "a node is of use only where it can be shared"
    )]
    pub fn new(key: u64) -> Arc<Self> {
        Arc::new(Self {
            key,
            queued: AtomicBool::new(false),
            next: UnsafeCell::new(ptr::null()),
        })
    }

    /// The key given to [`new`](Self::new).
    pub fn key(&self) -> u64 {
        self.key
    }
}

impl fmt::Debug for WakeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeNode")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

struct Shared {
    /// The newest node, null if there is none, or `closed()`.
    head: CachePadded<AtomicPtr<WakeNode>>,
}

/// The mark in the head of a list that is gone: an address at which no node can be.
fn closed() -> *mut WakeNode {
    ptr::without_provenance_mut(1)
}

/// The way into a [`WakeList`]; any thread may hold one.
#[derive(Clone)]
pub struct WakeHandle {
    shared: Arc<Shared>,
}

impl WakeHandle {
    /// Puts `node` into the list, unless it is in one already. Says whether it did; then the core
    /// that drains the list may have to be notified (see [`wake`](crate::wake)). Does nothing once
    /// the list is gone.
    ///
    /// What this thread did before is seen by whoever is handed the node's key, also if the wake
    /// was absorbed.
    pub fn push(&self, node: &Arc<WakeNode>) -> bool {
        // AcqRel: pairs with the swap in `WakeList::hand_out`, both ways; rules 3 and 4.
        if node.queued.swap(true, AcqRel) {
            return false;
        }
        let node = Arc::into_raw(Arc::clone(node)).cast_mut();
        // Relaxed: the exchange below decides whether it was still true, and pushers do not look
        // behind it.
        let mut head = self.shared.head.load(Relaxed);
        while head != closed() {
            // SAFETY: the list's count that we just made keeps the node alive, and `queued` is ours
            // (rule 1).
            unsafe { (*node).next.with_mut(|next| *next = head) };
            // Release: pairs with the Acquire swap in `WakeList::take`, which then sees `next`.
            match self
                .shared
                .head
                .compare_exchange(head, node, Release, Relaxed)
            {
                Ok(_) => return true,
                Err(found) => head = found,
            }
        }
        // SAFETY: made by `into_raw` above, and nobody else has seen it.
        drop(unsafe { Arc::from_raw(node) });
        false
    }
}

impl fmt::Debug for WakeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeHandle").finish_non_exhaustive()
    }
}

/// The receiving end, on the core that runs the tasks. Dropping it drops the wakes in it, and all
/// that follow.
pub struct WakeList {
    shared: Arc<Shared>,
    /// What was taken and not handed out yet, oldest first.
    taken: *const WakeNode,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: `taken` is a chain of nodes whose counts this list owns and which no push touches (rule
// 1).
unsafe impl Send for WakeList {}

impl WakeList {
    /// An empty list.
    pub fn new() -> Self {
        let head = CachePadded::new(AtomicPtr::new(ptr::null_mut()));
        Self {
            shared: Arc::new(Shared { head }),
            taken: ptr::null(),
            not_sync: PhantomData,
        }
    }

    /// A way in.
    pub fn handle(&self) -> WakeHandle {
        WakeHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Whether nothing is to be drained.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: nothing is read on the strength of the answer.
        self.taken.is_null() && self.shared.head.load(Relaxed).is_null()
    }

    /// Hands out the keys of the nodes that were pushed before this call, oldest first, and says
    /// how many. A node pushed while its key is being handed out, by anyone, is handed out again by
    /// the next drain.
    ///
    /// # Panics
    ///
    /// If `hand` does; the keys behind that one come with the next drain.
    #[inline]
    pub fn drain(&mut self, mut hand: impl FnMut(u64)) -> usize {
        if self.is_empty() {
            return 0;
        }
        let left_over = self.hand_out(&mut hand);
        self.taken = reversed(self.take(ptr::null_mut()));
        left_over + self.hand_out(&mut hand)
    }

    fn take(&self, replacement: *mut WakeNode) -> *const WakeNode {
        // Acquire: pairs with the Release exchange in `WakeHandle::push`, so that every `next` is
        // seen.
        self.shared.head.swap(replacement, Acquire)
    }

    fn hand_out(&mut self, hand: &mut impl FnMut(u64)) -> usize {
        let mut count = 0;
        while !self.taken.is_null() {
            // SAFETY: a taken node carries the count that `push` made with `into_raw`, which passes
            // to us.
            let node = unsafe { Arc::from_raw(self.taken) };
            // SAFETY: the node is still queued, so no push writes `next`.
            self.taken = unsafe { node.next.with(|next| *next) };
            // AcqRel: pairs with the swap in `WakeHandle::push`, both ways; rules 3 and 4.
            node.queued.swap(false, AcqRel);
            count += 1;
            hand(node.key);
        }
        count
    }
}

/// The chain from `newest`, turned so that the oldest comes first.
fn reversed(newest: *const WakeNode) -> *const WakeNode {
    let (mut node, mut older_first) = (newest, ptr::null());
    while !node.is_null() {
        // SAFETY: the drain has taken the chain and holds its counts; its nodes are queued, so no
        // push touches `next`.
        let following = unsafe {
            (*node)
                .next
                .with_mut(|next| std::mem::replace(&mut *next, older_first))
        };
        older_first = node;
        node = following;
    }
    older_first
}

impl Default for WakeList {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for WakeList {
    fn drop(&mut self) {
        self.hand_out(&mut |_| ());
        self.taken = self.take(closed());
        self.hand_out(&mut |_| ());
    }
}

impl fmt::Debug for WakeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeList")
            .field("empty", &self.is_empty())
            .finish()
    }
}
