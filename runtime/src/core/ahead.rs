//! Whether the messages of a core can be handled in the order in which they came, and nobody waits too long (G7).
//!
//! Each message in the queue is looked at once, when one of more than a burst is about to be handled, and numbered: one
//! more than the last for the same worker, or than the *base* if that is more. So where those of several workers
//! alternate, their numbers rise together. A message is *late* if its number is half a burst or more below the greatest
//! in front of it. While none is late, no worker needs to be put aside.
//!
//! # Why nobody waits for more than a burst of a worker while nothing is late
//!
//! Let `m` be a message of a worker for which no other is in front of it, `n` its number, and `h` half a burst. A
//! message in front of `m` has a number below `n + h`, as `m` is not late. That before `m` for the same worker had `n - 1`
//! and has been taken, or `n - 1` is the base; what came behind it is not late, so has a number above `n - 1 - h`. Numbers
//! of one worker rise by one at least: there are no more than `2 * h` of it between.
//!
//! The base is what that needs: a number that was the greatest when the queue was looked at up to a position that has
//! been passed since. Who comes to a queue that others have used for long begins there.

use crate::core::Core;
use crate::mailbox::{Mailbox, State};
use crate::task::raw::Queue;

/// Messages that are looked at in one go: what 100 workers can have waiting. Of more at once the last counts as late.
const LOOKS_MAX: usize = 1 << 17;

/// The numbers of the messages in a queue.
pub(crate) struct Numbers {
    /// How far below the greatest a number makes a message late.
    half: u64,
    greatest: u64,
    base: u64,
    /// The base, when the queue has been worked off up to there.
    next: (u64, usize),
    /// The queue was looked at up to there.
    seen: usize,
    /// Of workers, by their place in the table.
    last: Vec<Last>,
}

/// The last number of who has a place; each who has it is one more generation.
#[derive(Clone, Copy, Default)]
struct Last {
    generation: u32,
    number: u64,
}

impl Numbers {
    pub(crate) fn new(worker_burst: u32) -> Self {
        Self {
            half: u64::from(worker_burst / 2),
            greatest: 0,
            base: 0,
            next: (0, 0),
            seen: 0,
            last: Vec::new(),
        }
    }

    /// Numbers the next message, which is for this worker. Whether it is late.
    #[inline]
    pub(crate) fn is_late(&mut self, to: &Mailbox) -> bool {
        if to.state.get() == State::Stub {
            return false;
        }
        let handle = to.handle();
        let place = handle.index as usize;
        if place >= self.last.len() {
            self.last.resize(place + 1, Last::default());
        }
        let last = &mut self.last[place];
        let before = match last.generation == handle.generation {
            true => last.number.max(self.base),
            false => self.base,
        };
        *last = Last {
            generation: handle.generation,
            number: before + 1,
        };
        self.greatest = self.greatest.max(before + 1);
        self.greatest - (before + 1) >= self.half
    }

    /// Looks at what has come since. Whether there is one that is late.
    #[inline]
    fn is_any_late(&mut self, queue: &Queue) -> bool {
        if queue.has_passed(self.next.1) {
            self.base = self.next.0;
            self.next = (self.greatest, self.seen);
        }
        if self.seen == queue.end() {
            return false;
        }
        let (seen, is_late) = queue.number_from(self.seen, LOOKS_MAX, self);
        self.seen = seen;
        is_late
    }
}

impl Core {
    /// Whether a message that came since this was last asked would wait too long, if all were handled in the order in
    /// which they came. Who has to wait for its turn then does so until that message has been taken: until nobody takes
    /// turns this need not be asked again.
    #[inline]
    pub(crate) fn is_anybody_late(&self) -> bool {
        self.numbers.borrow_mut().is_any_late(&self.queue)
    }
}
