//! The wake word and the parker of a core: a sleeping core is always woken, an awake one costs its
//! senders nothing.
//!
//! Each core has one word of its own, on a line of its own, that says whether it is awake. Its
//! [`Parker`] is the only one to put the core to sleep; any number of senders hold the
//! [`WakeWord`]. How a core sleeps (in a poll of the kernel, on a condition, not at all in
//! simulation) is a closure given to [`Parker::park`].
//!
//! ```
//! use ringpost_mailbox::ring::ring;
//! use ringpost_mailbox::wake::{Parked, Parker, publish_fence};
//!
//! let (producer, mut consumer) = ring(8);
//! let (mut parker, word) = Parker::new();
//!
//! // The sender, once for each flush of all its rings:
//! producer.push("news").unwrap();
//! producer.publish();
//! publish_fence();
//! assert!(!word.notify()); // awake, so nobody has to be rung up
//!
//! // The receiver, with nothing left to do:
//! let outcome = parker.park(|| !consumer.is_empty(), || unreachable!("there is news"));
//! assert_eq!(outcome, Parked::FoundWork);
//! ```
//!
//! # Proof page
//!
//! The word is AWAKE, PARKED or NOTIFIED. "Work" is anything a sender can publish: a slot of a ring,
//! an inbox slot, a wake list's head, a flag.
//!
//! ```text
//!   sender                                   receiver, in park
//!   S1  publish the work                     R1  word := PARKED            (relaxed)
//!   S2  fence(SeqCst)                        R2  fence(SeqCst)
//!   S3  read the word                        R3  look for work
//!   S4  if PARKED: exchange PARKED for       R4  if there is any: word := AWAKE, go on
//!       NOTIFIED; the winner rings           R5  else block, until rung or out of time
//!                                            R6  word := AWAKE by a swap, go on
//! ```
//!
//! Who may touch what: R1, R4 and R6 are the parker's alone (one per word, not `Clone`, not `Sync`,
//! `&mut self`); S4 is open to all, and changes only PARKED into NOTIFIED.
//!
//! 1. *No wake is lost.* The two fences have one order. If S2 comes first, R3 sees what S1
//!    published. If R2 comes first, S3 sees PARKED or something newer in the word's history: PARKED
//!    leads to S4; NOTIFIED means another sender has won S4 in this very sleep and rings; AWAKE
//!    means this sleep is over, and the receiver's next sleep starts with R1 to R3 again, whose
//!    fence then comes after S2. An older NOTIFIED, of a sleep before, cannot be read after the
//!    fence, since PARKED replaced it.
//! 2. *An awake receiver costs a read.* S3 is a relaxed load, and only PARKED is answered with a
//!    read-modify-write; so an awake core's line stays shared in all caches. The fence is once a
//!    flush, not once a message.
//! 3. *One ring a sleep.* The exchange from PARKED has one winner, who alone calls the operating
//!    system.
//! 4. *What was published before a notify is seen after it.* R6 is Acquire and reads what S4 wrote;
//!    the sender's fence makes its relaxed exchange a release. So after [`Parked::Notified`] a look
//!    for work finds it, unless the receiver had taken it before it parked.
//! 5. *A late ring is harmless.* It ends the next block early, which looks like a time-out with
//!    nothing found.
//! 6. *A sender between S1 and S4 is no lost wake.* A receiver whose time is up may find work whose
//!    sender has not come to S4 yet. It leaves the word at PARKED and yields for a while; the
//!    exchange arrives, and the sleep counts as notified. Only if it does not arrive is it
//!    [`Parked::FoundAfterTimeout`], which must stay zero. So what a sender does between S1 and S4
//!    is to be short; a sender that puts S2 off asks [`WakeWord::seems_parked`] at least, and what
//!    it does then for longer than those yields is found so if the receiver was on its way to sleep.
//! 7. If `has_work` or `block` panics, the word may stay PARKED. That costs the next sender one
//!    needless ring, no more.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crate::sync::atomic::{Acquire, AtomicU32, Relaxed, SeqCst, fence};
use crate::sync::{Arc, CachePadded, thread};

const AWAKE: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// How often a receiver yields for a sender that has published and not notified yet.
const LATE_NOTIFY_YIELDS: u32 = if cfg!(loom) { 2 } else { 4096 };

/// Makes everything this thread has published so far count for the [`notify`](WakeWord::notify)
/// calls that follow.
///
/// The one fence of a flush: publish all rings first, then call this once, then notify each
/// receiver.
#[inline]
pub fn publish_fence() {
    // SeqCst: pairs with the fence in `Parker::park`; the proof page, rule 1.
    fence(SeqCst);
}

/// Whether a core is awake, as its senders see it; shared by reference count.
pub struct WakeWord {
    state: CachePadded<AtomicU32>,
}

impl WakeWord {
    /// Whether the core seems to sleep. A hint, for who has published and puts off the fence: what it says may be out of date either way,
    /// so the fence and [`notify`](Self::notify) are still to come.
    #[inline]
    pub fn seems_parked(&self) -> bool {
        // Relaxed: nothing is concluded from it.
        self.state.load(Relaxed) == PARKED
    }

    /// Tells the core that there is work for it. If this says `true`, the core sleeps and the
    /// caller **must** end its block (ring the poll's waker, unpark the thread); nobody else will.
    ///
    /// The work has to be published, and [`publish_fence`] called after that, before this.
    #[inline]
    #[must_use = "a sleeping core is to be rung up by the caller"]
    pub fn notify(&self) -> bool {
        // Relaxed: the fence before this call orders the load after what was published.
        self.state.load(Relaxed) == PARKED && self.exchange()
    }

    #[cold]
    fn exchange(&self) -> bool {
        // Relaxed: the fence before this call makes it a release of what was published, and nothing
        // is read on the strength of it.
        self.state
            .compare_exchange(PARKED, NOTIFIED, Relaxed, Relaxed)
            .is_ok()
    }
}

impl fmt::Debug for WakeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a look from outside.
        let state = match self.state.load(Relaxed) {
            AWAKE => "AWAKE",
            PARKED => "PARKED",
            _ => "NOTIFIED",
        };
        f.debug_tuple("WakeWord")
            .field(&format_args!("{state}"))
            .finish()
    }
}

/// What came of an attempt to sleep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parked {
    /// There was work already; the core did not sleep.
    FoundWork,
    /// A sender ended the sleep, and what it published can be seen now.
    Notified,
    /// The block ended by itself, and there was nothing to do.
    TimedOut,
    /// The block ended by itself, there was work, and no sender had said so: a lost wake-up. It is
    /// a defect of whoever published that work; count it and hold the count to zero.
    FoundAfterTimeout,
}

/// The receiver's end of a [`WakeWord`]: what puts a core to sleep. There is one for each word.
pub struct Parker {
    word: Arc<WakeWord>,
    not_sync: PhantomData<Cell<()>>,
}

impl Parker {
    /// A parker, and the word that its senders share. The core counts as awake.
    #[allow(
        clippy::new_ret_no_self,
        reason = "the two ends are made together, as a ring's are"
    )]
    pub fn new() -> (Self, Arc<WakeWord>) {
        let word = Arc::new(WakeWord {
            state: CachePadded::new(AtomicU32::new(AWAKE)),
        });
        (
            Self {
                word: Arc::clone(&word),
                not_sync: PhantomData,
            },
            word,
        )
    }

    /// Sleeps in `block`, unless `has_work` finds something first.
    ///
    /// Before this, flush what this core has for others. `has_work` must look at **every** source
    /// whose senders notify this word. `block` returns when the core has been rung up or its time
    /// is over; bound it, so that a defect elsewhere costs a delay and not a hang. When this
    /// returns the core counts as awake again.
    ///
    /// # Panics
    ///
    /// If one of the closures does.
    pub fn park(&mut self, mut has_work: impl FnMut() -> bool, block: impl FnOnce()) -> Parked {
        if !self.announce(&mut has_work) {
            return Parked::FoundWork;
        }
        block();
        self.awaken(has_work)
    }

    /// The first half of [`park`](Self::park), for a driver that cannot block, as one that simulates many
    /// cores on one thread: announces sleep. Whether the core sleeps now, until [`awaken`](Self::awaken) is
    /// called; not if `has_work` finds something.
    ///
    /// # Panics
    ///
    /// If `has_work` does.
    #[must_use = "a core that sleeps has to be awakened"]
    pub fn announce(&mut self, has_work: impl FnOnce() -> bool) -> bool {
        // Relaxed: the fence orders this store before the look for work.
        self.word.state.store(PARKED, Relaxed);
        // SeqCst: pairs with `publish_fence`; rule 1.
        fence(SeqCst);
        let is_idle = !has_work();
        if !is_idle {
            // Relaxed: only spares senders a needless ring; nothing is published by it.
            self.word.state.store(AWAKE, Relaxed);
        }
        is_idle
    }

    /// The second half of [`park`](Self::park): the core counts as awake again.
    ///
    /// # Panics
    ///
    /// If `has_work` does.
    pub fn awaken(&mut self, mut has_work: impl FnMut() -> bool) -> Parked {
        let found_unnotified = !self.is_notified() && has_work() && !self.is_notified_late();
        // Acquire: pairs with the fence of the sender whose exchange this reads; rule 4.
        match self.word.state.swap(AWAKE, Acquire) {
            NOTIFIED => Parked::Notified,
            _ if found_unnotified => Parked::FoundAfterTimeout,
            _ => Parked::TimedOut,
        }
    }

    fn is_notified(&self) -> bool {
        // Relaxed: the swap that follows decides, and synchronises.
        self.word.state.load(Relaxed) == NOTIFIED
    }

    /// Waits a little for a sender that has published and not notified yet; rule 6.
    #[cold]
    fn is_notified_late(&self) -> bool {
        (0..LATE_NOTIFY_YIELDS).any(|_| {
            thread::yield_now();
            self.is_notified()
        })
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").field("word", &self.word).finish()
    }
}
