//! How many messages are sent to workers of the own core.
//!
//! Each takes a place in the queue, whose end so tells how many they are: only those are counted one by one that are sent in
//! some other way, and those are taken off that are put there and were sent elsewhere.

use std::cell::Cell;

/// Messages sent here to workers of this core that are not in the counters yet.
#[derive(Debug, Default)]
pub(crate) struct SentHere {
    /// The end of the queue when they were counted last.
    counted: Cell<usize>,
    /// What the queue does not tell; wraps below 0.
    otherwise: Cell<u64>,
}

impl SentHere {
    /// So many are sent that take no place in the queue.
    pub(crate) fn add(&self, messages: u32) {
        let sum = self.otherwise.get().wrapping_add(u64::from(messages));
        self.otherwise.set(sum);
    }

    /// So many take a place in the queue that were not sent here.
    #[inline]
    pub(crate) fn take_off(&self, messages: u32) {
        let rest = self.otherwise.get().wrapping_sub(u64::from(messages));
        self.otherwise.set(rest);
    }

    /// How many there have been since the last time, where the queue ends there now.
    pub(crate) fn take(&self, end: usize) -> u64 {
        let through = end.wrapping_sub(self.counted.replace(end));
        self.otherwise.take().wrapping_add(through as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::SentHere;

    #[test]
    fn what_arrives_is_not_sent() {
        let sent = SentHere::default();
        sent.take_off(3);
        assert_eq!(sent.take(7), 4);
        sent.add(2);
        assert_eq!(sent.take(8), 3);
        assert_eq!(sent.take(8), 0);
    }
}
