//! A slab whose values can be found by address.

use core::fmt;

use hashbrown::HashTable;

use super::Slab;
use crate::{Address, Handle};

/// A value that knows the name it is to be found by.
pub trait Named {
    /// The name. The same for as long as the value is in a table.
    fn address(&self) -> &Address;
}

/// The workers of one core: values behind [`Handle`]s, found by [`Address`].
///
/// The table is private to its core; nothing in it is shared. The value keeps its address, so the
/// table need not; beside the value it takes 16 bytes, and 5 to 11 in the index of names.
///
/// Where an address is asked for, so is its bucket, which is
/// [`Placement::bucket`](crate::Placement::bucket) of that address: callers have it at hand, and the
/// table needs no copy of the node's keys.
///
/// ```
/// use ringpost_router::{Address, Named, Placement, Table};
///
/// #[derive(Debug, PartialEq)]
/// struct Worker(Address, char);
/// impl Named for Worker {
///     fn address(&self) -> &Address {
///         &self.0
///     }
/// }
///
/// let placement = Placement::new(7, 1);
/// let mut table = Table::new();
/// let echoer = Address::from("echoer");
/// let bucket = placement.bucket(&echoer);
///
/// let handle = table.insert(bucket, Worker(echoer.clone(), 'e')).unwrap();
/// assert_eq!(table.find(&echoer, bucket), Some(handle));
/// assert_eq!(table.at(handle).unwrap().1, 'e');
/// assert_eq!(table.insert(bucket, Worker(echoer.clone(), 'x')).unwrap_err().0.1, 'x');
///
/// assert_eq!(table.remove(handle).unwrap().1, 'e');
/// assert_eq!(table.find(&echoer, bucket), None);
/// ```
pub struct Table<T> {
    slots: Slab<Entry<T>>,
    index: HashTable<u32>,
}

struct Entry<T> {
    value: T,
    /// The lower half of the bucket; enough to rebuild the index when it grows.
    bucket: u32,
}

const _: () = assert!(size_of::<Entry<u64>>() == 16);

/// The address is taken; gives the value back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is taken")]
pub struct Taken<T>(pub T);

impl<T> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken(..)")
    }
}

impl<T: Named> Table<T> {
    /// A table without values.
    pub const fn new() -> Self {
        Self {
            slots: Slab::new(),
            index: HashTable::new(),
        }
    }

    /// Puts a value under its address.
    ///
    /// # Errors
    ///
    /// [`Taken`] with the value if another has the address; the table is then unchanged.
    ///
    /// # Panics
    ///
    /// As [`Slab::insert`].
    pub fn insert(&mut self, bucket: u64, value: T) -> Result<Handle, Taken<T>> {
        if self.find(value.address(), bucket).is_some() {
            return Err(Taken(value));
        }
        let bucket = bucket as u32;
        let handle = self.slots.insert(Entry { value, bucket });
        let slots = &self.slots;
        self.index
            .insert_unique(spread(bucket), handle.index, |&index| {
                spread(slots.at_index(index).map_or(0, |(_, entry)| entry.bucket))
            });
        Ok(handle)
    }

    /// Takes a value out and frees its address; `None` if the handle is stale.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let entry = self.slots.remove(handle)?;
        let is_it = |&index: &u32| index == handle.index;
        if let Ok(found) = self.index.find_entry(spread(entry.bucket), is_it) {
            found.remove();
        }
        Some(entry.value)
    }

    /// The value; `None` if the handle is stale.
    #[inline]
    pub fn at(&self, handle: Handle) -> Option<&T> {
        self.slots.at(handle).map(|entry| &entry.value)
    }

    /// The value, to be changed; `None` if the handle is stale.
    #[inline]
    pub fn at_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.slots.at_mut(handle).map(|entry| &mut entry.value)
    }

    /// The handle of the value that has this address.
    #[inline]
    pub fn find(&self, address: &Address, bucket: u64) -> Option<Handle> {
        let index = self.index_of(address, bucket)?;
        self.slots.at_index(index).map(|(handle, _)| handle)
    }

    /// The value that has this address.
    #[inline]
    pub fn named(&self, address: &Address, bucket: u64) -> Option<&T> {
        let index = self.index_of(address, bucket)?;
        self.slots.at_index(index).map(|(_, entry)| &entry.value)
    }

    #[inline]
    fn index_of(&self, address: &Address, bucket: u64) -> Option<u32> {
        let is_it = |index: &u32| {
            self.slots
                .at_index(*index)
                .is_some_and(|(_, entry)| entry.value.address() == address)
        };
        self.index.find(spread(bucket as u32), is_it).copied()
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The values with their handles, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.slots
            .iter()
            .map(|(handle, entry)| (handle, &entry.value))
    }
}

/// The index takes its positions from the low bits of a hash and its fingerprints from the top 7, so
/// half a hash is repeated in both.
#[inline]
fn spread(bucket: u32) -> u64 {
    let low = u64::from(bucket);
    low | (low << 32)
}

impl<T: Named> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Named + fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Value(Address, usize);

    impl Named for Value {
        fn address(&self) -> &Address {
            &self.0
        }
    }

    #[test]
    fn names_in_one_bucket_are_told_apart() {
        let mut table = Table::new();
        let names: Vec<Address> = (0..100).map(|i| format!("w{i}").into()).collect();
        for (i, name) in names.iter().enumerate() {
            table.insert(5, Value(name.clone(), i)).unwrap();
        }
        let handles: Vec<Handle> = names
            .iter()
            .map(|name| table.find(name, 5).unwrap())
            .collect();
        for (i, handle) in handles.iter().enumerate() {
            assert_eq!(table.at(*handle), Some(&Value(names[i].clone(), i)));
            assert_eq!(table.named(&names[i], 5), table.at(*handle));
        }
        for handle in &handles[..50] {
            table.remove(*handle).unwrap();
        }
        assert!(names[..50].iter().all(|name| table.find(name, 5).is_none()));
        assert!(names[50..].iter().all(|name| table.find(name, 5).is_some()));
    }

    #[test]
    fn a_refused_value_comes_back_and_changes_nothing() {
        let mut table = Table::new();
        let handle = table.insert(1, Value("a".into(), 1)).unwrap();
        let refused = table.insert(1, Value("a".into(), 2)).unwrap_err();
        assert_eq!(
            format!("{refused} {refused:?}"),
            "the address is taken Taken(..)"
        );
        assert_eq!(table.at(handle).map(|value| value.1), Some(1));
        assert_eq!(table.len(), 1);
        *table.at_mut(handle).map(|value| &mut value.1).unwrap() += 1;
        assert!(format!("{table:?}").contains(", 2)"));
    }
}
