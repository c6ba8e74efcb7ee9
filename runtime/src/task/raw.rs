//! The one unsafe module of the runtime: a worker, its context, and the future of its handler.
//!
//! # Who owns what
//!
//! A [`WorkerTask`] owns one heap block, `State<W>`, which holds the worker and its context. A
//! handler's future borrows both mutably for as long as it lives, so it cannot live in a plain field
//! beside them. It lives in a *frame*: a block from the core's [`Frames`], taken when the handler
//! starts and given back when it ends. A handler that ends at its first poll leaves its frame warm
//! for the next message, whichever worker that is for; an idle worker owns no frame.
//!
//! # Rules
//!
//! 1. All of this is core-local: no type here is `Send` or `Sync`.
//! 2. At most one future borrows a `State<W>` at a time: a new one is made only by [`WorkerTask::run`],
//!    which asserts that no frame is held.
//! 3. While a frame is held, nobody touches the `State<W>` but the future in that frame.
//! 4. A frame's future is dropped before its `State<W>` is: in [`WorkerTask::cancel`], which `Drop`
//!    calls first.
//! 5. A future is never moved after its first poll: a frame's address is fixed until it is given back.
//! 6. User code (polling, dropping) runs inside `catch_unwind`. After a panic the future is gone and
//!    the caller ends the worker, so no broken state is seen again.

#![allow(unsafe_code, reason = "the module listed in the tidy check")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context as Polling, Poll};

use ringpost_router::{Body, Unpack, unpack};

use crate::context::Context;
use crate::envelope::Head;
use crate::error::Result;
use crate::routed::Routed;
use crate::worker::Worker;

/// What came of one poll of a worker's task.
pub(crate) enum Step {
    /// The handler returned.
    Done(Result<()>),
    /// The handler is suspended and will be woken.
    Pending,
    /// The handler panicked with this text. The worker must be ended.
    Panicked(String),
    /// The worker does not take this payload. Nothing ran.
    Mismatch(Box<(Head, Unpack)>),
}

/// What a worker is asked to do.
pub(crate) enum Call {
    /// Run `initialize`.
    Initialize,
    /// Run `handle_message`.
    Handle(Head, Body),
    /// Run `shutdown`.
    Shutdown,
}

/// A worker with its context, and its suspended handler if there is one.
pub(crate) struct WorkerTask {
    state: NonNull<()>,
    table: &'static TaskTable,
    frame: Option<Frame>,
}

/// The worker's type, erased.
struct TaskTable {
    run: unsafe fn(NonNull<()>, Call, &Frames, &mut Polling<'_>) -> Started,
    drop: unsafe fn(NonNull<()>),
}

/// A started future: what its first poll said, and its frame if it goes on.
enum Started {
    Ended(Step),
    Suspended(Frame),
}

struct State<W> {
    worker: W,
    ctx: Context,
}

impl WorkerTask {
    pub(crate) fn new<W: Worker<Context = Context>>(worker: W, ctx: Context) -> Self {
        let state = Box::leak(Box::new(State { worker, ctx }));
        Self {
            state: NonNull::from(state).cast(),
            table: const {
                &TaskTable {
                    run: run::<W>,
                    drop: drop_state::<W>,
                }
            },
            frame: None,
        }
    }

    /// Starts a call and polls it once.
    ///
    /// # Panics
    /// If the last call has not ended: the caller's state machine is broken.
    #[inline]
    pub(crate) fn run(&mut self, call: Call, frames: &Frames, polling: &mut Polling<'_>) -> Step {
        assert!(
            self.frame.is_none(),
            "a worker handles one message at a time"
        );
        // SAFETY: `state` was made by `new::<W>` together with this table, and is dropped only in
        // `drop`. No frame is held, so no future borrows it (rule 2).
        match unsafe { (self.table.run)(self.state, call, frames, polling) } {
            Started::Ended(step) => step,
            Started::Suspended(frame) => {
                self.frame = Some(frame);
                Step::Pending
            }
        }
    }

    /// Polls the suspended call again. `Pending` if there is none: the wake was late.
    pub(crate) fn resume(&mut self, frames: &Frames, polling: &mut Polling<'_>) -> Step {
        let Some(frame) = &self.frame else {
            return Step::Pending;
        };
        // SAFETY: the frame holds a live future of the type its table was made for (`launch`).
        let step = unsafe { (frame.table.poll)(frame.block, polling) };
        if !matches!(step, Step::Pending) {
            self.cancel(frames);
        }
        step
    }

    /// Whether a call is suspended.
    pub(crate) fn is_suspended(&self) -> bool {
        self.frame.is_some()
    }

    /// Drops the suspended call, if there is one. A panic of its destructor is swallowed.
    pub(crate) fn cancel(&mut self, frames: &Frames) {
        if let Some(frame) = self.frame.take() {
            // SAFETY: the future in the frame is live, and is not used again: the frame was taken.
            unsafe { (frame.table.drop)(frame.block) };
            frames.give(frame.block, frame.table.layout);
        }
    }
}

impl Drop for WorkerTask {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            // SAFETY: as in `cancel`; the block goes back to the allocator it came from, with the
            // layout it was taken with.
            unsafe { (frame.table.drop)(frame.block) };
            free(frame.block, frame.table.layout);
        }
        // SAFETY: the only future that borrowed the state is gone (rule 4), and `state` is not used
        // after this.
        unsafe { (self.table.drop)(self.state) };
    }
}

/// # Safety
/// `state` comes from `WorkerTask::new::<W>`, and no future borrows it.
unsafe fn run<W: Worker<Context = Context>>(
    state: NonNull<()>,
    call: Call,
    frames: &Frames,
    polling: &mut Polling<'_>,
) -> Started {
    // SAFETY: the caller upholds that nothing else borrows the state until the future made from this
    // borrow is dropped; the future is kept in a frame that is dropped before the state (rule 4), so
    // the lifetime, which the frame erases, is long enough.
    let State { worker, ctx } = unsafe { state.cast::<State<W>>().as_mut() };
    match call {
        Call::Handle(head, body) => match unpack::<W::Message>(body) {
            Ok(message) => launch(
                || worker.handle_message(ctx, Routed::new(message, head)),
                frames,
                polling,
            ),
            Err(mismatch) => Started::Ended(Step::Mismatch(Box::new((head, mismatch)))),
        },
        Call::Initialize => launch(|| worker.initialize(ctx), frames, polling),
        Call::Shutdown => launch(|| worker.shutdown(ctx), frames, polling),
    }
}

/// # Safety
/// `state` comes from `WorkerTask::new::<W>`, no future borrows it, and it is not used afterwards.
unsafe fn drop_state<W>(state: NonNull<()>) {
    // SAFETY: the caller upholds that this is the one owner of a live `Box<State<W>>`.
    let state = unsafe { Box::from_raw(state.cast::<State<W>>().as_ptr()) };
    // A panicking destructor of a worker must not take the core down.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(state))) {
        tracing::error!(
            panic = panic_text(&*panic),
            "the destructor of a worker panicked"
        );
        std::mem::forget(panic);
    }
}

/// A block that holds a suspended future.
struct Frame {
    block: NonNull<u8>,
    table: &'static FrameTable,
}

/// The future's type, erased.
struct FrameTable {
    poll: unsafe fn(NonNull<u8>, &mut Polling<'_>) -> Step,
    drop: unsafe fn(NonNull<u8>),
    layout: Layout,
}

/// Gives a started future's block back, whatever happens.
struct Slot<'a> {
    block: NonNull<u8>,
    layout: Layout,
    frames: &'a Frames,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.frames.give(self.block, self.layout);
    }
}

/// Makes a future in a frame and polls it once.
#[inline]
fn launch<F>(make: impl FnOnce() -> F, frames: &Frames, polling: &mut Polling<'_>) -> Started
where
    F: Future<Output = Result<()>>,
{
    let layout = Layout::new::<F>();
    let slot = Slot {
        block: frames.take(layout),
        layout,
        frames,
    };
    let future = slot.block.cast::<F>();
    // Whether the block holds a future that has to be dropped.
    let live = Cell::new(false);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the block is valid for writes of this layout, aligned for it, and empty.
        unsafe { future.write(make()) };
        live.set(true);
        // SAFETY: the future was just written; it stays at this address until it is dropped there
        // (rule 5).
        let poll = unsafe { Pin::new_unchecked(&mut *future.as_ptr()) }.poll(polling);
        if poll.is_ready() {
            live.set(false);
            // SAFETY: the future is live, is not polled again, and its block is given back empty.
            unsafe { future.drop_in_place() };
        }
        poll
    }));
    match polled {
        Ok(Poll::Ready(result)) => Started::Ended(Step::Done(result)),
        Ok(Poll::Pending) => {
            let block = slot.block;
            std::mem::forget(slot);
            let table = const {
                &FrameTable {
                    poll: poll_frame::<F>,
                    drop: drop_frame::<F>,
                    layout: Layout::new::<F>(),
                }
            };
            Started::Suspended(Frame { block, table })
        }
        Err(panic) => {
            if live.get() {
                // SAFETY: the future was written and its drop has not begun, so it is live.
                unsafe { drop_frame::<F>(slot.block) };
            }
            Started::Ended(Step::Panicked(into_text(panic)))
        }
    }
}

/// # Safety
/// The block holds a live `F` that has not returned.
unsafe fn poll_frame<F: Future<Output = Result<()>>>(
    block: NonNull<u8>,
    polling: &mut Polling<'_>,
) -> Step {
    // SAFETY: the caller upholds that a live `F` is there; it is never moved (rule 5).
    let future = unsafe { Pin::new_unchecked(&mut *block.cast::<F>().as_ptr()) };
    match catch_unwind(AssertUnwindSafe(|| future.poll(polling))) {
        Ok(Poll::Ready(result)) => Step::Done(result),
        Ok(Poll::Pending) => Step::Pending,
        Err(panic) => Step::Panicked(into_text(panic)),
    }
}

/// # Safety
/// The block holds a live `F`, which is not used afterwards.
unsafe fn drop_frame<F>(block: NonNull<u8>) {
    // SAFETY: the caller upholds that a live `F` is there and is dropped only here.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
        block.cast::<F>().drop_in_place()
    }));
    if let Err(panic) = dropped {
        tracing::error!(
            panic = panic_text(&*panic),
            "the destructor of a handler panicked"
        );
        std::mem::forget(panic);
    }
}

/// The size classes of frames, in bytes; larger futures use the allocator each time.
const CLASSES: [usize; 6] = [128, 256, 512, 1024, 2048, 4096];
/// Every pooled frame has this alignment; a future that needs more uses the allocator.
const FRAME_ALIGN: usize = 64;
/// Free frames kept per class; more go back to the allocator.
const FREE_MAX: u32 = 1024;

/// A core's pool of frames: one free list per size class, linked through the free blocks.
pub(crate) struct Frames {
    free: [Cell<Option<NonNull<u8>>>; CLASSES.len()],
    count: [Cell<u32>; CLASSES.len()],
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            free: Default::default(),
            count: Default::default(),
        }
    }

    #[inline]
    fn take(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class_of(layout) else {
            return allocate(layout);
        };
        match self.free[class].get() {
            Some(block) => {
                // SAFETY: a block on the free list holds the link that `give` wrote, and belongs to
                // nobody else until it is taken off, here.
                self.free[class].set(unsafe { block.cast::<Option<NonNull<u8>>>().read() });
                self.count[class].set(self.count[class].get() - 1);
                block
            }
            None => allocate(class_layout(class)),
        }
    }

    #[inline]
    fn give(&self, block: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            return free(block, layout);
        };
        if self.count[class].get() >= FREE_MAX {
            return free(block, layout);
        }
        // SAFETY: the block is at least 128 bytes, aligned to 64, empty, and ours: a link fits.
        unsafe {
            block
                .cast::<Option<NonNull<u8>>>()
                .write(self.free[class].get())
        };
        self.free[class].set(Some(block));
        self.count[class].set(self.count[class].get() + 1);
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for class in 0..CLASSES.len() {
            while self.count[class].get() > 0 {
                let block = self.take(class_layout(class));
                free(block, class_layout(class));
            }
        }
    }
}

/// The class that a future of this layout uses; a constant once inlined.
#[inline(always)]
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > FRAME_ALIGN {
        return None;
    }
    let mut class = 0;
    while class < CLASSES.len() {
        if layout.size() <= CLASSES[class] {
            return Some(class);
        }
        class += 1;
    }
    None
}

fn class_layout(class: usize) -> Layout {
    Layout::from_size_align(CLASSES[class], FRAME_ALIGN).expect("the classes are valid layouts")
}

/// The layout that a block for this future was allocated with.
fn block_layout(layout: Layout) -> Layout {
    class_of(layout).map_or(layout, class_layout)
}

#[cold]
fn allocate(layout: Layout) -> NonNull<u8> {
    let layout = block_layout(layout);
    if layout.size() == 0 {
        let aligned = std::ptr::without_provenance_mut(layout.align());
        return NonNull::new(aligned).unwrap_or(NonNull::dangling());
    }
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn free(block: NonNull<u8>, layout: Layout) {
    let layout = block_layout(layout);
    if layout.size() != 0 {
        // SAFETY: `allocate` made the block with this very layout, which depends on the future's
        // layout alone.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}

fn into_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic_text(&*panic).to_owned();
    // The payload's destructor is user code that may panic again; leaking it is the safe end.
    if !panic.is::<&str>() && !panic.is::<String>() {
        std::mem::forget(panic);
    }
    text
}

/// Drops a value of the user's; a panic of its destructor costs nobody anything.
pub(crate) fn drop_guarded<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        tracing::error!(panic = panic_text(&*panic), "a destructor panicked");
        std::mem::forget(panic);
    }
}

/// The message of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
