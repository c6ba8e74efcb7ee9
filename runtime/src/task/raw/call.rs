//! Starting, polling and dropping the calls of a worker.

use std::alloc::Layout;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::task::{Context as Polling, Poll, Waker};

use ringpost_router::{CodecError, Message, Unpack, unpack};

use ringpost_mailbox::ring::Found;

use super::arrived::ArrivedOf;
use super::block::{Header, Phase, State, state_of};
use super::queue::{Entry, Taken};
use super::{Ending, Step};
use crate::context::Context;
use crate::core::Core;
use crate::driver::stderr::failure;
use crate::error::{Error, Result};
use crate::routed::Routed;
use crate::task::panics::into_text;
use crate::worker::Worker;

/// A block of memory that holds the live future of a suspended call, and the function that goes on with it.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    block: NonNull<u8>,
    run: Run,
}

/// What is asked of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// To start: there is none yet.
    Start,
    /// To be polled again.
    Resume,
    /// To be dropped.
    Cancel,
}

/// Where the next message lies.
#[derive(Clone, Copy)]
pub(super) enum Lies {
    /// In the core's queue, where it is the next.
    InQueue(*const Entry),
    /// In the ring of this pass, likewise.
    InRing(Found),
}

/// Runs a call of a worker whose type was erased. To start, the block must have been made for that type and
/// be idle; else the frame must be that of a call which this function has suspended. To start
/// `handle_message` the message must be the next in the core's queue, or null where the [`Pass`](super::Pass) says where the messages
/// lie, of which the next must simply hold what the worker takes. To anything else it is nothing.
pub(super) type Run =
    unsafe fn(NonNull<Header>, *const Entry, &Rc<Core>, &mut Polling<'_>, Go) -> Came;

/// What came of a call, and of whose: after some messages, of the one whose handler was polled last. In two words, so that it is handed
/// back in registers.
pub(super) enum Came {
    Done(NonNull<Header>),
    Pending(NonNull<Header>),
    Ended(Box<(NonNull<Header>, Box<Ending>)>),
}

impl Came {
    #[cold]
    #[inline(never)]
    fn ended(to: NonNull<Header>, ending: Box<Ending>) -> Self {
        Self::Ended(Box::new((to, ending)))
    }

    fn of(to: NonNull<Header>, step: Step) -> Self {
        match step {
            Step::Done => Self::Done(to),
            Step::Pending => Self::Pending(to),
            Step::Ended(ending) => Self::ended(to, ending),
        }
    }

    /// Whose call it was, and what came of it.
    pub(super) fn into_parts(self) -> (NonNull<Header>, Step) {
        match self {
            Self::Done(to) => (to, Step::Done),
            Self::Pending(to) => (to, Step::Pending),
            Self::Ended(over) => (over.0, Step::Ended(over.1)),
        }
    }
}

/// Runs `handle_message` on this message, and on those after it for as long as they are for workers of this type
/// too and nothing else is to be done between.
///
/// # Safety
/// As [`Run`] says, with `W` for the type.
pub(super) unsafe fn handle<W: Worker<Context = Context>>(
    to: NonNull<Header>,
    next: *const Entry,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
) -> Came {
    // SAFETY: if there are any, they are there as long as the pass lasts; it is asked for them where a message is handled, and the caller
    // upholds that they are for a `W` then.
    let arrived = || unsafe { core.pass.arrived::<W::Message>() };
    let first = || match go {
        Go::Start => match arrived().and_then(|lying| lying.next_for(to)) {
            Some(found) => Lies::InRing(found),
            None => Lies::InQueue(next),
        },
        // A call that is dropped in the midst of another worker's pass, for one, is no part of that.
        Go::Resume | Go::Cancel => Lies::InQueue(next),
    };
    let start = |to: NonNull<Header>, at, next| {
        let make = |(worker, ctx), msg| W::handle_message(worker, ctx, msg);
        // SAFETY: the caller upholds that the block is there, and `another` that this is the next message.
        let taken = match unsafe { take(to, core, arrived, next) } {
            Ok(taken) => taken,
            // SAFETY: the caller upholds that the block is of `W`. `drive` hands in a place that is empty.
            Err(seen) => return unsafe { start_converted::<W, _>(to, at, core, seen, make) },
        };
        let make = move || {
            // SAFETY: nothing has run since it was taken.
            let msg = unsafe { taken.join() };
            // SAFETY: the caller upholds that this is a block of `W` that was idle: the state is there and
            // nothing else borrows it until the future made here is dropped (rules 2 to 5).
            let State { worker, ctx } = unsafe { borrow::<W>(to) };
            make((worker, ctx), msg)
        };
        // SAFETY: `drive` hands in a place that is empty.
        unsafe { put(at, make) }
    };
    let another = |to: NonNull<Header>| {
        // SAFETY: the caller upholds that the block is there, and as long as there is a worker it stays.
        let header = unsafe { to.as_ref() };
        if !core.may_go_on(header.mailbox()) {
            header.phase.set(Phase::Idle);
            return None;
        }
        // SAFETY: it is handed to `start`, which has taken it when something else is done to the queue.
        unsafe { core.queue.next_after(to, core, arrived) }
    };
    // SAFETY: the caller upholds it for this function.
    unsafe { drive(to, core, polling, go, handle::<W>, first, start, another) }
}

/// Takes the next message, which this worker is handed; or says which it is, if it does not simply hold an `M`.
///
/// # Safety
/// The block is there. The message is the next, where it is said to lie; `arrived` gives the ring in which it was found, if it was, and
/// that was in this pass.
#[inline(always)]
unsafe fn take<'q, M: Message>(
    to: NonNull<Header>,
    core: &'q Rc<Core>,
    arrived: impl FnOnce() -> Option<ArrivedOf<'q, M>>,
    next: Lies,
) -> Result<Taken<M>, &'q Entry> {
    let next = match next {
        Lies::InRing(found) => {
            core.tally().handled.add(1);
            core.begin_step();
            // SAFETY: the caller upholds that it was found there, and is what is taken next. What runs between begins no pass.
            return Ok(unsafe { arrived().unwrap_unchecked().take(found) });
        }
        Lies::InQueue(next) => next,
    };
    // SAFETY: the caller upholds that the message is there until one is taken or put.
    let seen = unsafe { &*next };
    if !seen.holds::<M>() {
        return Err(seen);
    }
    // SAFETY: the caller upholds that the block is there.
    core.begin(unsafe { to.as_ref() }.mailbox(), seen.origin());
    // SAFETY: the queue has been seen to have such a message in front, and what ran since (`begin`)
    // neither takes nor puts any, and runs no code of the user's that could: whom a credit wakes that
    // is no task of the core is woken later (`grant_while_taking`), and who has given up waiting
    // has left no waker to be dropped.
    Ok(unsafe { core.queue.take_unchecked(next) })
}

/// Makes the future for the next message in the queue where that is not simply of the worker's type. Out of line, so that only those
/// ways join which take a message as it is.
///
/// # Safety
/// The block is one of `W` and was idle, and the place is empty.
#[cold]
#[inline(never)]
unsafe fn start_converted<W: Worker<Context = Context>, F>(
    to: NonNull<Header>,
    at: NonNull<F>,
    core: &Rc<Core>,
    seen: &Entry,
    make: impl FnOnce((&'static mut W, &'static mut Context), Routed<W::Message>) -> F,
) -> Result<(), Box<Ending>> {
    // SAFETY: the caller upholds that the block is there.
    core.begin(unsafe { to.as_ref() }.mailbox(), seen.origin());
    let msg = convert::<W::Message>(core)?;
    // SAFETY: as in `handle`.
    let State { worker, ctx } = unsafe { borrow::<W>(to) };
    // SAFETY: the caller upholds it.
    unsafe { put(at, move || make((worker, ctx), msg)) }
}

/// The next message, where it is not simply of the worker's type: it has its routes with it, or it is
/// converted by code of the user's, which may panic.
fn convert<M: Message>(core: &Core) -> Result<Routed<M>, Box<Ending>> {
    let Some((to, envelope)) = core.queue.take() else {
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

/// Runs `initialize`.
///
/// # Safety
/// As [`Run`] says, with `W` for the type.
pub(super) unsafe fn initialize<W: Worker<Context = Context>>(
    to: NonNull<Header>,
    _: *const Entry,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
) -> Came {
    let make = |worker: &'static mut W, ctx| worker.initialize(ctx);
    // SAFETY: the caller upholds it for this function.
    unsafe { drive_once(to, core, polling, go, initialize::<W>, make) }
}

/// Runs `shutdown`.
///
/// # Safety
/// As [`Run`] says, with `W` for the type.
pub(super) unsafe fn shutdown<W: Worker<Context = Context>>(
    to: NonNull<Header>,
    _: *const Entry,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
) -> Came {
    let make = |worker: &'static mut W, ctx| worker.shutdown(ctx);
    // SAFETY: the caller upholds it for this function.
    unsafe { drive_once(to, core, polling, go, shutdown::<W>, make) }
}

/// As [`drive`], of a call without a message.
///
/// # Safety
/// As for `run`, which is the caller, with `W` for the type.
#[inline(always)]
unsafe fn drive_once<W: 'static, F: Future<Output = Result<()>>>(
    to: NonNull<Header>,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
    run: Run,
    make: impl Fn(&'static mut W, &'static mut Context) -> F,
) -> Came {
    let start = |_: NonNull<Header>, at, ()| {
        // SAFETY: as in `handle`.
        let State { worker, ctx } = unsafe { borrow::<W>(to) };
        // SAFETY: `drive` hands in a place that is empty.
        unsafe { put(at, || make(worker, ctx)) }
    };
    let another = |to: NonNull<Header>| {
        // SAFETY: the caller upholds that the block is there.
        unsafe { to.as_ref() }.phase.set(Phase::Idle);
        None
    };
    // SAFETY: the caller upholds it.
    unsafe { drive(to, core, polling, go, run, || (), start, another) }
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

/// All that is done with the future of a call: `start` makes it, unless it says what came of it instead; it is polled,
/// and dropped when it has ended; and as long as there is `another` message, all over again in the same place. That may
/// be for another worker of the type, whose block is there and has been begun with then; this one is idle.
///
/// Each type of future is polled in one place of the program, here, and dropped in one. So the optimizer
/// puts both into the function that calls this, and sees there where a new future begins, and that one
/// which has ended well has nothing left to be dropped. What to begin with is asked for in here, of `first`, for that too: were it
/// handed in, it would be one of two things, and the optimizer makes a call for each.
///
/// # Safety
/// As for `run`, which is the caller. `start` writes the future, unless it says otherwise.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the parts of one function")]
unsafe fn drive<F: Future<Output = Result<()>>, N: Copy>(
    mut to: NonNull<Header>,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
    run: Run,
    first: impl FnOnce() -> N,
    start: impl Fn(NonNull<Header>, NonNull<F>, N) -> Result<(), Box<Ending>>,
    mut another: impl FnMut(NonNull<Header>) -> Option<(NonNull<Header>, N)>,
) -> Came {
    // SAFETY: the caller upholds that the block is there; as long as there is a worker it stays (rule 7).
    let mut header = unsafe { to.as_ref() };
    // From here on nobody else touches the state (rule 4): not only the handler is user code, but so are a
    // foreign waker, a decoder that is run before it, and a destructor.
    header.phase.set(Phase::Polled);
    let Some(block) = place_of::<F>(header, core, go) else {
        return Came::Pending(to);
    };
    let future = block.cast::<F>();
    let mut next = first();
    loop {
        if go == Go::Start
            && let Err(ending) = start(to, future, next)
        {
            header.phase.set(Phase::Idle);
            core.frames.give(block, Layout::new::<F>());
            return Came::ended(to, ending);
        }
        let mut is_live = true;
        let once = || {
            let poll = match go {
                Go::Cancel => Poll::Ready(Ok(())),
                // SAFETY: the future is there: it was made just now, or was when the call suspended. It stays
                // where it is until it is dropped there (rule 6).
                _ => unsafe { Pin::new_unchecked(&mut *future.as_ptr()) }.poll(polling),
            };
            if poll.is_ready() {
                is_live = false;
                // SAFETY: the future is live, and no longer known to anybody else.
                unsafe { future.drop_in_place() };
            }
            poll
        };
        let step = match catch_unwind(AssertUnwindSafe(once)) {
            Ok(Poll::Ready(Ok(()))) if go == Go::Start => match another(to) {
                Some(following) => {
                    (to, next) = following;
                    // SAFETY: as above.
                    header = unsafe { to.as_ref() };
                    continue;
                }
                None => {
                    core.frames.give(block, Layout::new::<F>());
                    return Came::Done(to);
                }
            },
            Ok(Poll::Ready(Ok(()))) => Step::Done,
            Ok(Poll::Ready(Err(error))) => failed(error),
            Ok(Poll::Pending) => Step::Pending,
            Err(panic) => panicked(header, panic, go),
        };
        if is_live {
            // SAFETY: as above.
            return Came::of(to, unsafe { suspend(to, Frame { block, run }, core, step) });
        }
        header.phase.set(Phase::Idle);
        core.frames.give(block, Layout::new::<F>());
        return Came::of(to, step);
    }
}

/// Where the future of a call is to lie, or lies if there is one.
#[inline(always)]
fn place_of<F>(header: &Header, core: &Core, go: Go) -> Option<NonNull<u8>> {
    match go {
        Go::Start => Some(core.frames.take(Layout::new::<F>())),
        Go::Resume | Go::Cancel => header.frame.take().map(|frame| frame.block),
    }
}

/// A call has not come to its end: it is suspended; or, if it panicked, dropped.
///
/// # Safety
/// The block is there, and stays as long as there is a worker.
#[cold]
#[inline(never)]
unsafe fn suspend(to: NonNull<Header>, frame: Frame, core: &Rc<Core>, step: Step) -> Step {
    // SAFETY: the caller upholds it.
    let header = unsafe { to.as_ref() };
    header.frame.set(Some(frame));
    header.phase.set(Phase::Suspended);
    if !matches!(step, Step::Pending) {
        let mut nobody = Polling::from_waker(Waker::noop());
        // SAFETY: as above.
        unsafe { go_on(to, core, &mut nobody, Go::Cancel) };
    }
    step
}

/// Makes a future where it is to lie. That of an `async fn` is just there; but a worker may have a function that returns one,
/// whose code runs here, and panics as any other of its.
///
/// # Safety
/// The place is valid for writes, aligned and empty. If this fails, it still is.
#[inline(always)]
unsafe fn put<F>(at: NonNull<F>, make: impl FnOnce() -> F) -> Result<(), Box<Ending>> {
    // SAFETY: the caller upholds it.
    let put = || unsafe { at.write(make()) };
    catch_unwind(AssertUnwindSafe(put)).map_err(panicked_at_once)
}

#[cold]
#[inline(never)]
fn panicked_at_once(panic: Box<dyn Any + Send>) -> Box<Ending> {
    Box::new(Ending::Panicked(into_text(panic)))
}

/// Goes on with the suspended call, or drops it. `Pending` if there is none: the wake was late.
///
/// # Safety
/// The block is there.
pub(super) unsafe fn go_on(
    to: NonNull<Header>,
    core: &Rc<Core>,
    polling: &mut Polling<'_>,
    go: Go,
) -> Step {
    // SAFETY: the caller upholds it.
    let Some(frame) = unsafe { to.as_ref() }.frame.get() else {
        return Step::Pending;
    };
    // SAFETY: the frame is set, so it is that of a call which this function has suspended (rule 3).
    let came = unsafe { (frame.run)(to, ptr::null(), core, polling, go) };
    came.into_parts().1
}

#[cold]
#[inline(never)]
fn failed(error: Error) -> Step {
    Step::Ended(Box::new(Ending::Failed(error)))
}

/// What comes of a panic. That of a destructor alone changes nothing.
#[cold]
#[inline(never)]
fn panicked(header: &Header, panic: Box<dyn Any + Send>, go: Go) -> Step {
    let text = into_text(panic);
    if go == Go::Cancel {
        let whose = Some(&header.mailbox().address);
        failure("the destructor of a handler panicked", whose, Some(&text));
        return Step::Done;
    }
    Step::Ended(Box::new(Ending::Panicked(text)))
}
