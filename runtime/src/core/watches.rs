//! Watches: who is told that a worker has ended.
//!
//! A watch has two ends, each at a mailbox and on its core: at the watched worker's a note of whom to tell, at
//! the watcher's a note of what to make of the news. The news itself is a number, and finds nobody where the
//! watcher has ended or has given up the watch; so it comes once at the most. It goes by the data ring, and by
//! the queue of its core, so it comes after what the ended worker had sent to the watcher before.
//!
//! The news needs no credit, but holds the place of its watch until it is taken from the mailbox, or its receiver has
//! ended. So the watches of a core and the news that wait there are bounded together, by `Limits::watches_max`. A
//! connection has a number of its own for what its peer watches, which holds until it has told the peer.
//!
//! When the node stops nobody is told of the ends that this brings.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringpost_router::{Address, Body, Handle, HandleKind, Hop, Message};

use crate::core::Core;
use crate::envelope::{Origin, ReplyTo};
use crate::error::{Error, ErrorKind, Reason};
use crate::mailbox::{Mailbox, More};
use crate::task::panics::guarded;
use crate::task::raw::MailboxRc;
use crate::transport::{ask_peer, ask_peer_no_more};
use crate::watch::{EndReason, Ended};

/// What the watcher gets, made on its own core.
pub(crate) type Tell = Box<dyn FnOnce(Ended) -> Body>;

/// Who is to be told: a watch of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watcher {
    core: u16,
    mailbox: Handle,
    id: u64,
}

/// A worker of another node, and who watches it.
pub(crate) struct Beyond {
    pub(crate) of: Address,
    pub(crate) watching: Address,
}

/// The ends of watches that lie at one mailbox.
#[derive(Default)]
pub(crate) struct Watches {
    /// How many its owner has begun.
    begun: u64,
    /// Those that it has not heard of yet.
    open: BTreeMap<u64, Watching>,
    /// Who watches it.
    watchers: BTreeSet<Watcher>,
    /// Why it ends, where that is known before it does.
    why: Option<EndReason>,
}

/// A watch, as its watcher keeps it.
pub(crate) struct Watching {
    /// Where it is noted: the worker, or what leads to it.
    pub(crate) at: Hop,
    /// Whom it is on.
    pub(crate) of: Address,
    /// Whether a peer asks for it: of those a connection has a number of its own.
    pub(crate) of_peer: bool,
    pub(crate) tell: Tell,
}

/// What is told of an end.
enum News {
    /// Of the mailbox where the watch was noted, which may be on the way to the one that is watched.
    OfWhoWasThere(EndReason),
    OfTheWatched(EndReason),
}

impl Watcher {
    /// What the watcher knows it by.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl More {
    fn watches(&mut self) -> &mut Watches {
        self.watches.get_or_insert_default()
    }
}

impl Core {
    /// Whether one more watch may begin here.
    pub(crate) fn may_watch(&self) -> Result<(), Error> {
        let (limit, most) = ("watches_max", self.limits.watches_max);
        match self.watches_open.get() < most {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::LimitReached { limit, most })),
        }
    }

    /// Notes a watch at its watcher, a mailbox of this core.
    pub(crate) fn begin_watch(&self, mailbox: &Mailbox, watching: Watching) -> Watcher {
        let counted = u32::from(!watching.of_peer);
        self.watches_open.set(self.watches_open.get() + counted);
        let id = mailbox.with_more(|more| {
            let watches = more.watches();
            watches.begun += 1;
            watches.open.insert(watches.begun, watching);
            watches.begun
        });
        Watcher {
            core: self.id,
            mailbox: mailbox.handle(),
            id,
        }
    }

    /// Notes a watch at whoever is there, and says so when it is noted. If it is on somebody `beyond` a connection,
    /// whose watcher has this address, the peer is asked to tell.
    pub(crate) fn watch(
        self: &Rc<Self>,
        at: &Hop,
        beyond: Option<Beyond>,
        watcher: Watcher,
        to: ReplyTo,
    ) {
        self.where_noted(at, move |core: &Rc<Core>, found| {
            match found {
                Some(mailbox) => {
                    mailbox.with_more(|more| {
                        more.watches().watchers.insert(watcher);
                    });
                    if let Some(beyond) = beyond {
                        ask_peer(core, &mailbox, watcher, beyond);
                    }
                }
                None => core.tell(watcher, EndReason::NotFound),
            }
            core.answer(to, Ok(().into_body()));
        });
    }

    /// Gives up a watch of a mailbox of this core, and answers when it is forgotten where it was noted. Whether it had not
    /// been heard of.
    pub(crate) fn end_watch(self: &Rc<Self>, mailbox: &Mailbox, id: u64, to: ReplyTo) -> bool {
        let watching = Self::take_open(mailbox, id);
        match &watching {
            Some(watching) => {
                self.count_out(watching);
                self.forget_watch(mailbox, id, &watching.at, to);
            }
            None => self.answer(to, Ok(().into_body())),
        }
        watching.is_some()
    }

    /// Takes a watch that its watcher has not heard of yet.
    fn take_open(mailbox: &Mailbox, id: u64) -> Option<Watching> {
        let take = |more: &mut More| more.watches.as_mut()?.open.remove(&id);
        mailbox.if_more(take).flatten()
    }

    /// A watch is over, and there are no news of it.
    fn count_out(&self, watching: &Watching) {
        if !watching.of_peer {
            self.settle_news();
        }
    }

    /// News were taken, or have found their receiver gone: the place of their watch is free.
    pub(crate) fn settle_news(&self) {
        self.watches_open.set(self.watches_open.get() - 1);
    }

    fn forget_watch(self: &Rc<Self>, mailbox: &Mailbox, id: u64, at: &Hop, to: ReplyTo) {
        let watcher = Watcher {
            core: self.id,
            mailbox: mailbox.handle(),
            id,
        };
        self.where_noted(at, move |core: &Rc<Core>, found| {
            // Where it has ended, there is nothing to forget.
            if let Some(mailbox) = found {
                mailbox.with_more(|more| more.watches().watchers.remove(&watcher));
                ask_peer_no_more(core, &mailbox, watcher);
            }
            core.answer(to, Ok(().into_body()));
        });
    }

    /// Runs this on the core of the mailbox that a hop names, or where there is none.
    fn where_noted(
        self: &Rc<Self>,
        at: &Hop,
        work: impl FnOnce(&Rc<Self>, Option<MailboxRc>) + Send + 'static,
    ) {
        let there = at.hint_of(self.here.node());
        if let Some(there) = there.filter(|there| there.kind == HandleKind::Worker) {
            return self.on_core(there.core.index(), move |core: &Rc<Core>| {
                work(core, core.at(there.handle));
            });
        }
        let name = at.address.clone();
        self.on_core(self.placement.home(&name), move |core: &Rc<Core>| {
            let found = core.named(&name).or_else(|| core.connect_to(&name));
            let forwards = found
                .as_ref()
                .and_then(|found| found.if_more(|more| more.forwards));
            match forwards.flatten() {
                Some(there) => core.on_core(there.core.index(), move |core: &Rc<Core>| {
                    work(core, core.at(there.handle));
                }),
                None => work(core, found),
            }
        });
    }

    /// Notes why a worker is about to end, if anybody wants to know.
    pub(crate) fn note_end(&self, mailbox: &Mailbox, why: impl FnOnce() -> EndReason) {
        mailbox.if_more(|more| {
            if let Some(watches) = &mut more.watches {
                watches.why = Some(why());
            }
        });
    }

    /// As [`note_end`](Self::note_end), of a panic.
    pub(crate) fn note_panic(&self, mailbox: &Mailbox, message: &str) {
        self.note_end(mailbox, || EndReason::Panicked {
            message: message.to_owned(),
        });
    }

    /// As [`note_end`](Self::note_end), of an error.
    pub(crate) fn note_failure(&self, mailbox: &Mailbox, error: &Error) {
        self.note_end(mailbox, || EndReason::Failed {
            error: error.to_string(),
        });
    }

    /// A mailbox has ended: its watchers are told, and those that it watched forget it.
    pub(crate) fn conclude_watches(
        self: &Rc<Self>,
        mailbox: &Mailbox,
        watches: Option<Box<Watches>>,
        reason: Reason,
    ) {
        let Some(watches) = watches else { return };
        watches.open.values().for_each(|it| self.count_out(it));
        if self.node.is_stopping() {
            return;
        }
        let why = watches.why.unwrap_or_else(|| EndReason::of(reason));
        for watcher in watches.watchers {
            self.tell(watcher, why.clone());
        }
        for (id, watching) in watches.open {
            self.forget_watch(mailbox, id, &watching.at, ReplyTo::NOBODY);
        }
    }

    /// Tells those who watch what was behind this mailbox, which goes on.
    pub(crate) fn tell_watchers(self: &Rc<Self>, mailbox: &Mailbox, why: &EndReason) {
        let watchers = mailbox.if_more(|more| {
            let watches = more.watches.as_mut();
            watches.map(|watches| std::mem::take(&mut watches.watchers))
        });
        for watcher in watchers.flatten().into_iter().flatten() {
            self.tell(watcher, why.clone());
        }
    }

    pub(crate) fn tell(self: &Rc<Self>, watcher: Watcher, why: EndReason) {
        let news = News::OfWhoWasThere(why);
        self.on_core(watcher.core, move |core: &Rc<Core>| {
            core.news(watcher, news)
        });
    }

    /// As [`tell`](Self::tell), of an end that another node has told of, at the connection to it.
    pub(crate) fn tell_from_afar(
        self: &Rc<Self>,
        connection: &Mailbox,
        watcher: Watcher,
        why: EndReason,
    ) {
        connection.with_more(|more| more.watches().watchers.remove(&watcher));
        let news = News::OfTheWatched(why);
        self.on_core(watcher.core, move |core: &Rc<Core>| {
            core.news(watcher, news)
        });
    }

    /// News of a watched worker have come to the core of the watcher.
    fn news(&self, watcher: Watcher, news: News) {
        let Some(to) = self.at(watcher.mailbox).filter(|to| to.accepts()) else {
            return;
        };
        let Some(watching) = Self::take_open(&to, watcher.id) else {
            return;
        };
        let origin = match watching.of_peer {
            true => Origin::FREE,
            false => Origin::NEWS,
        };
        let Watching { of, tell, at, .. } = watching;
        let reason = match news {
            // Of whoever is behind that nothing is known.
            News::OfWhoWasThere(reason) if at.address != of => reason.of_the_way(),
            News::OfWhoWasThere(reason) | News::OfTheWatched(reason) => reason,
        };
        let from = MailboxRc::new(Mailbox::stub(of.clone(), self.here, Handle::NONE));
        let address = of;
        let panicked = guarded(
            "what was to be made of news of an end panicked",
            None,
            || {
                let body = tell(Ended { address, reason });
                self.enqueue(to, &from, Handle::NONE, origin, body);
            },
        );
        if panicked.is_some() && origin == Origin::NEWS {
            self.settle_news();
        }
    }

    /// Runs this on a core, behind what was sent there before.
    pub(crate) fn on_core(
        self: &Rc<Self>,
        core: u16,
        work: impl FnOnce(&Rc<Core>) + Send + 'static,
    ) {
        match core == self.id {
            true => work(self),
            false => self.send_job(core, Box::new(work)),
        }
    }
}

impl EndReason {
    /// What the end of a worker means to those behind it.
    fn of_the_way(self) -> Self {
        match self {
            Self::Disconnected { .. } => self,
            other => Self::Disconnected {
                reason: other.to_string(),
            },
        }
    }

    /// What is known of an end whose cause nobody has noted.
    fn of(reason: Reason) -> Self {
        match reason {
            Reason::Panicked => Self::Panicked {
                message: "no message".to_owned(),
            },
            Reason::Disconnected => Self::Disconnected {
                reason: "it has ended".to_owned(),
            },
            _ => Self::Stopped,
        }
    }
}
