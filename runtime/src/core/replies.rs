//! Places where replies are waited for.
//!
//! A request reserves its place before it is sent, so an answer never waits for room. A place is named
//! by a generational handle: an answer that comes after the requester has given up finds nobody.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::task::Context as Polling;
use std::time::Duration;

use ringpost_router::{Address, Body, Handle, Route, Slab};

use crate::core::{Core, Timed, TimerKey};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason, Undelivered};
use crate::task::Wake;
use crate::task::panics::drop_guarded;
use crate::time::Time;

/// What a requester gets.
pub(crate) type Answer = Result<Body, Error>;

struct Place {
    answer: Option<Answer>,
    wake: Wake,
    /// Whether it has [`Terms`] with a timer.
    is_timed: bool,
}

/// How long an answer is waited for.
struct Terms {
    /// Since when it is waited for, and how long at the most.
    since: Time,
    limit: Option<Duration>,
    timer: Option<TimerKey>,
    /// Whose answer is waited for, for the text of the error.
    of: Option<Address>,
    /// Who waits.
    who: Handle,
}

/// A request for whose answer a place is reserved.
pub(crate) struct Asking<'a> {
    pub(crate) who: Handle,
    pub(crate) route: &'a Route,
    pub(crate) since: Time,
    pub(crate) limit: Option<Duration>,
}

/// A request whose answer has been waited for, for some time.
pub(crate) struct Asked {
    pub(crate) place: Handle,
    pub(crate) who: Handle,
    pub(crate) of: Address,
}

/// The pending replies of a core.
pub(crate) struct Replies {
    places: RefCell<Slab<Place>>,
    /// Places made in this turn whose timers are not armed yet: a request that is answered within the
    /// turn touches neither the timer wheel nor the terms.
    young: RefCell<Vec<(Handle, Terms)>>,
    /// The terms of the others that wait, at the index of each place.
    terms: RefCell<Vec<Option<Terms>>>,
    /// Places given up whose answers, which will come, are nobody's messages.
    abandoned: RefCell<HashSet<Handle>>,
}

impl Replies {
    pub(crate) fn new() -> Self {
        Self {
            places: RefCell::new(Slab::new()),
            young: RefCell::default(),
            terms: RefCell::default(),
            abandoned: RefCell::default(),
        }
    }

    /// Reserves a place.
    pub(crate) fn reserve(&self, asking: Option<&Asking<'_>>) -> Handle {
        let place = Place {
            answer: None,
            wake: Wake::Nobody,
            is_timed: false,
        };
        let handle = self.places.borrow_mut().insert(place);
        if let Some(asking) = asking {
            let terms = Terms {
                since: asking.since,
                limit: asking.limit,
                timer: None,
                of: asking.route.last().cloned(),
                who: asking.who,
            };
            self.young.borrow_mut().push((handle, terms));
        }
        handle
    }

    /// Takes the answer if it is there, freeing the place; else notes whom to wake.
    pub(crate) fn poll(
        &self,
        core: &Core,
        handle: Handle,
        polling: &mut Polling<'_>,
    ) -> Option<Answer> {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.at_mut(handle) else {
            return Some(Err(Error::new(ErrorKind::Stopping)));
        };
        let Some(answer) = place.answer.take() else {
            if matches!(place.wake, Wake::Nobody | Wake::Task(_))
                && let Some(wake) = core.tasks.own(polling)
            {
                place.wake = wake;
                return None;
            }
            drop(places);
            self.wait(handle, core.tasks.register(polling));
            return None;
        };
        let is_timed = place.is_timed;
        places.discard(handle);
        drop(places);
        if is_timed {
            self.disarm(core, handle);
        }
        Some(answer)
    }

    /// Notes whom to wake. Whom it was before is dropped when the places are free again: a foreign waker
    /// is user code.
    pub(crate) fn wait(&self, handle: Handle, wake: Wake) {
        let mut places = self.places.borrow_mut();
        let before = places
            .at_mut(handle)
            .map(|place| std::mem::replace(&mut place.wake, wake));
        drop(places);
        drop(before);
    }

    /// Gives a place up. A late answer is reported undelivered.
    pub(crate) fn cancel(&self, core: &Core, handle: Handle) {
        let place = self.places.borrow_mut().remove(handle);
        if place.is_some_and(|place| place.is_timed) {
            self.disarm(core, handle);
        }
    }

    /// Drops the terms of a place that is free again.
    fn disarm(&self, core: &Core, handle: Handle) {
        let terms = match self.terms.borrow_mut().get_mut(handle.index as usize) {
            Some(terms) => terms.take(),
            None => None,
        };
        if let Some(key) = terms.and_then(|terms| terms.timer) {
            let target = core.timers.borrow_mut().disarm(key);
            drop(target);
        }
    }

    /// As [`cancel`](Self::cancel), for what cores ask each other and always answer: the answer is to be
    /// dropped when it comes.
    pub(crate) fn abandon(&self, core: &Core, handle: Handle) {
        let waits = self
            .places
            .borrow_mut()
            .at_mut(handle)
            .map(|place| place.answer.is_none());
        if waits == Some(true) {
            self.abandoned.borrow_mut().insert(handle);
        }
        self.cancel(core, handle);
    }

    /// Arms the timers of the places made in this turn that still wait.
    pub(crate) fn arm_young(&self, core: &Core) {
        if self.young.borrow().is_empty() {
            return;
        }
        let mut places = self.places.borrow_mut();
        let mut timers = core.timers.borrow_mut();
        let mut all = self.terms.borrow_mut();
        for (handle, mut terms) in self.young.borrow_mut().drain(..) {
            if let Some(place) = places.at_mut(handle)
                && place.answer.is_none()
            {
                place.is_timed = true;
                let deadline = terms.limit.map(|limit| terms.since.saturating_add(limit));
                terms.timer = deadline.map(|deadline| timers.arm(deadline, Timed::Reply(handle)));
                let index = handle.index as usize;
                if index >= all.len() {
                    all.resize_with(index + 1, || None);
                }
                all[index] = Some(terms);
            }
        }
    }

    /// The deadline of this place has come.
    pub(crate) fn expire(&self, core: &Core, handle: Handle) {
        let mut places = self.places.borrow_mut();
        let Some(place) = places.at_mut(handle) else {
            return;
        };
        place.is_timed = false;
        let index = handle.index as usize;
        let terms = self
            .terms
            .borrow_mut()
            .get_mut(index)
            .and_then(Option::take);
        let (None, Some(terms)) = (&place.answer, terms) else {
            return;
        };
        let after = terms.limit.unwrap_or_default();
        let waiting_for = match &terms.of {
            Some(of) => format!("a reply of {of}"),
            None => "a reply".to_owned(),
        };
        place.answer = Some(Err(Error::new(ErrorKind::Timeout { waiting_for, after })));
        let wake = std::mem::replace(&mut place.wake, Wake::Nobody);
        drop(places);
        core.wake(&wake);
    }

    /// Puts the answer in its place and wakes the requester. Gives it back if nobody waits any more.
    pub(crate) fn put(&self, core: &Core, handle: Handle, answer: Answer) -> Result<(), Answer> {
        let mut places = self.places.borrow_mut();
        match places.at_mut(handle) {
            Some(place) if place.answer.is_none() => {
                place.answer = Some(answer);
                let wake = std::mem::replace(&mut place.wake, Wake::Nobody);
                drop(places);
                core.wake(&wake);
                Ok(())
            }
            _ => Err(answer),
        }
    }

    /// The requests whose answers have been waited for so long; so many are looked at, at the most.
    pub(crate) fn asked_before(&self, now: Time, long: Duration, most: usize) -> Vec<Asked> {
        let (places, terms) = (self.places.borrow(), self.terms.borrow());
        let waiting = places
            .iter()
            .take(most)
            .filter(|(_, place)| place.answer.is_none());
        let asked = |(place, _): (Handle, &Place)| {
            let terms = terms.get(place.index as usize)?.as_ref()?;
            let is_long = now.saturating_since(terms.since) >= long;
            let (who, of) = (terms.who, terms.of.clone()?);
            is_long.then_some(Asked { place, who, of })
        };
        waiting.filter_map(asked).collect()
    }

    /// Whether this place was abandoned, and its answer has now come.
    #[cold]
    fn was_abandoned(&self, handle: Handle) -> bool {
        self.abandoned.borrow_mut().remove(&handle)
    }

    /// Fails whatever still waits: the node ends.
    pub(crate) fn fail_all(&self, core: &Core) {
        let mut wakes = Vec::new();
        let mut places = self.places.borrow_mut();
        let waiting: Vec<_> = places.iter().map(|(handle, _)| handle).collect();
        for handle in waiting {
            if let Some(place) = places.at_mut(handle)
                && place.answer.is_none()
            {
                place.answer = Some(Err(Error::new(ErrorKind::Stopping)));
                wakes.push(std::mem::replace(&mut place.wake, Wake::Nobody));
            }
        }
        drop(places);
        wakes.iter().for_each(|wake| core.wake(wake));
    }
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
        let Err(late) = self.replies.put(self, to.handle, answer) else {
            return;
        };
        if !self.replies.was_abandoned(to.handle) {
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
