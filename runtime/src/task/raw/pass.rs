//! What a core handles without a dispatch between.

use std::cell::Cell;
use std::ptr;

use ringpost_router::Message;

use super::arrived::{ArrivedOf, Begun};

/// The pass that a core is in: messages that are handled one after another. It lies in the core, and not with whoever begins it, as each
/// handler that is run in it would have to be told. There is one at a time (rule 9 of the [module](super)).
pub(crate) struct Pass {
    /// The position in the core's queue where those end that lie there; each that lies elsewhere takes one off.
    until: Cell<usize>,
    /// Where they lie, if that is a ring and not the core's queue.
    lying: Cell<*const Begun<'static, 'static>>,
}

/// As long as this is there, a pass is over messages in a ring.
pub(super) struct Lying<'a>(&'a Pass);

impl Pass {
    pub(crate) fn new() -> Self {
        Self {
            until: Cell::new(0),
            lying: Cell::new(ptr::null()),
        }
    }

    /// What comes now goes up to this position of the queue.
    #[inline]
    pub(crate) fn begin(&self, until: usize) {
        debug_assert!(self.lying.get().is_null(), "one pass at a time");
        self.until.set(until);
    }

    #[inline]
    pub(crate) fn until(&self) -> usize {
        self.until.get()
    }

    /// A message that lies elsewhere is handled.
    #[inline]
    pub(super) fn take_one_off(&self) {
        self.until.set(self.until.get().wrapping_sub(1));
    }

    /// It is over these messages, too.
    ///
    /// # Safety
    /// They are there as long as what comes back, which is dropped when the pass is over.
    #[inline]
    pub(super) unsafe fn lies<'a>(&'a self, begun: &'a Begun<'_, '_>) -> Lying<'a> {
        self.lying.set(ptr::from_ref(begun).cast());
        Lying(self)
    }

    /// Those messages, if there are any, as far as they simply hold an `M`.
    ///
    /// # Safety
    /// That is what their worker takes. What comes back is not used when the pass is over.
    #[inline(always)]
    pub(super) unsafe fn arrived<'b, M: Message>(&self) -> Option<ArrivedOf<'b, M>> {
        // SAFETY: whoever called `lies` keeps them until they are taken away, and there is one pass at a time (rule 9); the caller
        // upholds the rest.
        unsafe {
            self.lying
                .get()
                .cast::<Begun<'b, 'b>>()
                .as_ref()
                .map(|begun| begun.of::<M>())
        }
    }
}

impl Drop for Lying<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.lying.set(ptr::null());
    }
}
