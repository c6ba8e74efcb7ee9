//! On whose behalf something is waited for (G5).
//!
//! A handler that awaits what a detached context or a [`NodeHandle`](crate::NodeHandle) sends or asks waits for it,
//! though somebody else is the sender. So where such a wait is polled, the call of a worker that is polled then is
//! noted with it, and where it is polled next, whoever that is, anew. Nobody has to take that back: the note lies with
//! what waits, and goes with it; and it names the call by a token that ends with the call.
//!
//! A call has no token before it waits like this for the first time. Then its mailbox keeps one, until the call has
//! ended. That is nowhere to be seen of a call that ends at its first poll, so what such a one has left must not be
//! taken for that of the next. The mark of a step tells them apart (`core/unanswered.rs`): where a call that has not
//! suspended yet waits in a step without a mark, it gets a new token; and one that suspends in a step without a mark
//! has none.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use ringpost_router::{Address, Handle, HandleKind, Hop};

use crate::core::Core;
use crate::core::patrol::LONG;
use crate::core::unanswered::mark_step;
use crate::mailbox::Waiter;
use crate::node::waits::{Edge, Notes};
use crate::task::raw::MailboxRc;
use crate::time::Time;
use crate::waits::Awaited;

/// A call of the worker at this place.
pub(crate) type Token = Rc<Handle>;

/// The call that waits, and since when; none where it is none of a worker's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behalf {
    call: Weak<Handle>,
    since: Time,
}

impl Behalf {
    /// Whoever is polled now waits.
    pub(crate) fn renew(&mut self, core: &Core) {
        match core.call_now() {
            None => self.call = Weak::new(),
            Some(call) if self.is_of(&call) => {}
            Some(call) => {
                self.call = Rc::downgrade(&call);
                self.since = core.now.get();
            }
        }
    }

    fn is_of(&self, call: &Token) -> bool {
        self.call.as_ptr() == Rc::as_ptr(call)
    }
}

/// What a core knows of such waits.
#[derive(Default)]
pub(crate) struct OnBehalf {
    /// Whether there was ever one.
    is_any_noted: Cell<bool>,
    /// Those by handles of the node, whose futures may be polled anywhere.
    abroad: RefCell<Vec<Wait>>,
}

struct Wait {
    behalf: Behalf,
    awaited: Awaited,
    of: Address,
    /// Kept by the future that waits, wherever that is.
    kept: std::sync::Weak<()>,
}

/// Places for such waits that are made when there is none left, beside as many as are taken.
const ABROAD_MIN: usize = 16;

impl Wait {
    fn is_kept(&self) -> bool {
        self.kept.strong_count() > 0
    }
}

impl Core {
    /// Notes that whoever is polled now waits so.
    pub(crate) fn note_behalf(&self, from: &MailboxRc, waiter: &Waiter) {
        if from.is_detached() && self.notes_behalf() {
            waiter.behalf.borrow_mut().renew(self);
        }
    }

    /// Whether whoever sends as `from`, and is polled now, is this worker or context: it would wait for itself.
    #[inline]
    pub(crate) fn is_oneself(&self, from: &MailboxRc, of: &MailboxRc) -> bool {
        let is_polled = || from.is_detached() && self.shared.shown.shows(of);
        MailboxRc::ptr_eq(from, of) || is_polled()
    }

    /// Whether a worker of this core that has the address of this hop is the one that it leads to.
    pub(crate) fn leads_here(&self, hop: &Hop) -> bool {
        let hint = hop.hint_of(self.here.node());
        hint.is_none_or(|hint| hint.kind == HandleKind::Worker && hint.core == self.here)
    }

    /// Whether a future without a worker is polled now.
    #[inline]
    pub(crate) fn runs_no_worker(&self) -> bool {
        self.shared.shown.shows(&self.outside)
    }

    /// Whether it may have to be noted who is polled now: a worker, or who takes over from one.
    #[inline]
    pub(crate) fn notes_behalf(&self) -> bool {
        self.on_behalf.is_any_noted.get() || !self.runs_no_worker()
    }

    /// The call of a worker that is polled now.
    fn call_now(&self) -> Option<Token> {
        let worker = self.running()?;
        let is_first = mark_step()?;
        self.on_behalf.is_any_noted.set(true);
        Some(worker.with_more(|more| {
            if is_first && more.task_key.is_none() {
                more.call = None;
            }
            let call = more.call.get_or_insert_with(|| Rc::new(worker.handle()));
            Rc::clone(call)
        }))
    }

    /// Tells the call that is polled now from others, for as long as a wait of it is noted.
    pub(crate) fn mark_of_call(&self) -> Option<usize> {
        self.call_now().map(|call| Rc::as_ptr(&call).addr())
    }

    /// Notes what the call that is polled now waits for by a handle, for as long as `kept` is kept.
    pub(crate) fn note_abroad(&self, awaited: Awaited, of: &Address, kept: &Arc<()>) {
        let mut behalf = Behalf::default();
        behalf.renew(self);
        let mut waits = self.on_behalf.abroad.borrow_mut();
        if waits.len() == waits.capacity() {
            waits.retain(Wait::is_kept);
            let more = waits.len() + ABROAD_MIN;
            waits.reserve(more);
        }
        waits.push(Wait {
            behalf,
            awaited,
            of: of.clone(),
            kept: Arc::downgrade(kept),
        });
        drop(waits);
        self.note_news();
    }

    /// The worker whose call has long waited, if it waits yet.
    pub(crate) fn long_behind(&self, behalf: &Behalf, now: Time) -> Option<MailboxRc> {
        let call = behalf.call.upgrade()?;
        let is_long = now.saturating_since(behalf.since) >= LONG;
        let worker = self.at(*call).filter(|_| is_long)?;
        worker.has_call().then_some(worker)
    }

    /// Notes what workers wait for by handles.
    pub(crate) fn note_waits_abroad(&self, notes: &mut Notes) {
        let mut waits = self.on_behalf.abroad.borrow_mut();
        waits.retain(Wait::is_kept);
        for wait in &*waits {
            if let Some(worker) = self.long_behind(&wait.behalf, notes.time) {
                let (who, of) = (self.who(&worker), self.whoever(wait.of.clone()));
                notes.add(Edge::new(self.id, who, wait.awaited, of));
            }
        }
    }
}
