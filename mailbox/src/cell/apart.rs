//! A cell where it lies, in a slot of a ring, and in its parts on the way there.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use super::payload::{Payload, Words};
use super::vtable::VTable;
use super::{Catalog, Described, Entry, MessageCell};
use crate::ring::slots::{Place, take_rest};

/// A [`MessageCell`] where it lies, in a slot of a ring: it can go from there to another place in memory without being put
/// together on the way, which would take a place of its own.
///
/// One that is let go of leaks: it is made [whole](Self::whole) or [written](Self::write_to) somewhere.
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
/// producer.push(MessageCell::new(7_u64)).unwrap();
/// producer.publish();
/// consumer.drain_lying(8, |cell| {
///     assert!(cell.is::<u64>() && !cell.is::<u32>());
///     assert_eq!(cell.whole().take::<u64>().unwrap(), 7);
/// });
/// ```
#[must_use = "a value that is let go of is never dropped"]
pub struct Lying<'a, C: Catalog> {
    vtable: &'static VTable<C::Meta>,
    words: &'a Place<Words>,
    /// As the cell: neither `Send` nor `Sync` by itself.
    not_sync: PhantomData<*mut ()>,
}

impl<'a, C: Catalog> Lying<'a, C> {
    /// The cell with this word, the rest of which lies here.
    ///
    /// # Safety
    ///
    /// Both are of one cell, which nobody else takes.
    #[inline(always)]
    pub(crate) unsafe fn new(word: *mut (), words: &'a Place<Words>) -> Self {
        Self {
            // SAFETY: the caller says that it came from such a reference.
            vtable: unsafe { &*word.cast::<VTable<C::Meta>>() },
            words,
            not_sync: PhantomData,
        }
    }

    /// The cell with a `T` the rest of which lies here.
    ///
    /// # Safety
    ///
    /// It is such a cell's, which nobody else takes.
    #[inline(always)]
    pub(crate) unsafe fn holding<T: Send + 'static>(words: &'a Place<Words>) -> Self
    where
        C: Entry<T>,
    {
        Self {
            vtable: Described::<C, T>::VTABLE,
            words,
            not_sync: PhantomData,
        }
    }

    /// Whether the value is a `T`.
    #[inline(always)]
    pub fn is<T: 'static>(&self) -> bool {
        self.vtable.type_id == TypeId::of::<T>()
    }

    /// As [`is`](Self::is), for a type of the catalog, where that is most often so: one comparison.
    #[inline(always)]
    pub fn holds<T: Send + 'static>(&self) -> bool
    where
        C: Entry<T>,
    {
        ptr::eq(self.vtable, Described::<C, T>::VTABLE) || self.is::<T>()
    }

    /// The cell, taken out of there.
    #[inline(always)]
    pub fn whole(self) -> MessageCell<C> {
        // SAFETY: this was made for the one who takes it, and is used up.
        let words = unsafe { take_rest(self.words) };
        MessageCell {
            vtable: self.vtable,
            payload: Payload::of_words(words),
            not_sync: PhantomData,
        }
    }

    /// Moves the cell to `place`.
    ///
    /// # Safety
    ///
    /// As for [`ptr::write`].
    #[inline(always)]
    pub unsafe fn write_to(self, place: *mut MessageCell<C>) {
        // SAFETY: this was made for the one who takes it, and is used up. The caller says that the place may be
        // written to.
        unsafe {
            (&raw mut (*place).vtable).write(self.vtable);
            (&raw mut (*place).payload).write(Payload::of_words(take_rest(self.words)));
        }
    }
}

impl<C: Catalog> fmt::Debug for Lying<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = (self.vtable.type_name)();
        write!(f, "Lying({name})")
    }
}

/// A [`MessageCell`] in its parts, in registers.
#[must_use = "a value in parts that is let go of is never dropped"]
pub(crate) struct Apart<C: Catalog> {
    vtable: &'static VTable<C::Meta>,
    words: Words,
    /// As the cell: neither `Send` nor `Sync` by itself.
    not_sync: PhantomData<*mut ()>,
}

impl<C: Catalog> Apart<C> {
    /// How what the first part points to is aligned.
    pub(crate) const VTABLE_ALIGN: usize = align_of::<VTable<C::Meta>>();

    /// The parts of a cell. Its words are read one by one.
    #[inline(always)]
    pub(crate) fn of(cell: MessageCell<C>) -> Self {
        let cell = ManuallyDrop::new(cell);
        Self {
            vtable: cell.vtable,
            words: cell.payload.words(),
            not_sync: PhantomData,
        }
    }

    /// The parts of the cell that lies there, if one does, which it does no more. As [`of`](Self::of) it reads them one by one,
    /// and the cell is nowhere else in between.
    #[inline(always)]
    pub(crate) fn out_of(place: &mut Option<MessageCell<C>>) -> Option<Self> {
        let cell = place.as_ref()?;
        let parts = Self {
            vtable: cell.vtable,
            words: cell.payload.words(),
            not_sync: PhantomData,
        };
        // The parts are the value now.
        std::mem::forget(place.take());
        Some(parts)
    }

    /// The parts of a cell that was made just now, which so need not be in memory.
    #[inline(always)]
    pub(crate) fn of_new(cell: MessageCell<C>) -> Self {
        let cell = ManuallyDrop::new(cell);
        // SAFETY: the cell is forgotten, so its payload is used once.
        let payload = unsafe { ptr::read(&raw const cell.payload) };
        Self {
            vtable: cell.vtable,
            words: payload.into_words(),
            not_sync: PhantomData,
        }
    }

    /// The pointer to the vtable, and the words of the payload.
    #[inline(always)]
    pub(crate) fn into_raw(self) -> (*mut (), Words) {
        const { assert!(Self::VTABLE_ALIGN > 1) };
        (ptr::from_ref(self.vtable).cast_mut().cast(), self.words)
    }

    /// The parts that these were.
    ///
    /// # Safety
    ///
    /// Both came of one [`into_raw`](Self::into_raw) of this type, and are used once.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(vtable: *mut (), words: Words) -> Self {
        Self {
            // SAFETY: the caller says that it came from such a reference.
            vtable: unsafe { &*vtable.cast::<VTable<C::Meta>>() },
            words,
            not_sync: PhantomData,
        }
    }

    /// The cell.
    #[inline(always)]
    pub(crate) fn whole(self) -> MessageCell<C> {
        MessageCell {
            vtable: self.vtable,
            payload: Payload::of_words(self.words),
            not_sync: PhantomData,
        }
    }
}

impl<C: Catalog> fmt::Debug for Apart<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = (self.vtable.type_name)();
        write!(f, "Apart({name})")
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use crate::cell::{Catalog, Entry, MessageCell};
    use crate::ring::{Alike, cell_ring_at};

    struct Everything;

    impl Catalog for Everything {
        type Meta = ();
    }

    impl<T> Entry<T> for Everything {
        const META: &'static () = &();
    }

    /// Sends the cell through a ring, to another place.
    fn moved(cell: MessageCell<Everything>) -> MessageCell<Everything> {
        let mut place = MaybeUninit::uninit();
        let (producer, mut consumer) = cell_ring_at(1, 0);
        producer.push(cell).unwrap();
        producer.publish();
        // SAFETY: the place is that of one cell.
        let taken = consumer.drain_lying(1, |cell| unsafe { cell.write_to(place.as_mut_ptr()) });
        assert_eq!(taken, 1);
        // SAFETY: it was written just now.
        unsafe { place.assume_init() }
    }

    #[test]
    fn what_is_taken_out_of_where_it_lies_is_the_cell() {
        let (producer, mut consumer) = cell_ring_at::<Everything>(1, 0);
        let mut place = Some(MessageCell::new(String::from("hello")));
        assert!(producer.push_out_of(&mut place) && place.is_none());
        assert!(!producer.push_out_of(&mut place), "there is none");
        place = Some(MessageCell::new(String::from("again")));
        assert!(!producer.push_out_of(&mut place), "there is no room");
        producer.publish();
        let mut taken = Vec::new();
        consumer.drain(1, |cell| taken.push(cell));
        taken.extend(place);
        let texts = taken.into_iter().map(|cell| cell.take::<String>().unwrap());
        assert_eq!(texts.collect::<Vec<_>>(), ["hello", "again"]);
    }

    #[test]
    fn a_burst_looks_at_each_cell_before_it_takes_it_and_gives_all_slots_back_at_once() {
        let (producer, mut consumer) = cell_ring_at::<Everything>(4, u32::MAX - 1);
        for number in 0..4_u64 {
            producer.push(MessageCell::new(number)).unwrap();
        }
        producer.publish();
        consumer.burst(|burst| {
            assert!(
                burst.next_is::<String>() == Some(false) && burst.next_holds::<u64>().is_some()
            );
            assert_eq!(burst.taken(), 0, "it was looked at");
            for number in 0..3_u64 {
                let cell = burst.take().expect("it is there").whole();
                assert_eq!(cell.take::<u64>().unwrap(), number);
            }
            assert!(!producer.has_room(1), "the producer knows of none yet");
            assert_eq!(burst.taken(), 3);
        });
        assert_eq!(producer.room(), 3);
        producer
            .push(MessageCell::new(String::from("last")))
            .unwrap();
        consumer.burst(|burst| {
            assert!(burst.take().is_some_and(|cell| cell.whole().is::<u64>()));
            assert!(burst.next_is::<String>().is_none(), "it is not published");
            assert!(burst.next_holds::<String>().is_none() && burst.take().is_none());
        });
    }

    #[test]
    fn cells_that_are_alike_are_taken_up_to_one_that_is_not_there_or_of_another_type() {
        // Seven in slots of four, across the end of a lap and of the counters.
        for origin in [0, 1, 2, 3, u32::MAX - 3, u32::MAX] {
            let (producer, mut consumer) = cell_ring_at::<Everything>(4, origin);
            let mut take = |most| {
                let all = |numbers: &Alike<'_, '_, Everything>| {
                    let taken = std::iter::from_fn(|| numbers.pop::<u64>());
                    let values = taken.map(|cell| cell.take::<u64>().unwrap());
                    values.collect::<Vec<_>>()
                };
                consumer.burst(|burst| {
                    let numbers = burst.alike(most, all);
                    assert_eq!(burst.taken() as usize, numbers.len());
                    numbers
                })
            };
            assert_eq!(take(9), [], "nothing is there");
            let push = |cell| {
                producer.push(cell).unwrap();
                producer.publish();
            };
            (1..=4_u64).for_each(|number| push(MessageCell::new(number)));
            assert_eq!(take(2), [1, 2]);
            assert_eq!(take(9), [3, 4], "what lies behind is of the lap before");
            push(MessageCell::new(5_u64));
            push(MessageCell::new(String::from("no number")));
            push(MessageCell::new(6_u64));
            assert_eq!(take(9), [5]);
            assert_eq!(take(9), [], "what comes next is no number");
        }
    }

    #[test]
    fn a_cell_is_found_by_the_slot_of_the_last_within_a_lap_and_what_was_asked_for() {
        let (producer, mut consumer) = cell_ring_at::<Everything>(4, 2);
        let push = |cells| {
            (0..cells).for_each(|number: u64| producer.push(MessageCell::new(number)).unwrap());
            producer.publish();
        };
        let mut look = |most, look: fn(&Alike<'_, '_, Everything>)| {
            consumer.burst(|burst| burst.alike(most, look));
        };
        push(4);
        look(3, |cells| {
            assert!(cells.find().is_none(), "nothing is known yet");
            assert!(cells.pop::<u64>().is_some() && cells.find().is_some());
            cells.forget();
            assert!(cells.find().is_none(), "what was known is forgotten");
            assert!(cells.pop::<u64>().is_some() && cells.find().is_none());
            assert!(cells.pop::<u64>().is_some());
            assert!(cells.find().is_none(), "the next was not asked for");
            assert!(cells.pop::<u64>().is_none() && cells.taken() == 3);
        });
        look(0, |cells| assert!(cells.pop::<u64>().is_none()));
        push(3);
        look(9, |cells| {
            assert!(cells.pop::<u64>().is_some() && cells.find().is_some());
            assert!(cells.pop::<String>().is_none(), "that is a number");
            (0..2).for_each(|_| assert!(cells.pop::<u64>().is_some()));
            assert!(cells.pop::<u64>().is_some() && cells.find().is_none());
        });
        push(3);
        look(9, |cells| {
            (0..3).for_each(|_| assert!(cells.pop::<u64>().is_some()));
            // What lies in the next slot says the same, and was taken a lap before.
            assert!(cells.find().is_none() && cells.pop::<u64>().is_none());
        });
    }

    #[test]
    fn what_is_written_from_where_it_lies_is_the_cell() {
        let whole = moved(MessageCell::new((7_u64, 1_u8, u64::MAX)));
        assert_eq!(whole.take::<(u64, u8, u64)>().unwrap(), (7, 1, u64::MAX));
        assert_eq!(moved(MessageCell::new(200_u8)).take::<u8>().unwrap(), 200);
        let whole = moved(MessageCell::new(String::from("hello")));
        assert_eq!(whole.take::<String>().unwrap(), "hello");
    }
}
