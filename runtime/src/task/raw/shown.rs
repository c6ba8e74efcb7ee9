//! Which worker a core runs, as its watchdog sees it from another thread.

use std::ptr::NonNull;

use ringpost_mailbox::glance::Glance;
use ringpost_router::Address;

use super::block::{Header, MailboxRc};
use crate::core::Core;

/// Where a core shows the mailbox whose worker it runs.
#[derive(Debug, Default)]
pub(crate) struct Shown(Glance<Header>);

/// What is to be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) address: Address,
    /// The types of the worker and of its messages.
    pub(crate) worker: &'static str,
    pub(crate) message: &'static str,
}

impl Shown {
    /// Shows a mailbox. Its block is not freed before another is shown, or none, and [`may_free`](Self::may_free)
    /// has said so: the core keeps the blocks of workers that have ended until then.
    #[inline]
    pub(crate) fn show(&self, mailbox: &MailboxRc) {
        self.0.show(mailbox.as_raw().as_ptr());
    }

    #[inline]
    pub(crate) fn hide(&self) {
        self.0.hide();
    }

    /// Whether it is this mailbox that is shown.
    pub(crate) fn shows(&self, mailbox: &MailboxRc) -> bool {
        self.mark() == mailbox.as_raw().as_ptr().addr()
    }

    pub(crate) fn may_free(&self) -> bool {
        self.0.may_free()
    }

    /// Tells one that is shown from others.
    pub(crate) fn mark(&self) -> usize {
        self.0.shown().addr()
    }

    /// What is shown. By one thread at a time.
    pub(crate) fn look(&self) -> Option<Running> {
        self.0.look(|header| {
            // SAFETY: `show` got the pointer from a live block, whose owner keeps it for as long as a look takes.
            // The two fields are written when the block is made, before it is shown, and never after; and they
            // are shared with other threads, as an address and a static are: no reference to the rest is made.
            let (address, table) = unsafe { (&(*header).mailbox.address, (*header).table) };
            let (worker, message) = (table.names)();
            Running {
                address: address.clone(),
                worker,
                message,
            }
        })
    }
}

impl Core {
    /// The mailbox that is shown.
    pub(crate) fn shown_now(&self) -> Option<MailboxRc> {
        let header = NonNull::new(self.shared.shown.0.shown().cast_mut())?;
        // SAFETY: a core is used by its own thread alone, which is the one that shows. What it shows is there: the table keeps
        // the block of each worker, and when that ends the core, until something else is shown.
        Some(unsafe { MailboxRc::of(header) })
    }

    /// The worker of which a call is polled. To be asked where one is, or a future without a worker: elsewhere it is the one
    /// whose call was polled last.
    pub(crate) fn running(&self) -> Option<MailboxRc> {
        let running = self.shown_now()?;
        (!MailboxRc::ptr_eq(&running, &self.outside)).then_some(running)
    }
}
