//! Asking, and waiting for the answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, ready};
use std::time::Duration;

use ringpost_router::{Address, Body, Handle, Message, Route, Unpack};

use crate::context::Context;
use crate::context::send::{Blocked, Sending};
use crate::context::urgent::Pressing;
use crate::core::deliver::{Lack, Outgoing};
use crate::core::replies::Asking;
use crate::envelope::Origin;
use crate::error::{Error, ErrorKind, Result};
use crate::mailbox::{Waiter, Waiting};
use crate::task::Wake;
use crate::task::panics::drop_guarded;
use crate::task::raw::MailboxRc;

/// How long a request waits when nothing else is said.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a message and waits for its reply; made by [`Context::request`].
///
/// # Errors
/// What sending fails with; [`ErrorKind::Timeout`] when the deadline passes, which counts from the
/// first poll and includes waiting for room (a message that still waits then is given back with it);
/// [`ErrorKind::NotFound`] or [`ErrorKind::Dropped`] when the receiver is gone, or nobody can answer any
/// more ([`ErrorKind::Dropped`] says when that is known); [`ErrorKind::WrongType`] when the receiver does
/// not take the message or the reply is not an `R`; [`ErrorKind::WaitsForItself`] when the receiver is who asks;
/// [`ErrorKind::LimitReached`] when as many requests of this core are under way as may be
/// ([`Limits::requests_max`](crate::Limits)).
///
/// # Cancellation
/// Dropping it gives the reply's place up; a reply that comes later is counted as late.
#[must_use = "nothing is sent until this is awaited"]
pub struct Request<'a, A, R, M> {
    ctx: &'a Context,
    /// Dropped by [`let_go`](Self::let_go), if it is not `Done`: then there is nothing to drop, and nothing to look at.
    state: ManuallyDrop<State<R, M>>,
    timeout: Option<Duration>,
    answer: PhantomData<fn() -> A>,
}

/// As for a plain send, route and message are kept as they were given until they are sent.
enum State<R, M> {
    Fresh(R, M),
    /// As `Fresh`, to be sent past others.
    Urgent(R, M),
    /// The place of the reply is reserved; the message waits for a credit or for room.
    Blocked(Handle, Box<Blocked>),
    /// As `Blocked`, but the message is sent where it waits (`core/parked.rs`).
    Parked(Handle, Rc<Waiter>),
    /// As `Blocked`, for an urgent message.
    Pressing(Handle, Box<Pressing>),
    /// The message is under way.
    Waiting(Handle),
    Done,
}

/// A message that is handed to what is done out of line, as in a plain send.
struct Unsent(Route, Body);

impl<'a, A: Message, R: Into<Route>, M: Message> Request<'a, A, R, M> {
    #[inline]
    pub(crate) fn new(ctx: &'a Context, route: R, message: M) -> Self {
        Self {
            ctx,
            state: ManuallyDrop::new(State::Fresh(route, message)),
            timeout: Some(REQUEST_TIMEOUT),
            answer: PhantomData,
        }
    }

    /// Waits at most so long.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits as long as it takes.
    pub fn without_deadline(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Sends the message as [`Context::send_urgent`] does, past those that wait at its receiver. The reply needs
    /// nothing of the kind: replies never wait for messages.
    ///
    /// ```
    /// # use ringpost::{Context, Result, Routed, Worker};
    /// # use std::time::Duration;
    /// # struct Slow;
    /// # impl Worker for Slow {
    /// #     type Message = String;
    /// #     type Context = Context;
    /// #     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
    /// #         ctx.sleep(Duration::from_millis(1)).await;
    /// #         ctx.send_message(msg.reply(), msg.take()).await
    /// #     }
    /// # }
    /// # fn main() -> Result<()> {
    /// # ringpost::Node::builder().cores(1).run(async |ctx: Context| {
    /// ctx.start_worker("slow", Slow).await?;
    /// for _ in 0..100 {
    ///     ctx.send_message("slow", "work".to_owned()).await?;
    /// }
    /// let asked = ctx.request("slow", "how far?".to_owned()).urgent();
    /// let reply: String = asked.within(Duration::from_secs(1)).await?;
    /// # assert_eq!(reply, "how far?");
    /// # ctx.stop_now().await
    /// # })
    /// # }
    /// ```
    pub fn urgent(mut self) -> Self {
        *self.state = match std::mem::replace(&mut *self.state, State::Done) {
            State::Fresh(route, message) => State::Urgent(route, message),
            other => other,
        };
        self
    }
}

impl<A: Message, R, M> Request<'_, A, R, M> {
    /// Reserves the place of the reply, and sends.
    #[inline(always)]
    fn begin(&mut self, route: Route, body: Body, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        let ctx = self.ctx;
        let core = &ctx.core;
        let found = match ctx.acts_for_worker() {
            true => None,
            false => core.receiver_here(&ctx.mailbox, &route),
        };
        let Some(to) = found else {
            return self.begin_further(Unsent(route, body), polling);
        };
        // A short route: there is nothing to drop. Forgotten before anything that may panic is done, so that it need not be
        // in memory; what is given back below is the message alone.
        std::mem::forget(route);
        if MailboxRc::ptr_eq(&to, &ctx.mailbox) {
            core.give_grant_back(&Lack::Local(to.clone()), 1);
            return refuse_own(&to, Outgoing::with_body(Route::new(), body));
        }
        // A waker of somebody else's is noted out of line, so that what is written here is the key of a task.
        let own = core.tasks.own_at_once(polling);
        let wake = own.map_or(Wake::Nobody, Wake::Task);
        let Some(place) = self.reserve(Some(&to.address), wake) else {
            core.give_grant_back(&Lack::Local(to), 1);
            return self.refuse_one_more(Outgoing::with_body(Route::new(), body));
        };
        if own.is_none() {
            core.replies.register(core, place, polling);
        }
        core.enqueue_request(to, &ctx.mailbox, place, Origin::LOCAL, body);
        // Nobody can have answered yet.
        self.go_to(State::Waiting(place));
        Poll::Pending
    }

    /// Reserves the place of the reply of that worker, and tells nobody of it yet.
    #[cold]
    #[inline(never)]
    fn reserve_further(&self, of: Option<&Address>) -> Option<Handle> {
        self.reserve(of, Wake::Nobody)
    }

    /// Reserves the place of the reply of that worker.
    #[inline(always)]
    fn reserve(&self, of: Option<&Address>, wake: Wake) -> Option<Handle> {
        let core = &self.ctx.core;
        let asking = Asking {
            who: self.ctx.mailbox.handle(),
            of,
            limit: self.timeout,
        };
        core.replies.reserve_for(&asking, wake)
    }

    /// The message cannot simply be put into a queue of this core, or it is to be seen on whose behalf.
    #[inline(never)]
    fn begin_further(&mut self, unsent: Unsent, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        let Unsent(route, body) = unsent;
        let ctx = self.ctx;
        if let Some(own) = ctx.asks_itself(&route) {
            return refuse_own(&own, Outgoing::with_body(route, body));
        }
        let Some(place) = self.reserve_further(route.last()) else {
            return self.refuse_one_more(Outgoing::with_body(route, body));
        };
        let mut lent = Some(body);
        let core = &ctx.core;
        let is_tried = core.post_request(&ctx.mailbox, &route, place, &mut lent);
        let Some(body) = lent else {
            return self.wait(place, polling);
        };
        if is_tried && let Some(line) = core.line_for(&route) {
            let unsent = (route, body);
            let wake = core.tasks.register(polling);
            let waiter = core.park(line, &ctx.mailbox, unsent, place, wake);
            *self.state = State::Parked(place, waiter);
            self.ctx.note_behalf(place);
            return self.poll_deadline(place, polling);
        }
        let mut sending = Sending::new(route, body);
        let sent = sending.poll_further(ctx, place, polling);
        self.proceed(place, sent, polling, || match sending {
            Sending::Blocked(blocked) => State::Blocked(place, blocked),
            Sending::Fresh { .. } | Sending::Done => State::Done,
        })
    }

    #[cold]
    #[inline(never)]
    fn begin_urgent(&mut self, unsent: Unsent, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        let Unsent(route, body) = unsent;
        let mut out = Outgoing::with_body(route, body);
        if let Some(own) = self.ctx.asks_itself(&out.route) {
            return refuse_own(&own, out);
        }
        let Some(place) = self.reserve_further(out.route.last()) else {
            return self.refuse_one_more(out);
        };
        out.reply = place;
        self.press(place, Box::new(Pressing::new(&self.ctx.core, out)), polling)
    }

    #[cold]
    fn press(
        &mut self,
        place: Handle,
        mut pressing: Box<Pressing>,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<A>> {
        let sent = pressing.poll(&self.ctx.mailbox, polling);
        self.proceed(place, sent, polling, || State::Pressing(place, pressing))
    }

    /// Hands the message back, if it has not been sent, as there is no memory for it.
    #[cold]
    #[inline(never)]
    fn refuse_memory(&mut self) -> Option<Error>
    where
        M: Message,
    {
        match std::mem::replace(&mut *self.state, State::Done) {
            State::Fresh(_, message) | State::Urgent(_, message) => {
                Some(self.ctx.core.no_memory(message))
            }
            other => {
                *self.state = other;
                None
            }
        }
    }

    /// As many requests of this core are under way as may be.
    #[cold]
    #[inline(never)]
    fn refuse_one_more(&mut self, mut out: Outgoing) -> Poll<Result<A>> {
        let most = self.ctx.core.limits.requests_max;
        let limit = "requests_max";
        Poll::Ready(Err(out.error(ErrorKind::LimitReached { limit, most })))
    }

    #[cold]
    fn go_on(
        &mut self,
        place: Handle,
        mut blocked: Box<Blocked>,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<A>> {
        if !self.ctx.core.replies.is_awaited(place) {
            *self.state = State::Blocked(place, blocked);
            return self.poll_deadline(place, polling);
        }
        let sent = blocked.poll(&self.ctx.core, &self.ctx.mailbox, polling);
        self.proceed(place, sent, polling, || State::Blocked(place, blocked))
    }

    /// The message was sent where it waited, most of the time, and else goes on waiting, or is polled from now on.
    #[inline(never)]
    fn go_on_parked(
        &mut self,
        place: Handle,
        waiter: Rc<Waiter>,
        polling: &mut Polling<'_>,
    ) -> Poll<Result<A>> {
        let core = &self.ctx.core;
        if has_left(&waiter) {
            // Wakers are user code, also where they are dropped.
            self.go_to(State::Waiting(place));
            drop(waiter);
            return self.wait(place, polling);
        }
        if waiter.state.get() == Waiting::Queued {
            *self.state = State::Parked(place, Rc::clone(&waiter));
            core.note_behalf(&self.ctx.mailbox, &waiter);
            let before = waiter.wake.replace(core.tasks.register(polling));
            drop(before);
            self.ctx.note_behalf(place);
            return self.poll_deadline(place, polling);
        }
        match Blocked::of_parked(waiter) {
            Some(blocked) => self.go_on(place, Box::new(blocked), polling),
            None => self.wait(place, polling),
        }
    }

    /// Waits for the reply if the message was sent, and else as `blocked` says.
    #[inline]
    fn proceed(
        &mut self,
        place: Handle,
        sent: Poll<Result<()>>,
        polling: &mut Polling<'_>,
        blocked: impl FnOnce() -> State<R, M>,
    ) -> Poll<Result<A>> {
        match sent {
            Poll::Ready(Ok(())) => self.wait(place, polling),
            Poll::Ready(Err(error)) => {
                let core = &self.ctx.core;
                core.replies.cancel(core, place);
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                *self.state = blocked();
                self.ctx.note_behalf(place);
                self.poll_deadline(place, polling)
            }
        }
    }

    /// The deadline runs while the message waits for room; nothing else can answer that early.
    fn poll_deadline(&mut self, place: Handle, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        let answer = ready!(self.ctx.poll_place(place, polling));
        let unsent = self.give_up();
        Poll::Ready(match (answer, unsent) {
            (Err(error), Some(body)) => Err(Error::returning(error.kind().clone(), body)),
            (answer, _) => answer.and_then(|body| read(self.ctx, body)),
        })
    }

    /// Whether the message is on its way, or the request over.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(*self.state, State::Waiting(_) | State::Done)
    }

    #[inline(never)]
    fn wait(&mut self, place: Handle, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        match self.ctx.poll_place(place, polling) {
            Poll::Ready(answer) => {
                self.go_to(State::Done);
                Poll::Ready(answer.and_then(|body| read(self.ctx, body)))
            }
            Poll::Pending => {
                self.go_to(State::Waiting(place));
                self.ctx.note_behalf(place);
                Poll::Pending
            }
        }
    }
}

impl<A, R, M> Request<'_, A, R, M> {
    /// Goes on to this state from `Waiting` or `Done`, which have nothing to be dropped, and so nothing to be looked at.
    #[inline(always)]
    fn go_to(&mut self, next: State<R, M>) {
        std::mem::forget(std::mem::replace(&mut *self.state, next));
    }

    /// It is dropped before it is over, which most are not.
    #[cold]
    #[inline(never)]
    fn let_go(&mut self) {
        drop(self.give_up());
    }

    /// Gives the place of the reply up. The message, if it has not been sent.
    fn give_up(&mut self) -> Option<Body> {
        let core = &self.ctx.core;
        match std::mem::replace(&mut *self.state, State::Done) {
            State::Fresh(..) | State::Urgent(..) | State::Done => None,
            State::Waiting(place) => {
                core.replies.cancel(core, place);
                None
            }
            State::Blocked(place, mut blocked) => {
                blocked.cancel(core);
                core.replies.cancel(core, place);
                blocked.take_payload()
            }
            State::Parked(place, waiter) => {
                // A waker is user code, also where it is dropped: what follows is to be done whatever that does.
                drop_guarded(waiter.wake.replace(Wake::Nobody));
                let mut blocked = Blocked::of_parked(waiter);
                if let Some(blocked) = &mut blocked {
                    blocked.cancel(core);
                }
                core.replies.cancel(core, place);
                blocked?.take_payload()
            }
            State::Pressing(place, mut pressing) => {
                core.replies.cancel(core, place);
                pressing.take_payload()
            }
        }
    }
}

/// Neither route nor message is pinned: both are moved out when the message is sent.
impl<A, R, M> Unpin for Request<'_, A, R, M> {}

impl<A: Message, R: Into<Route>, M: Message> Future for Request<'_, A, R, M> {
    type Output = Result<A>;

    #[inline]
    fn poll(self: Pin<&mut Self>, polling: &mut Polling<'_>) -> Poll<Result<A>> {
        let this = self.get_mut();
        if let State::Waiting(place) = *this.state {
            // What most often comes of it in registers, all else out of line.
            return match this.ctx.core.replies.fetch(place) {
                Some(body) => {
                    this.go_to(State::Done);
                    Poll::Ready(read(this.ctx, body))
                }
                None => this.wait(place, polling),
            };
        }
        if this.ctx.core.lacks_memory_for::<M>()
            && let Some(error) = this.refuse_memory()
        {
            return Poll::Ready(Err(error));
        }
        match std::mem::replace(&mut *this.state, State::Done) {
            State::Fresh(route, message) => this.begin(route.into(), message.into_body(), polling),
            State::Waiting(place) => this.wait(place, polling),
            State::Urgent(route, message) => {
                let unsent = Unsent(route.into(), message.into_body());
                this.begin_urgent(unsent, polling)
            }
            State::Parked(place, waiter) => this.go_on_parked(place, waiter, polling),
            State::Blocked(place, blocked) => this.go_on(place, blocked, polling),
            State::Pressing(place, pressing) => this.press(place, pressing, polling),
            State::Done => Poll::Ready(Err(Error::new(ErrorKind::Stopping))),
        }
    }
}

/// Whether a request was sent where it waited.
fn has_left(waiter: &Waiter) -> bool {
    waiter
        .parked
        .as_ref()
        .is_some_and(|parked| parked.is_sent())
}

/// Nobody but who waits for the answer could give it.
#[cold]
fn refuse_own<A>(own: &MailboxRc, mut out: Outgoing) -> Poll<Result<A>> {
    Poll::Ready(Err(out.fail_own(own)))
}

/// The reply as the type that was asked for.
#[inline]
fn read<R: Message>(ctx: &Context, body: Body) -> Result<R> {
    R::from_body(body).map_err(|mismatch| unreadable(ctx, mismatch))
}

#[cold]
#[inline(never)]
fn unreadable(ctx: &Context, mismatch: Unpack) -> Error {
    match mismatch {
        Unpack::WrongType {
            expected, found, ..
        } => {
            let address = ctx.address();
            Error::new(ErrorKind::WrongType {
                address,
                expected,
                found,
            })
        }
        Unpack::Codec(cause) => Error::from(cause),
    }
}

impl<A, R, M> Drop for Request<'_, A, R, M> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(*self.state, State::Done) {
            self.let_go();
        }
    }
}

impl<A, R, M> fmt::Debug for Request<'_, A, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.state {
            State::Fresh(..) | State::Urgent(..) => "not polled yet",
            State::Parked(_, waiter) if has_left(waiter) => "waiting for the reply",
            State::Parked(..) | State::Blocked(..) | State::Pressing(..) => "waiting for room",
            State::Waiting(_) => "waiting for the reply",
            State::Done => "done",
        };
        f.debug_struct("Request")
            .field("from", &self.ctx.mailbox.address)
            .field("state", &state)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
