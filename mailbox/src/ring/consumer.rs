//! The end of a ring that reads.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::Shared;
use super::burst::{Burst, CellBurst};
use super::form::{Form, Parts, Whole};
use super::slots::{Place, Row, take_rest};
use crate::cell::{Catalog, Lying, MessageCell};
use crate::sync::Arc;
use crate::sync::atomic::{Acquire, Relaxed};

/// The end of a ring that values come out of.
///
/// There is one for each ring: it may move to another thread, but cannot be copied or shared.
/// Values that nobody took are dropped when both ends are gone.
pub struct Consumer<T, F: Form<T> = Whole> {
    shared: Arc<Shared<T, F>>,
    /// The slots of the ring, close at hand.
    row: Row<F::Rest>,
    /// Up to where all was taken and given back; a burst that goes on has a position of its own.
    head: u32,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: the slots are shared with the producer as `Slots` allows.
unsafe impl<T: Send, F: Form<T>> Send for Consumer<T, F> {}

impl<T, F: Form<T>> Consumer<T, F> {
    pub(super) fn new(shared: Arc<Shared<T, F>>, origin: u32) -> Self {
        Self {
            row: shared.slots.row(),
            shared,
            head: origin,
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
    /// let (producer, mut consumer) = ringpost_mailbox::ring::ring(8);
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
        self.drain_slots(max, |word, rest| {
            // SAFETY: the value is there, and is taken once, here; these are the two into which it was split.
            sink(unsafe { F::join(word, take_rest(rest)) });
        })
    }

    /// As [`drain`](Self::drain), with each value as it lies in its slot: its word, and where the rest is. Nobody else
    /// takes it, then or later.
    #[inline(always)]
    fn drain_slots(&mut self, max: u32, mut sink: impl FnMut(*mut (), &Place<F::Rest>)) -> u32 {
        let start = self.head;
        let end = start.wrapping_add(max.min(self.capacity()));
        let burst = Burst::of(&self.shared, self.row, &mut self.head);
        while burst.next() != end {
            let Some((word, rest)) = burst.pass() else {
                break;
            };
            sink(word, rest);
        }
        burst.next().wrapping_sub(start)
    }

    /// Moves one value out. For more than one, [`drain`](Self::drain) is cheaper.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let mut value = None;
        self.drain(1, |taken| value = Some(taken));
        value
    }

    /// Whether nothing is there to be taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // SAFETY: the ring is held, so its slots are there.
        unsafe { self.row.lying(self.head) }.is_none()
    }

    /// Whether the producer is gone. Once this has said so, a drain without limit takes everything
    /// it ever pushed, and nothing will come after.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release store when the producer is dropped, so that what it
        // has published last is seen.
        self.shared.is_ended.load(Acquire)
    }

    /// The number of slots.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.shared.slots.capacity()
    }
}

impl<C: Catalog> Consumer<MessageCell<C>, Parts> {
    /// As [`drain`](Self::drain), with each cell where it lies: [`Lying`] says how that is used.
    ///
    /// # Panics
    ///
    /// If `sink` does; a cell that it has not taken by then leaks.
    #[inline(always)]
    pub fn drain_lying(&mut self, max: u32, mut sink: impl FnMut(Lying<'_, C>)) -> u32 {
        self.drain_slots(max, |word, rest| {
            // SAFETY: these are the two into which one cell was split, and nobody else takes it.
            sink(unsafe { Lying::new(word, rest) })
        })
    }

    /// Has `taker` take cells one by one, with a look at each before. The producer learns of all that were taken together,
    /// when that is over. (The burst is lent: one that were forgotten would have its cells taken once more.)
    ///
    /// # Panics
    ///
    /// If `taker` does; what it has taken by then is taken.
    #[inline(always)]
    pub fn burst<R>(&mut self, taker: impl FnOnce(&mut CellBurst<'_, C>) -> R) -> R {
        taker(&mut Burst::of(&self.shared, self.row, &mut self.head))
    }
}

impl<T, F: Form<T>> Drop for Consumer<T, F> {
    fn drop(&mut self) {
        // Relaxed: the producer draws no conclusion about other memory; the reference count orders
        // the last drop.
        self.shared.head.closed.store(true, Relaxed);
    }
}

impl<T, F: Form<T>> fmt::Debug for Consumer<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}
