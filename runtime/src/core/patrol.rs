//! Looking for workers that wait for each other in a circle (G5).
//!
//! Nothing is noted of a message that finds its receiver ready. Where a message is set aside, or a sender
//! begins to wait, the mailbox is put on a list, once; and while that list is new or changes, the core looks
//! about ten times a second. What has been waited for since two looks it writes on the board of the node
//! ([`Board`](crate::node::waits::Board)), from all of whose notes the circles are read, and has the cores of those
//! that are waited for look too, once each time. So a circle that stands still is not looked at for ever: what closed it was
//! news on some core, from which looks go round it for most of a second.
//!
//! Who waits, and for whom:
//!
//! * a sender that lacks a credit, for an urgent message or another, for the worker whose it is; its waiter says
//!   who it is and since when;
//! * a requester, for the last worker of its route, as its own core knows, and for the one at which its request
//!   lies, if that has not been taken. (The last one may have passed it on, and then wait for the requester by
//!   another way; that would be told as a circle, though the answer may come from elsewhere.)
//!
//! A worker in whose handler a detached context or a handle waits, waits for the same (`core/behalf.rs`).
//!
//! Who waits for room in a ring or for a link waits for no worker (`core/links.rs`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ringpost_router::Address;

use crate::core::urgent::Receiver;
use crate::core::{Core, Timed};
use crate::driver::stderr::failure;
use crate::envelope::ReplyTo;
use crate::mailbox::{State, Waiter, Waiting};
use crate::node::waits::{Edge, Notes, Who};
use crate::task::panics::guarded;
use crate::task::raw::MailboxRc;
use crate::time::Time;
use crate::waits::{Awaited, WaitCycle};

/// Between two looks.
const ROUND: Duration = Duration::from_millis(100);
/// What is waited for so long is noted. Notes of several cores are of one moment if they are not further apart.
pub(crate) const LONG: Duration = Duration::from_millis(200);
/// Looks without news after which a core looks no more until there are some.
const ROUNDS_QUIET: u32 = 8;
/// What one core looks at in one look: what waits for workers, and once more as many requests.
const LOOKS_MAX: usize = 65_536;
/// What it notes: for each of those who wait, also for the worker behind it, if there is one.
const NOTES_MAX: usize = 4 * LOOKS_MAX;
/// Cores that it asks to look too.
const OTHERS_MAX: usize = 64;

/// What a core keeps an eye on.
#[derive(Default)]
pub(crate) struct Patrol {
    is_armed: Cell<bool>,
    has_news: Cell<bool>,
    quiet: Cell<u32>,
    looked: Cell<Time>,
    crowded: RefCell<Vec<Crowded>>,
    /// Links with senders that wait for a credit.
    links: RefCell<Vec<(u16, u32)>>,
}

/// A mailbox where something waits.
struct Crowded {
    mailbox: MailboxRc,
    /// How many messages had been taken out of those set aside, at the last look.
    taken: u32,
}

impl Core {
    /// Something waits at this mailbox: a message that was set aside, or a sender.
    #[inline]
    pub(crate) fn note_crowded(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.patrol.has_news.set(true);
        if !mailbox.is_crowded.get() || !self.patrol.is_armed.get() {
            self.list_crowded(mailbox);
        }
    }

    #[cold]
    fn list_crowded(self: &Rc<Self>, mailbox: &MailboxRc) {
        if !mailbox.is_crowded.replace(true) {
            let taken = mailbox.taken();
            let mailbox = mailbox.clone();
            self.patrol
                .crowded
                .borrow_mut()
                .push(Crowded { mailbox, taken });
        }
        self.begin_patrol();
    }

    /// Somebody begins to wait for a credit of this link. That is news also where others do: it may close a circle.
    pub(crate) fn note_wait_at(&self, core: u16, link: u32, is_noted: bool) {
        if !is_noted {
            self.patrol.links.borrow_mut().push((core, link));
        }
        self.note_news();
    }

    /// Somebody begins to wait.
    pub(crate) fn note_news(&self) {
        self.patrol.has_news.set(true);
        self.begin_patrol();
    }

    pub(crate) fn begin_patrol(&self) {
        if !self.patrol.is_armed.replace(true) {
            self.patrol.quiet.set(0);
            self.arm_patrol();
        }
    }

    fn arm_patrol(&self) {
        self.timers.borrow_mut().arm_in(ROUND, Timed::Patrol);
    }

    /// It is time for a look, and perhaps for more.
    pub(crate) fn patrol(self: &Rc<Self>) {
        let patrol = &self.patrol;
        let quiet = match patrol.has_news.replace(false) {
            true => 0,
            false => patrol.quiet.get() + 1,
        };
        patrol.quiet.set(quiet);
        self.look_about();
        if quiet > ROUNDS_QUIET || self.node.is_stopping() {
            patrol.is_armed.set(false);
        } else {
            self.arm_patrol();
        }
    }

    /// Another core waits for a worker that has this name here. If that lives on a third one, it looks too.
    ///
    /// A look is all that is asked for: the core that asks will ask again as long as it has news. Two that had each other
    /// begin to patrol would never stop.
    fn look_for(self: &Rc<Self>, name: &Address) {
        if let Some(onward) = self.forwarded_from_here(name) {
            self.have_look(onward, name.clone());
        }
        let last = self.patrol.looked.get();
        if self.now.get().saturating_since(last) >= ROUND / 2 {
            self.look_about();
        }
    }

    fn forwarded_from_here(&self, name: &Address) -> Option<u16> {
        let forwarder = self.named(name)?;
        let onward = forwarder.if_more(|more| more.forwards).flatten()?;
        Some(onward.core.index())
    }

    /// The core where this one is, or that knows better.
    fn whereabouts(&self, who: &Who) -> u16 {
        let home = self.placement.home(&who.address);
        let elsewhere = || self.forwarded_from_here(&who.address).unwrap_or(home);
        who.instance.unwrap_or_else(elsewhere)
    }

    fn have_look(&self, core: u16, name: Address) {
        if core != self.id {
            self.send_job(core, Box::new(move |core: &Rc<Core>| core.look_for(&name)));
        }
    }

    fn look_about(self: &Rc<Self>) {
        self.patrol.looked.set(self.now.get());
        let notes = self.take_notes();
        if notes.is_empty() && !self.node.waits.has_notes_of(self.id) {
            return;
        }
        let mut others = BTreeMap::new();
        for edge in &notes.edges {
            let core = self.whereabouts(&edge.of);
            if core != self.id && others.len() < OTHERS_MAX {
                others
                    .entry(core)
                    .or_insert_with(|| edge.of.address.clone());
            }
        }
        let cycles = self.node.waits.write(self.id, notes);
        cycles.iter().for_each(|cycle| self.report_cycle(cycle));
        for (core, name) in others {
            self.have_look(core, name);
        }
    }

    #[cold]
    fn report_cycle(&self, cycle: &WaitCycle) {
        self.tally().wait_cycles.add(1);
        let what = "workers wait for each other in a circle";
        failure(what, None, Some(cycle));
        if let Some(hook) = &self.node.hooks.wait_cycle {
            guarded("the hook for circles of waiting panicked", None, || {
                hook(cycle)
            });
        }
    }

    fn take_notes(self: &Rc<Self>) -> Notes {
        let mut notes = Notes {
            time: self.now.get(),
            ..Notes::default()
        };
        let mut looks = 0;
        self.patrol.crowded.borrow_mut().retain_mut(|crowded| {
            let mailbox = &crowded.mailbox;
            let stays = mailbox.has_stash() || mailbox.has_senders();
            let stays = stays && mailbox.state.get() != State::Closed;
            if !stays {
                mailbox.is_crowded.set(false);
                return false;
            }
            let before = std::mem::replace(&mut crowded.taken, mailbox.taken());
            if before == crowded.taken && looks < LOOKS_MAX {
                looks += self.note_waits_at(mailbox, &mut notes);
            }
            true
        });
        self.note_waits_at_links(&mut notes);
        self.note_waits_in_lanes(&mut notes);
        self.note_requests(&mut notes);
        self.note_waits_abroad(&mut notes);
        notes
    }

    /// Notes who waits for a worker that has taken nothing since the last look. Returns how many were looked at.
    fn note_waits_at(&self, of: &MailboxRc, notes: &mut Notes) -> usize {
        let of_whom = self.who(of);
        of.if_more(|more| {
            for waiter in &more.senders {
                self.note_sender(waiter, Awaited::Room, &of_whom, notes);
            }
            for envelope in more.stash() {
                if let Some((place, address)) = envelope.asker(self.here) {
                    let who = self.whoever(address);
                    let edge = Edge::new(place.core, who, Awaited::Reply, of_whom.clone());
                    notes.add(Edge {
                        place: Some(place),
                        ..edge
                    });
                }
            }
            more.senders.len() + more.stash().len()
        })
        .unwrap_or(0)
    }

    fn note_waits_at_links(&self, notes: &mut Notes) {
        let mut pairs = self.pairs.borrow_mut();
        self.patrol.links.borrow_mut().retain(|(core, link)| {
            let Some(link) = pairs.of(*core).links.at_mut(*link) else {
                return false;
            };
            link.is_noted = !link.waiters.is_empty();
            let of = Who {
                instance: None,
                address: link.target.address().clone(),
            };
            for waiter in &link.waiters {
                self.note_sender(waiter, Awaited::Room, &of, notes);
            }
            link.is_noted
        });
    }

    /// Notes who waits to send an urgent message.
    fn note_waits_in_lanes(&self, notes: &mut Notes) {
        self.urgent.look_at_crowded(|lane| {
            let here = match &lane.to {
                Receiver::Name(name) => self.named(name),
                Receiver::Place(core, handle) if *core == self.id => self.at(*handle),
                Receiver::Place(..) => None,
            };
            let elsewhere = || Who {
                instance: None,
                address: lane.address.clone(),
            };
            let of = here.map_or_else(elsewhere, |here| self.who(&here));
            for waiter in &lane.waiters {
                self.note_sender(waiter, Awaited::UrgentRoom, &of, notes);
            }
        });
    }

    fn note_requests(&self, notes: &mut Notes) {
        let core = self.id;
        for asked in self.replies.asked_before(notes.time, LONG, LOOKS_MAX) {
            let place = ReplyTo {
                core,
                handle: asked.place,
            };
            let Some(who) = self.at(asked.who) else {
                continue;
            };
            let of = self.whoever(asked.of);
            let edge = Edge {
                place: Some(place),
                ..Edge::new(core, self.who(&who), Awaited::Reply, of)
            };
            if let Some(behind) = self.long_behind(&asked.behalf, notes.time) {
                let who = self.who(&behind);
                notes.behalf.push((place, who.clone()));
                notes.add(Edge {
                    who,
                    ..edge.clone()
                });
            }
            notes.add(edge);
            notes.requests.push(place);
        }
    }

    /// Notes who this is, if they wait, and have waited for long.
    fn note_sender(&self, waiter: &Waiter, awaited: Awaited, of: &Who, notes: &mut Notes) {
        let Some((who, since)) = &waiter.sender else {
            return;
        };
        let is_long = notes.time.saturating_since(*since) >= LONG;
        if !is_long || waiter.state.get() != Waiting::Queued {
            return;
        }
        notes.add(Edge::new(self.id, self.who(who), awaited, of.clone()));
        if let Some(behind) = self.long_behind(&waiter.behalf.borrow(), notes.time) {
            notes.add(Edge::new(self.id, self.who(&behind), awaited, of.clone()));
        }
    }

    /// How the board calls this one. A name is enough, but for forwarders and for instances of one name.
    pub(crate) fn who(&self, mailbox: &MailboxRc) -> Who {
        let is_forwarder = mailbox.if_more(|more| more.forwards.is_some()) == Some(true);
        let is_one_of_many = is_forwarder || mailbox.replicated.get();
        Who {
            instance: is_one_of_many.then_some(self.id),
            address: mailbox.address.clone(),
        }
    }

    /// How the board calls whoever answers to this name.
    pub(crate) fn whoever(&self, address: Address) -> Who {
        let here = self.named(&address).filter(|here| here.replicated.get());
        Who {
            instance: here.map(|_| self.id),
            address,
        }
    }
}

impl Notes {
    pub(crate) fn add(&mut self, edge: Edge) {
        if self.edges.len() < NOTES_MAX {
            self.edges.push(edge);
        }
    }
}
