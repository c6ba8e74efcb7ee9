//! The messages of a core that wait for their turn.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::task::Context as Polling;

use ringpost_mailbox::cell::Lying;
use ringpost_mailbox::queue::LocalQueue;
use ringpost_router::{Body, Message, Messages};

use super::arrived::{Arrived, ArrivedOf};
use super::block::{Header, MailboxRc, Phase};
use super::call::{Came, Lies};
use super::{Step, whole};
use crate::core::Core;
use crate::core::ahead::Numbers;
use crate::envelope::{Envelope, Head, Origin, Sender};
use crate::mailbox::State;
use crate::routed::Routed;

/// Messages to be handled on a core, in the order in which they came.
///
/// Whom the next one is for, and what it holds, is seen where it lies; then it is moved once: to where its
/// handler runs.
pub(crate) struct Queue(LocalQueue<Entry>);

/// What came of the next message of a queue.
pub(crate) enum Next {
    /// There is none.
    Nothing,
    /// Its receiver is not ready for it.
    NotReady,
    /// It was handled, with those that followed it in one run, and the receiver of the last is idle again.
    Handled,
    /// This came of the handler of the last message of its run, which is this worker's.
    Came(MailboxRc, Step),
}

/// A message with its receiver: one cache line.
#[repr(C)]
pub(super) struct Entry {
    envelope: Envelope,
    to: MailboxRc,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry takes one cache line");

impl Queue {
    pub(crate) fn new() -> Self {
        Self(LocalQueue::new())
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The position behind all messages that wait now.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.0.end()
    }

    /// The position behind so many messages from the next one on, whether there are as many or not.
    #[inline]
    pub(crate) fn behind(&self, messages: u32) -> usize {
        self.0.start().wrapping_add(messages as usize)
    }

    /// How many messages more are to be taken up to a position, which is no further away than any number of messages is.
    #[inline]
    pub(crate) fn left_to(&self, position: usize) -> u32 {
        position.wrapping_sub(self.0.start()) as u32
    }

    /// Whether all messages in front of this position have been taken.
    #[inline]
    pub(crate) fn has_passed(&self, position: usize) -> bool {
        self.0.has_passed(position)
    }

    #[inline]
    pub(crate) fn push(&self, to: MailboxRc, envelope: Envelope) {
        self.0.push(Entry { envelope, to });
    }

    /// As [`push`](Self::push), of a sender that is looked at when the queue is.
    #[inline]
    pub(crate) fn push_sent(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        core: &Core,
        envelope: Envelope,
    ) {
        let look = || look_at_step(core, from);
        // SAFETY: the queue hands in an empty slot, which is written; neither that nor a look unwinds or changes the queue.
        unsafe { (self.0).push_with(look, |slot| slot.write(Entry { envelope, to })) };
    }

    /// As [`push_sent`](Self::push_sent), for a message that wants no answer. What its head begins with is copied to its
    /// slot as a whole, as it will be loaded.
    #[inline(always)]
    pub(crate) fn push_plain(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        core: &Core,
        origin: Origin,
        body: Body,
    ) {
        let look = || look_at_step(core, from);
        // SAFETY: the place is that of a slot's body, which holds nothing.
        self.push_headed(to, from, origin, look, |place| unsafe { place.write(body) });
    }

    /// As [`push_plain`](Self::push_plain), for a message that lies in the slot of a ring.
    #[inline(always)]
    pub(crate) fn push_arrived(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        origin: Origin,
        body: Lying<'_, Messages>,
    ) {
        // SAFETY: the place is that of a slot's body, which holds nothing.
        let put = |place: *mut Body| unsafe { body.write_to(place) };
        self.push_headed(to, from, origin, || {}, put);
    }

    /// Puts a message in, whose body `put` moves to its place. Where the queue is looked at, so does `look`, which
    /// neither changes it nor unwinds.
    #[inline(always)]
    fn push_headed(
        &self,
        to: MailboxRc,
        from: &MailboxRc,
        origin: Origin,
        look: impl FnOnce(),
        put: impl FnOnce(*mut Body),
    ) {
        let write = |slot: NonNull<Entry>| {
            let entry = slot.as_ptr();
            // SAFETY: the queue hands in an empty slot, of which these are the fields.
            unsafe {
                from.write_sender(&raw mut (*entry).envelope.sender);
                (&raw mut (*entry).envelope.origin).write(origin);
                put(&raw mut (*entry).envelope.body);
                (&raw mut (*entry).to).write(to);
            }
        };
        // SAFETY: each field of the slot is written; neither that nor a look unwinds or changes the queue.
        unsafe { self.0.push_with(look, write) };
    }

    /// Puts a message before all others.
    #[inline]
    pub(crate) fn push_front(&self, to: MailboxRc, envelope: Envelope) {
        self.0.push_front(Entry { envelope, to });
    }

    /// Takes the next message, if its receiver is idle, runs the handler for it and polls that once. If it is
    /// done then, goes on with the message behind it if that is for the same worker, or for another of its type that is
    /// ready for it, and so on, as far as the [pass](super::Pass) goes, which has begun. What comes back is of the last one.
    ///
    /// # Panics
    /// If the receiver has no worker, or its last call has not ended: the caller's state machine is broken.
    #[inline(always)]
    pub(crate) fn handle_next(&self, core: &Rc<Core>, polling: &mut Polling<'_>) -> Next {
        // SAFETY: what is done before the message is taken, here and in `handle`, touches no queue as long as
        // this is used.
        let Some(next) = (unsafe { self.0.front() }) else {
            return Next::Nothing;
        };
        if !next.begin(core) {
            return Next::NotReady;
        }
        // SAFETY: the phase is `Idle`: the state is there (rule 2) and nothing borrows it (rule 3). The
        // table was made for this block's type.
        Self::came(unsafe { Header::handle(next.receiver(), next, core, polling) })
    }

    /// As [`handle_next`](Self::handle_next), of messages that have arrived from another core; first of these, which is there.
    ///
    /// # Panics
    /// As there.
    #[inline(always)]
    pub(crate) fn handle_arrived(
        core: &Rc<Core>,
        polling: &mut Polling<'_>,
        arrived: Arrived<'_, '_>,
        more: u32,
    ) -> Next {
        let answers = arrived.answers;
        // SAFETY: at least one is asked for, and it is dropped here.
        let Some(begun) = (unsafe { arrived.begin(core, more.saturating_add(1)) }) else {
            return Next::NotReady;
        };
        if let Some(answered) = answers {
            core.make_ready_for(answered);
        }
        core.pass.begin(core.queue.behind(more));
        // SAFETY: `begun` is older than what comes back, so it is dropped after it, here.
        let _lying = unsafe { core.pass.lies(&begun) };
        // SAFETY: the phase is `Idle`, and the table was made for this block's type: `begin` has seen to both, and to what the message
        // is that lies there.
        Self::came(unsafe { Header::handle(begun.receiver(), ptr::null(), core, polling) })
    }

    /// What comes back of a pass.
    #[inline(always)]
    fn came(came: Came) -> Next {
        if let Came::Done(to) = came
            // SAFETY: the worker is still there, as nobody can end it from within, and as long as it is, the
            // block is (rule 7).
            && unsafe { to.as_ref() }.mailbox().state.get() == State::Idle
        {
            return Next::Handled;
        }
        let (to, step) = came.into_parts();
        // SAFETY: the worker is still there, as nobody can end it from within, and as long as it is, the
        // block is (rule 7).
        Next::Came(unsafe { MailboxRc::of(to) }, step)
    }

    /// Numbers the messages from this position on (`core/ahead.rs`), up to the first that is late, and no more than
    /// so many. Returns the position behind the last that was numbered, and whether that is late; the end, and that it
    /// is, if there are more.
    pub(crate) fn number_from(
        &self,
        from: usize,
        most: usize,
        numbers: &mut Numbers,
    ) -> (usize, bool) {
        let first = if self.has_passed(from) {
            self.0.start()
        } else {
            from
        };
        for position in (0..most).map(|it| first.wrapping_add(it)) {
            // SAFETY: `is_late` reads cells of the mailbox, and touches no queue.
            let Some(entry) = (unsafe { self.0.at(position) }) else {
                return (position, false);
            };
            if numbers.is_late(&entry.to) {
                return (position.wrapping_add(1), true);
            }
        }
        (self.end(), true)
    }

    /// Takes the next message, and its receiver.
    #[inline]
    pub(crate) fn take(&self) -> Option<(MailboxRc, Envelope)> {
        self.0.pop().map(|next| (next.to, next.envelope))
    }

    /// The next message, if it is for the worker that has handled the last one well and may go on, or for another of its
    /// type, which has begun with it then; to be looked at where it lies. If there is none, and more lie in a ring
    /// for that worker, it is one of those. Who does not go on is idle.
    ///
    /// # Safety
    /// The block is there, and nothing is done to the queue as long as the message is looked at.
    #[inline(always)]
    pub(super) unsafe fn next_after<'b, M: Message>(
        &self,
        to: NonNull<Header>,
        core: &Core,
        arrived: impl Fn() -> Option<ArrivedOf<'b, M>>,
    ) -> Option<(NonNull<Header>, Lies)> {
        // SAFETY: the caller upholds it.
        let (last, next) = unsafe { (to.as_ref(), self.0.front()) };
        let Some(next) = next else {
            if let Some(lying) = arrived()
                && let Some(found) = lying.next_for(to)
            {
                // Of these there are no more than the pass may handle. Those in the queue count themselves as they are taken, and no more
                // are taken once so many have been of both: a pass handles less than twice as many.
                core.pass.take_one_off();
                // That is `to`, as no other is looked for; but seen to stay the same, it would have all that follows from it kept in memory.
                debug_assert_eq!(lying.receiver(), to, "the ring's own worker goes on");
                return Some((lying.receiver(), Lies::InRing(found)));
            }
            last.rest();
            return None;
        };
        if self.0.has_passed(core.pass.until()) {
            last.rest();
            return None;
        }
        if ptr::eq(next.to.header(), last) {
            return Some((next.receiver(), Lies::InQueue(next)));
        }
        last.rest();
        if !ptr::eq(next.to.header().table, last.table) {
            return None;
        }
        if !next.begin(core) {
            return None;
        }
        if let Some(lying) = arrived() {
            lying.pass_by();
        }
        next.to.header().phase.set(Phase::Polled);
        Some((next.receiver(), Lies::InQueue(next)))
    }

    /// Takes the next message, which is this one.
    ///
    /// # Safety
    /// It is the next one, and simply holds an `M`, as [`Entry::holds`] has said since the last one was taken or
    /// put.
    #[inline]
    pub(super) unsafe fn take_unchecked<M: Message>(&self, next: *const Entry) -> Taken<M> {
        // SAFETY: the caller upholds that this is the message in front, which is passed and so not used again; and what
        // it holds.
        unsafe {
            self.0.pass_front();
            let sender = &raw const (*next).envelope.sender;
            let body = (&raw const (*next).envelope.body).read();
            Taken::new(sender, body, (&raw const (*next).to).read())
        }
    }
}

/// A message that was taken out of where it lay, but for who sent it.
pub(super) struct Taken<M> {
    /// Where that is to be read, before anything else is put or taken: loaded once, wherever it is.
    sender: *const Sender,
    to: MailboxRc,
    body: Body,
    of: PhantomData<fn() -> M>,
}

impl<M: Message> Taken<M> {
    /// # Safety
    /// The body simply holds an `M`.
    #[inline(always)]
    pub(super) unsafe fn new(sender: *const Sender, body: Body, to: MailboxRc) -> Self {
        let of = PhantomData;
        Self {
            sender,
            to,
            body,
            of,
        }
    }

    /// The message as the receiver sees it.
    ///
    /// # Safety
    /// Nothing was put into a queue, or taken out of one, since it was taken.
    #[inline(always)]
    pub(super) unsafe fn join(self) -> Routed<M> {
        // SAFETY: the caller upholds it.
        let head = Head::new(unsafe { whole::read(self.sender) }, self.to.into_towards());
        if const { size_of::<M>().is_multiple_of(size_of::<u64>()) } {
            // SAFETY: `new` was told what it holds.
            return Routed::new(unsafe { self.body.take_unchecked::<M>() }, head);
        }
        let mut routed = MaybeUninit::<Routed<M>>::uninit();
        let at = routed.as_mut_ptr();
        // SAFETY: both fields are written. The head takes whole words and comes first, so what is behind the message up to
        // the end of its last word is part of what is made here. `new` was told what it holds.
        unsafe {
            (&raw mut (*at).head).write(head);
            self.body.move_unchecked(&raw mut (*at).message);
            routed.assume_init()
        }
    }
}

/// A sender has put so much in the queue that this is looked at. Of the C calling convention as its callers need not be ready
/// to drop what they are about to push.
#[cold]
#[inline(never)]
extern "C" fn look_at_step(core: &Core, from: &MailboxRc) {
    core.look_at_step(from);
}

impl Entry {
    /// Whether the receiver can be handed its message at once; then it has begun.
    ///
    /// # Panics
    /// If it has no worker, or its last call has not ended: the caller's state machine is broken.
    #[inline(always)]
    fn begin(&self, core: &Core) -> bool {
        let header = self.to.header();
        let mailbox = header.mailbox();
        if mailbox.state.get() != State::Idle {
            return false;
        }
        if mailbox.queued() > core.limits.worker_burst && core.defers(&self.to) {
            return false;
        }
        header.assert_idle();
        mailbox.state.set(State::Busy);
        core.shared.shown.show(&self.to);
        true
    }

    /// Whom the message is for.
    #[inline]
    pub(super) fn receiver(&self) -> NonNull<Header> {
        self.to.as_raw()
    }

    /// Where the message came from.
    #[inline]
    pub(super) fn origin(&self) -> &Origin {
        &self.envelope.origin
    }

    /// Whether it simply holds an `M`.
    #[inline]
    pub(super) fn holds<M: Message>(&self) -> bool {
        self.envelope.body.holds::<M>()
    }
}
