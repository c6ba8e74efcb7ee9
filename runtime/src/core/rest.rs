//! What adds up in a core that has nothing to do, and what never grows beyond its limits: asked by the
//! simulation alone.

use std::rc::Rc;

use ringpost_router::Address;

use crate::core::Core;
use crate::envelope::OriginKind;
use crate::mailbox::State;

impl Core {
    /// A mailbox of this core at which more was set aside than may wait there, if there is one (see
    /// [`Limits`](crate::Limits)). What needs no credit is bounded for all mailboxes of
    /// the core together: news of ends that workers watch for, and answers to requests that they have passed on.
    pub(crate) fn overfull(&self) -> Option<String> {
        let limits = &self.limits;
        let cores = u64::from(self.cores());
        let by_credit =
            u64::from(limits.mailbox_credits) + 2 * u64::from(limits.link_credits) * (cores - 1);
        let urgent_most = 2 * u64::from(limits.urgent_credits) * cores;
        let (mut returned, mut news) = (0, 0);
        let of_one = self.table.all().iter().find_map(|mailbox| {
            let (mut waiting, mut urgent, mut owed) = (0, 0, 0);
            mailbox.if_more(|more| {
                // Messages that it has put back come on top.
                owed = u64::from(more.owed);
                for envelope in more.stash() {
                    match envelope.origin.kind {
                        OriginKind::Local | OriginKind::UrgentAgain | OriginKind::Link => {
                            waiting += 1;
                        }
                        OriginKind::Urgent => urgent += 1,
                        OriginKind::Returned => returned += 1,
                        OriginKind::News => news += 1,
                        OriginKind::Free => {}
                    }
                }
            });
            let (most, at) = (by_credit + owed, &mailbox.address);
            (waiting > most || urgent > urgent_most).then(|| {
                format!(
                    "G4: {waiting} messages wait at {at}, and {most} may; {urgent} urgent ones, and {urgent_most} may"
                )
            })
        });
        of_one.or_else(|| self.beyond_places(returned, news))
    }

    /// Whether more answers and news wait here than have places.
    fn beyond_places(&self, returned: u32, news: u32) -> Option<String> {
        let limits = &self.limits;
        let watches = self.watches_open.get();
        let waiting = [
            (returned, self.returned.get(), "answers on their way back"),
            (
                self.returned.get(),
                limits.passed_on_max,
                "answers on their way back, in all,",
            ),
            (news, watches, "news of ends"),
            (watches, limits.watches_max, "watches and news of ends"),
        ];
        let (count, most, what) = waiting.into_iter().find(|(count, most, _)| count > most)?;
        Some(format!(
            "G4: {count} {what} wait on core {}, and {most} may",
            self.id
        ))
    }

    /// Whether this core has written something that the others cannot see yet.
    pub(crate) fn has_unpublished(&self) -> bool {
        let mut pairs = self.pairs.borrow_mut();
        self.dirty.borrow().iter().any(|core| {
            let pair = pairs.of(*core);
            pair.data.unpublished() + pair.control.unpublished() > 0
        })
    }

    /// What is left of a core that has ended, if anything is: who waited for it would wait for ever.
    pub(crate) fn leftover(&self) -> Option<String> {
        let timers = self.timers.borrow().len();
        let left = [
            (timers, "timers are armed"),
            (self.io.count(), "sockets are open"),
            (self.workers.get(), "workers are there"),
            (self.watches_open.get() as usize, "watches have places"),
        ];
        let (count, what) = left.into_iter().find(|(count, _)| *count > 0)?;
        Some(format!("{count} {what}"))
    }

    /// A worker of this core that is idle, and whose room for senders of this core is not what it is by its
    /// limits.
    pub(crate) fn unbalanced(&self) -> Option<String> {
        let mailboxes = self.table.all();
        let mut mailboxes = mailboxes.iter();
        let most = self.limits.mailbox_credits;
        let bad = mailboxes.find(|mailbox| {
            let is_idle = mailbox.state.get() == State::Idle && mailbox.accepts();
            is_idle && mailbox.queued() == 0 && mailbox.room() != most
        })?;
        let room = bad.room();
        Some(format!(
            "{} is idle, with room for {room} of {most} messages",
            bad.address
        ))
    }

    /// For each link to another core on which messages may be sent: its number, and how many of its credits are
    /// not here.
    pub(crate) fn credits_out(&self, to: u16) -> Vec<(u32, u32)> {
        self.pairs.borrow_mut().of(to).links.out()
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
