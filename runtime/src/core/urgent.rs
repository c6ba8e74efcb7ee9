//! The urgent lane: messages that pass those which wait at their receiver.
//!
//! An urgent message takes none of the credits and none of the room of others, so it gets through where they wait.
//! It has a credit of its own kind: each core has so many for each receiver that it knows by name, and so many for
//! each that it knows by place; they come back one by one as the messages are taken. Between cores it goes by the
//! ring of control messages, which is bounded by those credits.
//!
//! On the receiver's core it waits in a queue of its own, and at a mailbox before all that is not urgent. That
//! queue and the other take turns, as do the two kinds of messages at a mailbox: see
//! [`Limits::worker_burst`](crate::Limits::worker_burst).
//!
//! A message that is not urgent meets this in two places, both of which it passes already where it has to wait:
//! a look at an empty queue in each slice of a turn, and the position in a mailbox where it is put aside.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use ringpost_router::{Address, Body, Handle, HandleKind, NodeCore};
use slab::Slab;

use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::record::{Control, Introduction, Target};
use crate::envelope::{Envelope, Origin, OriginKind, Sender};
use crate::error::ErrorKind;
use crate::mailbox::{Mailbox, State, Waiter, Waiting, pop_waiting, trim};
use crate::task::Wake;
use crate::task::raw::{MailboxRc, Queue};

/// What a core has for urgent messages.
pub(crate) struct Urgent {
    /// Those for workers of this core.
    pub(crate) queue: Queue,
    lanes: RefCell<Lanes>,
}

/// The receivers to which this core has urgent messages under way.
#[derive(Default)]
struct Lanes {
    lanes: Slab<Lane>,
    by_receiver: HashMap<Receiver, usize>,
    /// Where somebody waits, or has since the core last looked (`core/patrol.rs`).
    crowded: BTreeSet<u32>,
}

/// One receiver.
pub(crate) struct Lane {
    pub(crate) to: Receiver,
    pub(crate) address: Address,
    /// Messages that were not taken yet, and credits that were granted and not used.
    out: u32,
    pub(crate) waiters: VecDeque<Rc<Waiter>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Receiver {
    Name(Address),
    Place(u16, Handle),
}

/// An urgent message on its way from one core to another.
pub(crate) struct Hurrying {
    to: Target,
    from: Introduction,
    lane: u32,
    reply: Handle,
    detour: bool,
    body: Body,
}

/// What came of an attempt to send.
pub(crate) enum Hurry {
    Done(Attempt),
    /// As many as are allowed are under way in this lane.
    Full(u32),
    /// They are under way to this mailbox, which is that of whoever sends: nobody else can take them.
    FullOf(MailboxRc),
}

impl Urgent {
    pub(crate) fn new() -> Self {
        Self {
            queue: Queue::new(),
            lanes: RefCell::default(),
        }
    }

    /// Looks at each lane in which somebody waits.
    pub(crate) fn look_at_crowded(&self, mut look: impl FnMut(&Lane)) {
        let Lanes { lanes, crowded, .. } = &mut *self.lanes.borrow_mut();
        crowded.retain(|lane| {
            let lane = lanes.get(*lane as usize);
            let lane = lane.filter(|lane| !lane.waiters.is_empty());
            lane.inspect(|lane| look(lane)).is_some()
        });
    }
}

impl Lanes {
    fn to(&mut self, to: &Receiver, address: &Address) -> u32 {
        let lane = self.by_receiver.get(to).copied().unwrap_or_else(|| {
            let lane = Lane {
                to: to.clone(),
                address: address.clone(),
                out: 0,
                waiters: VecDeque::new(),
            };
            let at = self.lanes.insert(lane);
            self.by_receiver.insert(to.clone(), at);
            at
        });
        u32::try_from(lane).unwrap_or(u32::MAX)
    }

    /// Forgets a lane that nobody uses.
    fn tidy(&mut self, lane: u32) {
        let at = lane as usize;
        let is_idle = |lane: &Lane| lane.out == 0 && lane.waiters.is_empty();
        if self.lanes.get(at).is_some_and(is_idle) {
            let lane = self.lanes.remove(at);
            self.by_receiver.remove(&lane.to);
        }
    }
}

impl Core {
    /// Sends an urgent message, if there is a credit for it; `granted` says in which lane one is held.
    pub(crate) fn attempt_urgent(
        self: &Rc<Self>,
        from: &MailboxRc,
        out: &mut Outgoing,
        mut granted: Option<u32>,
    ) -> Hurry {
        let attempt = self.try_urgent(from, out, &mut granted);
        // It was not needed, or the name has moved and it was for the place where it was.
        if let Some(lane) = granted {
            self.urgent_back(lane);
        }
        attempt
    }

    fn try_urgent(
        self: &Rc<Self>,
        from: &MailboxRc,
        out: &mut Outgoing,
        granted: &mut Option<u32>,
    ) -> Hurry {
        if out.route.len() > 1 && !out.detour {
            if let Err(kind) = crate::error::check_route(&out.route) {
                return Hurry::Done(out.fail(kind));
            }
            self.wrap(from, out);
        }
        if out.detour && self.send_back(from, out) {
            return Hurry::Done(Attempt::Sent);
        }
        let Some(hop) = out.route.first() else {
            return Hurry::Done(out.fail(ErrorKind::EmptyRoute));
        };
        let (address, hint) = (hop.address.clone(), hop.hint_of(self.here.node()));
        let (core, place) = match hint {
            // An answer never waits.
            Some(hint) if hint.kind == HandleKind::Reply => {
                return Hurry::Done(self.attempt(from, out));
            }
            Some(hint) => (hint.core.index(), hint.handle),
            None if !address.is_local() && !self.has_transport(&address) => {
                return Hurry::Done(out.fail(ErrorKind::NoTransport { address }));
            }
            None => match self.guest(&address) {
                Some(here) => (self.id, here.handle.get()),
                None => (self.placement.home(&address), Handle::NONE),
            },
        };
        let to = match place {
            Handle::NONE => Target::Name(address),
            place => Target::Place(place, address),
        };
        if core != self.id {
            return self.hurry_away(core, to, from, out, granted);
        }
        let Some(here) = self.target(&to).filter(|it| it.accepts()) else {
            return Hurry::Done(out.fail_not_found());
        };
        let lane = match self.urgent_credit(core, &to, granted) {
            Ok(lane) => lane,
            Err(_) if self.is_oneself(from, &here) => return Hurry::FullOf(here),
            Err(full) => return full,
        };
        self.hurry_here(
            &here,
            from.clone(),
            self.urgent_origin(lane, out.detour),
            out,
        );
        Hurry::Done(Attempt::Sent)
    }

    /// The instance of this core, where the name belongs to another.
    fn guest(&self, name: &Address) -> Option<MailboxRc> {
        let is_none = self.guests.get() == 0;
        let found = (!is_none).then(|| self.named(name)).flatten();
        found.filter(|mailbox| !mailbox.is_reserved())
    }

    /// The mailbox of this core that this leads to.
    fn target(self: &Rc<Self>, to: &Target) -> Option<MailboxRc> {
        match to {
            Target::Place(handle, _) => self.at(*handle),
            Target::Name(name) => self.named(name).or_else(|| self.connect_to(name)),
        }
    }

    fn urgent_origin(&self, lane: u32, detour: bool) -> Origin {
        Origin {
            link: lane,
            core: self.id,
            kind: OriginKind::Urgent,
            detour,
        }
    }

    fn hurry_here(&self, to: &MailboxRc, from: MailboxRc, origin: Origin, out: &mut Outgoing) {
        let Some(body) = out.body.take() else { return };
        let envelope = Envelope {
            sender: Sender::of_urgent(from, out.reply),
            origin,
            body,
        };
        self.tally().sent_local.add(1);
        to.queued.set(to.queued.get() + 1);
        self.urgent.queue.push(to.clone(), envelope);
    }

    fn hurry_away(
        self: &Rc<Self>,
        core: u16,
        to: Target,
        from: &MailboxRc,
        out: &mut Outgoing,
        granted: &mut Option<u32>,
    ) -> Hurry {
        if !self.pairs.borrow().lead_to(core) {
            return Hurry::Done(out.fail_not_found());
        }
        let lane = match self.urgent_credit(core, &to, granted) {
            Ok(lane) => lane,
            Err(full) => return full,
        };
        if let Some(body) = out.body.take() {
            let from = Introduction {
                handle: from.handle.get(),
                address: from.address.clone(),
            };
            let (reply, detour) = (out.reply, out.detour);
            let hurrying = Hurrying {
                to,
                from,
                lane,
                reply,
                detour,
                body,
            };
            self.tally().sent_remote.add(1);
            self.send_control(core, Control::Urgent(Box::new(hurrying)));
        }
        Hurry::Done(Attempt::Sent)
    }

    /// An urgent message has come from another core.
    pub(crate) fn take_hurrying(self: &Rc<Self>, core: u16, hurrying: Hurrying) {
        let Hurrying {
            to,
            from,
            lane,
            reply,
            detour,
            body,
        } = hurrying;
        let there = NodeCore::new(self.here.node(), core);
        let from = MailboxRc::new(Mailbox::stub(from.address, there, from.handle));
        let found = self.target(&to).filter(|it| it.accepts());
        let to = found.unwrap_or_else(|| {
            let nobody = Mailbox::stub(to.address().clone(), self.here, Handle::NONE);
            MailboxRc::new(nobody)
        });
        let envelope = Envelope {
            sender: Sender::of_urgent(from, reply),
            origin: Origin {
                core,
                ..self.urgent_origin(lane, detour)
            },
            body,
        };
        to.queued.set(to.queued.get() + 1);
        self.urgent.queue.push(to, envelope);
    }

    /// Takes a credit of a lane, unless one is held already.
    fn urgent_credit(
        &self,
        core: u16,
        to: &Target,
        granted: &mut Option<u32>,
    ) -> Result<u32, Hurry> {
        let receiver = match to {
            Target::Place(handle, _) => Receiver::Place(core, *handle),
            Target::Name(name) => Receiver::Name(name.clone()),
        };
        let mut lanes = self.urgent.lanes.borrow_mut();
        let lane = lanes.to(&receiver, to.address());
        if granted.take_if(|held| *held == lane).is_some() {
            return Ok(lane);
        }
        let Some(entry) = lanes.lanes.get_mut(lane as usize) else {
            return Err(Hurry::Full(lane));
        };
        // As long as anybody waits, all credits are out: what comes back is theirs.
        if entry.out >= self.limits.urgent_credits {
            return Err(Hurry::Full(lane));
        }
        entry.out += 1;
        Ok(lane)
    }

    /// Whether as many urgent messages as are allowed are under way from this core to this worker of it.
    pub(crate) fn is_urgently_full(&self, to: &MailboxRc) -> bool {
        let place = Receiver::Place(self.id, to.handle.get());
        let name = Receiver::Name(to.address.clone());
        let lanes = self.urgent.lanes.borrow();
        let lanes = [place, name].map(|to| {
            lanes
                .by_receiver
                .get(&to)
                .and_then(|at| lanes.lanes.get(*at))
        });
        let is_full = |lane: &Lane| lane.out >= self.limits.urgent_credits;
        lanes.into_iter().flatten().any(is_full)
    }

    /// Queues a sender for a credit of a lane.
    pub(crate) fn wait_for_urgent(&self, lane: u32, from: &MailboxRc, wake: Wake) -> Rc<Waiter> {
        let waiter = Waiter::of_sender(wake, from.clone(), self.now.get(), 0);
        self.note_behalf(from, &waiter);
        let mut lanes = self.urgent.lanes.borrow_mut();
        if let Some(entry) = lanes.lanes.get_mut(lane as usize) {
            entry.waiters.push_back(Rc::clone(&waiter));
            lanes.crowded.insert(lane);
        }
        self.note_news();
        self.tally().blocked.add(1);
        waiter
    }

    /// Gives up waiting: what was granted meanwhile goes to the next.
    pub(crate) fn stop_waiting_for_urgent(&self, lane: u32, waiter: &Waiter) {
        if waiter.state.replace(Waiting::Cancelled) == Waiting::Granted {
            self.urgent_back(lane);
        }
        let mut lanes = self.urgent.lanes.borrow_mut();
        if let Some(entry) = lanes.lanes.get_mut(lane as usize) {
            trim(&mut entry.waiters);
        }
        lanes.tidy(lane);
    }

    /// An urgent message has been taken, or reported: its credit goes back to where it came from.
    #[cold]
    pub(crate) fn settle_urgent(&self, origin: Origin) {
        match origin.core == self.id {
            true => self.urgent_back(origin.link),
            false => self.send_control(origin.core, Control::UrgentTaken { lane: origin.link }),
        }
    }

    /// A credit of a lane is free: the first who waits gets it.
    pub(crate) fn urgent_back(&self, lane: u32) {
        let mut lanes = self.urgent.lanes.borrow_mut();
        let Some(entry) = lanes.lanes.get_mut(lane as usize) else {
            return;
        };
        let next = pop_waiting(&mut entry.waiters);
        if next.is_none() {
            entry.out -= 1;
        }
        lanes.tidy(lane);
        drop(lanes);
        if let Some(waiter) = next {
            self.grant(&waiter);
        }
    }

    /// Handles up to `budget` urgent messages. Returns how many.
    #[cold]
    pub(crate) fn run_urgent(self: &Rc<Self>, budget: u32) -> u32 {
        for done in 0..budget {
            let Some((to, envelope)) = self.urgent.queue.take() else {
                return done;
            };
            if to.state.get() == State::Backlog {
                // It waits for its turn with others, and this does not wait for that.
                self.pile_up(&to, envelope);
                self.pass_turns(&to);
                continue;
            }
            self.queue.push_front(to.clone(), envelope);
            match to.state.get() {
                State::Idle => {
                    self.run_queue(1);
                }
                _ => self.set_aside(),
            }
        }
        budget
    }
}
