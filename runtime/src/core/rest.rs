//! What adds up in a core that has nothing to do, and what never grows beyond its limits: asked by the
//! simulation alone.

use std::rc::Rc;

use ringpost_router::Address;

use crate::core::Core;
use crate::mailbox::State;

impl Core {
    /// A mailbox of this core in which more waits than may, if there is one.
    pub(crate) fn overfull(&self) -> Option<String> {
        let limits = &self.limits;
        let others = u64::from(self.cores()) - 1;
        let most = u64::from(limits.mailbox_credits) + 2 * u64::from(limits.link_credits) * others;
        let mailboxes = self.table.all();
        let mut mailboxes = mailboxes.iter();
        // Replies on their way back by a worker come on top.
        let over = mailboxes.find(|mailbox| {
            let has_due = mailbox.if_more(|more| more.due.is_some());
            u64::from(mailbox.queued.get()) > most && has_due != Some(true)
        })?;
        let queued = over.queued.get();
        Some(format!(
            "G4: {queued} messages wait at {}, and {most} may",
            over.address
        ))
    }

    /// A worker of this core that is idle, and whose room for senders of this core is not what it is by its
    /// limits.
    pub(crate) fn unbalanced(&self) -> Option<String> {
        let mailboxes = self.table.all();
        let mut mailboxes = mailboxes.iter();
        let most = self.limits.mailbox_credits;
        let bad = mailboxes.find(|mailbox| {
            let is_idle = mailbox.state.get() == State::Idle && mailbox.accepts();
            is_idle && mailbox.queued.get() == 0 && mailbox.room.get() != most
        })?;
        let room = bad.room.get();
        Some(format!(
            "{} is idle, with room for {room} of {most} messages",
            bad.address
        ))
    }

    /// For each link to another core on which messages may be sent: its number, and how many of its credits are
    /// not here.
    pub(crate) fn credits_out(&self, to: u16) -> Vec<(u32, u32)> {
        let mut pairs = self.pairs.borrow_mut();
        let pair = pairs.get(to);
        pair.map(|pair| pair.links.out()).unwrap_or_default()
    }

    /// How many credits of this link of another core are here: of messages that wait, or not given back yet.
    pub(crate) fn credits_held(&self, from: u16, link: u32) -> u32 {
        let owed = self.owed.borrow();
        let of_core = owed.get(usize::from(from));
        of_core.map_or(0, |owed| owed.held(link))
    }

    /// The names of workers that live on this core and nowhere else.
    pub(crate) fn homes(self: &Rc<Self>) -> Vec<Address> {
        let mailboxes = self.table.all();
        let at_home = mailboxes.iter().filter(|mailbox| {
            let forwards = mailbox.if_more(|more| more.forwards.is_some());
            let is_worker = !matches!(mailbox.state.get(), State::Stub | State::Reserved);
            is_worker && mailbox.accepts() && !mailbox.replicated.get() && forwards != Some(true)
        });
        at_home.map(|mailbox| mailbox.address.clone()).collect()
    }
}
