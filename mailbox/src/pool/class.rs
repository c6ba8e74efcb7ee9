//! Size classes, and how many blocks of each a pool may keep.

/// How many size classes there are.
pub const CLASSES: usize = 5;

/// The room for data in a block of each class, in bytes: message cells, then buffers. Payloads are often a power of
/// two, and have a kibibyte for what they are wrapped in where it matters: 16 KiB must not take 64.
pub const CLASS_BYTES: [u32; CLASSES] = [64, 256, 2 * 1024, 17 * 1024, 64 * 1024];

/// A size class. Its number is the index into every table of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Cell,
    Small,
    Medium,
    Large,
    Huge,
}

impl Class {
    pub(crate) const ALL: [Class; CLASSES] = [
        Class::Cell,
        Class::Small,
        Class::Medium,
        Class::Large,
        Class::Huge,
    ];

    /// The smallest class with room for `bytes`; `None` if none has.
    #[inline]
    pub(crate) const fn with_room(bytes: usize) -> Option<Class> {
        let mut index = 0;
        while index < CLASSES {
            if bytes <= CLASS_BYTES[index] as usize {
                return Some(Self::ALL[index]);
            }
            index += 1;
        }
        None
    }

    /// Room for data in a block of this class, in bytes.
    #[inline]
    pub(crate) const fn bytes(self) -> u32 {
        CLASS_BYTES[self as usize]
    }
}

/// How many free blocks a [`Pool`](super::Pool) keeps for reuse.
///
/// A block that comes home to a full class goes to the global allocator. What a pool may hold at most is
/// therefore known: [`PoolLimits::bytes_max`].
///
/// ```
/// use ringpost_mailbox::pool::PoolLimits;
///
/// let none = PoolLimits { cached_max: [0; 5] };
/// assert_eq!(none.bytes_max(), 0);
/// assert!(PoolLimits::default().bytes_max() < 9 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Free blocks kept of each class, in the order of [`CLASS_BYTES`].
    pub cached_max: [u32; CLASSES],
}

impl PoolLimits {
    /// The memory of all free blocks that a pool of these limits may keep, in bytes, headers included.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max_up_to(usize::MAX)
    }

    /// As [`bytes_max`](Self::bytes_max), where nothing longer than this many bytes was ever put into a block: larger blocks
    /// than the smallest with room for that were never made, and none of them is kept.
    ///
    /// ```
    /// use ringpost_mailbox::pool::PoolLimits;
    ///
    /// let limits = PoolLimits::default();
    /// assert!(limits.bytes_max_up_to(100) < 1 << 20);
    /// assert_eq!(limits.bytes_max_up_to(64 << 10), limits.bytes_max());
    /// ```
    pub fn bytes_max_up_to(&self, bytes: usize) -> u64 {
        let largest = Class::with_room(bytes).unwrap_or(Class::Huge);
        let class_bytes_max = |class: &Class| {
            let block = super::block::HEADER_BYTES as u64 + u64::from(class.bytes());
            block * u64::from(self.cached_max[*class as usize])
        };
        let made = &Class::ALL[..=largest as usize];
        made.iter().map(class_bytes_max).sum()
    }
}

impl Default for PoolLimits {
    /// 4096 cells, 1024, 512, 256 and 32 buffers: about 8.1 MiB. Of 2 KiB it keeps what a step sends before it pauses, and of
    /// 17 KiB what a turn of a core handles: with fewer, each of the messages of many connections is allocated anew, page
    /// faults included.
    fn default() -> Self {
        PoolLimits {
            cached_max: [4096, 1024, 512, 256, 32],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASS_BYTES, Class};

    #[test]
    fn each_size_has_the_smallest_class_with_room_for_it() {
        assert_eq!(Class::with_room(0), Some(Class::Cell));
        for (index, class) in Class::ALL.into_iter().enumerate() {
            let bytes = CLASS_BYTES[index] as usize;
            assert_eq!(class as usize, index);
            assert_eq!(Class::with_room(bytes), Some(class));
            assert_eq!(
                Class::with_room(bytes + 1),
                Class::ALL.get(index + 1).copied()
            );
        }
        let wrapped = 16 * 1024 + 512;
        assert_eq!(Class::with_room(wrapped), Some(Class::Large), "not 64 KiB");
    }
}
