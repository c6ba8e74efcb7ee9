//! Requests that are let go of: who asked hears of it as soon as it is known that nobody will answer.
//!
//! A request is in the hands of whoever has its [`Head`](crate::envelope::Head), and moves with it: into a
//! future, back to the mailbox, on to the next hop. Where it is dropped, there are two cases:
//!
//! * Nobody ever asked it for its routes. Then nobody knows where to answer, and the requester is told at
//!   once.
//! * Somebody has them, perhaps to answer later. Then nothing is known, and nothing is said; but if the
//!   handler that had the message fails, panics or is cancelled, nobody will, most likely, and the requester
//!   is told. An answer that was sent before is there before that and counts; one that comes
//!   after it is reported as late.
//!
//! Where the answer would come by way of other workers, or is itself what one of those lets go of, nothing is
//! said: another answer may be under way, and what is said comes straight.
//!
//! What a handler lets go of is noted until it has been polled: most handlers end then, and well. One note
//! costs next to nothing, as each answered request leaves one. If the handler goes on later, its mailbox
//! keeps them, the last [`NOTED_MAX`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ringpost_mailbox::sync::thread_local;

use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::error::ErrorKind;
use crate::shard::core_of_this_thread;
use crate::task::raw::MailboxRc;

/// What has been let go of since the present step of a worker began.
#[derive(Clone, Copy)]
enum Noted {
    Nothing,
    /// This, and perhaps more.
    Request(ReplyTo),
    /// Nothing, in a step that is [marked](mark_step).
    Marked,
    /// As `Request`, in a marked step.
    MarkedRequest(ReplyTo),
    /// A handler is being cancelled, or a worker dropped: nothing of it will be answered.
    Ending,
}

thread_local! {
    static NOTED: Cell<Noted> = const { Cell::new(Noted::Nothing) };
}

/// What one step has let go of beyond the first.
#[derive(Default)]
pub(crate) struct Unanswered {
    first: Cell<Option<ReplyTo>>,
    others: RefCell<Vec<ReplyTo>>,
}

impl Unanswered {
    fn note(&self, first: ReplyTo, requester: ReplyTo) {
        let mut others = self.others.borrow_mut();
        if self.first.replace(Some(first)) != Some(first) {
            others.clear();
        }
        others.push(requester);
        forget_the_oldest(&mut others);
    }

    /// What has been noted, out of the way of another step.
    fn put_by(&self) -> Option<(ReplyTo, Vec<ReplyTo>)> {
        self.first.take().map(|first| (first, self.others.take()))
    }

    fn put_again(&self, (first, others): (ReplyTo, Vec<ReplyTo>)) {
        self.first.set(Some(first));
        self.others.replace(others);
    }

    fn take(&self, first: ReplyTo) -> Vec<ReplyTo> {
        let mut noted = vec![first];
        if self.first.take() == Some(first) {
            noted.append(&mut self.others.borrow_mut());
        }
        noted
    }
}

/// Requests at the most that are noted for one handler. One that does not end, and serves requests in a loop,
/// leaves more and more of them behind, most of them answered.
const NOTED_MAX: usize = 1024;
/// What the notes of one handler take at the most: a step's are added before the oldest are forgotten, and the list doubles
/// as it grows.
pub(crate) const UNANSWERED_BYTES: u64 = (6 * NOTED_MAX * size_of::<ReplyTo>()) as u64;

/// Leaves the later half if there are too many.
fn forget_the_oldest(noted: &mut Vec<ReplyTo>) {
    if noted.len() > NOTED_MAX {
        noted.drain(..NOTED_MAX / 2);
    }
}

/// Notes a request that may be answered yet. Whether it is the first of this step.
#[inline]
pub(crate) fn note(requester: ReplyTo) -> bool {
    let next = match NOTED.with(Cell::get) {
        Noted::Nothing => Noted::Request(requester),
        Noted::Marked => Noted::MarkedRequest(requester),
        Noted::Request(_) | Noted::MarkedRequest(_) | Noted::Ending => return false,
    };
    NOTED.with(|noted| noted.set(next));
    true
}

/// Whether a request would be the first to be noted of a step that is not marked, as most are.
#[inline]
pub(crate) fn is_nothing_noted() -> bool {
    NOTED.with(|noted| matches!(noted.get(), Noted::Nothing))
}

/// As [`note`], where [nothing is noted](is_nothing_noted).
#[inline]
pub(crate) fn note_first(requester: ReplyTo) {
    NOTED.with(|noted| noted.set(Noted::Request(requester)));
}

/// Marks the present step of a worker: in it something waits in another's name (`core/behalf.rs`). Whether it was not marked
/// before; nothing where a worker ends.
pub(crate) fn mark_step() -> Option<bool> {
    let (next, is_first) = match NOTED.with(Cell::get) {
        Noted::Nothing => (Noted::Marked, true),
        Noted::Request(requester) => (Noted::MarkedRequest(requester), true),
        marked @ (Noted::Marked | Noted::MarkedRequest(_)) => (marked, false),
        Noted::Ending => return None,
    };
    NOTED.with(|noted| noted.set(next));
    Some(is_first)
}

/// Whether the present step is marked.
pub(crate) fn is_step_marked() -> bool {
    let noted = NOTED.with(Cell::get);
    matches!(noted, Noted::Marked | Noted::MarkedRequest(_))
}

/// A request on its way on. Whoever has this sees to it that the requester hears something.
pub(crate) struct Obligation {
    pub(crate) requester: ReplyTo,
    /// Who had it last.
    pub(crate) holder: MailboxRc,
    /// Whether somebody may have its routes.
    pub(crate) shared: bool,
    /// Whether the answer may be on its way by other workers, or is this message.
    pub(crate) elsewhere: bool,
}

impl Obligation {
    /// Another has it now.
    pub(crate) fn pass_on(mut self) {
        self.requester = ReplyTo::NOBODY;
    }

    /// It does not get on, for this reason.
    pub(crate) fn fail(mut self, core: &Rc<Core>, kind: ErrorKind) {
        if !self.shared {
            let requester = std::mem::replace(&mut self.requester, ReplyTo::NOBODY);
            core.refuse(Some(requester), kind);
        }
    }
}

impl Drop for Obligation {
    fn drop(&mut self) {
        if self.requester != ReplyTo::NOBODY && !self.elsewhere {
            let_go(&self.holder, self.requester, self.shared);
        }
    }
}

/// A request is dropped by who had it.
#[cold]
fn let_go(holder: &MailboxRc, requester: ReplyTo, shared: bool) {
    if shared && note(requester) {
        return;
    }
    let Some(core) = core_of_this_thread().filter(|core| core.here == holder.core()) else {
        return;
    };
    match NOTED.with(Cell::get) {
        Noted::Request(first) | Noted::MarkedRequest(first) if shared => {
            core.unanswered.note(first, requester);
        }
        _ => core.disappoint(holder, requester),
    }
}

impl Core {
    fn disappoint(self: &Rc<Self>, holder: &MailboxRc, requester: ReplyTo) {
        let address = holder.address.clone();
        self.refuse(Some(requester), ErrorKind::Dropped { address });
    }

    /// A handler has suspended: what it has let go of is noted at its mailbox.
    #[inline]
    pub(crate) fn keep_unanswered(&self, mailbox: &MailboxRc) {
        let noted = NOTED.with(|noted| noted.replace(Noted::Nothing));
        if let Noted::Request(first) | Noted::MarkedRequest(first) = noted {
            let noted = self.unanswered.take(first);
            mailbox.with_more(|more| {
                more.unanswered.extend(noted);
                forget_the_oldest(&mut more.unanswered);
            });
        }
    }

    /// A handler has failed: whom it may have owed an answer is told that there will be none.
    #[cold]
    pub(crate) fn disappoint_all(self: &Rc<Self>, mailbox: &MailboxRc) {
        self.keep_unanswered(mailbox);
        self.disappoint_kept(mailbox);
    }

    /// As [`disappoint_all`](Self::disappoint_all), for a handler that was suspended.
    fn disappoint_kept(self: &Rc<Self>, mailbox: &MailboxRc) {
        let unanswered = mailbox.if_more(|more| std::mem::take(&mut more.unanswered));
        for requester in unanswered.unwrap_or_default() {
            self.disappoint(mailbox, requester);
        }
    }

    /// A step of a worker begins, or of a future without one.
    #[inline]
    pub(crate) fn begin_step(&self) {
        NOTED.with(|noted| noted.set(Noted::Nothing));
        self.published.begin();
    }

    /// Runs a step of another worker within one that goes on afterwards.
    pub(crate) fn within_step(self: &Rc<Self>, step: impl FnOnce()) {
        let noted = NOTED.with(Cell::get);
        let beyond = self.unanswered.put_by();
        let published = self.published.step();
        let shown = self.shown_now();
        step();
        self.published.go_on(published);
        NOTED.with(|now| now.set(noted));
        if let Some(beyond) = beyond {
            self.unanswered.put_again(beyond);
        }
        self.show_again(shown);
    }

    /// Runs what cancels a handler or drops a worker: all that it lets go of will not be answered.
    pub(crate) fn ending<R>(self: &Rc<Self>, mailbox: &MailboxRc, end: impl FnOnce() -> R) -> R {
        let before = NOTED.with(|noted| noted.replace(Noted::Ending));
        let ended = end();
        NOTED.with(|noted| noted.set(before));
        self.disappoint_kept(mailbox);
        ended
    }
}

#[cfg(test)]
mod tests {
    use ringpost_router::Handle;

    use super::*;

    fn place(index: u32) -> ReplyTo {
        let generation = 1;
        ReplyTo {
            core: 0,
            handle: Handle { index, generation },
        }
    }

    #[test]
    fn one_step_notes_the_last_of_very_many() {
        let unanswered = Unanswered::default();
        for index in 1..100_000 {
            unanswered.note(place(0), place(index));
        }
        let noted = unanswered.take(place(0));
        assert!(noted.len() <= 1 + NOTED_MAX);
        assert_eq!(noted.first(), Some(&place(0)));
        assert_eq!(noted.last(), Some(&place(99_999)));
        assert_eq!(unanswered.take(place(1)), [place(1)], "another step");
    }
}
