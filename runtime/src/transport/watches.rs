//! Watches across a connection: each side may ask the other to tell it when a worker there has ended.
//!
//! A watch of a worker of another node is noted at the connection, which tells of its own loss; and if the peer's
//! greeting says that it takes watches, it is asked to tell of the worker's end too. The peer watches for the
//! connection, like any worker of its node would; so the news goes through the mailbox of the connection, behind what
//! the worker had sent, and on the other side behind what waits for room at the watcher.
//!
//! Whichever comes first, news or loss, is what the watcher hears: its watch is concluded by it.
//!
//! What one side may ask for at one time is said in the greeting of the other ([`TcpLimits::watches_max`]); further
//! watches wait for others to be concluded. Nodes of other makes are not asked.
//!
//! News that waits in the mailbox of the connection when the peer gives its watch up is unwanted, and counts for nothing
//! any more; so that is taken out once it is as much as the peer may watch.
//!
//! What a peer asks for is noted on the core of the worker, and forgotten there. Each time that core says when it has done so, and
//! while more than the peer may watch are to be heard of, nothing more of the peer is read.
//!
//! [`TcpLimits::watches_max`]: crate::transport::TcpLimits::watches_max

use std::collections::{BTreeMap, VecDeque};
use std::task::Context as Polling;

use ringpost_router::wire::{Ending, Note};
use ringpost_router::{Address, Aliases, Handle, Hop, Message, Route};

use crate::core::Core;
use crate::core::watches::{Beyond, Watcher, Watching};
use crate::envelope::ReplyTo;
use crate::task::raw::MailboxRc;
use crate::transport::connection::Connection;
use crate::transport::end::End;
use crate::watch::{EndReason, Ended};

/// The watches of one connection, in both directions.
#[derive(Default)]
pub(super) struct Watches {
    /// Those of this side, by the number that the peer knows each by.
    asked: BTreeMap<u32, Asked>,
    by_watcher: BTreeMap<Watcher, u32>,
    /// Of these, those that the peer does not know of yet.
    unsent: VecDeque<u32>,
    /// How many it knows of, and how many it may.
    under_way: u32,
    most: u32,
    /// The number of the last one.
    last: u32,
    /// Those of the peer, by its numbers.
    noted: BTreeMap<u32, Noted>,
    /// How many were noted, ever.
    times: u64,
    /// How much news waits in the mailbox of the connection that the peer is not to be told.
    unwanted: u32,
    /// Where cores say that they have noted, or forgotten, a watch of the peer; the oldest first.
    asking: VecDeque<Handle>,
}

/// A watch of the peer.
struct Noted {
    /// Which of all that were noted, whatever the peer calls it and however often the connection was lost.
    time: u64,
    /// What it is to the mailbox of the connection.
    watch: u64,
}

struct Asked {
    watcher: Watcher,
    /// Its address here.
    to: Address,
    /// What the peer calls the worker.
    of: Address,
    is_sent: bool,
}

/// A worker that the peer watches has ended: tells the connection, for the peer.
pub(super) struct EndedHere {
    id: u32,
    time: u64,
    ending: Ending,
}

ringpost_router::local_message!(EndedHere);

impl Watches {
    /// Takes a watch of this side out, if there is one. Whether the peer knew of it.
    fn take(&mut self, id: u32) -> Option<Asked> {
        let asked = self.asked.remove(&id)?;
        self.by_watcher.remove(&asked.watcher);
        match asked.is_sent {
            true => self.under_way = self.under_way.saturating_sub(1),
            false => self.unsent.retain(|unsent| *unsent != id),
        }
        Some(asked)
    }

    /// Whether the peer still wants to be told this.
    fn wants(&self, ended: &EndedHere) -> bool {
        let noted = self.noted.get(&ended.id);
        noted.is_some_and(|noted| noted.time == ended.time)
    }

    /// The next watch that the peer may be told of.
    fn next_unsent(&mut self) -> Option<Note> {
        if self.under_way >= self.most {
            return None;
        }
        let id = self.unsent.pop_front()?;
        let asked = self.asked.get_mut(&id)?;
        asked.is_sent = true;
        self.under_way = self.under_way.saturating_add(1);
        let address = asked.of.clone();
        Some(Note::Watch { id, address })
    }
}

/// A watch was noted at this mailbox. If that is a connection's, its peer is asked to tell of the end of whoever is
/// beyond.
pub(crate) fn ask_peer(core: &Core, mailbox: &MailboxRc, watcher: Watcher, beyond: Beyond) {
    if let Some(connection) = core.transports.connection_of(mailbox) {
        connection.ask_for_end(watcher, beyond.watching, beyond.of);
    }
}

/// The watch is no more.
pub(crate) fn ask_peer_no_more(core: &Core, mailbox: &MailboxRc, watcher: Watcher) {
    if let Some(connection) = core.transports.connection_of(mailbox) {
        connection.ask_no_more(watcher);
    }
}

impl Connection {
    /// A worker of this node watches one of the peer's. A name that stands for the place of a reply is no worker's.
    fn ask_for_end(&self, watcher: Watcher, to: Address, of: Address) {
        if Aliases::is_once(&of) {
            return;
        }
        let mut watches = self.watches.borrow_mut();
        let id = watches.last.wrapping_add(1);
        watches.last = id;
        let asked = Asked {
            watcher,
            to,
            of,
            is_sent: false,
        };
        watches.asked.insert(id, asked);
        watches.by_watcher.insert(watcher, id);
        watches.unsent.push_back(id);
        drop(watches);
        self.ask_more();
    }

    /// The peer has said how many watches it takes.
    pub(super) fn may_ask(&self, most: u32) {
        self.watches.borrow_mut().most = most;
        self.ask_more();
    }

    fn ask_more(&self) {
        loop {
            let next = self.watches.borrow_mut().next_unsent();
            let Some(note) = next else { return };
            self.tell(&note);
        }
    }

    /// A watch of this side was given up, or its watcher has ended.
    fn ask_no_more(&self, watcher: Watcher) {
        let mut watches = self.watches.borrow_mut();
        let id = watches.by_watcher.get(&watcher).copied();
        let taken = id.and_then(|id| Some((id, watches.take(id)?)));
        drop(watches);
        if let Some((id, asked)) = taken {
            if asked.is_sent {
                self.tell(&Note::Unwatch { id });
            }
            self.ask_more();
        }
    }

    /// Whether this side has ever asked by this number.
    pub(super) fn has_asked(&self, id: u32) -> bool {
        (1..=self.watches.borrow().last).contains(&id)
    }

    /// The peer tells of an end: who is to hear of it, and its address here. `None` if it is not asked any more.
    pub(super) fn take_asked(&self, id: u32) -> Option<(Watcher, Address)> {
        let mut watches = self.watches.borrow_mut();
        let is_sent = watches.asked.get(&id).is_some_and(|asked| asked.is_sent);
        let asked = is_sent.then(|| watches.take(id)).flatten();
        drop(watches);
        self.ask_more();
        asked.map(|asked| (asked.watcher, asked.to))
    }

    /// The peer asks to be told of the end of a worker. Fails if it may not, so often or by this number.
    pub(super) fn note_watch(
        &self,
        mailbox: &MailboxRc,
        id: u32,
        address: &Address,
    ) -> Result<(), End> {
        let most = self.terms.limits.watches_max;
        let mut watches = self.watches.borrow_mut();
        if watches.noted.len() >= most as usize {
            let end = format!("the peer watches more than {most} workers (watches_max)");
            return Err(End::Fault(end));
        }
        if watches.noted.contains_key(&id) {
            let end = format!("the peer watches two workers by the number {id}");
            return Err(End::Fault(end));
        }
        let time = watches.times.wrapping_add(1);
        watches.times = time;
        let tell = move |ended: Ended| {
            let ending = ending_of(&ended.reason);
            EndedHere { id, time, ending }.into_body()
        };
        let at = self.reached_by(address);
        let watching = Watching {
            at: at.clone().unwrap_or_else(|| Hop::new(address.clone())),
            of: address.clone(),
            of_peer: true,
            tell: Box::new(tell),
        };
        let watcher = self.core.begin_watch(mailbox, watching);
        let watch = watcher.id();
        watches.noted.insert(id, Noted { time, watch });
        drop(watches);
        match at {
            Some(at) => self.core.watch(&at, None, watcher, self.word()),
            None => self.core.tell(watcher, EndReason::NotFound),
        }
        Ok(())
    }

    /// The worker that the peer reaches by this address, if it may.
    fn reached_by(&self, address: &Address) -> Option<Hop> {
        if Aliases::is_once(address) {
            return None;
        }
        match self.route_of(address) {
            Some(route) => route.only().cloned(),
            None if self.terms.denied(&Route::from(address.clone())).is_some() => None,
            None => address.is_local().then(|| Hop::new(address.clone())),
        }
    }

    /// The peer does not want to hear of it any more.
    pub(super) fn note_unwatch(&self, mailbox: &MailboxRc, id: u32) {
        let noted = self.watches.borrow_mut().noted.remove(&id);
        if let Some(noted) = noted {
            self.give_up(mailbox, &noted);
        }
    }

    /// A watch of the peer is no more. If there was news already, that is on its way through the mailbox.
    fn give_up(&self, mailbox: &MailboxRc, noted: &Noted) {
        if !self.core.end_watch(mailbox, noted.watch, self.word()) {
            let unwanted = &mut self.watches.borrow_mut().unwanted;
            *unwanted = unwanted.saturating_add(1);
        }
    }

    /// Where a core is to say that it has done what the peer has asked for.
    fn word(&self) -> ReplyTo {
        let core = &self.core;
        let handle = core.replies.reserve();
        let asking = &mut self.watches.borrow_mut().asking;
        self.forget_heard(asking);
        asking.push_back(handle);
        let core = core.id;
        ReplyTo { core, handle }
    }

    /// Forgets what cores have said.
    fn forget_heard(&self, asking: &mut VecDeque<Handle>) {
        let has_said = |first: &mut Handle| self.core.replies.fetch(*first).is_some();
        while asking.pop_front_if(has_said).is_some() {}
    }

    /// Whether so much is to be heard of watches of the peer that no more of it is to be read.
    #[inline]
    pub(super) fn asks_much(&self) -> bool {
        let most = self.terms.limits.watches_max as usize;
        let asking = &mut self.watches.borrow_mut().asking;
        asking.len() > most && {
            self.forget_heard(asking);
            asking.len() > most
        }
    }

    /// Has whoever is polled now woken when the next word comes.
    pub(super) fn await_word(&self, polling: &mut Polling<'_>) {
        let core = &self.core;
        let asking = &mut self.watches.borrow_mut().asking;
        while let Some(next) = asking.front()
            && core.replies.poll(core, *next, polling).is_some()
        {
            asking.pop_front();
        }
    }

    /// Whether so much news that the peer does not want waits that it is to be taken out.
    pub(super) fn has_much_unwanted(&self) -> bool {
        self.watches.borrow().unwanted > self.terms.limits.watches_max
    }

    pub(super) fn is_unwanted(&self, ended: &EndedHere) -> bool {
        !self.watches.borrow().wants(ended)
    }

    /// A worker that the peer watches has ended.
    pub(super) fn tell_ended(&self, ended: &EndedHere) {
        let mut watches = self.watches.borrow_mut();
        if !watches.wants(ended) {
            watches.unwanted = watches.unwanted.saturating_sub(1);
            return;
        }
        watches.noted.remove(&ended.id);
        drop(watches);
        let EndedHere { id, ending, .. } = *ended;
        self.tell(&Note::Ended { id, ending });
    }

    /// The connection is lost: those who watch from here are told that, and the peer, if it comes again, asks again.
    pub(super) fn lose_watches(&self, mailbox: Option<&MailboxRc>) {
        let before = self.watches.take();
        self.watches.replace(Watches {
            last: before.last,
            times: before.times,
            unwanted: before.unwanted,
            asking: before.asking,
            ..Watches::default()
        });
        if let Some(mailbox) = mailbox {
            for noted in before.noted.values() {
                self.give_up(mailbox, noted);
            }
        }
        // Nobody is there to wait for it.
        let asking = std::mem::take(&mut self.watches.borrow_mut().asking);
        for handle in asking {
            self.core.replies.abandon(&self.core, handle);
        }
    }
}

fn ending_of(reason: &EndReason) -> Ending {
    match reason {
        EndReason::Panicked { .. } => Ending::Panicked,
        EndReason::Failed { .. } => Ending::Failed,
        EndReason::NotFound => Ending::Nobody,
        EndReason::Stopped | EndReason::Disconnected { .. } => Ending::Stopped,
    }
}

/// What a watcher hears of an end on another node.
pub(super) fn reason_of(ending: Ending) -> EndReason {
    let unsaid = || "on another node, which says no more".to_owned();
    match ending {
        Ending::Panicked => EndReason::Panicked { message: unsaid() },
        Ending::Failed => EndReason::Failed { error: unsaid() },
        Ending::Nobody => EndReason::NotFound,
        _ => EndReason::Stopped,
    }
}
