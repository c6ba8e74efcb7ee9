//! Timers of one shard: a hierarchical wheel that is told the time and never asks for it.
//!
//! # Shape
//!
//! Time is cut into ticks of 2^17 ns (131 µs). A deadline belongs to the tick that begins at or
//! after it, so a timer is never early and late by less than one tick. Eight levels of 64 lists
//! hold the timers; a list of level `k` spans 64^k ticks:
//!
//! ```text
//! level 0   one tick a list           a turn is   8.4 ms
//! level 1   64 ticks a list           a turn is 537 ms
//! level 2   4,096 ticks a list        a turn is  34 s
//! ...                                 level 7 reaches the end of 64-bit time
//! ```
//!
//! A timer lies at the level of the highest base-64 digit in which its tick differs from the
//! current tick. When the current tick enters a list of an upper level, the timers in it move
//! down (they cascade). A word per level says which lists hold anything, so that empty stretches
//! are skipped, however far the clock jumps.
//!
//! # Why 131 µs
//!
//! A parked core cannot do better than the whole milliseconds of the poll it sleeps in, so a finer
//! tick would only serve a core that spins. And 64 - 17 bits of tick, with one to spare for
//! rounding up, are just what eight levels of six bits hold: no timer is too far away for the
//! wheel, and there is no list of leftovers.
//!
//! # Rules
//!
//! 1. `tick >= self.current` for each timer: a deadline in the past goes to the current tick.
//! 2. A timer's level and list follow from its tick and the current tick alone, except while a
//!    list is cascading: then all timers of its span go to that list (rule 3). Timers of one tick
//!    are therefore always in one list, and fire in the order of their insertion.
//! 3. A cascade that stops at the budget goes on at the next call. Until it is done, new timers of
//!    the span queue up behind those that still have to move.
//! 4. Timers of a lower level are earlier than all timers of the levels above.
//! 5. Who starts a timer knows the time of the last look at the clock, and that may be long over: a
//!    wait that began then would be over early. So a wait is *young*, in a list of its own with its span
//!    for a tick, until the clock has been read after it began.

mod entries;

use std::fmt;
use std::time::Duration;

pub(crate) use self::entries::TimerId;
use self::entries::{Entries, Entry, NIL};
use crate::time::Time;

const TICK_BITS: u32 = 17;
const LEVEL_BITS: u32 = 6;
const LISTS: u64 = 1 << LEVEL_BITS;
const LEVELS: usize = 8;

const _: () = assert!(
    64 - TICK_BITS < LEVEL_BITS * LEVELS as u32,
    "any deadline has a list"
);

/// The list of the young, behind those of all levels.
const YOUNG: u16 = LEVELS as u16 * LISTS as u16;

#[derive(Clone, Copy)]
struct List {
    /// The first tick of the list, or one before it if that timer was cancelled. Meaningless while
    /// the list is empty.
    earliest: u64,
    head: u32,
    tail: u32,
}

/// The timers of one shard. It holds keys; what a key stands for is the caller's affair.
pub(crate) struct Timers {
    current: u64,
    /// While a list cascades, the first tick after its span; otherwise 0.
    cascade_end: u64,
    /// The list that cascades. Meaningless while `cascade_end` is 0.
    cascade_list: u16,
    /// For each level, and for the young.
    occupied: [u64; LEVELS + 1],
    lists: Box<[List]>,
    entries: Entries,
    len: usize,
}

impl Timers {
    /// No timers, at the instant `start`.
    pub(crate) fn new(start: Time) -> Self {
        let empty = List {
            earliest: 0,
            head: NIL,
            tail: NIL,
        };
        Self {
            current: tick_at(start),
            cascade_end: 0,
            cascade_list: 0,
            occupied: [0; LEVELS + 1],
            lists: vec![empty; usize::from(YOUNG) + 1].into_boxed_slice(),
            entries: Entries::new(),
            len: 0,
        }
    }

    /// How many timers wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Starts a timer; `key` is handed out once, by the first [`expire`](Self::expire) at or after
    /// `deadline` (rounded up to a tick) that has the budget for it.
    ///
    /// # Panics
    ///
    /// When 2^32 - 1 timers wait already.
    pub(crate) fn insert(&mut self, deadline: Time, key: u64) -> TimerId {
        let tick = tick_after(deadline).max(self.current);
        let list = self.list_of(tick);
        let id = self.entries.claim(tick, key);
        self.append(id.index, list);
        self.len += 1;
        id
    }

    /// As [`insert`](Self::insert), for a deadline so long after the next look at the clock, of which
    /// [`grow_up`](Self::grow_up) is told.
    ///
    /// # Panics
    ///
    /// As there.
    pub(crate) fn insert_young(&mut self, span: Duration, key: u64) -> TimerId {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let id = self.entries.claim(span, key);
        self.append(id.index, YOUNG);
        self.len += 1;
        id
    }

    /// The clock was read after all that are young have been started: it is this time, and from now on they have deadlines.
    #[inline]
    pub(crate) fn grow_up(&mut self, now: Time) {
        while self.occupied[LEVELS] != 0 {
            let index = self.lists[usize::from(YOUNG)].head;
            self.unlink(index);
            let entry = &mut self.entries[index];
            let deadline = now.saturating_add(Duration::from_nanos(entry.tick));
            let tick = tick_after(deadline).max(self.current);
            entry.tick = tick;
            self.append(index, self.list_of(tick));
        }
    }

    /// Stops a timer. False if it has fired or was cancelled before.
    pub(crate) fn cancel(&mut self, id: TimerId) -> bool {
        let waits = self.entries.holds(id);
        if waits {
            self.release(id.index);
        }
        waits
    }

    /// When [`expire`](Self::expire) is next worth a call: the earliest deadline, rounded up to
    /// its tick, or `None` without timers. The young have none yet.
    ///
    /// It may be earlier than that, never later, if the earliest timer of a far list was
    /// cancelled, or if the last `expire` reached its budget (then it is not after the time given
    /// there). It is exact for a tick within the current turn of level 0.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        if self.cascade_end != 0 && self.len > 0 {
            return Some(time_of(self.current));
        }
        let (list, _) = self.first_list()?;
        Some(time_of(self.lists[list as usize].earliest))
    }

    /// Hands the keys of the timers due at `now` to `fire`, in the order of their ticks, and
    /// within a tick in the order of insertion. Returns how many it handed out.
    ///
    /// It touches at most `budget` timers, counting those which it only moves to a lower level;
    /// the rest waits for the next call, and [`next_deadline`](Self::next_deadline) tells that
    /// there is one. A `now` before that of an earlier call fires nothing. A timer is gone before
    /// `fire` runs, so a panic there loses nothing else.
    pub(crate) fn expire(&mut self, now: Time, budget: usize, mut fire: impl FnMut(u64)) -> usize {
        if !self.may_be_due(now) {
            return 0;
        }
        let now = tick_at(now);
        let mut left = budget;
        let mut fired = 0;
        while let Some(list) = self.due_list(now) {
            if left == 0 {
                return fired;
            }
            left -= 1;
            if self.cascade_end != 0 {
                self.move_down(list);
            } else {
                let index = self.lists[list as usize].head;
                fired += 1;
                let key = self.entries[index].key;
                self.release(index);
                fire(key);
            }
        }
        self.current = now;
        fired
    }

    /// Whether [`expire`](Self::expire) may find anything to do; most turns of a shard end here.
    #[inline]
    pub(crate) fn may_be_due(&self, now: Time) -> bool {
        let now = tick_at(now);
        now > self.current || (now == self.current && self.is_due())
    }

    /// Whether anything is to be done at the current tick.
    #[inline]
    fn is_due(&self) -> bool {
        self.cascade_end != 0 || self.occupied[0] & (1 << (self.current % LISTS)) != 0
    }

    /// The list to take a timer from, with the current tick moved up to it; `None` when nothing is
    /// left to do up to `now`.
    fn due_list(&mut self, now: u64) -> Option<u16> {
        if self.cascade_end != 0 {
            if self.lists[self.cascade_list as usize].head != NIL {
                return Some(self.cascade_list);
            }
            self.cascade_end = 0;
        }
        let (list, start) = self.first_list()?;
        if start > now {
            return None;
        }
        debug_assert!(start >= self.current, "the wheel turned back");
        self.current = start;
        if u64::from(list) >= LISTS {
            self.cascade_list = list;
            self.cascade_end = start + span_of(list);
        }
        Some(list)
    }

    /// The first list that holds a timer, and the first tick of its span.
    fn first_list(&self) -> Option<(u16, u64)> {
        let of_levels = &self.occupied[..LEVELS];
        let level = of_levels.iter().position(|lists| *lists != 0)?;
        let digit = u64::from(self.occupied[level].trailing_zeros());
        let list = level as u64 * LISTS + digit;
        let shift = level as u32 * LEVEL_BITS;
        let above = self.current >> shift & !(LISTS - 1);
        Some((list as u16, (above | digit) << shift))
    }

    /// Where a timer of `tick` belongs (rules 2 and 3).
    fn list_of(&self, tick: u64) -> u16 {
        debug_assert!(tick >= self.current);
        if tick < self.cascade_end {
            return self.cascade_list;
        }
        self.settled_list_of(tick)
    }

    fn settled_list_of(&self, tick: u64) -> u16 {
        // With the lowest digit filled up, equal ticks and near ones come out as level 0.
        let differing = (self.current ^ tick) | (LISTS - 1);
        let level = (u64::BITS - 1 - differing.leading_zeros()) / LEVEL_BITS;
        let digit = (tick >> (level * LEVEL_BITS)) % LISTS;
        level as u16 * LISTS as u16 + digit as u16
    }

    /// Moves the first timer of a cascading list to a level below.
    fn move_down(&mut self, list: u16) {
        let index = self.lists[list as usize].head;
        self.unlink(index);
        let below = self.settled_list_of(self.entries[index].tick);
        debug_assert!(
            below / (LISTS as u16) < list / (LISTS as u16),
            "a cascade goes down"
        );
        self.append(index, below);
    }

    /// Puts an entry at the end of a list.
    fn append(&mut self, index: u32, list: u16) {
        let (level, bit) = word_of(list);
        let ends = &mut self.lists[list as usize];
        let entry = &mut self.entries[index];
        entry.list = list;
        entry.previous = ends.tail;
        entry.next = NIL;
        let previous = ends.tail;
        ends.tail = index;
        if previous == NIL {
            ends.head = index;
            ends.earliest = entry.tick;
            self.occupied[level] |= bit;
        } else {
            ends.earliest = ends.earliest.min(entry.tick);
            self.entries[previous].next = index;
        }
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let Entry {
            previous,
            next,
            list,
            ..
        } = self.entries[index];
        let ends = &mut self.lists[list as usize];
        match previous {
            NIL => ends.head = next,
            _ => self.entries[previous].next = next,
        }
        match next {
            NIL => ends.tail = previous,
            _ => self.entries[next].previous = previous,
        }
        if ends.head == NIL {
            let (level, bit) = word_of(list);
            self.occupied[level] &= !bit;
        }
    }

    /// Ends a timer.
    fn release(&mut self, index: u32) {
        self.unlink(index);
        self.entries.release(index);
        self.len -= 1;
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("current", &time_of(self.current))
            .field("next_deadline", &self.next_deadline())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The tick that runs at `time`.
fn tick_at(time: Time) -> u64 {
    time.as_nanos() >> TICK_BITS
}

/// The first tick that begins at `deadline` or later.
fn tick_after(deadline: Time) -> u64 {
    let within = deadline.as_nanos() & ((1 << TICK_BITS) - 1);
    tick_at(deadline) + u64::from(within != 0)
}

/// When `tick` begins. The tick after the last one never does.
fn time_of(tick: u64) -> Time {
    match tick.leading_zeros() >= TICK_BITS {
        true => Time::from_nanos(tick << TICK_BITS),
        false => Time::MAX,
    }
}

/// How many ticks a list spans.
fn span_of(list: u16) -> u64 {
    1 << (u32::from(list / LISTS as u16) * LEVEL_BITS)
}

/// The level of a list, and its bit in the level's word.
fn word_of(list: u16) -> (usize, u64) {
    (usize::from(list / LISTS as u16), 1 << (list % LISTS as u16))
}

#[cfg(test)]
mod tests;
