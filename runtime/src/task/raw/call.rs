//! Starting, polling and dropping the calls of a worker.

use std::alloc::Layout;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::{CodecError, Message, Unpack, unpack};

use super::block::{Header, MailboxRc, Phase, State, state_of};
use super::{Call, Ending, Frames, Step};
use crate::context::Context;
use crate::core::Core;
use crate::error::Result;
use crate::routed::Routed;
use crate::task::panics::{guarded, into_text};
use crate::worker::Worker;

/// A block of memory that holds the live future of a call.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    block: NonNull<u8>,
    table: &'static FrameTable,
}

/// The future's type, erased. Each function asks that a live future of that type is in the frame.
struct FrameTable {
    poll: unsafe fn(NonNull<u8>, &mut Polling<'_>) -> Poll<Result<()>>,
    drop: unsafe fn(NonNull<u8>),
    layout: Layout,
}

/// Runs `handle_message` on the message that the core's queue holds ready, and on those after it for as
/// long as they are for this worker too and nothing else is to be done between; `more` of them at most,
/// which is counted down.
///
/// # Safety
/// The block was made for `W` and is idle.
pub(super) unsafe fn handle<W: Worker<Context = Context>>(
    to: &MailboxRc,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    more: &mut u32,
) -> Step {
    let Some((origin, plain)) = core.queue.look::<W::Message>() else {
        return Step::Done;
    };
    // From here on nobody else touches the state (rule 4): a foreign waker or a decoder that is run
    // before the handler is user code too.
    to.header().phase.set(Phase::Polled);
    core.begin(to, origin);
    if !plain {
        // SAFETY: the caller upholds it.
        return unsafe { handle_converted::<W>(to, core, polling) };
    }
    let make = move || {
        // SAFETY: `look`, or `continues` below, has seen such a message, and what ran since (`begin`)
        // neither takes nor puts any.
        let (message, head) = unsafe { core.queue.take_unchecked::<W::Message>() };
        // SAFETY: the caller upholds that this is a block of `W` that was idle: the state is there
        // and nothing else borrows it until the future made here is dropped (rules 2 to 5).
        let State { worker, ctx } = unsafe { borrow::<W>(to.as_raw()) };
        worker.handle_message(ctx, Routed::new(message, head))
    };
    let another = || {
        if *more == 0 || !core.may_go_on(to) || !core.queue.continues::<W::Message>(to) {
            return false;
        }
        let Some((origin, _)) = core.queue.look::<W::Message>() else {
            return false;
        };
        *more -= 1;
        core.begin(to, origin);
        true
    };
    launch_each(to.header(), make, another, &core.frames, polling)
}

/// As [`handle`], for a message that is not simply of the worker's type. The block is closed already.
///
/// # Safety
/// The block was made for `W` and was idle.
#[cold]
#[inline(never)]
unsafe fn handle_converted<W: Worker<Context = Context>>(
    to: &MailboxRc,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
) -> Step {
    let msg = match convert::<W::Message>(to.clone(), core) {
        Ok(msg) => msg,
        Err(ending) => {
            to.header().phase.set(Phase::Idle);
            return Step::Ended(ending);
        }
    };
    // SAFETY: as in `handle`.
    let State { worker, ctx } = unsafe { borrow::<W>(to.as_raw()) };
    let make = move || worker.handle_message(ctx, msg);
    launch(to.header(), make, &core.frames, polling)
}

/// The next message, where it is not simply of the worker's type: it has its routes with it, or it is
/// converted by code of the user's, which may panic.
fn convert<M: Message>(to: MailboxRc, core: &Core) -> Result<Routed<M>, Box<Ending>> {
    let Some(envelope) = core.queue.take_envelope() else {
        return Err(Box::new(Ending::Panicked("no message".to_owned())));
    };
    let (head, body) = envelope.open(to);
    let panicked = |panic| {
        Err(Unpack::Codec(CodecError::Decode {
            type_name: std::any::type_name::<M>(),
            cause: into_text(panic),
        }))
    };
    match catch_unwind(AssertUnwindSafe(|| unpack::<M>(body))).unwrap_or_else(panicked) {
        Ok(message) => Ok(Routed::new(message, head)),
        Err(mismatch) => Err(Box::new(Ending::Mismatch(head, mismatch))),
    }
}

/// Runs `initialize` or `shutdown`.
///
/// # Safety
/// The block was made for `W` and is idle.
pub(super) unsafe fn call<W: Worker<Context = Context>>(
    header: NonNull<Header>,
    call: Call,
    frames: &Frames,
    polling: &mut Polling<'_>,
) -> Step {
    // SAFETY: as in `handle`.
    let (header, state) = unsafe { (header.as_ref(), borrow::<W>(header)) };
    header.phase.set(Phase::Polled);
    let State { worker, ctx } = state;
    match call {
        Call::Initialize => launch(header, move || worker.initialize(ctx), frames, polling),
        Call::Shutdown => launch(header, move || worker.shutdown(ctx), frames, polling),
    }
}

/// The state of a block, for as long as a call lives, which no lifetime can say.
///
/// # Safety
/// The block was made for `W`, its state is there, and nothing else borrows it until the result is
/// no longer used.
#[inline]
unsafe fn borrow<'a, W>(header: NonNull<Header>) -> &'a mut State<W> {
    // SAFETY: the caller upholds all of it.
    unsafe { (*state_of::<W>(header)).assume_init_mut() }
}

/// Has a future made in a frame, and polls it once. The phase is `Polled`.
#[inline]
fn launch<F>(
    header: &Header,
    make: impl FnOnce() -> F,
    frames: &Frames,
    polling: &mut Polling<'_>,
) -> Step
where
    F: Future<Output = Result<()>>,
{
    let block = frames.take(Layout::new::<F>());
    let (step, live) = first_poll(block.cast(), make, polling);
    conclude_first::<F>(header, block, step, live, frames)
}

/// As [`launch`], over again in the same frame for as long as there is another message to handle.
#[inline]
fn launch_each<F>(
    header: &Header,
    make: impl FnOnce() -> F + Copy,
    mut another: impl FnMut() -> bool,
    frames: &Frames,
    polling: &mut Polling<'_>,
) -> Step
where
    F: Future<Output = Result<()>>,
{
    let block = frames.take(Layout::new::<F>());
    loop {
        let (step, live) = first_poll(block.cast(), make, polling);
        if !matches!(step, Step::Done) {
            return conclude_first::<F>(header, block, step, live, frames);
        }
        if !another() {
            header.phase.set(Phase::Idle);
            frames.give(block, Layout::new::<F>());
            return Step::Done;
        }
    }
}

/// Makes a future in this place, which is empty, polls it once, and drops it if it is done. What came of it,
/// and whether it is still there.
#[inline(always)]
fn first_poll<F>(
    future: NonNull<F>,
    make: impl FnOnce() -> F,
    polling: &mut Polling<'_>,
) -> (Step, bool)
where
    F: Future<Output = Result<()>>,
{
    let mut live = false;
    let poll = || {
        // SAFETY: the caller hands in a place that is valid, aligned and empty.
        unsafe { put(future, make) };
        live = true;
        // SAFETY: the future was just written; it stays where it is until it is dropped there (rule 6).
        let poll = unsafe { Pin::new_unchecked(&mut *future.as_ptr()) }.poll(polling);
        if poll.is_ready() {
            live = false;
            // SAFETY: the future is live, and no longer known to anybody else.
            unsafe { future.drop_in_place() };
        }
        poll
    };
    let step = match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Poll::Ready(result)) => concluded(result),
        Ok(Poll::Pending) => Step::Pending,
        Err(panic) => panicked(panic),
    };
    (step, live)
}

/// What follows from the first poll of the future in this block.
#[cold]
#[inline(never)]
fn conclude_first<F>(
    header: &Header,
    block: NonNull<u8>,
    step: Step,
    live: bool,
    frames: &Frames,
) -> Step
where
    F: Future<Output = Result<()>>,
{
    if !live {
        header.phase.set(Phase::Idle);
        frames.give(block, Layout::new::<F>());
        return step;
    }
    let table = const {
        &FrameTable {
            poll: poll_frame::<F>,
            drop: drop_frame::<F>,
            layout: Layout::new::<F>(),
        }
    };
    header.frame.set(Some(Frame { block, table }));
    if matches!(step, Step::Pending) {
        header.phase.set(Phase::Suspended);
    } else {
        // It panicked before it was done.
        drop_call(header, frames);
    }
    step
}

/// Makes a future where it is to lie. Out of line, because only here does the optimizer see that the
/// parts of a new future that hold nothing yet need not be copied; and that is most of it.
///
/// # Safety
/// The place is valid for writes, aligned and empty.
#[inline(never)]
unsafe fn put<F>(at: NonNull<F>, make: impl FnOnce() -> F) {
    // SAFETY: the caller upholds it.
    unsafe { at.write(make()) };
}

/// Polls the suspended call.
pub(super) fn resume(header: &Header, frames: &Frames, polling: &mut Polling<'_>) -> Step {
    let Some(frame) = header.frame.get() else {
        return Step::Pending;
    };
    header.phase.set(Phase::Polled);
    // SAFETY: the frame is set, so it holds a live future (rule 3) of the type its table is for.
    let poll = || unsafe { (frame.table.poll)(frame.block, polling) };
    let step = match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(Poll::Pending) => {
            header.phase.set(Phase::Suspended);
            return Step::Pending;
        }
        Ok(Poll::Ready(result)) => concluded(result),
        Err(panic) => panicked(panic),
    };
    match (drop_call(header, frames), &step) {
        // The worker ends as it would if this were its first poll (rule 8).
        (Some(text), Step::Done) => Step::Ended(Box::new(Ending::Panicked(text))),
        (Some(text), Step::Ended(ending)) if !matches!(**ending, Ending::Panicked(_)) => {
            Step::Ended(Box::new(Ending::Panicked(text)))
        }
        _ => step,
    }
}

/// Drops the future of a call that is not being polled, and gives its frame back. The text of the panic
/// if its destructor panicked.
pub(super) fn drop_call(header: &Header, frames: &Frames) -> Option<String> {
    let mut panic = None;
    if let Some(frame) = header.frame.take() {
        // A destructor is user code, which the block is closed to meanwhile (rule 4).
        header.phase.set(Phase::Polled);
        // SAFETY: the frame was set, so it holds a live future of the type its table is for; it was
        // taken, so nobody will use that again.
        panic = guarded(
            "the destructor of a handler panicked",
            Some(&header.mailbox.address),
            || unsafe {
                (frame.table.drop)(frame.block);
            },
        );
        frames.give(frame.block, frame.table.layout);
    }
    header.phase.set(Phase::Idle);
    panic
}

#[inline(always)]
fn concluded(result: Result<()>) -> Step {
    match result {
        Ok(()) => Step::Done,
        Err(error) => Step::Ended(Box::new(Ending::Failed(error))),
    }
}

#[cold]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Step {
    Step::Ended(Box::new(Ending::Panicked(into_text(panic))))
}

/// # Safety
/// The block holds a live `F` that has not returned.
unsafe fn poll_frame<F: Future>(block: NonNull<u8>, polling: &mut Polling<'_>) -> Poll<F::Output> {
    // SAFETY: the caller upholds that a live `F` is there; it is never moved (rule 6).
    unsafe { Pin::new_unchecked(&mut *block.cast::<F>().as_ptr()) }.poll(polling)
}

/// # Safety
/// The block holds a live `F`, which is not used afterwards.
unsafe fn drop_frame<F>(block: NonNull<u8>) {
    // SAFETY: the caller upholds that a live `F` is there and is dropped only here.
    unsafe { block.cast::<F>().drop_in_place() };
}
