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
use crate::envelope::Head;
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

/// Runs `handle_message` on the message that the core's queue holds ready.
///
/// # Safety
/// The block was made for `W` and is idle.
pub(super) unsafe fn handle<W: Worker<Context = Context>>(
    to: &MailboxRc,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
) -> Step {
    let queue = core.queue.envelopes();
    // SAFETY: the look ends with this line; what follows uses copies of what was seen.
    let front =
        unsafe { queue.front() }.map(|front| (front.origin, front.body.holds::<W::Message>()));
    let Some((origin, plain)) = front else {
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
    let place = move |place| {
        let make = move || {
            // SAFETY: there was an envelope at the front, and nothing has been popped since.
            let envelope = unsafe { queue.pop_unchecked() };
            // SAFETY: its body was seen to hold a message of this type.
            let message = unsafe { envelope.body.take_unchecked::<W::Message>() };
            let head = Head::new(envelope.from, envelope.reply, to.towards());
            // SAFETY: the caller upholds that this is a block of `W` that was idle: the state is there
            // and nothing else borrows it until the future made here is dropped (rules 2 to 5).
            let State { worker, ctx } = unsafe { borrow::<W>(to.as_raw()) };
            worker.handle_message(ctx, Routed::new(message, head))
        };
        // SAFETY: `launch` hands in an empty place for this future.
        unsafe { put(place, make) }
    };
    launch(to.header(), place, &core.frames, polling)
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
    // SAFETY: `launch` hands in an empty place for this future.
    let place = move |place| unsafe { put(place, move || worker.handle_message(ctx, msg)) };
    launch(to.header(), place, &core.frames, polling)
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
        Call::Initialize => {
            let place = move |place| {
                // SAFETY: `launch` hands in an empty place for the future.
                unsafe { put(place, move || worker.initialize(ctx)) }
            };
            launch(header, place, frames, polling)
        }
        Call::Shutdown => {
            let place = move |place| {
                // SAFETY: as above.
                unsafe { put(place, move || worker.shutdown(ctx)) }
            };
            launch(header, place, frames, polling)
        }
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

/// Has a future made in a frame, and polls it once. `place` is handed a place for it that is valid,
/// aligned and empty. The phase is `Polled`.
#[inline]
fn launch<F>(
    header: &Header,
    place: impl FnOnce(NonNull<F>),
    frames: &Frames,
    polling: &mut Polling<'_>,
) -> Step
where
    F: Future<Output = Result<()>>,
{
    let table = const {
        &FrameTable {
            poll: poll_frame::<F>,
            drop: drop_frame::<F>,
            layout: Layout::new::<F>(),
        }
    };
    let block = frames.take(Layout::new::<F>());
    let future = block.cast::<F>();
    let mut live = false;
    let polled = catch_unwind(AssertUnwindSafe(|| {
        place(future);
        live = true;
        // SAFETY: the future was just written; it stays where it is until it is dropped there (rule 6).
        let poll = unsafe { Pin::new_unchecked(&mut *future.as_ptr()) }.poll(polling);
        if poll.is_ready() {
            live = false;
            // SAFETY: the future is live, and no longer known to anybody else.
            unsafe { future.drop_in_place() };
        }
        poll
    }));
    if live {
        // Without this the future was not made, or it was its own destructor that panicked.
        header.frame.set(Some(Frame { block, table }));
    }
    let step = match polled {
        Ok(Poll::Ready(result)) => concluded(result),
        Ok(Poll::Pending) => {
            header.phase.set(Phase::Suspended);
            return Step::Pending;
        }
        Err(panic) => {
            let step = panicked(panic);
            if live {
                drop_call(header, frames);
                return step;
            }
            step
        }
    };
    header.phase.set(Phase::Idle);
    frames.give(block, Layout::new::<F>());
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
        panic = guarded("the destructor of a handler panicked", || unsafe {
            (frame.table.drop)(frame.block);
        });
        frames.give(frame.block, frame.table.layout);
    }
    header.phase.set(Phase::Idle);
    panic
}

#[inline]
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
