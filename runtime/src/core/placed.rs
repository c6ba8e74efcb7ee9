//! Names whose mailbox is not on their home core: who grants them, and who passes messages on.
//!
//! Only the home of a name can say whether it is taken, so nobody answers to a name before its home
//! has granted it:
//!
//! ```text
//!  the core where the mailbox is to be            the home of its name
//!
//!  reserve: senders of this core wait   ──claim─▶  taken? ──refused─▶ release: they look again
//!                                                  │
//!  the worker is built and initializes  ◀──begin── forwarder, Starting: messages wait
//!  it is up, or it has failed           ──answer─▶ Idle: messages are passed on; or it ends too
//! ```
//!
//! The claim goes by the ring that messages from this core take, so what was sent to the name before
//! the reservation is there first, and what is sent after it has not left this core: the order of one
//! sender's messages is that of sending, whichever way each goes (G1). Whoever asked may give up at
//! any point: no step waits for them, and the start succeeds or leaves nothing behind.

use std::rc::Rc;

use ringpost_router::{Address, HandleKind, Hint};

use crate::context::Context;
use crate::core::Core;
use crate::core::forwarder::{Behind, Forwarder, Placed};
use crate::envelope::ReplyTo;
use crate::error::{Error, ErrorKind, Reason};
use crate::mailbox::{Mailbox, State, Stop, pop_waiting};
use crate::task::raw::MailboxRc;
use crate::worker::Worker;

impl Core {
    /// Gives a reservation up: whoever waits here looks for the name again, at its home.
    pub(crate) fn release(self: &Rc<Self>, mailbox: &MailboxRc) {
        if !mailbox.is_reserved() {
            return;
        }
        self.unregister(mailbox);
        mailbox.stop.set(Stop::Now);
        let mut senders = mailbox.with_more(|more| std::mem::take(&mut more.senders));
        while let Some(waiter) = pop_waiting(&mut senders) {
            // A grant of a mailbox that accepts nothing is worth nothing but another look.
            self.grant(&waiter);
        }
        self.close(mailbox, Reason::Stopped);
    }

    /// The name is granted: hands the mailbox's credits out, to those who wait first.
    pub(crate) fn open(&self, mailbox: &Mailbox) {
        if !mailbox.accepts() {
            return;
        }
        let mut credits = self.limits.mailbox_credits;
        let mut granted = Vec::new();
        mailbox.if_more(|more| {
            while credits > 0
                && let Some(waiter) = pop_waiting(&mut more.senders)
            {
                credits -= 1;
                granted.push(waiter);
            }
            mailbox.special.set(!more.senders.is_empty());
        });
        mailbox.set_room(credits);
        mailbox.set_overflow(mailbox.overflow.get());
        granted.iter().for_each(|waiter| self.grant(waiter));
    }

    /// Starts a worker here under a name of another core. The starter is answered by that core.
    pub(crate) fn start_away<W: Worker<Context = Context> + Send>(
        self: &Rc<Self>,
        address: Address,
        worker: W,
        starter: ReplyTo,
    ) {
        let mailbox = match self.admit(address, || Placed::new(worker), State::Reserved, 0) {
            Ok(mailbox) => mailbox,
            Err(error) => return self.answer(starter, Err(error)),
        };
        let (address, there) = (mailbox.address.clone(), place_of(&mailbox));
        let home = self.placement.home(&address);
        let claim = move |core: &Rc<Core>| core.claim(address, there, Behind::Coming, starter);
        self.send_job(home, Box::new(claim));
    }

    /// The home has granted the name of a reservation of this core.
    pub(crate) fn begin_away(self: &Rc<Self>, there: Hint, starter: ReplyTo) {
        let reserved = self.at(there.handle).filter(|it| it.is_reserved());
        let Some(mailbox) = reserved.filter(|_| !self.node.is_stopping()) else {
            self.abandon(there);
            return self.answer(starter, Err(Error::new(ErrorKind::Stopping)));
        };
        mailbox.state.set(State::Starting);
        mailbox.note_starter(starter);
        self.open(&mailbox);
        self.attend(mailbox);
    }

    /// Asks for a name of this core on behalf of a reservation, and starts a forwarder that holds
    /// messages until who is `behind` it is up.
    pub(crate) fn claim(
        self: &Rc<Self>,
        address: Address,
        there: Hint,
        behind: Behind,
        starter: ReplyTo,
    ) {
        let granted = self.check_new(&address).and_then(|()| {
            let address = address.clone();
            match self.named(&address) {
                Some(_) => Err(ErrorKind::AlreadyExists { address }),
                None => Ok(()),
            }
        });
        if let Err(kind) = granted {
            // By way of the reservation, so that it is gone when the starter hears of it.
            let refuse = move |core: &Rc<Core>| {
                core.abandon(there);
                core.answer(starter, Err(Error::new(kind)));
            };
            return self.send_job(there.core.index(), Box::new(refuse));
        }
        let forwarder = Forwarder::new(self, address.clone(), there, behind);
        self.start_here(address.clone(), || forwarder, false, starter);
        if let Some(mailbox) = self.named(&address) {
            mailbox.with_more(|more| more.forwards = Some(there));
        }
    }

    /// Ends what there is of a reservation of this core that was refused, or whose forwarder is gone.
    pub(crate) fn abandon(self: &Rc<Self>, there: Hint) {
        let Some(mailbox) = self.at(there.handle) else {
            return;
        };
        if mailbox.is_reserved() {
            self.release(&mailbox);
        } else {
            self.begin_stop(&mailbox, Stop::Now, self.node.drain);
        }
    }

    /// What stood behind a forwarder of this core has ended.
    pub(crate) fn stop_forwarder(self: &Rc<Self>, address: &Address, onward: Option<Hint>) {
        let forwarder = self.named(address);
        let is_its = |mailbox: &MailboxRc| {
            onward.is_some() && mailbox.if_more(|more| more.forwards) == Some(onward)
        };
        if let Some(mailbox) = forwarder.filter(is_its) {
            if mailbox.state.get() == State::Idle && mailbox.queued() == 0 {
                // It has nothing to pass on and nobody to end: the name is free at once.
                return self.close(&mailbox, Reason::Stopped);
            }
            self.begin_stop(&mailbox, Stop::Now, self.node.drain);
        }
    }
}

/// Where a mailbox of this core is.
pub(crate) fn place_of(mailbox: &Mailbox) -> Hint {
    Hint {
        core: mailbox.core(),
        kind: HandleKind::Worker,
        handle: mailbox.handle(),
    }
}
