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

mod lanes;

use std::cell::RefCell;
use std::rc::Rc;

use ringpost_router::{Address, Body, Handle, HandleKind, NodeCore};

use crate::core::Core;
use crate::core::deliver::{Attempt, Outgoing};
use crate::core::record::{Control, Introduction, Target};
use crate::envelope::{Envelope, Origin, OriginKind, Sender};
use crate::error::ErrorKind;
use crate::mailbox::{Mailbox, State};
use crate::task::raw::{MailboxRc, Queue};

use self::lanes::Lanes;

pub(crate) use self::lanes::Receiver;

/// What a core has for urgent messages.
pub(crate) struct Urgent {
    /// Those for workers of this core.
    pub(crate) queue: Queue,
    lanes: RefCell<Lanes>,
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
                Some(here) => (self.id, here.handle()),
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
        to.add_queued(1);
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
                handle: from.handle(),
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
        to.add_queued(1);
        self.urgent.queue.push(to, envelope);
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
