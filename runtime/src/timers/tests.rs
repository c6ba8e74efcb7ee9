//! The wheel against a binary heap, and the corners by hand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;

const TICK: u64 = 1 << TICK_BITS;
/// One turn of level 0.
const TURN: u64 = TICK * LISTS;
const NO_LIMIT: usize = usize::MAX;

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn fired(timers: &mut Timers, now: u64, budget: usize) -> Vec<u64> {
    let mut keys = Vec::new();
    let count = timers.expire(at(now), budget, |key| keys.push(key));
    assert_eq!(count, keys.len());
    keys
}

/// Every timer lies where the rules of the module put it.
fn check(timers: &Timers) {
    let mut seen = 0;
    for list in 0..timers.lists.len() as u16 {
        let (level, bit) = word_of(list);
        let ends = timers.lists[list as usize];
        assert_eq!(
            timers.occupied[level] & bit != 0,
            ends.head != NIL,
            "list {list}"
        );
        let (mut previous, mut index) = (NIL, ends.head);
        while index != NIL {
            let entry = &timers.entries[index];
            assert_eq!((entry.list, entry.previous), (list, previous));
            if list == YOUNG {
                seen += 1;
                (previous, index) = (index, entry.next);
                continue;
            }
            assert!(entry.tick >= timers.current.max(ends.earliest));
            let cascading = timers.cascade_end != 0 && list == timers.cascade_list;
            assert!(cascading || timers.settled_list_of(entry.tick) == list);
            seen += 1;
            (previous, index) = (index, entry.next);
        }
        assert!(ends.head == NIL || ends.tail == previous);
    }
    assert_eq!(seen, timers.len());
}

#[test]
fn fires_at_the_tick_after_the_deadline_and_not_before() {
    for deadline in [
        0,
        1,
        TICK - 1,
        TICK,
        TICK + 1,
        TURN - 1,
        TURN,
        TURN + 1,
        977 * TURN + 5,
    ] {
        let mut timers = Timers::new(Time::ZERO);
        timers.insert(at(deadline), 7);
        let due = deadline.next_multiple_of(TICK);
        assert_eq!(timers.next_deadline(), Some(at(due)));
        if due > 0 {
            assert_eq!(fired(&mut timers, due - 1, NO_LIMIT), []);
        }
        assert_eq!(fired(&mut timers, due, NO_LIMIT), [7]);
        assert_eq!((timers.len(), timers.next_deadline()), (0, None));
    }
}

#[test]
fn one_tick_keeps_the_order_of_insertion() {
    let deadline = 200 * TURN + 3 * TICK;
    let mut timers = Timers::new(Time::ZERO);
    // The first two cascade from above, the third arrives half way, the last two at level 0.
    timers.insert(at(deadline - 5), 0);
    timers.insert(at(deadline), 1);
    fired(&mut timers, 199 * TURN, NO_LIMIT);
    timers.insert(at(deadline - 1), 2);
    fired(&mut timers, 200 * TURN + TICK, NO_LIMIT);
    timers.insert(at(deadline), 3);
    timers.insert(at(deadline - 9), 4);
    check(&timers);
    assert_eq!(fired(&mut timers, deadline, NO_LIMIT), [0, 1, 2, 3, 4]);
}

#[test]
fn an_id_names_one_timer_only() {
    let mut timers = Timers::new(Time::ZERO);
    let first = timers.insert(at(TICK), 1);
    assert!(timers.cancel(first));
    assert!(!timers.cancel(first));
    let second = timers.insert(at(TICK), 2);
    assert_ne!(first, second);
    assert!(!timers.cancel(first), "the place is another's now");
    assert_eq!(fired(&mut timers, TICK, NO_LIMIT), [2]);
    assert!(!timers.cancel(second), "it has fired");
    assert_eq!(timers.entries.places(), 1, "the place was used again");
}

#[test]
fn a_place_out_of_generations_is_not_used_again() {
    let mut timers = Timers::new(Time::ZERO);
    let id = timers.insert(at(TICK), 1);
    timers.entries[0].generation = u32::MAX;
    let last = TimerId {
        generation: u32::MAX,
        ..id
    };
    assert!(timers.cancel(last));
    assert!(!timers.cancel(last));
    assert_eq!(timers.insert(at(TICK), 2).index, 1);
}

#[test]
fn the_budget_covers_moves_and_keeps_the_order() {
    let mut timers = Timers::new(Time::ZERO);
    let span = 64 * TURN;
    for key in 0..100 {
        timers.insert(at(span + key * TICK), key);
    }
    let now = span + TURN * 2;
    let mut keys = fired(&mut timers, now, 10);
    assert_eq!(keys, [], "ten moves used up the budget");
    assert!(timers.next_deadline().unwrap() <= at(now));
    // These belong behind the old timers of their ticks, most of which have not moved yet.
    timers.insert(at(span + 3 * TICK), 1_003);
    timers.insert(at(span + 70 * TICK), 1_070);
    check(&timers);
    for _ in 0..40 {
        keys.extend(fired(&mut timers, now, 10));
        check(&timers);
    }
    let mut expected: Vec<u64> = (0..100).collect();
    expected.insert(71, 1_070);
    expected.insert(4, 1_003);
    assert_eq!(keys, expected);
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn a_cascade_whose_rest_is_cancelled_ends() {
    let mut timers = Timers::new(Time::ZERO);
    let ids = [1, 2, 3].map(|key| timers.insert(at(TURN + key * TICK), key));
    assert_eq!(fired(&mut timers, TURN, 2), []);
    assert!(timers.cancel(ids[2]));
    assert_eq!(fired(&mut timers, TURN + 9 * TICK, NO_LIMIT), [1, 2]);
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn a_cascade_goes_on_within_one_tick() {
    let mut timers = Timers::new(Time::ZERO);
    for key in [2, 1, 0] {
        timers.insert(at(TURN + key * TICK), key);
    }
    assert_eq!(fired(&mut timers, TURN, 2), []);
    assert_eq!(fired(&mut timers, TURN, NO_LIMIT), [0]);
}

#[test]
fn a_clock_that_steps_back_fires_nothing() {
    let mut timers = Timers::new(at(TURN));
    assert_eq!(fired(&mut timers, 2 * TURN, NO_LIMIT), []);
    timers.insert(at(0), 1);
    assert_eq!(fired(&mut timers, TURN, NO_LIMIT), []);
    assert_eq!(fired(&mut timers, 2 * TURN, NO_LIMIT), [1]);
}

#[test]
fn the_end_of_time_is_never_reached() {
    let mut timers = Timers::new(Time::ZERO);
    timers.insert(Time::MAX, 1);
    let last = timers.insert(at(u64::MAX - 2 * TICK), 2);
    assert_eq!(fired(&mut timers, u64::MAX, NO_LIMIT), [2]);
    assert!(!timers.cancel(last));
    assert_eq!((timers.len(), timers.next_deadline()), (1, Some(Time::MAX)));
}

#[test]
fn a_panic_in_the_callback_loses_only_its_own_timer() {
    let mut timers = Timers::new(Time::ZERO);
    for key in 0..3 {
        timers.insert(at(TICK), key);
    }
    let result = catch_unwind(AssertUnwindSafe(|| {
        timers.expire(at(TICK), NO_LIMIT, |key| {
            assert_ne!(key, 1, "the second one")
        });
    }));
    assert!(result.is_err());
    check(&timers);
    assert_eq!(fired(&mut timers, TICK, NO_LIMIT), [2]);
}

#[test]
fn debug_tells_the_state() {
    let mut timers = Timers::new(Time::ZERO);
    timers.insert(at(TICK), 1);
    let text = format!("{timers:?}");
    assert!(
        text.contains("len: 1") && text.contains("131.072"),
        "{text}"
    );
}

#[derive(Debug, Clone)]
enum Step {
    /// A timer so far ahead of the clock (or behind it).
    Insert(i64),
    /// A wait of this span, whose deadline comes with the next look at the clock.
    Begin(u64),
    /// The timer inserted as the n-th, counted back from the last one.
    Cancel(usize),
    Advance(u64, usize),
    Rewind(u64),
}

/// Distances of every size, since each level has its own boundaries.
fn distance() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..4 * TICK,
        4 => 0..2 * TURN,
        2 => (0_u32..50, 0..2 * TURN).prop_map(|(bits, near)| (TICK << bits.min(40)) + near),
        1 => (0..70_u64).prop_map(|ticks| ticks * TICK),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let budget = prop_oneof![3 => Just(NO_LIMIT), 1 => 0..12_usize];
    prop_oneof![
        6 => distance().prop_map(|ahead| Step::Insert(ahead as i64)),
        1 => (0..3 * TURN).prop_map(|behind| Step::Insert(-(behind as i64))),
        3 => distance().prop_map(Step::Begin),
        3 => (0..12_usize).prop_map(Step::Cancel),
        3 => (distance(), budget).prop_map(|(ahead, budget)| Step::Advance(ahead, budget)),
        1 => (0..2 * TURN).prop_map(Step::Rewind),
    ]
}

/// The wheel beside the heap that it must agree with.
struct Pair {
    wheel: Timers,
    /// The tick of each, the place in the order of those that got theirs, and the key.
    heap: BinaryHeap<Reverse<(u64, u64, u64)>>,
    ordered: u64,
    live: HashSet<u64>,
    ids: Vec<TimerId>,
    deadlines: Vec<u64>,
    /// Keys and spans.
    young: Vec<(u64, u64)>,
    now: u64,
    cancelled: bool,
}

impl Pair {
    fn new(start: u64) -> Self {
        Self {
            wheel: Timers::new(at(start)),
            heap: BinaryHeap::new(),
            ordered: 0,
            live: HashSet::new(),
            ids: Vec::new(),
            deadlines: Vec::new(),
            young: Vec::new(),
            now: start,
            cancelled: false,
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Insert(ahead) => self.insert(self.now.saturating_add_signed(ahead)),
            Step::Begin(span) => self.begin(span),
            Step::Cancel(back) => self.cancel(back),
            Step::Advance(ahead, budget) => {
                self.now = self.now.saturating_add(ahead);
                self.grow_up();
                self.expire(budget);
            }
            Step::Rewind(by) => {
                let earlier = at(self.now.saturating_sub(by));
                if tick_at(earlier) < self.wheel.current {
                    assert_eq!(self.wheel.expire(earlier, NO_LIMIT, |_| {}), 0);
                }
            }
        }
        check(&self.wheel);
        if self.young.is_empty() {
            self.check_next_deadline();
        }
    }

    fn insert(&mut self, deadline: u64) {
        let key = self.ids.len() as u64;
        self.ids.push(self.wheel.insert(at(deadline), key));
        self.deadlines.push(deadline);
        self.live.insert(key);
        self.expect(deadline, key);
    }

    fn expect(&mut self, deadline: u64, key: u64) {
        let tick = deadline.div_ceil(TICK).max(self.wheel.current);
        self.heap.push(Reverse((tick, self.ordered, key)));
        self.ordered += 1;
    }

    fn begin(&mut self, span: u64) {
        let key = self.ids.len() as u64;
        let wait = Duration::from_nanos(span);
        self.ids.push(self.wheel.insert_young(wait, key));
        self.deadlines.push(u64::MAX);
        self.live.insert(key);
        self.young.push((key, span));
    }

    fn grow_up(&mut self) {
        self.wheel.grow_up(at(self.now));
        for (key, span) in std::mem::take(&mut self.young) {
            let deadline = self.now.saturating_add(span);
            self.deadlines[key as usize] = deadline;
            self.expect(deadline, key);
        }
    }

    fn cancel(&mut self, back: usize) {
        if let Some(key) = self.ids.len().checked_sub(back + 1) {
            let expected = self.live.remove(&(key as u64));
            assert_eq!(self.wheel.cancel(self.ids[key]), expected);
            self.cancelled |= expected;
        }
    }

    fn expire(&mut self, budget: usize) {
        let keys = fired(&mut self.wheel, self.now, budget);
        assert!(keys.len() <= budget);
        for key in keys {
            let expected = self.earliest().map(|(_, key)| key);
            assert_eq!(Some(key), expected);
            assert!(self.deadlines[key as usize] <= self.now, "early");
            self.heap.pop();
            self.live.remove(&key);
        }
        if budget == NO_LIMIT {
            let due = self
                .earliest()
                .filter(|(tick, _)| *tick <= tick_at(at(self.now)));
            assert_eq!(due, None, "late");
        }
    }

    /// The tick and key of the first timer that is not cancelled.
    fn earliest(&mut self) -> Option<(u64, u64)> {
        while let Some(Reverse((tick, _, key))) = self.heap.peek().copied() {
            if self.live.contains(&key) {
                return Some((tick, key));
            }
            self.heap.pop();
        }
        None
    }

    fn check_next_deadline(&mut self) {
        assert_eq!(self.wheel.len(), self.live.len());
        let current = self.wheel.current;
        let resting = self.wheel.cascade_end == 0;
        let earliest = self.earliest().map(|(tick, _)| tick);
        let exact = earliest.map(time_of);
        let told = self.wheel.next_deadline();
        assert!(told <= exact && told.is_some() == exact.is_some());
        let this_turn = earliest.is_some_and(|tick| tick / LISTS == current / LISTS);
        if resting && (this_turn || !self.cancelled) {
            assert_eq!(told, exact);
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_heap(
        start in prop_oneof![Just(0), Just(u64::MAX - (1 << 50)), any::<u32>().prop_map(u64::from)],
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut pair = Pair::new(start);
        for step in &steps {
            pair.apply(step);
        }
        // Whatever is left comes out in the end, except what lies in the tick that never begins.
        pair.now = u64::MAX;
        pair.grow_up();
        pair.expire(NO_LIMIT);
        prop_assert!(pair.earliest().is_none_or(|(tick, _)| tick == 1 << (64 - TICK_BITS)));
    }
}
