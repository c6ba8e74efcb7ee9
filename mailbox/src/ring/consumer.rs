//! The end of a ring that reads.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::Shared;
use crate::sync::Arc;
use crate::sync::atomic::{Acquire, Relaxed, Release};

/// The end of a ring that values come out of.
///
/// There is one for each ring: it may move to another thread, but cannot be copied or shared.
/// Values that nobody took are dropped when both ends are gone.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next position to take from; outside of `drain` always the published one.
    head: u32,
    /// The producer's tail as last read; the true one is never behind it.
    tail_cached: u32,
    not_sync: PhantomData<Cell<()>>,
}

impl<T> Consumer<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, origin: u32) -> Self {
        Self {
            shared,
            head: origin,
            tail_cached: origin,
            not_sync: PhantomData,
        }
    }

    /// Moves up to `max` values out, in the order they were pushed, and says how many it took.
    ///
    /// All their slots go back to the producer together, before this returns; so keep `sink` short
    /// (move the value somewhere) and do the work afterwards. What it finds is at least everything
    /// published when it was called, up to `max`.
    ///
    /// # Panics
    ///
    /// If `sink` does. The value it was given is its own then; those behind it stay in the ring.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut producer, mut consumer) = ringpost_mailbox::ring::ring(8);
    /// (0..5).for_each(|n| producer.push(n).unwrap());
    /// producer.publish();
    ///
    /// let mut sum = 0;
    /// assert_eq!(consumer.drain(3, |n| sum += n), 3);
    /// assert_eq!(sum, 0 + 1 + 2);
    /// assert_eq!(consumer.pop(), Some(3));
    /// ```
    #[inline]
    pub fn drain(&mut self, max: u32, mut sink: impl FnMut(T)) -> u32 {
        let count = self.ready(max);
        if count == 0 {
            return 0;
        }
        let end = self.head.wrapping_add(count);
        let mut burst = Burst {
            next: self.head,
            consumer: self,
        };
        while burst.next != end {
            // SAFETY: the position is below the tail that was read with Acquire, so the value is
            // there (rule 4); `next` moves on before anything else can happen, so it is taken once.
            let value = unsafe { burst.consumer.shared.slots.take(burst.next) };
            burst.next = burst.next.wrapping_add(1);
            sink(value);
        }
        drop(burst);
        count
    }

    /// Moves one value out. For more than one, [`drain`](Self::drain) is cheaper.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let mut value = None;
        self.drain(1, |taken| value = Some(taken));
        value
    }

    /// Whether nothing is there to be taken. Looks at the producer's counter only if what is known
    /// of it says so.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.ready(1) == 0
    }

    /// How many values are published and not taken, as of a moment ago.
    #[inline]
    pub fn len_hint(&self) -> u32 {
        // Relaxed: no slot is read on the strength of the answer.
        self.shared
            .tail
            .position
            .load(Relaxed)
            .wrapping_sub(self.head)
    }

    /// Whether the producer is gone. Once this has said so, a drain without limit takes everything
    /// it ever pushed, and nothing will come after.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release store when the producer is dropped, so that its last tail
        // is seen.
        self.shared.tail.closed.load(Acquire)
    }

    /// The number of slots.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.shared.slots.capacity()
    }

    /// How many values can be taken, at most `max`; looks again if fewer than that are known.
    #[inline]
    fn ready(&mut self, max: u32) -> u32 {
        if self.ready_cached() < max {
            // Acquire: pairs with the producer's Release store of the tail, so that the slots below
            // it are seen.
            self.tail_cached = self.shared.tail.position.load(Acquire);
        }
        self.ready_cached().min(max)
    }

    #[inline]
    fn ready_cached(&self) -> u32 {
        self.tail_cached.wrapping_sub(self.head)
    }
}

/// A drain under way; gives the slots back when it ends, however it ends (rule 5).
struct Burst<'a, T> {
    consumer: &'a mut Consumer<T>,
    next: u32,
}

impl<T> Drop for Burst<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.consumer.head = self.next;
        // Release: pairs with the producer's Acquire load of the head, so that our reads come
        // before its next writes.
        self.consumer.shared.head.position.store(self.next, Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        // Relaxed: the producer draws no conclusion about other memory; the reference count orders
        // the last drop.
        self.shared.head.closed.store(true, Relaxed);
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("len_hint", &self.len_hint())
            .field("closed", &self.is_closed())
            .finish()
    }
}
