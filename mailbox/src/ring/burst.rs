//! What a consumer takes of a ring at one time.

use std::cell::Cell;
use std::fmt;
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
    pub(super) fn of(shared: &'a Shared<T, F>, row: Row<F::Rest>, head: &'a mut u32) -> Self {
        Self {
            row,
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

    /// Lends the cells that follow each other, which take less of a look where they hold values of one type; so many at the most.
    pub fn alike<R>(&mut self, most: u32, take: impl FnOnce(&Alike<'_, 'a, C>) -> R) -> R {
        // SAFETY: no slot says this, so nothing is found by it, however few are asked for. What it is lent to cannot forget it.
        take(&unsafe { self.alike_as(Word::UNKNOWN, most) })
    }

    /// As [`alike`](Self::alike), where the next cell has been looked at.
    ///
    /// # Safety
    ///
    /// The word is that of the next cell, as [was seen](Self::next_holds), and at least that one is asked for. What comes back is
    /// dropped, and not forgotten: it is then that the burst passes what was taken.
    #[inline(always)]
    pub unsafe fn alike_as(&mut self, Word(word): Word, most: u32) -> Alike<'_, 'a, C> {
        let slot = self.row.at(self.next());
        let index = self.row.index_of(slot);
        let (end, beyond) = self.row.reach(index, most);
        Alike {
            lap: Cell::new(self.next().wrapping_sub(index)),
            slot: Cell::new(slot),
            end: Cell::new(end),
            beyond: Cell::new(beyond),
            word: Cell::new(word),
            burst: self,
        }
    }
}

/// Cells of a burst that follow each other, as many as were asked for.
///
/// The slot of each that holds a value of the same type as the one before has the same word as that one's, up to the end of a lap: so
/// one comparison tells that the next has come, and what it holds.
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
///     burst.alike(8, |cells| {
///         let numbers = std::iter::from_fn(|| cells.pop::<u64>());
///         numbers.map(|cell| cell.take::<u64>().unwrap()).sum::<u64>()
///     })
/// });
/// assert_eq!(sum, 3);
/// ```
pub struct Alike<'b, 'a, C: Catalog> {
    burst: &'b mut CellBurst<'a, C>,
    /// Where the next cell lies, or will.
    slot: Cell<NonNull<Slot<Words>>>,
    /// Behind the last slot before something else is to be looked at: the end of the lap, or of what was asked for.
    end: Cell<NonNull<Slot<Words>>>,
    /// What the slot of the last cell said, if the next one's in this lap may say the same.
    word: Cell<*mut ()>,
    /// How many of those that were asked for are to come behind the end.
    beyond: Cell<u32>,
    /// The position of the first slot in this lap.
    lap: Cell<u32>,
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

impl<C: Catalog> Alike<'_, '_, C> {
    /// Takes the next cell, if it has come and holds a `T`.
    #[inline]
    pub fn pop<T: Send + 'static>(&self) -> Option<MessageCell<C>>
    where
        C: Entry<T>,
    {
        let holds = |cell: &Lying<'_, C>| cell.holds::<T>();
        let found = match self.find() {
            Some(found) => self.look(holds)?.then_some(found)?,
            None => self.find_new::<T>()?,
        };
        // SAFETY: it was found just now, and holds a `T`.
        Some(unsafe { self.take::<T>(found) })
    }

    /// Finds the next cell, if it has come and its slot says the same as that of the last: so it holds a value of the same type.
    #[inline(always)]
    pub fn find(&self) -> Option<Found> {
        let slot = self.slot.get();
        // SAFETY: the slots are those of the ring, which the burst borrows.
        let word = unsafe { slot.as_ref() }.word();
        (word == self.word.get()).then_some(Found(slot))
    }

    /// Finds the next cell, if it has come and holds a `T`, whatever the last one's slot said.
    #[inline(never)]
    pub fn find_new<T: Send + 'static>(&self) -> Option<Found>
    where
        C: Entry<T>,
    {
        if !self.look(|cell| cell.holds::<T>())? {
            return None;
        }
        let slot = self.slot.get();
        // SAFETY: as in `find`.
        self.word.set(unsafe { slot.as_ref() }.word());
        Some(Found(slot))
    }

    /// Looks at the next cell, if it has come and is asked for.
    fn look<R>(&self, look: impl FnOnce(&Lying<'_, C>) -> R) -> Option<R> {
        if self.slot.get() == self.end.get() {
            return None;
        }
        self.burst.next.set(self.position());
        self.burst.look(look)
    }

    /// Takes the cell that was found.
    ///
    /// # Safety
    ///
    /// It was [found](Self::find) here, none was taken since, and it holds a `T`: the last that was looked for.
    #[inline(always)]
    pub unsafe fn take<T: Send + 'static>(&self, Found(slot): Found) -> MessageCell<C>
    where
        C: Entry<T>,
    {
        // SAFETY: the slot is one of the ring's, so behind it is another or their end. It lies before the end of what is looked at, behind
        // which nothing is found; so that is where this comes to, and it never passes the last.
        self.slot.set(unsafe { slot.add(1) });
        if self.slot.get() == self.end.get() {
            self.extend();
        }
        // SAFETY: the caller says that this is the one that was passed just now, which was seen to hold a `T`. The ring is
        // borrowed, so its slots are there.
        unsafe { Lying::holding::<T>(slot.as_ref().rest()) }.whole()
    }

    /// What the slot of the next cell says is looked at anew.
    #[inline(always)]
    pub fn forget(&self) {
        self.word.set(Word::UNKNOWN.0);
    }

    /// How many the burst has taken, these among them.
    #[inline]
    pub fn taken(&self) -> u32 {
        self.position().wrapping_sub(*self.burst.head)
    }

    /// The position of the next cell.
    #[inline]
    fn position(&self) -> u32 {
        let index = self.burst.row.index_of(self.slot.get());
        self.lap.get().wrapping_add(index)
    }

    /// Goes on from where something else was to be looked at: in the next lap, if that is the end of one, and up to its end or that
    /// of what was asked for.
    #[cold]
    #[inline(never)]
    fn extend(&self) {
        let row = self.burst.row;
        if self.slot.get() == row.end() {
            self.slot.set(row.at(0));
            self.lap.set(self.lap.get().wrapping_add(row.capacity()));
            self.forget();
        }
        let index = row.index_of(self.slot.get());
        let (end, beyond) = row.reach(index, self.beyond.get());
        self.end.set(end);
        self.beyond.set(beyond);
        if end == self.slot.get() {
            self.forget();
        }
    }
}

impl<C: Catalog> Drop for Alike<'_, '_, C> {
    #[inline]
    fn drop(&mut self) {
        self.burst.next.set(self.position());
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

impl<C: Catalog> fmt::Debug for Alike<'_, '_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alike")
            .field("taken", &self.taken())
            .finish()
    }
}
