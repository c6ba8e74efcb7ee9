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
//! 4. `limit` lies between `tail` and `head + capacity`.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Slots of a queue when it first holds something.
const CAPACITY_FIRST: usize = 64;

/// A first-in-first-out queue for one thread that grows as needed and never shrinks.
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
    /// The tail up to which there was room when somebody last looked; there may be more by now, never less.
    limit: Cell<usize>,
    /// How many slots there are: none, or a power of two.
    capacity: Cell<usize>,
    /// What makes an index of a position: the capacity less one.
    mask: Cell<usize>,
    head: Cell<usize>,
    tail: Cell<usize>,
    /// Owns values, and is neither `Send` nor `Sync`.
    owns: PhantomData<(T, *mut ())>,
}

impl<T> LocalQueue<T> {
    /// An empty queue, which has allocated nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Cell::new(NonNull::dangling()),
            capacity: Cell::new(0),
            mask: Cell::new(0),
            limit: Cell::new(0),
            head: Cell::new(0),
            tail: Cell::new(0),
            owns: PhantomData,
        }
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
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

    /// Adds a value at the end, which `write` moves to its slot.
    ///
    /// # Safety
    ///
    /// `write` makes a value of the slot, does not unwind, and does not touch the queue.
    #[inline(always)]
    pub unsafe fn push_with(&self, write: impl FnOnce(NonNull<T>)) {
        let tail = self.tail_with_room();
        // SAFETY: the queue is not full, so the slot at `tail` exists and is empty (rules 3 and 4).
        write(unsafe { self.slot(tail) });
        self.tail.set(tail.wrapping_add(1));
    }

    /// Adds a value at the front, to be popped next.
    #[inline]
    pub fn push_front(&self, value: T) {
        if self.len() == self.capacity.get() {
            make_room(self);
        }
        let head = self.head.get().wrapping_sub(1);
        // SAFETY: the queue is not full, so the slot before `head` exists and is empty (rule 3).
        unsafe { self.slot(head).write(value) };
        self.head.set(head);
        // What was room behind may be the slot that was just filled.
        self.limit.set(head.wrapping_add(self.capacity.get()));
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

    fn double(&self) {
        let old = self.capacity.get();
        let new = old.checked_mul(2).expect("a queue fits into memory");
        let new = new.max(CAPACITY_FIRST);
        let larger: Box<[MaybeUninit<T>]> = Box::new_uninit_slice(new);
        let larger = NonNull::from(Box::leak(larger)).cast::<T>();
        let (first, mask) = (self.head.get(), new.wrapping_sub(1));
        for offset in 0..old {
            let position = first.wrapping_add(offset);
            // SAFETY: all `old` slots hold values; each is moved to the slot of its position in the new block,
            // which has at least as many, so that no two have the same.
            unsafe {
                larger
                    .add(position & mask)
                    .write(self.slot(position).read())
            };
        }
        self.free_slots();
        self.slots.set(larger);
        self.capacity.set(new);
        self.mask.set(mask);
    }

    /// Frees the slots without looking at them.
    fn free_slots(&self) {
        if self.capacity.get() == 0 {
            return;
        }
        let slots = self.slots.get().cast::<MaybeUninit<T>>();
        let slots = NonNull::slice_from_raw_parts(slots, self.capacity.get());
        // SAFETY: `double` leaked this very box, and the caller puts other slots in its place or is the
        // destructor. What it holds is not dropped with it.
        drop(unsafe { Box::from_raw(slots.as_ptr()) });
    }
}

/// Doubles the slots if all of them are full, and notes how far there is room. Of the C calling convention because such a
/// function never unwinds: its callers need not be ready to drop what they are about to push.
#[cold]
#[inline(never)]
extern "C" fn make_room<T>(queue: &LocalQueue<T>) {
    if queue.len() == queue.capacity.get() {
        queue.double();
    }
    let head = queue.head.get();
    queue.limit.set(head.wrapping_add(queue.capacity.get()));
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

    use super::LocalQueue;

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

    proptest! {
        #[test]
        fn it_does_what_a_deque_does(
            steps in proptest::collection::vec((0..5_u8, 1..200_u8), 0..60),
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
