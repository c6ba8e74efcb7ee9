//! Where answers lie until they are fetched: places that are used again, behind handles that go stale.
//!
//! As [`ringpost_router::Slab`], but a place stays where it is when it is free. What is reserved and freed for
//! each request is then written once and not moved, and the terms of one request are overwritten by those of the
//! next.
//!
//! There are places of several [kinds](Kind), as there is a limit to requests, one to starts and stops, and none to what
//! else waits. A place is of one kind for good: so each limit holds whatever there is or has been of the others, and nothing
//! need be counted where a place is reserved and freed.

use std::mem;
use std::time::Duration;

use ringpost_mailbox::canary::{Canary, is_planted};
use ringpost_router::{Address, Body, Handle};

use crate::core::TimerKey;
use crate::core::behalf::Behalf;
use crate::error::Error;
use crate::task::Wake;
use crate::time::Time;

/// What a requester gets.
pub(crate) type Answer = Result<Body, Error>;

/// What a place holds.
#[derive(Debug)]
pub(super) enum Held {
    /// It is free.
    Nothing,
    /// Its answer is still to come.
    Awaited,
    /// As `Awaited`, and nobody waits for it: it frees the place.
    Abandoned,
    /// This has come, and was not fetched yet.
    Answer(Answer),
}

/// What places are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests of workers and futures.
    Request,
    /// Starts and stops that workers and futures ask for.
    Start,
    /// What else cores ask each other.
    Ask,
}

/// One place.
pub(super) struct Place {
    /// Of the request that has it, or if it is free, of the next one.
    generation: u32,
    /// The next free place, if this one is free.
    next: u32,
    kind: Kind,
    pub(super) held: Held,
    /// Who is to be told of the answer.
    pub(super) wake: Wake,
    /// Whether its terms have begun to count, and may have a timer.
    pub(super) is_timed: bool,
    /// Whether it is noted that it was reserved lately; freed or not, it stays so as long as it is noted.
    pub(super) is_young: bool,
    /// Those of a request; of anything else they are what was left here.
    pub(super) terms: Terms,
    /// On whose behalf the answer is waited for, and of which request that was noted: it is left here too.
    behalf: (u32, Behalf),
}

/// How long an answer is waited for.
pub(super) struct Terms {
    /// Since when it is waited for, and how long at the most.
    pub(super) since: Time,
    pub(super) limit: Option<Duration>,
    pub(super) timer: Option<TimerKey>,
    /// Whose answer is waited for, for the text of the error.
    pub(super) of: Address,
    /// Who waits.
    pub(super) who: Handle,
}

/// All places of a core.
pub(super) struct Places {
    all: Vec<Place>,
    /// Of each kind the place that was freed last.
    free: [u32; KINDS],
    /// How many there are of each kind.
    counts: [u32; KINDS],
}

const KINDS: usize = 3;

/// Ends the list of free places; no place has this index.
const END: u32 = u32::MAX;
/// As many places as there can be.
pub(super) const PLACES_MAX: u32 = END - 1;
/// Places for which room is made at first.
const GROWTH_MIN: usize = 8;
/// The bytes of each place at the most: the list of them is moved when it grows.
pub(crate) const PLACE_BYTES: u64 = 2 * size_of::<Place>() as u64;
const FIRST_GENERATION: u32 = 1;

impl Place {
    fn new(kind: Kind) -> Self {
        Self {
            generation: FIRST_GENERATION,
            next: END,
            kind,
            held: Held::Nothing,
            wake: Wake::Nobody,
            is_timed: false,
            is_young: false,
            terms: Terms {
                since: Time::ZERO,
                limit: None,
                timer: None,
                of: Address::local(""),
                who: Handle::NONE,
            },
            behalf: (END, Behalf::default()),
        }
    }

    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.held, Held::Awaited)
    }

    /// On whose behalf the answer is waited for.
    pub(super) fn behalf(&mut self) -> &mut Behalf {
        let (generation, behalf) = &mut self.behalf;
        if *generation != self.generation {
            (*generation, *behalf) = (self.generation, Behalf::default());
        }
        behalf
    }
}

impl Places {
    pub(super) const fn new() -> Self {
        Self {
            all: Vec::new(),
            free: [END; KINDS],
            counts: [0; KINDS],
        }
    }

    /// Reserves a place, the one freed last if there are several, for somebody who is to be told this way. None if so
    /// many of the kind are taken. In line, as a call would be handed `wake` in memory: stored word by word, and loaded as two at once.
    #[inline(always)]
    pub(super) fn reserve(
        &mut self,
        kind: Kind,
        wake: Wake,
        most: u32,
    ) -> Option<(Handle, &mut Place)> {
        if self.free[kind as usize] == END && !self.grow(kind, most) {
            return None;
        }
        let index = self.free[kind as usize];
        let place = &mut self.all[index as usize];
        self.free[kind as usize] = place.next;
        // A free place holds nothing and wakes nobody: there is nothing to drop, and so nothing to look at.
        debug_assert!(matches!(
            (&place.held, &place.wake),
            (Held::Nothing, Wake::Nobody)
        ));
        mem::forget(mem::replace(&mut place.held, Held::Awaited));
        mem::forget(mem::replace(&mut place.wake, wake));
        let generation = place.generation;
        Some((Handle { index, generation }, place))
    }

    /// Makes one more place. What there is room for beyond that is bounded by how many there are of its kind, and may be.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, kind: Kind, most: u32) -> bool {
        let len = self.all.len();
        let count = &mut self.counts[kind as usize];
        let left = most.saturating_sub(*count) as usize;
        let index = u32::try_from(len).ok().filter(|index| *index < PLACES_MAX);
        let Some(index) = index.filter(|_| left > 0) else {
            return false;
        };
        if len == self.all.capacity() {
            let more = (*count as usize).max(GROWTH_MIN).min(left);
            self.all.reserve_exact(more);
        }
        *count += 1;
        self.all.push(Place::new(kind));
        self.free[kind as usize] = index;
        true
    }

    /// The place, if the handle is not stale.
    #[inline]
    pub(super) fn at_mut(&mut self, handle: Handle) -> Option<&mut Place> {
        let place = self.all.get_mut(handle.index as usize)?;
        let is_current = place.generation == handle.generation;
        (is_current || is_planted(Canary::StaleGeneration)).then_some(place)
    }

    /// The place at this index, which is young no longer, with its handle.
    pub(super) fn grown_up(&mut self, index: u32) -> Option<(Handle, &mut Place)> {
        let place = self.all.get_mut(index as usize)?;
        place.is_young = false;
        let generation = place.generation;
        Some((Handle { index, generation }, place))
    }

    /// Takes the answer that lies there, if it is no error and there is nothing else to be done with its place than to free it.
    #[inline]
    pub(super) fn fetch(&mut self, handle: Handle) -> Option<Body> {
        let place = self.at_mut(handle)?;
        let is_plain = matches!(
            (&place.held, &place.wake),
            (Held::Answer(Ok(_)), Wake::Nobody)
        );
        if !is_plain || place.is_timed {
            return None;
        }
        let held = mem::replace(&mut place.held, Held::Nothing);
        self.recycle(handle.index);
        match held {
            Held::Answer(answer) => answer.ok(),
            Held::Awaited | Held::Abandoned | Held::Nothing => None,
        }
    }

    /// Frees a place that was abandoned, if this is one.
    pub(super) fn free_abandoned(&mut self, handle: Handle) -> bool {
        let place = self.at_mut(handle);
        let is_it = place.is_some_and(|place| matches!(place.held, Held::Abandoned));
        is_it && self.free(handle.index).is_some()
    }

    /// Frees a place, whose handles are stale from now on. What it held is for the caller to drop, as that may
    /// run code of users.
    #[inline]
    pub(super) fn free(&mut self, index: u32) -> Option<(Held, Wake, Option<TimerKey>)> {
        let place = self.all.get_mut(index as usize)?;
        let held = mem::replace(&mut place.held, Held::Nothing);
        let wake = mem::replace(&mut place.wake, Wake::Nobody);
        let timer = match mem::replace(&mut place.is_timed, false) {
            true => place.terms.timer.take(),
            false => None,
        };
        self.recycle(index);
        Some((held, wake, timer))
    }

    /// Puts a place on the list of free ones.
    #[inline]
    fn recycle(&mut self, index: u32) {
        let Some(place) = self.all.get_mut(index as usize) else {
            return;
        };
        // A place whose generations are used up keeps the last, which nobody has, and is not used again.
        debug_assert!(place.generation != u32::MAX);
        place.generation = place.generation.wrapping_add(1);
        if place.generation != u32::MAX {
            place.next = mem::replace(&mut self.free[place.kind as usize], index);
        }
    }

    /// The places that are not free, with their handles, in order.
    pub(super) fn taken(&mut self) -> impl Iterator<Item = (Handle, &mut Place)> {
        let taken = self.all.iter_mut().enumerate();
        let taken = taken.filter(|(_, place)| !matches!(place.held, Held::Nothing));
        taken.map(|(index, place)| {
            let generation = place.generation;
            let index = u32::try_from(index).unwrap_or(END);
            (Handle { index, generation }, place)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use ringpost_router::Message;

    use super::*;

    fn answer(number: u32) -> Held {
        Held::Answer(Ok(number.into_body()))
    }

    fn number(held: Held) -> Option<u32> {
        match held {
            Held::Answer(Ok(body)) => u32::from_body(body).ok(),
            _ => None,
        }
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_not_used_again() {
        let mut places = Places::new();
        let (first, place) = places
            .reserve(Kind::Request, Wake::Nobody, 2)
            .expect("a place");
        place.generation = u32::MAX - 1;
        places.free(first.index);
        let (second, _) = places
            .reserve(Kind::Request, Wake::Nobody, 2)
            .expect("another");
        assert_ne!(first.index, second.index);
        let exhausted = Handle {
            generation: u32::MAX - 1,
            ..first
        };
        assert!(places.at_mut(exhausted).is_none() && places.at_mut(first).is_none());
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let mut places = Places::new();
        for _ in 0..11 {
            assert!(places.reserve(Kind::Request, Wake::Nobody, 11).is_some());
        }
        assert!(places.reserve(Kind::Request, Wake::Nobody, 11).is_none());
        assert_eq!(places.all.capacity(), 11);
        places.free(5);
        assert!(places.reserve(Kind::Request, Wake::Nobody, 11).is_some());
    }

    #[test]
    fn neither_kind_takes_places_of_the_other() {
        let mut places = Places::new();
        let asks = (0..100).filter_map(|_| {
            let place = places.reserve(Kind::Ask, Wake::Nobody, PLACES_MAX);
            place.map(|(handle, _)| handle)
        });
        let asks = asks.collect::<Vec<_>>();
        let few = (0..5).filter(|_| places.reserve(Kind::Request, Wake::Nobody, 11).is_some());
        assert_eq!(few.count(), 5);
        asks.iter().for_each(|ask| drop(places.free(ask.index)));
        let more = (0..20).filter(|_| places.reserve(Kind::Request, Wake::Nobody, 11).is_some());
        assert_eq!(more.count(), 6);
    }

    proptest! {
        #[test]
        fn they_do_what_a_map_does(steps in proptest::collection::vec((0..4_u8, any::<u16>()), 0..200)) {
            let mut places = Places::new();
            let (mut model, mut handles) = (HashMap::new(), Vec::new());
            for (number_now, (step, pick)) in (0..).zip(steps) {
                if step < 2 || handles.is_empty() {
                    let kind = if pick % 2 == 0 { Kind::Request } else { Kind::Ask };
                    let (handle, place) = places.reserve(kind, Wake::Task(number_now), PLACES_MAX).expect("a place");
                    prop_assert!(place.is_awaited() && !place.is_timed);
                    prop_assert!(model.insert(handle, None).is_none(), "a handle is given out twice");
                    handles.push(handle);
                    continue;
                }
                let handle = handles[usize::from(pick) % handles.len()];
                if step == 2 {
                    let place = places.at_mut(handle);
                    prop_assert_eq!(place.is_some(), model.contains_key(&handle));
                    if let Some(place) = place {
                        place.held = answer(number_now);
                        model.insert(handle, Some(number_now));
                    }
                } else if let Some(expected) = model.remove(&handle) {
                    let (held, wake, timer) = places.free(handle.index).expect("a place");
                    prop_assert_eq!(number(held), expected);
                    prop_assert!(matches!(wake, Wake::Task(_)) && timer.is_none());
                }
            }
            let left = places.taken().map(|(handle, _)| handle).collect::<Vec<_>>();
            prop_assert_eq!(left.len(), model.len());
            prop_assert!(left.iter().all(|handle| model.contains_key(handle)));
        }
    }
}
