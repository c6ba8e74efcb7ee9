//! The tasks of a core: suspended handlers and spawned futures, and how they are woken.
//!
//! A task slot owns a waker that lives as long as the slot and is used by one task after another. A
//! handler is polled with the waker of the *spare* slot; only a handler that suspends keeps the slot,
//! and another spare is found. So a message that is handled at once costs no waker, and a wake that
//! comes late, for a task that has ended, finds another task or none: a spurious poll, which every
//! future must bear.
//!
//! A future of this crate that waits on its own core stores [`Wake::Task`] and is woken by a push on
//! the ready queue. Any other waker is a [`TaskWaker`], which works from every thread: it puts its
//! node on the core's wake list (lock-free, never full, at most once) and rings the core.

pub(crate) mod panics;
pub(crate) mod raw;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Polling, Wake as StdWake, Waker};

use ringpost_mailbox::queue::LocalQueue;
use ringpost_mailbox::wake_list::WakeNode;
use slab::Slab;

use crate::node::shared::CoreShared;
use crate::task::raw::MailboxRc;

/// A future without a worker.
pub(crate) type Spawned = Pin<Box<dyn Future<Output = ()>>>;

/// Whom to wake.
#[derive(Debug, Clone)]
pub(crate) enum Wake {
    /// Nobody yet.
    Nobody,
    /// A task of this core.
    Task(u32),
    /// Whoever this waker wakes: the task polls through a combinator with wakers of its own.
    Foreign(Waker),
}

/// The waker of a task slot.
struct TaskWaker {
    node: Arc<WakeNode>,
    core: Arc<CoreShared>,
}

impl StdWake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.core.wakes.push(&self.node);
        self.core.ring_bell();
    }
}

/// What a slot holds.
pub(crate) enum What {
    /// Nothing: free, or the spare.
    Free,
    /// The suspended handler of this mailbox.
    Handler(MailboxRc),
    /// A spawned future.
    Future(Spawned),
    /// A spawned future that is being polled.
    Polling,
}

struct TaskSlot {
    what: What,
    queued: Cell<bool>,
    waker: Rc<Waker>,
}

/// The tasks of one core.
pub(crate) struct Tasks {
    slots: RefCell<Slab<TaskSlot>>,
    free: RefCell<Vec<u32>>,
    ready: LocalQueue<u32>,
    spare: RefCell<(u32, Rc<Waker>)>,
    current: Cell<u32>,
    /// The waker of the current task, to be compared with others, and for nothing else.
    current_waker: Cell<*const Waker>,
    shared: Arc<CoreShared>,
}

impl Tasks {
    pub(crate) fn new(shared: Arc<CoreShared>) -> Self {
        let mut slots = Slab::new();
        let spare = new_slot(&mut slots, &shared);
        Self {
            slots: RefCell::new(slots),
            free: RefCell::new(Vec::new()),
            ready: LocalQueue::new(),
            spare: RefCell::new(spare),
            current: Cell::new(u32::MAX),
            current_waker: Cell::new(ptr::null()),
            shared,
        }
    }

    /// The spare slot, to poll handlers with until one of them suspends. Futures that ask who is being
    /// polled are told this slot, until it is dropped.
    #[inline]
    pub(crate) fn spare(&self) -> Spare<'_> {
        // As in `make_ready`.
        let (key, waker) = self.spare.borrow_mut().clone();
        let waker_before = self.current_waker.replace(&raw const *waker);
        let before = (self.current.replace(key), waker_before);
        Spare {
            tasks: self,
            waker,
            before,
        }
    }

    /// As [`spare`](Self::spare), within a step of somebody else. Who is polled with the spare slot there may have told others
    /// of it, and suspend later: so this is another, until it is dropped.
    pub(crate) fn spare_within(&self) -> SpareWithin<'_> {
        let is_used = self.current.get() == self.spare.borrow().0;
        let outer = is_used.then(|| self.spare.replace(self.fresh()));
        let spare = self.spare();
        SpareWithin { spare, outer }
    }

    /// Gives the spare slot to a handler that has just suspended, and finds another spare.
    pub(crate) fn bind_spare(&self, mailbox: MailboxRc, spare: &mut Spare<'_>) -> u32 {
        let next = self.fresh();
        spare.waker = Rc::clone(&next.1);
        self.current.set(next.0);
        self.current_waker.set(&raw const *next.1);
        let (key, _) = self.spare.replace(next);
        self.set(key, What::Handler(mailbox));
        key
    }

    /// Adds a future, which is polled in this turn or the next.
    pub(crate) fn spawn(&self, future: Spawned) -> u32 {
        let (key, _) = self.fresh();
        self.set(key, What::Future(future));
        self.make_ready(key);
        key
    }

    /// Whether the future with this key has not ended.
    pub(crate) fn is_live(&self, key: u32) -> bool {
        let slots = self.slots.borrow();
        slots
            .get(key as usize)
            .is_some_and(|slot| !matches!(slot.what, What::Free))
    }

    /// Frees the slot of a task that has ended.
    pub(crate) fn release(&self, key: u32) {
        self.set(key, What::Free);
        self.free.borrow_mut().push(key);
    }

    /// Puts the task in the ready queue, once.
    #[inline]
    pub(crate) fn make_ready(&self, key: u32) {
        // Borrowed as if to write to them, which takes fewer steps than sharing does.
        if let Some(slot) = self.slots.borrow_mut().get(key as usize)
            && !slot.queued.replace(true)
        {
            self.ready.push(key);
        }
    }

    /// As [`make_ready`](Self::make_ready), before the tasks that are ready; one that is among those keeps its place.
    fn make_ready_first(&self, key: u32) {
        if let Some(slot) = self.slots.borrow().get(key as usize)
            && !slot.queued.replace(true)
        {
            self.ready.push_front(key);
        }
    }

    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Wakes whoever waits there.
    #[inline]
    pub(crate) fn wake(&self, wake: &Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::Task(key) => self.make_ready(*key),
            Wake::Foreign(waker) => wake_foreign(waker),
        }
    }

    /// Wakes whoever waits there, before others that are ready.
    pub(crate) fn wake_first(&self, wake: &Wake) {
        match wake {
            Wake::Task(key) => self.make_ready_first(*key),
            other => self.wake(other),
        }
    }

    /// How to wake the task that is being polled with `polling`.
    #[inline]
    pub(crate) fn register(&self, polling: &Polling<'_>) -> Wake {
        self.own(polling)
            .unwrap_or_else(|| Wake::Foreign(polling.waker().clone()))
    }

    /// The task that is being polled, if that is with the very waker that it was handed.
    #[inline]
    pub(crate) fn own_at_once(&self, polling: &Polling<'_>) -> Option<u32> {
        ptr::eq(polling.waker(), self.current_waker.get()).then(|| self.current.get())
    }

    /// How to wake the task that is being polled, if `polling` is with its own waker. Runs no user code.
    #[inline]
    pub(crate) fn own(&self, polling: &Polling<'_>) -> Option<Wake> {
        if let Some(key) = self.own_at_once(polling) {
            return Some(Wake::Task(key));
        }
        let current = self.current.get();
        let slots = self.slots.borrow();
        let slot = slots.get(current as usize)?;
        let is_own = slot.waker.will_wake(polling.waker());
        is_own.then_some(Wake::Task(current))
    }

    /// Takes the next ready task, marking it as no longer queued before it is polled.
    pub(crate) fn next_ready(&self) -> Option<Ready> {
        self.take(self.ready.pop()?)
    }

    /// Takes a task to be polled, ready or not.
    pub(crate) fn take(&self, key: u32) -> Option<Ready> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key as usize)?;
        slot.queued.set(false);
        let waker = Rc::clone(&slot.waker);
        let ready = match &mut slot.what {
            What::Handler(mailbox) => ReadyTask::Handler(mailbox.clone()),
            What::Future(_) => match std::mem::replace(&mut slot.what, What::Polling) {
                What::Future(future) => ReadyTask::Future(future),
                _ => ReadyTask::Nothing,
            },
            What::Free | What::Polling => ReadyTask::Nothing,
        };
        Some(Ready {
            key,
            waker,
            task: ready,
        })
    }

    /// Polls a task with its own waker.
    pub(crate) fn with_task<R>(
        &self,
        key: u32,
        waker: &Waker,
        poll: impl FnOnce(&mut Polling<'_>) -> R,
    ) -> R {
        let before = self.current.replace(key);
        let waker_before = self.current_waker.replace(waker);
        let result = poll(&mut Polling::from_waker(waker));
        self.current.set(before);
        self.current_waker.set(waker_before);
        result
    }

    /// Puts a future back that has not ended.
    #[inline]
    pub(crate) fn put_back(&self, key: u32, future: Spawned) {
        match self.slots.borrow_mut().get_mut(key as usize) {
            Some(slot) if matches!(slot.what, What::Polling) => slot.what = What::Future(future),
            _ => debug_assert!(false, "a future that is polled keeps its slot"),
        }
    }

    /// Takes every spawned future, to be dropped by the caller.
    pub(crate) fn take_futures(&self) -> Vec<Spawned> {
        let mut futures = Vec::new();
        for (_, slot) in self.slots.borrow_mut().iter_mut() {
            if let What::Future(future) = std::mem::replace(&mut slot.what, What::Free) {
                futures.push(future);
            }
        }
        futures
    }

    fn set(&self, key: u32, what: What) {
        let old = match self.slots.borrow_mut().get_mut(key as usize) {
            Some(slot) => std::mem::replace(&mut slot.what, what),
            None => what,
        };
        // Dropped outside the borrow: what a slot held may run user code when dropped.
        drop(old);
    }

    fn fresh(&self) -> (u32, Rc<Waker>) {
        let free = self.free.borrow_mut().pop();
        let mut slots = self.slots.borrow_mut();
        match free.and_then(|key| slots.get(key as usize).map(|slot| (key, &slot.waker))) {
            Some((key, waker)) => (key, Rc::clone(waker)),
            None => new_slot(&mut slots, &self.shared),
        }
    }
}

/// The spare slot in use; made by [`Tasks::spare`].
pub(crate) struct Spare<'a> {
    tasks: &'a Tasks,
    waker: Rc<Waker>,
    before: (u32, *const Waker),
}

/// Another spare slot; made by [`Tasks::spare_within`].
pub(crate) struct SpareWithin<'a> {
    pub(crate) spare: Spare<'a>,
    /// The one that is in use further out.
    outer: Option<(u32, Rc<Waker>)>,
}

impl Spare<'_> {
    /// To be polled with until a handler suspends.
    #[inline]
    pub(crate) fn polling(&self) -> Polling<'_> {
        Polling::from_waker(&self.waker)
    }
}

impl Drop for Spare<'_> {
    #[inline]
    fn drop(&mut self) {
        self.tasks.current.set(self.before.0);
        self.tasks.current_waker.set(self.before.1);
    }
}

impl Drop for SpareWithin<'_> {
    fn drop(&mut self) {
        if let Some(outer) = self.outer.take() {
            let tasks = self.spare.tasks;
            let (unused, _) = tasks.spare.replace(outer);
            tasks.free.borrow_mut().push(unused);
        }
    }
}

/// A task whose turn it is.
pub(crate) struct Ready {
    pub(crate) key: u32,
    pub(crate) waker: Rc<Waker>,
    pub(crate) task: ReadyTask,
}

/// The task itself.
pub(crate) enum ReadyTask {
    Handler(MailboxRc),
    Future(Spawned),
    /// The wake came late; there is nothing to poll.
    Nothing,
}

#[cold]
fn wake_foreign(waker: &Waker) {
    panics::guarded("a waker panicked", None, || waker.wake_by_ref());
}

fn new_slot(slots: &mut Slab<TaskSlot>, shared: &Arc<CoreShared>) -> (u32, Rc<Waker>) {
    let entry = slots.vacant_entry();
    let key = u32::try_from(entry.key()).expect("a core has fewer than 2^32 tasks");
    let node = WakeNode::new(u64::from(key));
    let waker = Rc::new(Waker::from(Arc::new(TaskWaker {
        node,
        core: Arc::clone(shared),
    })));
    entry.insert(TaskSlot {
        what: What::Free,
        queued: Cell::new(false),
        waker: Rc::clone(&waker),
    });
    (key, waker)
}
