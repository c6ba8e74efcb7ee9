//! How a worker of a group comes back at its leader's word, and what it answers.

use std::rc::Rc;

use ringpost_router::Message;

use super::{Comeback, Supervised};
use crate::core::Core;
use crate::core::group::{Led, Role};
use crate::core::replies::Answer;
use crate::envelope::ReplyTo;
use crate::error::ErrorKind;
use crate::mailbox::{Mailbox, More};
use crate::task::raw::MailboxRc;

/// What there is to know of a worker that belongs to a group.
pub(super) struct Following {
    pub(super) led: Led,
    /// How many times it has come back.
    pub(super) life: u64,
    /// Whether it has been taken down, and may not come back yet.
    pub(super) is_down: bool,
    /// Whether it may come back.
    pub(super) may_come_back: bool,
    /// Who is told when it has been taken down, and when it has come back.
    pub(super) askers: [ReplyTo; 2],
}

/// Of [`Following::askers`].
const DOWN: usize = 0;
pub(super) const BACK: usize = 1;

impl Following {
    pub(super) fn new(led: Led) -> Self {
        Self {
            led,
            life: 0,
            is_down: false,
            may_come_back: false,
            askers: [ReplyTo::NOBODY; 2],
        }
    }
}

impl Mailbox {
    /// Whether the worker belongs to a group.
    pub(crate) fn is_led(&self) -> bool {
        self.if_following(|_| ()).is_some()
    }

    /// Whether that is what it is of its group.
    pub(crate) fn is_led_as(&self, role: Role) -> bool {
        self.if_following(|it| it.led.role == role) == Some(true)
    }

    pub(super) fn if_following<R>(&self, f: impl FnOnce(&mut Following) -> R) -> Option<R> {
        let f = |more: &mut More| more.supervised.as_mut()?.led.as_mut().map(f);
        self.if_more(f).flatten()
    }
}

impl Core {
    /// Has a worker of a group taken down, to come back when its leader says so.
    pub(crate) fn begin_takedown(self: &Rc<Self>, mailbox: &MailboxRc) {
        mailbox.if_more(|more| {
            if let Some(supervised) = &mut more.supervised {
                let is_sound = true;
                supervised.comeback = Some(Comeback {
                    is_sound,
                    wait: None,
                });
            }
        });
        self.begin_comeback(mailbox);
    }

    /// Answers when a worker that is being taken down is so.
    pub(crate) fn answer_when_down(self: &Rc<Self>, mailbox: &Mailbox, to: ReplyTo) {
        let is_down = mailbox.if_following(|following| {
            following.askers[DOWN] = to;
            following.is_down
        });
        if is_down == Some(true) {
            self.answer_asker(mailbox, DOWN, Ok(().into_body()));
        }
    }

    pub(super) fn is_down(self: &Rc<Self>, mailbox: &Mailbox) {
        self.answer_asker(mailbox, DOWN, Ok(().into_body()));
    }

    /// Gives a worker its leader's word, and answers when it has come back or could not.
    pub(crate) fn let_come_back(&self, mailbox: &Mailbox, to: ReplyTo) {
        mailbox.if_following(|following| {
            following.may_come_back = true;
            following.life += 1;
            following.askers[BACK] = to;
        });
    }

    /// A worker goes on as it was, or as a new one.
    pub(crate) fn came_back(self: &Rc<Self>, mailbox: &Mailbox) {
        self.answer_asker(mailbox, BACK, Ok(().into_body()));
    }

    pub(super) fn answer_asker(self: &Rc<Self>, mailbox: &Mailbox, which: usize, answer: Answer) {
        let asker = mailbox.if_following(|following| {
            std::mem::replace(&mut following.askers[which], ReplyTo::NOBODY)
        });
        if let Some(asker) = asker {
            self.answer(asker, answer);
        }
    }

    /// A worker has ended: its leader waits for nothing of it any more.
    pub(crate) fn conclude_supervision(
        self: &Rc<Self>,
        mailbox: &Mailbox,
        supervised: Option<Box<Supervised>>,
    ) {
        let askers = supervised.and_then(|supervised| supervised.led.map(|led| led.askers));
        for asker in askers.into_iter().flatten() {
            let address = mailbox.address.clone();
            self.refuse(Some(asker), ErrorKind::NotFound { address });
        }
    }
}
