//! The block of a mailbox and its worker, and the counted pointer to it.

use std::any::type_name;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::task::{Context as Polling, Waker};

use ringpost_mailbox::cell::Boxed;
use ringpost_mailbox::ring::Word;
use ringpost_router::{Address, Any, Handle, Named};

use super::arrived::Slots;
use super::call::{self, Came, Frame, Go, Run};
use super::queue::Entry;
use super::{Call, Step, whole};
use crate::context::Context;
use crate::core::Core;
use crate::envelope::{Routes, Sender, Towards};
use crate::mailbox::{self, Mailbox};
use crate::task::panics::guarded;
use crate::worker::Worker;

/// What a block is doing. See the drawing in the [module](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no worker: not yet, not any more, or never.
    Vacant,
    /// There is a worker, and no call.
    Idle,
    /// A call is being polled.
    Polled,
    /// A call waits to be woken.
    Suspended,
}

/// What every block begins with.
#[repr(C)]
pub(super) struct Header {
    count: Cell<usize>,
    pub(super) table: &'static BlockTable,
    pub(super) phase: Cell<Phase>,
    /// The future of the live call.
    pub(super) frame: Cell<Option<Frame>>,
    /// What the head of each plain message to this mailbox ends with, and of each from it begins with, to be
    /// copied as a whole: [`Towards`] and [`Sender`] are the same 16 bytes there, a pointer to this block,
    /// which is not counted as each copy's is, and zero for no routes, or no place of a reply.
    ends: MaybeUninit<Towards>,
    pub(super) mailbox: Mailbox,
}

const _: () = {
    assert!(size_of::<Towards>() == 16 && size_of::<Sender>() == 16);
    assert!(align_of::<Towards>() == align_of::<Sender>());
    assert!(Towards::POINTER_AT == 0 && Sender::POINTER_AT == 0);
    assert!(size_of::<Handle>() == 8 && Handle::NONE.index == 0 && Handle::NONE.generation == 0);
    // SAFETY: of a handle that is `repr(transparent)` over `NonNull`, `None` is a null pointer.
    let no_routes: usize = unsafe { std::mem::transmute(None::<Boxed<Routes>>) };
    assert!(no_routes == 0);
};

/// A mailbox with the worker of type `W` that it is for.
#[repr(C)]
struct Block<W> {
    header: Header,
    state: UnsafeCell<MaybeUninit<State<W>>>,
}

/// What a call borrows.
pub(super) struct State<W> {
    pub(super) worker: W,
    pub(super) ctx: Context,
}

/// The worker's type, erased. Each function asks that its block was made for that type; one that was called by way of this
/// table may do its work for any block that has it, as it is the one that would be called for that.
pub(super) struct BlockTable {
    pub(super) handle: Run,
    /// The word of the next message in a ring if that simply holds what the worker takes.
    pub(super) takes: fn(&Slots<'_>) -> Option<Word>,
    initialize: Run,
    shutdown: Run,
    drop_state: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
    /// The names of the types of the worker and of its messages.
    pub(super) names: fn() -> (&'static str, &'static str),
}

/// A counted pointer to a mailbox, and to the worker behind it if there is one.
#[repr(transparent)]
pub(crate) struct MailboxRc {
    header: NonNull<Header>,
    /// One core owns the block and all pointers to it.
    local: PhantomData<Rc<Header>>,
}

/// A mailbox that somebody else's pointer keeps, in one word.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct MailboxRef<'a> {
    header: NonNull<Header>,
    kept: PhantomData<&'a MailboxRc>,
}

/// A block whose worker is still to come; its type is remembered.
pub(crate) struct Vacant<W> {
    mailbox: MailboxRc,
    worker: PhantomData<fn(W)>,
}

/// The worker of mailboxes that have none.
enum Nobody {}

impl Worker for Nobody {
    type Message = Any;
    type Context = Context;
}

impl Header {
    #[inline]
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Its handler has ended well, and what is next is not for it.
    #[inline(always)]
    pub(super) fn rest(&self) {
        self.phase.set(Phase::Idle);
        self.mailbox.state.set(mailbox::State::Idle);
    }

    /// # Panics
    /// If there is no worker, or its last call has not ended: the caller's state machine is broken.
    #[inline]
    pub(super) fn assert_idle(&self) {
        assert!(
            self.phase.get() == Phase::Idle,
            "a worker handles one message at a time"
        );
    }

    /// Runs the worker's handler for this message, the next in the queue, and polls it once; and goes on with those behind it,
    /// as [`call::handle`] says.
    ///
    /// # Safety
    /// The block is idle, and `next` is as [`Run`] says.
    #[inline]
    pub(super) unsafe fn handle(
        this: NonNull<Self>,
        next: *const Entry,
        core: &Rc<Core>,
        polling: &mut Polling<'_>,
    ) -> Came {
        // SAFETY: the caller upholds that the block is there and idle; the table was made for its type.
        unsafe { (this.as_ref().table.handle)(this, next, core, polling, Go::Start) }
    }
}

impl MailboxRc {
    /// A mailbox that will never have a worker.
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        Vacant::<Nobody>::new(mailbox).mailbox
    }

    /// The names of the types of its worker and of that one's messages.
    #[cold]
    pub(crate) fn type_names(&self) -> (&'static str, &'static str) {
        (self.header().table.names)()
    }

    /// What the head of a plain message to this mailbox ends with.
    #[inline]
    pub(super) fn into_towards(self) -> Towards {
        let this = ManuallyDrop::new(self);
        // SAFETY: `Vacant::new` wrote it. The copy's pointer is counted, as this one was.
        unsafe { whole::read(this.header().ends.as_ptr()) }
    }

    /// Writes what the head of a plain message from this mailbox begins with.
    ///
    /// # Safety
    /// The place is valid for writes.
    #[inline(always)]
    pub(super) unsafe fn write_sender(&self, to: *mut Sender) {
        // SAFETY: a copy is to be read there. The caller upholds the rest.
        unsafe { to.copy_from_nonoverlapping(self.borrowed().sender(), 1) };
    }

    /// A pointer to this block.
    ///
    /// # Safety
    /// The block is there.
    #[inline]
    pub(super) unsafe fn of(header: NonNull<Header>) -> Self {
        let local = PhantomData;
        // The pointer that is counted is the clone.
        (*ManuallyDrop::new(Self { header, local })).clone()
    }

    /// The block.
    #[inline]
    pub(super) fn as_raw(&self) -> NonNull<Header> {
        self.header
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the block lives as long as any pointer to it (rule 7), and its header is only ever
        // borrowed shared.
        unsafe { self.header.as_ref() }
    }

    /// The mailbox, for as long as this pointer is there.
    #[inline]
    pub(crate) fn borrowed(&self) -> MailboxRef<'_> {
        MailboxRef {
            header: self.header,
            kept: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn ptr_eq(one: &Self, other: &Self) -> bool {
        one.header == other.header
    }

    /// Whether there is a worker.
    pub(crate) fn has_worker(&self) -> bool {
        self.header().phase.get() != Phase::Vacant
    }

    /// Whether a call waits to be woken.
    pub(crate) fn is_suspended(&self) -> bool {
        self.header().phase.get() == Phase::Suspended
    }

    /// Starts another call and polls it once.
    ///
    /// # Panics
    /// If there is no worker, or its last call has not ended: the caller's state machine is broken.
    pub(crate) fn call(&self, call: Call, core: &Rc<Core>, polling: &mut Polling<'_>) -> Step {
        self.header().assert_idle();
        let table = self.header().table;
        let run = match call {
            Call::Initialize => table.initialize,
            Call::Shutdown => table.shutdown,
        };
        // SAFETY: the phase is `Idle`: the state is there (rule 2) and nothing borrows it (rule 3). The
        // table was made for this block's type.
        let came = unsafe { run(self.header, ptr::null(), core, polling, Go::Start) };
        came.into_parts().1
    }

    /// Polls the suspended call again. `Pending` if there is none: the wake was late.
    pub(crate) fn resume(&self, core: &Rc<Core>, polling: &mut Polling<'_>) -> Step {
        if !self.is_suspended() {
            return Step::Pending;
        }
        // SAFETY: this pointer keeps the block.
        unsafe { call::go_on(self.header, core, polling, Go::Resume) }
    }

    /// Drops the suspended call. Whether there was one; a call that is being polled is left alone.
    pub(crate) fn cancel(&self, core: &Rc<Core>) -> bool {
        let suspended = self.is_suspended();
        if suspended {
            let mut nobody = Polling::from_waker(Waker::noop());
            // SAFETY: this pointer keeps the block.
            unsafe { call::go_on(self.header, core, &mut nobody, Go::Cancel) };
        }
        suspended
    }

    /// Drops the suspended call and the worker. Whether there was one.
    ///
    /// # Panics
    /// If a call is being polled: the caller's state machine is broken.
    pub(crate) fn end(&self, core: &Rc<Core>) -> bool {
        let header = self.header();
        assert!(
            header.phase.get() != Phase::Polled,
            "a worker is not ended from within"
        );
        self.cancel(core);
        if header.phase.replace(Phase::Vacant) == Phase::Vacant {
            return false;
        }
        let whose = Some(&header.mailbox.address);
        // The worker is gone either way.
        let panicked = guarded("the destructor of a worker panicked", whose, || {
            // SAFETY: the table was made for this block's type; the state was there until the phase was
            // changed above, so it is dropped once; the call that borrowed it is gone (rule 5).
            unsafe { (header.table.drop_state)(self.header) };
        });
        core.tally().panics.add(u64::from(panicked.is_some()));
        // The worker's own pointer (rule 7). It is not the last: here is another.
        header.count.set(header.count.get() - 1);
        true
    }
}

/// The name of a worker's type, out of those that this crate has put around it: of one that is supervised, for one.
fn worker_name(mut name: &'static str) -> &'static str {
    const OURS: &str = concat!(env!("CARGO_PKG_NAME"), "::core::");
    while name.starts_with(OURS)
        && let Some((_, inner)) = name.split_once('<')
    {
        let (mut depth, mut before) = (0_u32, ' ');
        let end = inner.find(|part| {
            let closes = matches!(part, '>' | ')' | ']') && before != '-';
            let is_end = depth == 0 && (part == ',' || closes);
            depth += u32::from(matches!(part, '<' | '(' | '['));
            depth -= u32::from(depth > 0 && closes);
            before = part;
            is_end
        });
        name = inner.get(..end.unwrap_or(inner.len())).unwrap_or(inner);
    }
    name
}

impl<W: Worker<Context = Context>> Vacant<W> {
    /// A mailbox with room for its worker.
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        let header = Header {
            count: Cell::new(1),
            table: const {
                &BlockTable {
                    handle: call::handle::<W>,
                    takes: |slots| slots.next_holds::<W::Message>(),
                    initialize: call::initialize::<W>,
                    shutdown: call::shutdown::<W>,
                    drop_state: drop_state::<W>,
                    free: free::<W>,
                    names: || (worker_name(type_name::<W>()), type_name::<W::Message>()),
                }
            },
            phase: Cell::new(Phase::Vacant),
            frame: Cell::new(None),
            ends: MaybeUninit::uninit(),
            mailbox,
        };
        let state = UnsafeCell::new(MaybeUninit::uninit());
        let block = Box::into_raw(Box::new(Block::<W> { header, state }));
        // SAFETY: a box is never null.
        let header = unsafe { NonNull::new_unchecked(block) }.cast();
        let pointer = || MailboxRc {
            header,
            local: PhantomData,
        };
        // SAFETY: the block is new, and written by way of the pointer that is kept, so that this stays good.
        unsafe { (*block).header.ends.write(Towards::new(pointer(), None)) };
        Self {
            mailbox: pointer(),
            worker: PhantomData,
        }
    }

    pub(crate) fn mailbox(&self) -> &MailboxRc {
        &self.mailbox
    }

    /// Moves the worker in.
    pub(crate) fn fill(self, worker: W, ctx: Context) -> MailboxRc {
        // SAFETY: the block was made for `W` by `new`, which alone makes a `Vacant<W>`; it is vacant,
        // so nothing borrows the state.
        let state = unsafe { &mut *state_of::<W>(self.mailbox.header) };
        state.write(State { worker, ctx });
        let header = self.mailbox.header();
        header.phase.set(Phase::Idle);
        // As long as there is a worker, it counts as a pointer to its block (rule 7).
        header.count.set(header.count.get() + 1);
        self.mailbox
    }
}

/// Where the state of a block is.
///
/// # Safety
/// The block was made for `W`.
#[inline]
pub(super) unsafe fn state_of<W>(header: NonNull<Header>) -> *mut MaybeUninit<State<W>> {
    // SAFETY: the header is the first field of the block that the caller says it is of; the pointer
    // was made from the whole block, so it may reach the state.
    unsafe { UnsafeCell::raw_get(&raw const (*header.cast::<Block<W>>().as_ptr()).state) }
}

/// # Safety
/// The block was made for `W`, its state is there and is not used afterwards.
unsafe fn drop_state<W>(header: NonNull<Header>) {
    // SAFETY: the caller upholds that a state is there that nobody else uses.
    unsafe { (*state_of::<W>(header)).assume_init_drop() };
}

/// # Safety
/// The block was made for `W`, is vacant, and nobody uses it afterwards.
unsafe fn free<W>(header: NonNull<Header>) {
    // SAFETY: `new` leaked this box, and the caller upholds that nobody uses it any more. A vacant
    // block has no state to be dropped.
    drop(unsafe { Box::from_raw(header.cast::<Block<W>>().as_ptr()) });
}

impl<'a> MailboxRef<'a> {
    /// A pointer to it.
    #[inline]
    pub(crate) fn counted(self) -> MailboxRc {
        // SAFETY: the block is there, as a pointer to it is borrowed.
        unsafe { MailboxRc::of(self.header) }
    }

    /// Where a copy of what the head of a plain message from this mailbox begins with is to be read; that is counted here.
    #[inline(always)]
    pub(super) fn sender(self) -> *const Sender {
        let counted = ManuallyDrop::new(self.counted());
        // `Vacant::new` wrote a `Towards` there, whose bytes are those of a `Sender` too, as is asserted above.
        counted.header().ends.as_ptr().cast()
    }

    /// Counts so many pointers to it that are still to be made.
    #[inline]
    pub(super) fn count_ahead(self, pointers: u32) -> Ahead<'a> {
        // SAFETY: the block is there, as a pointer to it is borrowed.
        let count = unsafe { &self.header.as_ref().count };
        count.set(count.get() + pointers as usize);
        Ahead(self)
    }
}

/// Pointers to a mailbox that are counted before they are made.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Ahead<'a>(MailboxRef<'a>);

impl Ahead<'_> {
    /// The block.
    #[inline]
    pub(super) fn as_raw(self) -> NonNull<Header> {
        self.0.header
    }

    /// One of the pointers.
    ///
    /// # Safety
    /// There is one that was not made yet.
    #[inline(always)]
    pub(super) unsafe fn pointer(self) -> MailboxRc {
        let (header, local) = (self.0.header, PhantomData);
        MailboxRc { header, local }
    }

    /// Where a copy of what the head of a plain message from this mailbox begins with is to be read: it is one of the pointers.
    #[inline(always)]
    pub(super) fn sender(self) -> *const Sender {
        // SAFETY: the block is there, as a pointer to it is borrowed.
        let header = unsafe { self.0.header.as_ref() };
        // `Vacant::new` wrote a `Towards` there, whose bytes are those of a `Sender` too, as is asserted above.
        header.ends.as_ptr().cast()
    }

    /// So many pointers are not made.
    ///
    /// # Safety
    /// They were counted, and not given back.
    #[inline]
    pub(super) unsafe fn give_back(self, pointers: u32) {
        // SAFETY: the block is there, as a pointer to it is borrowed; so that is not the last.
        let count = unsafe { &self.0.header.as_ref().count };
        count.set(count.get() - pointers as usize);
    }
}

impl Deref for MailboxRef<'_> {
    type Target = Mailbox;

    #[inline]
    fn deref(&self) -> &Mailbox {
        // SAFETY: as in `counted`.
        &unsafe { self.header.as_ref() }.mailbox
    }
}

impl Deref for MailboxRc {
    type Target = Mailbox;

    #[inline]
    fn deref(&self) -> &Mailbox {
        &self.header().mailbox
    }
}

impl Named for MailboxRc {
    #[inline]
    fn address(&self) -> &Address {
        &self.address
    }
}

impl Clone for MailboxRc {
    #[inline]
    fn clone(&self) -> Self {
        let count = &self.header().count;
        // Cannot overflow: every counted pointer lies in memory of its own, also one whose owner was
        // forgotten, but for those of one pass that are counted ahead; and there is no memory for 2^64 of them.
        count.set(count.get() + 1);
        Self {
            header: self.header,
            local: PhantomData,
        }
    }
}

impl Drop for MailboxRc {
    #[inline]
    fn drop(&mut self) {
        let count = &self.header().count;
        count.set(count.get() - 1);
        if count.get() == 0 {
            // SAFETY: this was the last pointer, so nobody uses the block any more, and it is vacant
            // (rule 7).
            unsafe { free_block(self.header) };
        }
    }
}

/// Out of line, and of the C calling convention because such a function never unwinds: dropping a pointer
/// is a look at a counter, for whose failure nobody need be ready.
///
/// # Safety
/// The block is vacant, and nobody uses it afterwards.
#[cold]
#[inline(never)]
unsafe extern "C" fn free_block(header: NonNull<Header>) {
    guarded("the destructor of a mailbox panicked", None, || {
        // SAFETY: the caller upholds that the block is live until now, and is used no more. The table
        // was made for its type.
        unsafe { (header.as_ref().table.free)(header) };
    });
}

impl fmt::Debug for MailboxRc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
