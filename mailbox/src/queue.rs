//! A growing first-in-first-out queue of one thread, usable through a shared reference.
//!
//! The queue of a core is pushed to and popped from by code that holds no exclusive borrow of the core,
//! for each message twice. A `RefCell<VecDeque<T>>` does that too, but pays for a borrow flag, for a
//! capacity that is no power of two, and, because the popped value is wrapped while the flag is still
//! held, for a second copy of it.
//!
//! # Why it is sound
//!
//! 1. One thread: the queue is neither `Send` nor `Sync`.
//! 2. No reference to a slot ever leaves a method, and no method runs code of the caller's while it
//!    holds one (dropping leftovers excepted, which has the queue to itself). So methods never overlap.
//! 3. Positions count up for ever and are masked on use; those from `head` up to `tail`, at most
//!    `capacity` of them, hold values, all other slots hold none.
//! 4. `limit` lies between `tail` and `head + capacity`. Slots change only where it is `tail`, or all are full.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Slots of a queue when it first holds something.
const CAPACITY_FIRST: usize = 64;

/// The fewest slots that it goes back to: of messages of a line they are in the first cache, most of the time.
const CAPACITY_LEAST: usize = 512;

/// Values that are pushed between two looks at a queue, at the most.
const LOOK: usize = 128;

/// A queue is sparse while it fills no more than one of so many parts of its slots.
const PARTS: usize = 4;

/// Rounds of all its slots for which a queue is sparse before it has half of them. So many that one with bursts from time to time keeps
/// what it has: to grow again it takes fresh memory.
const SPARSE_ROUNDS: usize = 8;

/// A first-in-first-out queue for one thread that grows as needed, and goes back to fewer slots when it has long held few values.
///
/// A queue goes round through all of its slots however few values it holds, so one that has once held many would use memory that is
/// in no cache for ever. It is looked at from time to time as values are pushed, and if it has been no more than a quarter full
/// for eight rounds it has half the slots. Who pushes nothing more keeps them all.
///
/// Whoever fills it bounds it: there is no limit here but memory. Where that is used up the process is
/// aborted, as by any other allocation that fails; so pushing never unwinds, and what is pushed is
/// moved straight into its slot.
///
/// ```
/// use ringpost_mailbox::queue::LocalQueue;
///
/// let queue = LocalQueue::new();
/// queue.push("one");
/// queue.push("two");
/// queue.push_front("zero");
/// assert_eq!(queue.len(), 3);
/// assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some("zero"), Some("one"), Some("two")]);
/// assert_eq!(queue.pop(), None);
/// ```
pub struct LocalQueue<T> {
    slots: Cell<NonNull<T>>,
    /// The tail up to which there was room when somebody last looked, or at which to look again; there may be more room by
    /// now, never less.
    limit: Cell<usize>,
    /// What makes an index of a position: the capacity less one, which wraps where that is none.
    mask: Cell<usize>,
    head: Cell<usize>,
    tail: Cell<usize>,
    /// About how many values were pushed while each look has found few.
    sparse: Cell<usize>,
    /// Owns values, and is neither `Send` nor `Sync`.
    owns: PhantomData<(T, *mut ())>,
}

impl<T> LocalQueue<T> {
    /// An empty queue, which has allocated nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Cell::new(NonNull::dangling()),
            mask: Cell::new(usize::MAX),
            limit: Cell::new(0),
            head: Cell::new(0),
            tail: Cell::new(0),
            sparse: Cell::new(0),
            owns: PhantomData,
        }
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    /// How many slots there are: none, or a power of two.
    #[inline]
    fn capacity(&self) -> usize {
        self.mask.get().wrapping_add(1)
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tail.get() == self.head.get()
    }

    /// The position that the next value pushed will have.
    #[inline]
    #[must_use]
    pub fn end(&self) -> usize {
        self.tail.get()
    }

    /// Whether all values in front of this position have been taken.
    ///
    /// ```
    /// let queue = ringpost_mailbox::queue::LocalQueue::new();
    /// queue.push("one");
    /// let end = queue.end();
    /// queue.push("two");
    /// assert!(!queue.has_passed(end));
    /// queue.pop();
    /// assert!(queue.has_passed(end));
    /// ```
    #[inline]
    #[must_use]
    pub fn has_passed(&self, position: usize) -> bool {
        // Positions wrap; two that anybody can hold are never half of all numbers apart.
        self.head.get().wrapping_sub(position) <= usize::MAX / 2
    }

    /// Adds a value at the end.
    #[inline]
    pub fn push(&self, value: T) {
        let tail = self.tail_with_room();
        // SAFETY: the queue is not full, so the slot at `tail` exists and is empty (rules 3 and 4).
        unsafe { self.slot(tail).write(value) };
        self.tail.set(tail.wrapping_add(1));
    }

    /// Adds a value at the end, which `write` moves to its slot. From time to time, and 128 values apart at the most, the queue is
    /// looked at before; then `look` is called.
    ///
    /// # Safety
    ///
    /// `write` makes a value of the slot. Neither unwinds, and neither changes the queue.
    #[inline(always)]
    pub unsafe fn push_with(&self, look: impl FnOnce(), write: impl FnOnce(NonNull<T>)) {
        if self.tail.get() == self.limit.get() {
            make_room(self);
            look();
        }
        let tail = self.tail.get();
        // SAFETY: the queue is not full, so the slot at `tail` exists and is empty (rules 3 and 4).
        write(unsafe { self.slot(tail) });
        self.tail.set(tail.wrapping_add(1));
    }

    /// Adds a value at the front, to be popped next.
    #[inline]
    pub fn push_front(&self, value: T) {
        if self.len() == self.capacity() {
            make_room(self);
        }
        let head = self.head.get().wrapping_sub(1);
        // SAFETY: the queue is not full, so the slot before `head` exists and is empty (rule 3).
        unsafe { self.slot(head).write(value) };
        self.head.set(head);
        // What was room behind may be the slot that was just filled.
        if self.limit.get().wrapping_sub(head) > self.capacity() {
            self.limit.set(head.wrapping_add(self.capacity()));
        }
    }

    /// Takes the value at the front.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let head = self.head.get();
        self.head.set(head.wrapping_add(1));
        // SAFETY: the queue was not empty, so the slot at `head` held a value (rule 3); the head has
        // passed it, so nobody reads it again.
        Some(unsafe { self.slot(head).read() })
    }

    /// Leaves the value at the front to the caller, who has [looked](Self::front) at it and moves it out.
    ///
    /// # Safety
    ///
    /// The queue is not empty. Until the value has been moved out nothing is pushed.
    #[inline]
    pub unsafe fn pass_front(&self) {
        self.head.set(self.head.get().wrapping_add(1));
    }

    /// Looks at the value at the front.
    ///
    /// # Safety
    ///
    /// Nothing is pushed and nothing popped for as long as the reference is used.
    #[inline]
    pub unsafe fn front(&self) -> Option<&T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: the queue is not empty, so the slot at `head` holds a value (rule 3), which stays
        // there as long as the caller upholds their part.
        Some(unsafe { self.slot(self.head.get()).as_ref() })
    }

    /// The position of the value at the front, or the one that the next value pushed will have.
    #[inline]
    #[must_use]
    pub fn start(&self) -> usize {
        self.head.get()
    }

    /// Looks at the value at a position, if there is one.
    ///
    /// # Safety
    ///
    /// Nothing is pushed and nothing popped for as long as the reference is used.
    #[inline]
    pub unsafe fn at(&self, position: usize) -> Option<&T> {
        if position.wrapping_sub(self.head.get()) >= self.len() {
            return None;
        }
        // SAFETY: the position lies between `head` and `tail`, so its slot holds a value (rule 3), which stays there
        // as long as the caller upholds their part.
        Some(unsafe { self.slot(position).as_ref() })
    }

    /// The slot of a position.
    ///
    /// # Safety
    ///
    /// There are slots.
    #[inline]
    unsafe fn slot(&self, position: usize) -> NonNull<T> {
        let index = position & self.mask.get();
        // SAFETY: the caller upholds that there are slots; their number is a power of two, so the
        // index is below it.
        unsafe { self.slots.get().add(index) }
    }

    /// The tail, whose slot is empty.
    #[inline]
    fn tail_with_room(&self) -> usize {
        if self.tail.get() == self.limit.get() {
            make_room(self);
        }
        self.tail.get()
    }

    /// Sees to it that there is room for one more value, in half the slots if few are used, and notes when to look again.
    fn look(&self) {
        let (len, capacity) = (self.len(), self.capacity());
        let is_sparse = capacity > CAPACITY_LEAST && len <= capacity / PARTS;
        let sparse = if is_sparse {
            self.sparse.get() + LOOK
        } else {
            0
        };
        self.sparse.set(sparse);
        if len == capacity {
            let new = capacity.checked_mul(2).expect("a queue fits into memory");
            // SAFETY: a power of two, which is more than there are values.
            unsafe { self.move_to(new.max(CAPACITY_FIRST)) };
        } else if sparse > SPARSE_ROUNDS * capacity {
            self.sparse.set(0);
            // SAFETY: a power of two, and there are no more than half as many values.
            unsafe { self.move_to(capacity / 2) };
        }
        let room = (self.capacity() - len).min(LOOK);
        self.limit.set(self.tail.get().wrapping_add(room));
    }

    /// Moves all values to so many new slots.
    ///
    /// # Safety
    ///
    /// It is a power of two, and no fewer than there are values.
    unsafe fn move_to(&self, capacity: usize) {
        let slots: Box<[MaybeUninit<T>]> = Box::new_uninit_slice(capacity);
        let slots = NonNull::from(Box::leak(slots)).cast::<T>();
        let (first, mask) = (self.head.get(), capacity - 1);
        for offset in 0..self.len() {
            let position = first.wrapping_add(offset);
            // SAFETY: the positions from `head` up to `tail` hold values (rule 3); each is moved to the slot of its position
            // in the new block, where no two have the same, as the caller upholds that there are as many slots.
            unsafe { slots.add(position & mask).write(self.slot(position).read()) };
        }
        self.free_slots();
        self.slots.set(slots);
        self.mask.set(mask);
    }

    /// Frees the slots without looking at them.
    fn free_slots(&self) {
        if self.capacity() == 0 {
            return;
        }
        let slots = self.slots.get().cast::<MaybeUninit<T>>();
        let slots = NonNull::slice_from_raw_parts(slots, self.capacity());
        // SAFETY: `move_to` leaked this very box, and the caller puts other slots in its place or is the
        // destructor. What it holds is not dropped with it.
        drop(unsafe { Box::from_raw(slots.as_ptr()) });
    }
}

/// [Looks](LocalQueue::look) at how full the queue is. Of the C calling convention because such a
/// function never unwinds: its callers need not be ready to drop what they are about to push.
#[cold]
#[inline(never)]
extern "C" fn make_room<T>(queue: &LocalQueue<T>) {
    queue.look();
}

impl<T> Drop for LocalQueue<T> {
    fn drop(&mut self) {
        /// Goes on with the rest if a destructor panics.
        struct Rest<'a, T>(&'a LocalQueue<T>);

        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Some(value) = self.0.pop() {
                    drop(value);
                }
                self.0.free_slots();
            }
        }

        let rest = Rest(self);
        while let Some(value) = rest.0.pop() {
            drop(value);
        }
    }
}

impl<T> Default for LocalQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for LocalQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQueue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::{CAPACITY_LEAST, LocalQueue};

    /// Counts its drops, and panics at one if told to.
    struct Payload(Rc<Cell<u32>>, bool);

    impl Drop for Payload {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "a destructor that panics");
        }
    }

    #[test]
    fn leftovers_are_dropped_once_even_if_one_panics() {
        let drops = Rc::new(Cell::new(0));
        let queue = LocalQueue::new();
        for number in 0..100 {
            queue.push(Payload(Rc::clone(&drops), number == 50));
        }
        drop(queue.pop());
        assert_eq!(drops.get(), 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| drop(queue)));
        assert!(panicked.is_err());
        assert_eq!(drops.get(), 100);
    }

    #[test]
    fn values_without_bytes_are_counted() {
        let queue = LocalQueue::new();
        (0..1000).for_each(|_| queue.push(()));
        assert_eq!(queue.len(), 1000);
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 1000);
        assert!(format!("{queue:?}").contains("len: 0"));
    }

    #[test]
    fn what_holds_few_for_long_has_few_slots() {
        let queue = LocalQueue::new();
        let many = 10_000;
        (0..many).for_each(|number| queue.push(number));
        let most = queue.capacity();
        assert_eq!(most, 16_384);
        (0..many - 100).for_each(|number| assert_eq!(queue.pop(), Some(number)));
        for number in many..many + 36 * most {
            queue.push(number);
            assert_eq!(queue.pop(), Some(number - 100));
        }
        assert_eq!(queue.capacity(), CAPACITY_LEAST);
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 100);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_has_bursts_now_and_then_keeps_its_slots() {
        for (burst, between, slots) in [(1000, 0, 1024), (30_000, 200_000, 32_768)] {
            let queue = LocalQueue::new();
            for round in 0..10 {
                (0..burst).for_each(|number| queue.push(number));
                assert_eq!(std::iter::from_fn(|| queue.pop()).count(), burst);
                for number in 0..between {
                    queue.push(number);
                    assert_eq!(queue.pop(), Some(number));
                }
                assert_eq!(queue.capacity(), slots, "round {round}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_what_a_deque_does(
            steps in proptest::collection::vec((0..6_u8, 1..200_u8), 0..60),
            origin in prop_oneof![Just(0), Just(usize::MAX - 70), any::<usize>()],
        ) {
            let queue = LocalQueue::new();
            let mut model = VecDeque::new();
            queue.push(Box::new(0_u32));
            queue.pop();
            queue.head.set(origin);
            queue.tail.set(origin);
            queue.limit.set(origin);
            let mut next = 0;
            for (kind, count) in steps {
                for _ in 0..count {
                    next += 1;
                    match kind {
                        0 | 1 => {
                            queue.push(Box::new(next));
                            model.push_back(Box::new(next));
                        }
                        2 => {
                            let last = model.len().saturating_sub(1);
                            for at in [0, last / 2, last, last + 1] {
                                // SAFETY: nothing is done to the queue while the value is looked at.
                                let found = unsafe { queue.at(queue.start().wrapping_add(at)) };
                                prop_assert_eq!(found, model.get(at));
                            }
                            prop_assert_eq!(queue.pop(), model.pop_front());
                        }
                        3 if !queue.is_empty() => {
                            // SAFETY: nothing is done to the queue between; the value is read once, as it is passed.
                            let passed = unsafe {
                                let front = std::ptr::from_ref(queue.front().expect("a value"));
                                queue.pass_front();
                                front.read()
                            };
                            prop_assert_eq!(Some(passed), model.pop_front());
                        }
                        4 => {
                            queue.push(Box::new(next));
                            model.push_back(Box::new(next));
                            prop_assert_eq!(queue.pop(), model.pop_front());
                        }
                        _ => {
                            queue.push_front(Box::new(next));
                            model.push_front(Box::new(next));
                        }
                    }
                    prop_assert_eq!(queue.len(), model.len());
                    prop_assert_eq!(queue.is_empty(), model.is_empty());
                }
            }
            while let Some(value) = model.pop_front() {
                prop_assert_eq!(queue.pop(), Some(value));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
