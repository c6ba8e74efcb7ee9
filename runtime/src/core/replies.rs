//! Places where replies are waited for.
//!
//! A request reserves its place before it is sent, so an answer never waits for room. A place is named
//! by a generational handle: an answer that comes after the requester has given up finds nobody.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::task::Context as Polling;
use std::time::Duration;

use ringpost_router::{Address, Body, Handle};

use crate::core::behalf::Behalf;
use crate::core::places::{Held, Kind, PLACES_MAX, Place, Places};
use crate::core::{Core, Timed};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::limits::Limits;
use crate::task::Wake;
use crate::task::panics::drop_guarded;
use crate::time::Time;

pub(crate) use crate::core::places::{Answer, PLACE_BYTES};

/// A request for whose answer a place is reserved.
pub(crate) struct Asking<'a> {
    pub(crate) who: Handle,
    /// Whose answer it is, if it is known.
    pub(crate) of: Option<&'a Address>,
    pub(crate) limit: Option<Duration>,
}

/// A request whose answer has been waited for, for some time.
pub(crate) struct Asked {
    pub(crate) place: Handle,
    pub(crate) who: Handle,
    pub(crate) of: Address,
    pub(crate) behalf: Behalf,
}

/// The pending replies of a core.
pub(crate) struct Replies {
    pending: RefCell<Pending>,
    /// Places that there may be for requests.
    most: u32,
    /// And for starts and stops.
    starts_most: u32,
}

struct Pending {
    places: Places,
    /// Places reserved lately whose timers are not armed yet: a request that is answered soon does not touch the timer
    /// wheel. Each is here once, however often it was freed and reserved again.
    young: Vec<u32>,
    /// Since when there are any, as far as the clock was read.
    since: Option<Time>,
}

/// How long the timers of requests are put off: less than the wheel tells apart.
const YOUTH: Duration = Duration::from_micros(100);

/// Notes one more young place, which happens once in a while to each.
#[inline(never)]
fn note_young(young: &mut Vec<u32>, index: u32) {
    young.push(index);
}

impl Replies {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            pending: RefCell::new(Pending {
                places: Places::new(),
                young: Vec::new(),
                since: None,
            }),
            most: limits.requests_max.min(PLACES_MAX),
            starts_most: limits.starts_max.min(PLACES_MAX),
        }
    }

    /// Reserves a place for what cores ask each other, which has no deadline, and no limit: who asks waits for it.
    ///
    /// # Panics
    /// If 2^32 - 2 places are taken.
    pub(crate) fn reserve(&self) -> Handle {
        let mut pending = self.pending.borrow_mut();
        match pending.places.reserve(Kind::Ask, Wake::Nobody, PLACES_MAX) {
            Some((handle, _)) => handle,
            None => panic!("{PLACES_MAX} answers are waited for on one core"),
        }
    }

    /// As [`reserve`](Self::reserve), for a start or a stop that a worker or a future asks for, unless as many are under way as
    /// may be. Those that were given up are, until they are answered.
    #[inline]
    pub(crate) fn reserve_start(&self) -> Option<Handle> {
        let places = &mut self.pending.borrow_mut().places;
        let (handle, _) = places.reserve(Kind::Start, Wake::Nobody, self.starts_most)?;
        Some(handle)
    }

    /// Reserves a place for the answer to a request, of which somebody is to be told this way, unless as many are under
    /// way as may be. What is new in it goes there from registers, as this is in line where most requests are made.
    #[inline(always)]
    pub(crate) fn reserve_for(&self, asking: &Asking<'_>, wake: Wake) -> Option<Handle> {
        let Pending { places, young, .. } = &mut *self.pending.borrow_mut();
        let (handle, place) = places.reserve(Kind::Request, wake, self.most)?;
        let terms = &mut place.terms;
        (terms.limit, terms.who) = (asking.limit, asking.who);
        if let Some(of) = asking.of {
            terms.of.clone_from(of);
        }
        if !mem::replace(&mut place.is_young, true) {
            note_young(young, handle.index);
        }
        Some(handle)
    }

    /// Whether there is no answer yet, nor any news of one.
    pub(crate) fn is_awaited(&self, handle: Handle) -> bool {
        let mut pending = self.pending.borrow_mut();
        let place = pending.places.at_mut(handle);
        place.is_some_and(|place| place.is_awaited())
    }

    /// Takes the answer if it is there and nothing else is to be done for it; else [`poll`](Self::poll) has a look.
    #[inline]
    pub(crate) fn fetch(&self, handle: Handle) -> Option<Body> {
        self.pending.borrow_mut().places.fetch(handle)
    }

    /// Takes the answer if it is there, freeing the place; else notes whom to wake.
    pub(crate) fn poll(
        &self,
        core: &Core,
        handle: Handle,
        polling: &mut Polling<'_>,
    ) -> Option<Answer> {
        let mut pending = self.pending.borrow_mut();
        let Some(place) = pending.places.at_mut(handle) else {
            return Some(Err(Error::new(ErrorKind::Stopping)));
        };
        if place.is_awaited() {
            if matches!(place.wake, Wake::Nobody | Wake::Task(_))
                && let Some(wake) = core.tasks.own(polling)
            {
                place.wake = wake;
                return None;
            }
            drop(pending);
            self.wait(handle, core.tasks.register(polling));
            return None;
        }
        let (held, wake, timer) = pending.places.free(handle.index)?;
        drop(pending);
        drop(wake);
        if let Some(timer) = timer {
            core.disarm(timer);
        }
        match held {
            Held::Answer(answer) => Some(answer),
            Held::Awaited | Held::Abandoned | Held::Nothing => None,
        }
    }

    /// Whoever is polled now waits for this answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_behalf(&self, core: &Core, handle: Handle) {
        if let Some(place) = self.pending.borrow_mut().places.at_mut(handle) {
            place.behalf().renew(core);
        }
    }

    /// Whoever is polled now is to be told of the answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn register(&self, core: &Core, handle: Handle, polling: &Polling<'_>) {
        self.wait(handle, core.tasks.register(polling));
    }

    /// Notes whom to wake. Whom it was before is dropped when the places are free again: a foreign waker
    /// is user code.
    fn wait(&self, handle: Handle, wake: Wake) {
        let mut pending = self.pending.borrow_mut();
        let before = pending
            .places
            .at_mut(handle)
            .map(|place| mem::replace(&mut place.wake, wake));
        drop(pending);
        drop(before);
    }

    /// Gives a place up. A late answer is reported undelivered.
    pub(crate) fn cancel(&self, core: &Core, handle: Handle) {
        let mut pending = self.pending.borrow_mut();
        if pending.places.at_mut(handle).is_none() {
            return;
        }
        let freed = pending.places.free(handle.index);
        drop(pending);
        if let Some((held, wake, timer)) = freed {
            drop((held, wake));
            timer.into_iter().for_each(|timer| core.disarm(timer));
        }
    }

    /// As [`cancel`](Self::cancel), for what cores ask each other and always answer: its place is kept for the answer, which
    /// is to be dropped when it comes. Most have been answered, and their places are not theirs any more.
    #[inline]
    pub(crate) fn abandon(&self, core: &Core, handle: Handle) {
        let waits = |place: &mut Place| place.is_awaited();
        let waits = self.pending.borrow_mut().places.at_mut(handle).map(waits);
        match waits {
            Some(true) => self.abandon_awaited(handle),
            Some(false) => self.cancel(core, handle),
            None => {}
        }
    }

    #[cold]
    #[inline(never)]
    fn abandon_awaited(&self, handle: Handle) {
        let mut pending = self.pending.borrow_mut();
        let wake = pending.places.at_mut(handle).map(|place| {
            place.held = Held::Abandoned;
            mem::replace(&mut place.wake, Wake::Nobody)
        });
        drop(pending);
        drop(wake);
    }

    /// Arms the timers of the places reserved until now that still wait. If there is time for that, it is put off until there have
    /// been such for a while; then they are as much later, which is less than they may be anyway.
    pub(crate) fn arm_young(&self, core: &Core, may_put_off: bool) {
        let Pending {
            places,
            young,
            since,
        } = &mut *self.pending.borrow_mut();
        if young.is_empty() {
            return;
        }
        let now = core.now.get();
        if may_put_off && now.saturating_since(*since.get_or_insert(now)) < YOUTH {
            return;
        }
        *since = None;
        let mut timers = core.timers.borrow_mut();
        for index in young.drain(..) {
            if let Some((handle, place)) = places.grown_up(index)
                && place.is_awaited()
            {
                place.is_timed = true;
                let terms = &mut place.terms;
                terms.since = now;
                let deadline = terms.limit.map(|limit| terms.since.saturating_add(limit));
                terms.timer = deadline.map(|deadline| timers.arm(deadline, Timed::Reply(handle)));
            }
        }
    }

    /// The deadline of this place has come.
    pub(crate) fn expire(&self, core: &Core, handle: Handle) {
        let mut pending = self.pending.borrow_mut();
        let Some(place) = pending.places.at_mut(handle) else {
            return;
        };
        place.is_timed = false;
        if !place.is_awaited() {
            return;
        }
        let after = place.terms.limit.unwrap_or_default();
        let waiting_for = format!("a reply of {}", place.terms.of);
        let late = Error::new(ErrorKind::Timeout { waiting_for, after });
        place.held = Held::Answer(Err(late));
        let wake = mem::replace(&mut place.wake, Wake::Nobody);
        drop(pending);
        core.wake(&wake);
    }

    /// The requests whose answers have been waited for so long; so many are looked at, at the most.
    pub(crate) fn asked_before(&self, now: Time, long: Duration, most: usize) -> Vec<Asked> {
        let mut pending = self.pending.borrow_mut();
        let waiting = pending
            .places
            .taken()
            .take(most)
            .filter(|(_, place)| place.is_awaited() && place.is_timed);
        let long_ago = waiting.filter(|(_, place)| now.saturating_since(place.terms.since) >= long);
        let asked = |(handle, place): (Handle, &mut Place)| Asked {
            place: handle,
            who: place.terms.who,
            of: place.terms.of.clone(),
            behalf: place.behalf().clone(),
        };
        long_ago.map(asked).collect()
    }

    /// Whether this place was abandoned, and its answer has now come.
    #[cold]
    fn was_abandoned(&self, handle: Handle) -> bool {
        self.pending.borrow_mut().places.free_abandoned(handle)
    }

    /// Fails whatever still waits: the node ends.
    pub(crate) fn fail_all(&self, core: &Core) {
        let mut wakes = Vec::new();
        let mut pending = self.pending.borrow_mut();
        for (_, place) in pending.places.taken() {
            if place.is_awaited() {
                place.held = Held::Answer(Err(Error::new(ErrorKind::Stopping)));
                wakes.push(mem::replace(&mut place.wake, Wake::Nobody));
            }
        }
        drop(pending);
        wakes.iter().for_each(|wake| core.wake(wake));
    }
}

/// The places are looked at while an answer comes, which no path of this crate does. Where it is said here, out of
/// line, the answer has no place in memory before it is in its own.
#[cold]
#[inline(never)]
fn overlapping(answer: Answer) {
    drop_guarded(answer);
    panic!("answers come while nobody looks at their places");
}

impl Core {
    /// Brings an answer to wherever its requester is.
    pub(crate) fn answer(self: &Rc<Self>, to: ReplyTo, answer: Answer) {
        if to.handle == Handle::NONE {
            return;
        }
        if to.core != self.id {
            return self.send_answer(to, answer);
        }
        self.answer_here(to.handle, answer);
    }

    /// Brings an answer to its requester, who is on this core.
    #[inline(always)]
    pub(crate) fn answer_here(&self, handle: Handle, answer: Answer) {
        let Ok(mut pending) = self.replies.pending.try_borrow_mut() else {
            return overlapping(answer);
        };
        let awaited = pending.places.at_mut(handle);
        let Some(place) = awaited.filter(|place| place.is_awaited()) else {
            drop(pending);
            return self.nobody_waits(handle, answer);
        };
        place.held = Held::Answer(answer);
        if let Wake::Task(key) = place.wake {
            place.wake = Wake::Nobody;
            drop(pending);
            return self.tasks.make_ready(key);
        }
        let wake = mem::replace(&mut place.wake, Wake::Nobody);
        drop(pending);
        self.wake(&wake);
    }

    /// An answer has come for which nobody waits any more.
    #[cold]
    #[inline(never)]
    fn nobody_waits(&self, place: Handle, late: Answer) {
        if !self.replies.was_abandoned(place) {
            self.report_late(&late);
        }
        drop_guarded(late);
    }

    /// Reports a reply for which nobody waits.
    #[cold]
    pub(crate) fn report_late(&self, answer: &Answer) {
        if let Ok(body) = answer {
            let address = Address::local("~reply");
            self.report(&Undelivered {
                to: address,
                from: self.outside.address.clone(),
                type_name: body.type_name(),
                expected: None,
                reason: Reason::LateReply,
            });
        }
    }

    /// Tells whoever waits for the answer that there will be none.
    pub(crate) fn refuse(self: &Rc<Self>, requester: Option<ReplyTo>, kind: ErrorKind) {
        if let Some(to) = requester {
            self.answer(to, Err(Error::new(kind)));
        }
    }
}
