//! Which requests the workers of a core have passed on: their answers come back by those workers, and need no
//! room there.
//!
//! All workers of a core share so many notes ([`Limits::passed_on_max`](crate::Limits)). Where one more is needed,
//! the oldest is forgotten of a worker that has its share of them at least, which is what there is for each of those
//! that have any: so who leaves many behind, as of requests that nobody answers, forgets its own. The answer to a request that was
//! forgotten needs room, and is reported as late where there is none.
//!
//! Notes lie in one list, found by worker and place, and those of a worker are a chain through it by age.

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;
use slab::Slab;

use crate::envelope::ReplyTo;

/// A request that was passed on.
#[derive(Debug)]
struct Note {
    place: ReplyTo,
    /// How often it was; 0 in a note that is free.
    times: u32,
    worker: u32,
    /// Its neighbours among those of its worker; of free ones, `newer` is the next that is free.
    older: u32,
    newer: u32,
}

/// The notes of one worker.
#[derive(Debug)]
struct Chain {
    oldest: u32,
    newest: u32,
    count: u32,
}

/// Ends a chain; no note has this index.
const END: u32 = u32::MAX;

/// The bytes of each note at the most: the list is moved when it grows, and the table beside it doubles.
pub(crate) const NOTE_BYTES: u64 = 2 * size_of::<Note>() as u64 + 32;

/// Names the notes of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passer(u32);

/// The requests that the workers of one core have passed on.
pub(crate) struct PassedOn {
    notes: Vec<Note>,
    /// The first note that is free.
    free: u32,
    found: HashTable<u32>,
    /// Nobody knows where something is looked for, as names of peers are among that.
    secret: u64,
    chains: Slab<Chain>,
    /// How many of them are not empty.
    holding: u32,
    most: u32,
    /// Where a worker with its share was found last.
    cursor: u32,
}

impl PassedOn {
    pub(crate) fn new(most: u32, secret: u64) -> Self {
        Self {
            notes: Vec::new(),
            free: END,
            found: HashTable::new(),
            secret,
            chains: Slab::new(),
            holding: 0,
            most: most.min(END - 1),
            cursor: 0,
        }
    }

    /// One more worker passes requests on.
    pub(crate) fn join(&mut self) -> Passer {
        let empty = Chain {
            oldest: END,
            newest: END,
            count: 0,
        };
        // There are fewer workers than that.
        Passer(u32::try_from(self.chains.insert(empty)).unwrap_or(END))
    }

    /// A worker has ended: no answer comes by it any more.
    pub(crate) fn leave(&mut self, worker: Passer) {
        while self.forget_oldest(worker.0) {}
        self.chains.try_remove(worker.0 as usize);
    }

    /// Notes one more request that this worker passes on.
    pub(crate) fn note(&mut self, worker: Passer, place: ReplyTo) {
        let Passer(worker) = worker;
        let found_by = hash(self.secret, worker, place);
        let notes = &self.notes;
        let known = self.found.find(found_by, |at| {
            let note = &notes[*at as usize];
            note.worker == worker && note.place == place
        });
        if let Some(at) = known {
            let times = &mut self.notes[*at as usize].times;
            *times = times.saturating_add(1);
            return;
        }
        if self.found.len() >= self.most as usize && !self.make_room(worker) {
            return;
        }
        let at = self.add(worker, place);
        let (notes, secret) = (&self.notes, self.secret);
        self.found.insert_unique(found_by, at, |at| {
            let note = &notes[*at as usize];
            hash(secret, note.worker, note.place)
        });
    }

    /// An answer has come by this worker. Whether its request was noted.
    pub(crate) fn take(&mut self, worker: Passer, place: ReplyTo) -> bool {
        let Passer(worker) = worker;
        let found_by = hash(self.secret, worker, place);
        let notes = &mut self.notes;
        let entry = self.found.find_entry(found_by, |at| {
            let note = &notes[*at as usize];
            note.worker == worker && note.place == place
        });
        let Ok(entry) = entry else { return false };
        let at = *entry.get();
        let times = &mut notes[at as usize].times;
        *times -= 1;
        if *times == 0 {
            entry.remove();
            self.unlink(at);
        }
        true
    }

    /// Forgets the oldest note of a worker that has its share; of the one that needs room, if that has.
    #[cold]
    fn make_room(&mut self, worker: u32) -> bool {
        let share = (self.most / self.holding.max(1)).max(1);
        let has_share = |chain: Option<&Chain>| chain.is_some_and(|chain| chain.count >= share);
        if has_share(self.chains.get(worker as usize)) {
            return self.forget_oldest(worker);
        }
        // One has it, as all together have as many as there may be.
        let all = self.notes.len();
        let from = self.cursor as usize;
        let rich = (from..all).chain(0..from.min(all)).find(|at| {
            let note = &self.notes[*at];
            note.times > 0 && has_share(self.chains.get(note.worker as usize))
        });
        let Some(rich) = rich else { return false };
        self.cursor = u32::try_from(rich).unwrap_or(0);
        self.forget_oldest(self.notes[rich].worker)
    }

    /// Forgets the oldest note of a worker, if it has one.
    fn forget_oldest(&mut self, worker: u32) -> bool {
        let Some(chain) = self.chains.get(worker as usize) else {
            return false;
        };
        let at = chain.oldest;
        let Some(note) = self.notes.get_mut(at as usize) else {
            return false;
        };
        note.times = 0;
        let found_by = hash(self.secret, note.worker, note.place);
        if let Ok(entry) = self.found.find_entry(found_by, |other| *other == at) {
            entry.remove();
        }
        self.unlink(at);
        true
    }

    /// A note that is the newest of its worker.
    fn add(&mut self, worker: u32, place: ReplyTo) -> u32 {
        let older = match self.chains.get_mut(worker as usize) {
            Some(chain) => chain.newest,
            None => END,
        };
        let note = Note {
            place,
            times: 1,
            worker,
            older,
            newer: END,
        };
        let at = self.put(note);
        if let Some(before) = self.notes.get_mut(older as usize) {
            before.newer = at;
        }
        if let Some(chain) = self.chains.get_mut(worker as usize) {
            self.holding += u32::from(chain.count == 0);
            chain.count += 1;
            chain.newest = at;
            if older == END {
                chain.oldest = at;
            }
        }
        at
    }

    /// Puts a note where one is free, or at the end of the list, which never has room for more than there may be.
    fn put(&mut self, note: Note) -> u32 {
        if let Some(free) = self.notes.get_mut(self.free as usize) {
            let at = self.free;
            self.free = free.newer;
            *free = note;
            return at;
        }
        let len = self.notes.len();
        if len == self.notes.capacity() {
            let left = (self.most as usize).saturating_sub(len);
            self.notes.reserve_exact(len.max(GROWTH_MIN).min(left));
        }
        self.notes.push(note);
        u32::try_from(len).unwrap_or(END)
    }

    /// Takes a note out of its chain, and frees it.
    fn unlink(&mut self, at: u32) {
        let free = self.free;
        let Some(note) = self.notes.get_mut(at as usize) else {
            return;
        };
        let (worker, older) = (note.worker, note.older);
        let newer = std::mem::replace(&mut note.newer, free);
        self.free = at;
        if let Some(before) = self.notes.get_mut(older as usize) {
            before.newer = newer;
        }
        if let Some(after) = self.notes.get_mut(newer as usize) {
            after.older = older;
        }
        if let Some(chain) = self.chains.get_mut(worker as usize) {
            chain.count -= 1;
            self.holding -= u32::from(chain.count == 0);
            if chain.oldest == at {
                chain.oldest = newer;
            }
            if chain.newest == at {
                chain.newest = older;
            }
        }
    }
}

/// Where the note of a place is found among those of all workers.
fn hash(secret: u64, worker: u32, place: ReplyTo) -> u64 {
    let mut hasher = DefaultHasher::new();
    (secret, worker, place).hash(&mut hasher);
    hasher.finish()
}

/// Notes for which room is made at first.
const GROWTH_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ringpost_router::Handle;

    use super::*;

    fn place(index: u32) -> ReplyTo {
        let generation = 1;
        ReplyTo {
            core: 0,
            handle: Handle { index, generation },
        }
    }

    #[test]
    fn an_answer_is_expected_as_often_as_its_request_was_passed_on() {
        let mut passed = PassedOn::new(100, 7);
        let (worker, other) = (passed.join(), passed.join());
        passed.note(worker, place(1));
        passed.note(worker, place(1));
        assert!(!passed.take(worker, place(2)) && !passed.take(other, place(1)));
        assert!(passed.take(worker, place(1)) && passed.take(worker, place(1)));
        assert!(!passed.take(worker, place(1)));
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_very_many() {
        let mut passed = PassedOn::new(100, 7);
        let worker = passed.join();
        for index in 0..300 {
            passed.note(worker, place(index));
        }
        assert_eq!(passed.notes.capacity(), 100);
        assert!((0..200).all(|index| !passed.take(worker, place(index))));
        assert!((200..300).all(|index| passed.take(worker, place(index))));
    }

    #[test]
    fn who_leaves_many_behind_forgets_its_own() {
        let mut passed = PassedOn::new(100, 7);
        let workers: Vec<_> = (0..4).map(|_| passed.join()).collect();
        let (greedy, modest) = workers.split_first().unwrap();
        for index in 0..1000 {
            passed.note(*greedy, place(index));
        }
        for index in 0..25 {
            for worker in modest {
                passed.note(*worker, place(index));
                passed.note(*greedy, place(5000 + index));
            }
        }
        for index in 0..1000 {
            passed.note(*greedy, place(index));
        }
        for worker in modest {
            assert!((0..25).all(|index| passed.take(*worker, place(index))));
        }
        assert!((975..1000).all(|index| passed.take(*greedy, place(index))));
        assert_eq!(passed.found.len(), 0);
    }

    #[test]
    fn a_place_that_is_named_ever_again_stays_one() {
        let mut passed = PassedOn::new(100, 7);
        let worker = passed.join();
        passed.note(worker, place(1));
        passed.notes[0].times = u32::MAX;
        passed.note(worker, place(1));
        assert!(passed.take(worker, place(1)) && passed.found.len() == 1);
    }

    proptest! {
        #[test]
        fn they_do_what_a_map_does(steps in proptest::collection::vec((0..6_u8, 0..3_usize, 0..8_u32), 0..300)) {
            let mut passed = PassedOn::new(64, 7);
            let mut workers = [passed.join(), passed.join(), passed.join()];
            let mut model = BTreeMap::<(usize, u32), u32>::new();
            for (step, worker, index) in steps {
                match step {
                    0..3 => {
                        passed.note(workers[worker], place(index));
                        *model.entry((worker, index)).or_default() += 1;
                    }
                    3..5 => {
                        let times = model.remove(&(worker, index)).unwrap_or(0);
                        prop_assert_eq!(passed.take(workers[worker], place(index)), times > 0);
                        if times > 1 {
                            model.insert((worker, index), times - 1);
                        }
                    }
                    _ => {
                        passed.leave(workers[worker]);
                        workers[worker] = passed.join();
                        model.retain(|(of, _), _| *of != worker);
                    }
                }
                prop_assert_eq!(passed.found.len(), model.len());
                let holding = workers.iter().filter(|it| passed.chains[it.0 as usize].count > 0);
                prop_assert_eq!(holding.count(), passed.holding as usize);
            }
        }
    }
}
