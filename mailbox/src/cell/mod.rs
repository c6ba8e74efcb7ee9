//! A message of any type in 32 bytes.
//!
//! A [`MessageCell`] owns one value whose type has been forgotten. It is a word that points to what is
//! known of the type (the *vtable*) and [`INLINE_BYTES`] bytes for the value itself:
//!
//! ```text
//!  0        8                               32
//!  +--------+--------------------------------+
//!  | vtable |  the value, or a pointer to it |
//!  +--------+--------------------------------+
//! ```
//!
//! A value of up to 24 bytes, aligned to 8 at most, lies in the cell. A larger one lies in a block of
//! the current core's pool (see [`pool`](crate::pool)), whose way home is that pool's affair; what is larger
//! than any block, or aligned to more than 64, is boxed. Which of the three it is depends on the type
//! alone, so [`MessageCell::new`] and [`MessageCell::take`] compile to the moves of their own case.
//!
//! # Why it is sound
//!
//! 1. The vtable is made by [`MessageCell::new`] for the type it was given, and never changed; so a
//!    type identity equal to that of `T` proves that the payload holds a `T`.
//! 2. The cell owns the value: `take` moves it out and forgets the cell, dropping the cell drops the
//!    value in its place, and nothing copies a cell.
//! 3. Only `Send` values enter, so the cell is `Send`. A shared cell hands out `&T` from
//!    [`MessageCell::peek`], and nobody asked whether `T` is `Sync`, so the cell is not `Sync`.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use vtable::{Described, VTable};

mod apart;
mod boxed;
#[doc(hidden)]
pub mod payload;
mod vtable;

pub(crate) use apart::Apart;
pub use apart::Lying;
pub use boxed::Boxed;

use payload::{Payload, Place};

/// The largest value, in bytes, that lies in the cell itself. `benches/cell_size.rs` has the reasons.
pub const INLINE_BYTES: usize = 24;

/// A family of message types that travel in the same cells.
///
/// The family decides what is known of each of its types beside how to drop it: its
/// [`Meta`](Catalog::Meta), commonly a few functions that take a cell and look at its value.
pub trait Catalog: 'static {
    /// What the family knows of each of its types.
    type Meta: Sync + 'static;
}

/// The entry of the type `T` in a [`Catalog`].
///
/// ```
/// use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
///
/// /// Numbers that can be asked for their parity.
/// struct Numbers;
/// struct Parity(fn(&MessageCell<Numbers>) -> bool);
///
/// impl Catalog for Numbers {
///     type Meta = Parity;
/// }
/// impl<T: Copy + Into<u64> + 'static> Entry<T> for Numbers {
///     const META: &'static Parity =
///         &Parity(|cell| cell.peek::<T>().is_some_and(|&number| number.into() % 2 == 0));
/// }
///
/// let cell = MessageCell::<Numbers>::new(6u8);
/// assert!((cell.meta().0)(&cell));
/// ```
pub trait Entry<T>: Catalog {
    /// What the catalog knows of `T`. A reference, so that it may be part of a constant whatever the
    /// type of the metadata is.
    const META: &'static Self::Meta;
}

/// One value of any type of the catalog `C`; see the [module](self) for how it is kept.
///
/// 32 bytes, and so is `Option<MessageCell<C>>`.
///
/// ```
/// use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};
///
/// struct Everything;
/// impl Catalog for Everything {
///     type Meta = ();
/// }
/// impl<T> Entry<T> for Everything {
///     const META: &'static () = &();
/// }
///
/// let cell = MessageCell::<Everything>::new(String::from("hello"));
/// let cell = cell.take::<u32>().expect_err("it is a string");
/// assert_eq!(cell.take::<String>().expect("it is a string"), "hello");
/// ```
pub struct MessageCell<C: Catalog> {
    vtable: &'static VTable<C::Meta>,
    payload: Payload<INLINE_BYTES>,
    /// Neither `Send` nor `Sync` by itself; what is allowed is stated below.
    not_sync: PhantomData<*mut ()>,
}

const _: () = {
    struct Nothing;
    impl Catalog for Nothing {
        type Meta = ();
    }
    assert!(size_of::<MessageCell<Nothing>>() == INLINE_BYTES + 8);
    assert!(size_of::<Option<MessageCell<Nothing>>>() == INLINE_BYTES + 8);
    assert!(align_of::<MessageCell<Nothing>>() == 8);
};

// SAFETY: the only value in the cell came in through `new`, which takes `Send` values alone; the vtable
// is shared and immutable, and its metadata is `Sync` by the bound on `Catalog::Meta`.
unsafe impl<C: Catalog> Send for MessageCell<C> {}

impl<C: Catalog> MessageCell<C> {
    /// Moves `value` into a new cell.
    ///
    /// Allocates nothing for a value of up to [`INLINE_BYTES`] aligned to 8 at most. A larger one takes a
    /// block of the current pool, or of the global allocator where no pool is current.
    #[inline]
    pub fn new<T: Send + 'static>(value: T) -> Self
    where
        C: Entry<T>,
    {
        MessageCell {
            vtable: Described::<C, T>::VTABLE,
            payload: Payload::new(value),
            not_sync: PhantomData,
        }
    }

    /// Whether a value of this type lies apart from its cell, and so takes memory.
    #[inline]
    pub const fn takes_memory<T>() -> bool {
        !matches!(Payload::<INLINE_BYTES>::place::<T>(), Place::Inline)
    }

    /// Whether the value is a `T`.
    #[inline]
    pub fn is<T: 'static>(&self) -> bool {
        self.vtable.type_id == TypeId::of::<T>()
    }

    /// As [`is`](Self::is), for a type of the catalog, where that is most often so: one comparison.
    #[inline]
    pub fn holds<T: Send + 'static>(&self) -> bool
    where
        C: Entry<T>,
    {
        ptr::eq(self.vtable, Described::<C, T>::VTABLE) || self.is::<T>()
    }

    /// Moves the value out if it is a `T`, and gives the cell back untouched if it is not.
    ///
    /// # Errors
    ///
    /// The cell itself, if it holds a value of another type.
    #[inline]
    pub fn take<T: 'static>(self) -> Result<T, Self> {
        if !self.is::<T>() {
            return Err(self);
        }
        // SAFETY: the value is a `T`.
        Ok(unsafe { self.take_unchecked::<T>() })
    }

    /// Moves the value out, which is known to be a `T`.
    ///
    /// # Safety
    ///
    /// The value is a `T`: [`is`](Self::is) has said so.
    #[inline]
    pub unsafe fn take_unchecked<T: 'static>(self) -> T {
        let mut cell = ManuallyDrop::new(self);
        // SAFETY: the caller upholds that the payload holds a `T`, and the cell is forgotten, so nobody
        // uses the payload again.
        unsafe { cell.payload.take::<T>() }
    }

    /// Moves the value, which is known to be a `T`, to a place, by whole words if it lies in the cell.
    ///
    /// A value of a byte would be stored as a byte, and moved by a word with what it is part of soon after; and a
    /// processor that loads a word of which it has just stored a byte stands still until that is in its cache.
    ///
    /// # Safety
    ///
    /// The value is a `T`: [`is`](Self::is) has said so. The place is valid for writes of as many whole words as a `T`
    /// takes, and aligned for a `T` and for words.
    #[inline]
    pub unsafe fn move_unchecked<T: 'static>(self, to: *mut T) {
        let mut cell = ManuallyDrop::new(self);
        // SAFETY: the caller upholds that the payload holds a `T`, and what is said of the place; the cell is forgotten,
        // so nobody uses the payload again.
        unsafe { cell.payload.move_words::<T>(to) }
    }

    /// Looks at the value if it is a `T`.
    #[inline]
    pub fn peek<T: 'static>(&self) -> Option<&T> {
        // SAFETY: the payload holds a `T` (rule 1), which stays as long as the cell is borrowed.
        self.is::<T>()
            .then(|| unsafe { &*self.payload.as_ptr::<T>() })
    }

    /// Looks at the value, to change it, if it is a `T`.
    #[inline]
    pub fn peek_mut<T: 'static>(&mut self) -> Option<&mut T> {
        // SAFETY: the payload holds a `T` (rule 1), which stays as long as the cell is borrowed, and the
        // cell is borrowed uniquely.
        self.is::<T>()
            .then(|| unsafe { &mut *self.payload.as_mut_ptr::<T>() })
    }

    /// The name of the value's type, for messages to people.
    pub fn type_name(&self) -> &'static str {
        (self.vtable.type_name)()
    }

    /// What the catalog knows of the value's type.
    #[inline]
    pub fn meta(&self) -> &'static C::Meta {
        self.vtable.meta
    }

    /// Whether the value lies in the cell itself.
    pub fn is_inline(&self) -> bool {
        self.vtable.is_inline
    }
}

impl<C: Catalog> Drop for MessageCell<C> {
    #[inline]
    fn drop(&mut self) {
        if let Some(drop_payload) = self.vtable.drop_payload {
            // SAFETY: the vtable was made for the type of the value in the payload (rule 1), and the cell
            // is going, so nobody uses the payload again.
            unsafe { drop_payload(&mut self.payload) }
        }
    }
}

impl<C: Catalog> fmt::Debug for MessageCell<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageCell")
            .field("type_name", &self.type_name())
            .field("is_inline", &self.is_inline())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;
    use std::rc::Rc;

    use super::{Catalog, Entry, MessageCell};

    struct Everything;
    impl Catalog for Everything {
        type Meta = &'static str;
    }
    impl<T> Entry<T> for Everything {
        const META: &'static &'static str = &"everything";
    }
    type Cell = MessageCell<Everything>;

    #[test]
    fn a_value_comes_out_as_it_went_in() {
        assert_eq!(Cell::new(7u64).take::<u64>().expect("a number"), 7);
        assert_eq!(
            Cell::new([9u8; 300]).take::<[u8; 300]>().expect("an array"),
            [9u8; 300]
        );
        Cell::new(()).take::<()>().expect("a unit");
    }

    /// Moves a value out of a cell to where there is a whole word for its last bytes.
    fn moved<T: Send + 'static>(value: T) -> T {
        #[repr(C)]
        struct Roomy<T>(MaybeUninit<T>, u64);

        let cell = Cell::new(value);
        let mut place = Roomy(MaybeUninit::<T>::uninit(), 0);
        assert!(cell.is::<T>());
        // SAFETY: the cell holds a `T`. The place has a word more than that takes, and is aligned to words by that.
        unsafe { cell.move_unchecked((&raw mut place).cast::<T>()) };
        // SAFETY: the value was moved there.
        unsafe { place.0.assume_init() }
    }

    #[test]
    fn a_value_is_moved_to_its_place_whatever_its_size() {
        moved(());
        assert_eq!((moved(0x81u8), moved(0x8123u16)), (0x81, 0x8123));
        assert_eq!((moved([7u8; 3]), moved([8u8; 21])), ([7; 3], [8; 21]));
        assert_eq!((moved(7u64), moved([9u8; 300])), (7, [9; 300]));
        assert_eq!(
            moved((String::from("word"), true)),
            ("word".to_owned(), true)
        );
    }

    #[test]
    fn another_type_gives_the_cell_back() {
        let mut cell = Cell::new(String::from("word"));
        assert!(cell.is::<String>() && !cell.is::<Rc<str>>());
        assert!(cell.peek::<u64>().is_none() && cell.peek_mut::<u64>().is_none());
        cell.peek_mut::<String>().expect("a string").push('s');
        let cell = cell.take::<Vec<u8>>().expect_err("no bytes");
        assert_eq!(cell.peek::<String>().expect("a string"), "words");
        assert_eq!(cell.type_name(), "alloc::string::String");
        assert_eq!(*cell.meta(), "everything");
    }

    #[test]
    fn the_formatter_names_the_type_and_the_place() {
        let text = format!("{:?} {:?}", Cell::new(1u8), Cell::new([0u64; 4]));
        assert!(
            text.contains("\"u8\"") && text.contains("is_inline: true"),
            "{text}"
        );
        assert!(
            text.contains("\"[u64; 4]\"") && text.contains("is_inline: false"),
            "{text}"
        );
    }
}
