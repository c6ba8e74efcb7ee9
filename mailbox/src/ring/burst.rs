//! What a consumer takes of a ring at one time.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::Shared;
use super::form::{Form, Parts, Whole};
use super::slots::{Place, Row, Slot};
use crate::cell::payload::Words;
use crate::cell::{Catalog, Entry, Lying, MessageCell};
use crate::sync::atomic::Release;

/// As [`Burst`], of a ring of message cells.
pub type CellBurst<'a, C> = Burst<'a, MessageCell<C>, Parts>;

/// Slots that are taken one after the other, by a consumer; gives them back when it ends, however it ends (rule 5).
pub struct Burst<'a, T, F: Form<T> = Whole> {
    /// The slots of the ring, close at hand.
    row: Row<F::Rest>,
    next: Cell<u32>,
    /// The consumer's own head.
    head: &'a mut u32,
    shared: &'a Shared<T, F>,
}

impl<'a, T, F: Form<T>> Burst<'a, T, F> {
    /// From the consumer's own head on. (It has the ring to itself, or it could not lend that.)
    #[inline(always)]
    pub(super) fn of(shared: &'a Shared<T, F>, head: &'a mut u32) -> Self {
        Self {
            row: shared.slots.row(),
            next: Cell::new(*head),
            head,
            shared,
        }
    }

    /// The position that is taken next.
    #[inline(always)]
    pub(super) fn next(&self) -> u32 {
        self.next.get()
    }

    /// How many were taken.
    #[inline(always)]
    pub fn taken(&self) -> u32 {
        self.next().wrapping_sub(*self.head)
    }

    #[inline(always)]
    fn slot(&self) -> &'a Slot<F::Rest> {
        // SAFETY: as in `lying`.
        unsafe { self.row.at(self.next()).as_ref() }
    }

    /// The parts of the next value, if that has come.
    #[inline(always)]
    fn lying(&self) -> Option<(*mut (), &'a Place<F::Rest>)> {
        // SAFETY: the slots are those of the ring, which the burst borrows.
        unsafe { self.row.lying(self.next()) }
    }

    /// The parts of the next value, which is passed: there is one consumer (rule 1), and `next` moves on before anything else
    /// can happen, so each is given once.
    #[inline(always)]
    pub(super) fn pass(&self) -> Option<(*mut (), &'a Place<F::Rest>)> {
        let lying = self.lying()?;
        self.next.set(self.next().wrapping_add(1));
        Some(lying)
    }
}

impl<'a, C: Catalog> CellBurst<'a, C> {
    /// Whether the next cell holds a `T`; `None` if there is no next one yet.
    #[inline(always)]
    pub fn next_is<T: 'static>(&self) -> Option<bool> {
        self.look(|cell| cell.is::<T>())
    }

    /// What the slot of the next cell says if that has come and holds a `T`.
    #[inline(always)]
    pub fn next_holds<T: Send + 'static>(&self) -> Option<Word>
    where
        C: Entry<T>,
    {
        let holds = self.look(|cell| cell.holds::<T>()) == Some(true);
        holds.then(|| Word(self.slot().word()))
    }

    #[inline(always)]
    fn look<R>(&self, look: impl FnOnce(&Lying<'_, C>) -> R) -> Option<R> {
        let (word, rest) = self.lying()?;
        // SAFETY: these are the two into which one cell was split. It is only looked at here, and what looks is forgotten.
        let lying = unsafe { Lying::new(word, rest) };
        Some(look(&lying))
    }

    /// Takes the next cell, if there is one: [`Lying`] says how that is used.
    #[inline(always)]
    pub fn take(&self) -> Option<Lying<'a, C>> {
        let (word, rest) = self.pass()?;
        // SAFETY: these are the two into which one cell was split, and nobody else takes it.
        Some(unsafe { Lying::new(word, rest) })
    }

    /// For cells that follow each other and hold a `T`, which take less of a look.
    #[inline(always)]
    pub fn alike<T: Send + 'static>(&mut self) -> Alike<'_, 'a, C, T>
    where
        C: Entry<T>,
    {
        // SAFETY: no slot says this.
        unsafe { self.alike_as(Word::UNKNOWN) }
    }

    /// As [`alike`](Self::alike), where the next cell has been looked at.
    ///
    /// # Safety
    ///
    /// The word is that of the next cell, which [was seen](Self::next_holds) to hold a `T`.
    #[inline(always)]
    pub unsafe fn alike_as<T: Send + 'static>(&mut self, Word(word): Word) -> Alike<'_, 'a, C, T>
    where
        C: Entry<T>,
    {
        Alike {
            burst: self,
            word: Cell::new(word),
            of: PhantomData,
        }
    }
}

/// Cells of a burst that hold a `T`, as far as they follow each other.
///
/// The slot of each has the same word as that of the one before, up to the end of a lap: so one comparison tells that the next
/// has come, and what it holds.
///
/// ```
/// use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
/// use ringpost_mailbox::ring::cell_ring_at;
///
/// struct Everything;
/// impl Catalog for Everything {
///     type Meta = ();
/// }
/// impl<T> Entry<T> for Everything {
///     const META: &'static () = &();
/// }
///
/// let (producer, mut consumer) = cell_ring_at::<Everything>(8, 0);
/// (0..3_u64).for_each(|n| producer.push(MessageCell::new(n)).unwrap());
/// producer.push(MessageCell::new("the end")).unwrap();
/// producer.publish();
/// let sum = consumer.burst(|burst| {
///     let numbers = burst.alike::<u64>();
///     let cells = std::iter::from_fn(|| numbers.pop());
///     cells.map(|cell| cell.take::<u64>().unwrap()).sum::<u64>()
/// });
/// assert_eq!(sum, 3);
/// ```
pub struct Alike<'b, 'a, C: Catalog, T> {
    burst: &'b mut CellBurst<'a, C>,
    /// What the word of a slot with a `T` is in this lap, if that is known.
    word: Cell<*mut ()>,
    of: PhantomData<fn() -> T>,
}

/// What the slot of a cell says: which type of value that holds, and that it has come.
#[derive(Debug, Clone, Copy)]
pub struct Word(*mut ());

impl Word {
    /// What no slot says: the word of each points to what is known of a type, or is null if there never was a value, beside the flag.
    const UNKNOWN: Self = Self(ptr::without_provenance_mut(2));
}

/// Where the next cell lies, which was seen to hold what was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Found(NonNull<Slot<Words>>);

impl<C: Catalog + Entry<T>, T: Send + 'static> Alike<'_, '_, C, T> {
    /// Takes the next cell, if it has come and holds a `T`.
    #[inline]
    pub fn pop(&self) -> Option<MessageCell<C>> {
        let found = self.find()?;
        // SAFETY: it was found just now.
        Some(unsafe { self.take(found) })
    }

    /// Finds the next cell, if it has come and holds a `T`.
    #[inline(always)]
    pub fn find(&self) -> Option<Found> {
        let slot = self.burst.slot();
        if slot.word() != self.word.get() && !self.learns() {
            return None;
        }
        Some(Found(NonNull::from(slot)))
    }

    /// Whether the next cell has come and holds a `T` though its slot does not say what was expected.
    #[inline(always)]
    fn learns(&self) -> bool {
        let seen = self.burst.next_holds::<T>();
        if let Some(Word(word)) = seen {
            self.word.set(word);
        }
        seen.is_some()
    }

    /// Takes the cell that was found.
    ///
    /// # Safety
    ///
    /// It was [found](Self::find) here, and none was taken since.
    #[inline(always)]
    pub unsafe fn take(&self, found: Found) -> MessageCell<C> {
        let next = self.burst.next().wrapping_add(1);
        self.burst.next.set(next);
        if self.burst.row.begins_lap(next) {
            self.word.set(Word::UNKNOWN.0);
        }
        // SAFETY: the caller says that this is the one that was passed just now, which was seen to hold a `T`. The ring is
        // borrowed, so its slots are there.
        unsafe { Lying::holding::<T>(found.0.as_ref().rest()) }.whole()
    }
}

impl<T, F: Form<T>> Drop for Burst<'_, T, F> {
    #[inline]
    fn drop(&mut self) {
        let next = self.next();
        if *self.head == next {
            return;
        }
        *self.head = next;
        // Release: pairs with the producer's Acquire load of the head, so that our reads come
        // before its next writes.
        self.shared.head.position.store(next, Release);
    }
}

impl<T, F: Form<T>> fmt::Debug for Burst<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burst")
            .field("taken", &self.taken())
            .finish()
    }
}

impl<C: Catalog, T> fmt::Debug for Alike<'_, '_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alike").field("burst", self.burst).finish()
    }
}
