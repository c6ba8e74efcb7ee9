//! A slab whose values can be found by address.

use core::fmt;

use hashbrown::HashTable;

use super::Slab;
use crate::{Address, Handle};

/// The workers of one core: values behind [`Handle`]s, most of them with an [`Address`].
///
/// The table is private to its core; nothing in it is shared. It keeps the address, so the value
/// need not; beside both it takes 16 bytes a value, and 5 to 11 in the index of names.
///
/// Where an address is asked for, so is its bucket, which is
/// [`Placement::bucket`](crate::Placement::bucket) of that address: callers have it at hand, and the
/// table needs no copy of the node's keys.
///
/// ```
/// use ringpost_router::{Address, Placement, Table};
///
/// let placement = Placement::new(7, 1);
/// let mut table = Table::new();
/// let echoer = Address::from("echoer");
/// let bucket = placement.bucket(&echoer);
///
/// let handle = table.insert(echoer.clone(), bucket, 'e').unwrap();
/// assert_eq!(table.find(&echoer, bucket), Some(handle));
/// assert_eq!(table.at(handle), Some(&'e'));
/// assert_eq!(table.insert(echoer.clone(), bucket, 'x').unwrap_err().0, 'x');
///
/// assert_eq!(table.remove(handle), Some('e'));
/// assert_eq!(table.find(&echoer, bucket), None);
/// ```
pub struct Table<T> {
    slots: Slab<Entry<T>>,
    index: HashTable<u32>,
}

struct Entry<T> {
    value: T,
    address: Option<Address>,
    /// The lower half of the bucket; enough to rebuild the index when it grows.
    bucket: u32,
}

const _: () = assert!(size_of::<Entry<u64>>() <= size_of::<(u64, Address)>() + 8);

/// The address is taken; gives the value back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is taken")]
pub struct Taken<T>(pub T);

impl<T> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken(..)")
    }
}

impl<T> Table<T> {
    /// A table without values.
    pub const fn new() -> Self {
        Self {
            slots: Slab::new(),
            index: HashTable::new(),
        }
    }

    /// Puts a value under an address.
    ///
    /// # Errors
    ///
    /// [`Taken`] with the value if another has the address; the table is then unchanged.
    ///
    /// # Panics
    ///
    /// As [`Slab::insert`].
    pub fn insert(&mut self, address: Address, bucket: u64, value: T) -> Result<Handle, Taken<T>> {
        if self.find(&address, bucket).is_some() {
            return Err(Taken(value));
        }
        let bucket = bucket as u32;
        let handle = self.slots.insert(Entry {
            value,
            address: Some(address),
            bucket,
        });
        let slots = &self.slots;
        self.index
            .insert_unique(spread(bucket), handle.index, |&index| {
                spread(slots.at_index(index).map_or(0, |(_, entry)| entry.bucket))
            });
        Ok(handle)
    }

    /// Puts a value in without a name; only its handle finds it.
    ///
    /// # Panics
    ///
    /// As [`Slab::insert`].
    #[inline]
    pub fn insert_unnamed(&mut self, value: T) -> Handle {
        self.slots.insert(Entry {
            value,
            address: None,
            bucket: 0,
        })
    }

    /// Takes a value out and frees its address; `None` if the handle is stale.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let entry = self.slots.remove(handle)?;
        if entry.address.is_some() {
            let is_it = |&index: &u32| index == handle.index;
            if let Ok(found) = self.index.find_entry(spread(entry.bucket), is_it) {
                found.remove();
            }
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

    /// The address of the value; `None` if it has none or the handle is stale.
    #[inline]
    pub fn address(&self, handle: Handle) -> Option<&Address> {
        self.slots.at(handle)?.address.as_ref()
    }

    /// The handle of the value that has this address.
    #[inline]
    pub fn find(&self, address: &Address, bucket: u64) -> Option<Handle> {
        let mut found = None;
        self.index.find(spread(bucket as u32), |&index| {
            match self.slots.at_index(index) {
                Some((handle, entry)) if entry.address.as_ref() == Some(address) => {
                    found = Some(handle);
                    true
                }
                _ => false,
            }
        })?;
        found
    }

    /// How many values there are, with and without a name.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The values with their handles and addresses, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, Option<&Address>, &T)> {
        self.slots
            .iter()
            .map(|(handle, entry)| (handle, entry.address.as_ref(), &entry.value))
    }
}

/// The index takes its positions from the low bits of a hash and its fingerprints from the top 7, so
/// half a hash is repeated in both.
#[inline]
fn spread(bucket: u32) -> u64 {
    let low = u64::from(bucket);
    low | (low << 32)
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_one_bucket_are_told_apart() {
        let mut table = Table::new();
        let names: Vec<Address> = (0..100).map(|i| format!("w{i}").into()).collect();
        for (i, name) in names.iter().enumerate() {
            table.insert(name.clone(), 5, i).unwrap();
        }
        let handles: Vec<Handle> = names
            .iter()
            .map(|name| table.find(name, 5).unwrap())
            .collect();
        for (i, handle) in handles.iter().enumerate() {
            assert_eq!(
                (table.at(*handle), table.address(*handle)),
                (Some(&i), Some(&names[i]))
            );
        }
        for handle in &handles[..50] {
            table.remove(*handle).unwrap();
        }
        assert!(names[..50].iter().all(|name| table.find(name, 5).is_none()));
        assert!(names[50..].iter().all(|name| table.find(name, 5).is_some()));
    }

    #[test]
    fn unnamed_values_are_found_by_handle_only() {
        let mut table = Table::default();
        let handle = table.insert_unnamed(1);
        *table.at_mut(handle).unwrap() += 1;
        assert_eq!((table.at(handle), table.address(handle)), (Some(&2), None));
        assert_eq!(table.len(), 1);
        assert!(format!("{table:?}").contains("None, 2"));
        assert_eq!(table.remove(handle), Some(2));
        assert!(table.is_empty());
    }

    #[test]
    fn a_refused_value_comes_back_and_changes_nothing() {
        let mut table = Table::new();
        let handle = table.insert("a".into(), 1, 'x').unwrap();
        let refused = table.insert("a".into(), 1, 'y').unwrap_err();
        assert_eq!(
            format!("{refused} {refused:?}"),
            "the address is taken Taken(..)"
        );
        assert_eq!((table.at(handle), table.len()), (Some(&'x'), 1));
    }
}
