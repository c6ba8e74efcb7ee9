//! The workers that a leader leads: what they tell it, and what it asks of their cores.

use std::rc::Rc;

use ringpost_router::{Address, Body, Handle, Message, local_message};

use crate::core::Core;
use crate::envelope::{Origin, ReplyTo};
use crate::error::{Error, ErrorKind};
use crate::mailbox::{Mailbox, State, Stop};
use crate::task::raw::MailboxRc;

/// Who leads a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Led {
    pub(super) core: u16,
    pub(super) leader: Handle,
    pub(crate) role: Role,
}

/// Which worker of which leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    /// Which of the leaders that there have been at that place.
    pub(super) reign: u64,
    /// Which of the group it is.
    pub(super) member: usize,
}

/// What a leader is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// The leader that this is for. One that is restarted is not concerned by what it finds in its mailbox.
    pub(super) reign: u64,
    pub(super) member: usize,
    pub(super) news: News,
}

/// What there is to be told of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
    /// It has failed, when it had come back so many times, and waits to do so once more.
    Failed { life: u64 },
    /// Its failure is the group's.
    Escalated,
    /// It has ended.
    Gone,
}

local_message!(Event);

/// Whether this is something that a leader is told.
pub(crate) fn is_event(body: &Body) -> bool {
    body.is::<Event>()
}

impl Core {
    /// Tells the leader of a worker something, which needs no room: each has little to tell.
    pub(crate) fn tell_leader(self: &Rc<Self>, led: Led, mailbox: &Mailbox, news: News) {
        let event = Event {
            reign: led.role.reign,
            member: led.role.member,
            news,
        };
        let name = mailbox.address.clone();
        self.on_core(led.core, move |core: &Rc<Core>| {
            let Some(leader) = core.at(led.leader).filter(|it| it.accepts()) else {
                return;
            };
            let from = MailboxRc::new(Mailbox::stub(name, core.here, Handle::NONE));
            let body = event.into_body();
            core.enqueue(leader, &from, Handle::NONE, Origin::FREE, body);
        });
    }

    /// Ends a worker of a group, if it is still the leader's who asks; the asker is answered when it has ended.
    pub(super) fn stop_led(self: &Rc<Self>, name: &Address, role: Role, stop: Stop, to: ReplyTo) {
        match self.led_as(name, role).is_some() {
            true => self.stop_here(name, stop, self.node.drain, to),
            false => {
                let address = name.clone();
                self.answer(to, Err(Error::new(ErrorKind::NotFound { address })));
            }
        }
    }

    /// The worker of this name, if that is what it is of its group. Another may have come to the name since.
    fn led_as(&self, name: &Address, role: Role) -> Option<MailboxRc> {
        self.named(name).filter(|it| it.is_led_as(role))
    }

    /// Takes a worker of a group down, to come back at its leader's word.
    pub(super) fn take_down(self: &Rc<Self>, name: &Address, role: Role, to: ReplyTo) {
        let gone = || {
            let address = name.clone();
            Err(Error::new(ErrorKind::NotFound { address }))
        };
        let Some(mailbox) = self.led_as(name, role).filter(|it| it.accepts()) else {
            return self.answer(to, gone());
        };
        let state = mailbox.state.get();
        match state {
            State::Idle | State::Backlog | State::Busy => {}
            // It has failed by itself, or is coming down already.
            State::Starting => return self.answer_when_down(&mailbox, to),
            _ => return self.answer(to, gone()),
        }
        if state == State::Busy {
            self.cancel_handler(&mailbox);
            self.report_in_hand(&mailbox);
        }
        self.answer_when_down(&mailbox, to);
        self.begin_takedown(&mailbox);
        // Also where it waited for its turn, which comes to nothing now.
        self.attend(mailbox);
    }

    /// Has a worker that was taken down come back.
    pub(super) fn bring_back(self: &Rc<Self>, name: &Address, role: Role, to: ReplyTo) {
        match self.led_as(name, role).filter(|it| it.accepts()) {
            Some(mailbox) => {
                self.let_come_back(&mailbox, to);
                self.hurry(&mailbox);
            }
            None => {
                let address = name.clone();
                self.answer(to, Err(Error::new(ErrorKind::NotFound { address })));
            }
        }
    }
}
