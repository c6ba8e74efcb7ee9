//! What one thread shows, another may look at, though the first may free it at any time.
//!
//! A core shows which worker it is running, with one store, and never waits for anybody who looks. Who looks is
//! a watchdog, seldom; it must not read what has been freed meanwhile.
//!
//! # Proof page
//!
//! One thread *shows* and one *looks*. What is shown stays valid until its owner frees it, and the owner does
//! that only after [`hide`](Glance::hide), or showing something else, and then [`may_free`](Glance::may_free)
//! saying so.
//!
//! 1. The looker says that it looks, makes a fence, and only then reads what is shown.
//! 2. The owner stops showing a thing, makes a fence, and only then reads whether anybody looks.
//! 3. Of two such fences one is the first. If it is the owner's, the looker sees that the thing is not shown any
//!    more. If it is the looker's, the owner sees that somebody looks, and does not free.
//! 4. What the looker read of a thing was written before it was shown: the store that shows it is a release,
//!    the load that finds it an acquire.
//! 5. When the looker is done it says so by a release; the owner reads that by an acquire before it frees.
//!
//! | race | why it is harmless |
//! |---|---|
//! | the owner shows something else while one looks | the old thing is not freed (3); the looker tells of what was |
//! | the looker is stopped in the middle of a look | the owner keeps what it would free for a later time |

use std::fmt;
use std::ptr;

use crate::sync::atomic::{AtomicBool, AtomicPtr, Ordering, fence};

/// A thing of one thread that another may look at. See the [module](self) for who may do what.
pub struct Glance<T> {
    shown: AtomicPtr<T>,
    looking: AtomicBool,
}

impl<T> Glance<T> {
    /// A place where nothing is shown.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shown: AtomicPtr::new(ptr::null_mut()),
            looking: AtomicBool::new(false),
        }
    }

    /// Shows a thing. By the owner's thread.
    #[inline]
    pub fn show(&self, thing: *mut T) {
        // Release: pairs with the acquire load of `look` (4).
        self.shown.store(thing, Ordering::Release);
    }

    /// Shows nothing any more. By the owner's thread.
    #[inline]
    pub fn hide(&self) {
        // Relaxed: the fence of `may_free` orders it where that matters (2).
        self.shown.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Whether nobody looks at what is not shown any more, so that it may be freed. By the owner's thread.
    #[must_use]
    pub fn may_free(&self) -> bool {
        // SeqCst: pairs with the fence of `look` (3).
        fence(Ordering::SeqCst);
        // Acquire: pairs with the release store at the end of `look` (5).
        !self.looking.load(Ordering::Acquire)
    }

    /// Looks at what is shown, if anything is. `look` gets a pointer to it that is good until it returns. By the
    /// looker's thread, and by one at a time.
    pub fn look<R>(&self, look: impl FnOnce(*const T) -> R) -> Option<R> {
        // Relaxed: the fence orders it (1).
        self.looking.store(true, Ordering::Relaxed);
        // SeqCst: pairs with the fence of `may_free` (3).
        fence(Ordering::SeqCst);
        // Acquire: pairs with the release store of `show` (4).
        let shown = self.shown.load(Ordering::Acquire);
        let seen = (!shown.is_null()).then(|| look(shown));
        // Release: pairs with the acquire load of `may_free` (5).
        self.looking.store(false, Ordering::Release);
        seen
    }

    /// Which thing is shown, to be compared and not looked at. By any thread.
    #[must_use]
    pub fn shown(&self) -> *const T {
        // Relaxed: nothing is read by way of it.
        self.shown.load(Ordering::Relaxed)
    }
}

impl<T> Default for Glance<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Glance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Glance").finish_non_exhaustive()
    }
}
