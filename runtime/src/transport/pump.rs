//! Reading and writing one connection.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context as Polling, Poll};
use std::time::Duration;

use ringpost_router::wire::{Intake, Outlet, WireError};

use crate::context::Context;
use crate::driver::rare::Rare;
use crate::net::Duplex;
use crate::time::Time;
use crate::transport::TcpLimits;
use crate::transport::arrivals::Arrivals;
use crate::transport::connection::Connection;
use crate::transport::end::End;
use crate::transport::owed::{Debts, Owed};
use crate::transport::shortage::Shortage;
use crate::transport::timer::Timer;

/// Parts of one vectored write.
const PARTS: usize = 64;
/// Reads before the other tasks of the core get their turn.
const READS_PER_POLL: usize = 4;
/// Frames before it is looked whether there is memory for more: no more than there are spare blocks for.
const BEFORE_A_LOOK: u32 = 16;
/// When it is looked again whether a worker has handled all: it says nothing of that if it sends nothing back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What reads and writes one connection.
pub(super) struct Pump<'a> {
    ctx: &'a Context,
    connection: Rc<Connection>,
    stream: Duplex,
    intake: Intake,
    arrivals: Arrivals<'a>,
    opened: Time,
    last_read: Time,
    last_write: Time,
    frame_begun: Option<Time>,
    /// Whether all was written that there was to write.
    is_written: bool,
    /// Why nothing more can be written; what the peer sent before is still read.
    broken: Option<End>,
    /// Nothing more is read; what came before is still delivered.
    ended: Option<Ended<'a>>,
    /// Since when the peer is known to have ended its side while nothing is read.
    closing: Option<Time>,
    /// Since when a message waits for a credit of the peer, which has had all before it; and how often credits had come.
    starved: Option<(Time, u64)>,
    /// Memory that is lacking to read more, or for what was read.
    shortage: Shortage,
    timer: Timer,
}

/// The peer says nothing more.
struct Ended<'a> {
    since: Time,
    why: End,
    /// What it may still be sent.
    debts: Option<Debts<'a>>,
    /// Whether not all is handled, when that was looked at last.
    is_busy: bool,
    /// When that was so, or anything was written.
    last_owed: Time,
}

impl<'a> Pump<'a> {
    pub(super) fn new(ctx: &'a Context, connection: Rc<Connection>, stream: Duplex) -> Self {
        let now = ctx.core.now.get();
        let intake = Intake::new(connection.terms.limits.frame);
        let arrivals = Arrivals::new(ctx, Rc::clone(&connection));
        Self {
            ctx,
            connection,
            stream,
            intake,
            arrivals,
            opened: now,
            last_read: now,
            last_write: now,
            frame_begun: None,
            is_written: true,
            broken: None,
            ended: None,
            closing: None,
            starved: None,
            shortage: Shortage::default(),
            timer: Timer::default(),
        }
    }

    /// Does what can be done now. Ready with the reason when the connection has ended.
    pub(super) fn poll(&mut self, polling: &mut Polling<'_>) -> Poll<End> {
        match self.step(polling) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }

    fn step(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let connection = Rc::clone(&self.connection);
        *connection.pump.borrow_mut() = self.ctx.core.tasks.register(polling);
        // Replies to what is read now leave in the next turn; what is queued leaves before.
        let has_come_first = connection.noticed.replace(false);
        if self.broken.is_none()
            && let Err(end) = self.write(polling)
        {
            self.broken = Some(end);
            connection.broke();
        }
        self.note_credit();
        if connection.ending.get() {
            return Err(End::Own);
        }
        if has_come_first && self.stream.is_readable() {
            // It has come before others to write, not to read.
            let own = self.ctx.core.tasks.register(polling);
            self.ctx.core.wake(&own);
            return self.check_deadlines(polling);
        }
        let is_more = self.read(polling).map_err(|reason| {
            // Who cannot be written to is often gone, and what is read then says less.
            self.broken.take().unwrap_or(reason)
        })?;
        self.arrivals.return_credits();
        if is_more {
            let own = self.ctx.core.tasks.register(polling);
            self.ctx.core.io.put_off(own);
        } else {
            self.intake.rest();
            if let Some(reason) = self.broken.clone()
                && self.ended.is_none()
            {
                self.stop_reading(reason, polling)?;
            }
        }
        if connection.asks_much() {
            connection.await_word(polling);
        }
        self.note_closing(polling);
        self.check_deadlines(polling)
    }

    /// Notes how long a message waits for a credit. The time begins when the peer has been given all that is before it;
    /// replies, which pass it, are no matter.
    fn note_credit(&mut self) {
        let connection = &self.connection;
        if !connection.awaits_credits() {
            self.starved = None;
            return;
        }
        let times = connection.allowance.borrow().times();
        if self.starved.is_none_or(|(_, before)| before != times) {
            let is_written = connection.outlet.borrow().is_empty();
            self.starved = is_written.then(|| (self.ctx.core.now.get(), times));
        }
    }

    /// Notes that the peer has ended its side also while nothing is read.
    fn note_closing(&mut self, polling: &Polling<'_>) {
        if self.ended.is_some() || !self.is_unread() {
            self.closing = None;
        } else if self.closing.is_none() && self.stream.poll_read_closed(polling).is_ready() {
            self.closing = Some(self.ctx.core.now.get());
            self.connection.gives_no_credit();
        }
    }

    fn write(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let connection = &self.connection;
        if std::mem::take(&mut self.is_written) {
            self.last_write = self.ctx.core.now.get();
        }
        while !connection.outlet.borrow().is_empty() {
            let mut outlet = connection.outlet.borrow_mut();
            let written = match outlet.only_part() {
                Some(part) => self.stream.poll_write_from(polling, part),
                None => write_parts(self.ctx, &mut self.stream, &outlet, polling),
            };
            match written {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    let (frames, messages) = (outlet.frames(), outlet.messages());
                    outlet.advance(count);
                    let frames = frames.saturating_sub(outlet.frames());
                    let messages = messages.saturating_sub(outlet.messages());
                    connection.allowance.borrow_mut().note_written(messages);
                    let tally = &self.ctx.core.tally().transport;
                    tally.frames_written.add(frames as u64);
                    tally.bytes_written.add(count as u64);
                    if let Some(ended) = &mut self.ended {
                        ended.last_owed = self.ctx.core.now.get();
                    }
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
            self.last_write = self.ctx.core.now.get();
        }
        self.is_written = connection.outlet.borrow().is_empty();
        if connection.has_room() || self.is_written {
            connection.wake_waiting();
        }
        Ok(())
    }

    /// Reads and delivers. Whether there is more to do right away.
    fn read(&mut self, polling: &mut Polling<'_>) -> Result<bool, End> {
        self.arrivals.poll_waiting(polling);
        if !self.arrivals.is_empty() {
            // The peer is not to blame for the time that passes.
            self.last_read = self.ctx.core.now.get();
        }
        if self.ended.is_some() {
            return self.work_off(polling).map(|()| false);
        }
        if !self.shortage.may_ask(&self.ctx.core, polling) {
            self.last_read = self.ctx.core.now.get();
            return Ok(false);
        }
        if self.ctx.core.pool.is_short() {
            self.lacks_memory(polling);
            return Ok(false);
        }
        let mut burst = self.ctx.core.limits.worker_burst;
        for _ in 0..READS_PER_POLL {
            match self.deliver(&mut burst, polling)? {
                Delivered::All => {}
                Delivered::Enough => return Ok(true),
                Delivered::NoRoom => return Ok(false),
            }
            let Some(room) = self.intake.try_room() else {
                self.lacks_memory(polling);
                return Ok(false);
            };
            match self.stream.poll_read_into(polling, room) {
                Poll::Pending => {
                    self.shortage.ends();
                    self.note_progress();
                    return Ok(false);
                }
                Poll::Ready(Ok(0)) => {
                    let reason = match self.intake.held() {
                        0 => "the peer has closed it",
                        _ => "the peer has closed it within a frame",
                    };
                    self.stop_reading(End::Lost(reason.to_owned()), polling)?;
                    return Ok(false);
                }
                Poll::Ready(Ok(count)) => {
                    self.shortage.ends();
                    self.intake.commit(count);
                    let tally = &self.ctx.core.tally().transport;
                    tally.bytes_read.add(count as u64);
                    self.ctx.core.io.note_taken(count);
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
            self.last_read = self.ctx.core.now.get();
            if self.ctx.core.rare.takes(Rare::OneRead) || self.ctx.core.io.is_full() {
                break;
            }
        }
        let delivered = self.deliver(&mut burst, polling)?;
        Ok(delivered != Delivered::NoRoom)
    }

    /// Nothing more will come, or be read. What has come and waits for room, or is answered and waits for credits, still
    /// gets its time; and so do answers that are not made yet.
    fn stop_reading(&mut self, why: End, polling: &mut Polling<'_>) -> Result<(), End> {
        let is_delivered = self.arrivals.is_empty();
        let mut debts = match self.broken {
            Some(_) => None,
            None => Debts::new(self.ctx, &self.connection),
        };
        let is_written = self.connection.is_written();
        let is_owed = debts
            .as_mut()
            .is_some_and(|debts| !is_written || debts.poll(is_delivered, polling) != Owed::Nothing);
        if is_delivered && self.connection.covers.is_empty() && !is_owed {
            return Err(why);
        }
        let now = self.ctx.core.now.get();
        self.connection.peer_ended(&why);
        self.ended = Some(Ended {
            since: now,
            why,
            debts,
            is_busy: true,
            last_owed: now,
        });
        Ok(())
    }

    /// Fails when nothing is left of what came before the peer ended its side.
    fn work_off(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let Some(ended) = &mut self.ended else {
            return Ok(());
        };
        let is_delivered = self.arrivals.is_empty();
        let debts = ended.debts.as_mut().filter(|_| self.broken.is_none());
        let owed = debts.map_or(Owed::Nothing, |debts| debts.poll(is_delivered, polling));
        if owed == Owed::Nothing && is_delivered && self.connection.is_written() {
            return Err(ended.why.clone());
        }
        ended.is_busy = owed == Owed::Something;
        if ended.is_busy {
            ended.last_owed = self.ctx.core.now.get();
        }
        // Whoever has asked the peer since.
        self.connection.refuse_waiting(&ended.why);
        Ok(())
    }

    /// Delivers what has arrived, no more than the rest of a burst.
    fn deliver(&mut self, burst: &mut u32, polling: &mut Polling<'_>) -> Result<Delivered, End> {
        loop {
            if self.is_held_up() {
                self.last_read = self.ctx.core.now.get();
                return Ok(Delivered::NoRoom);
            }
            let Some(rest) = burst.checked_sub(1) else {
                return Ok(Delivered::Enough);
            };
            if burst.is_multiple_of(BEFORE_A_LOOK) && self.ctx.core.pool.is_short() {
                self.lacks_memory(polling);
                return Ok(Delivered::NoRoom);
            }
            if let Some(payload) = self.intake.next_alike() {
                self.note_frame();
                *burst = rest;
                if self.arrivals.deliver_alike(payload, polling)? {
                    self.deliver_plain(burst, polling)?;
                }
                continue;
            }
            match self.intake.next() {
                Ok(Some(incoming)) => {
                    self.note_frame();
                    self.arrivals.deliver(incoming, polling)?;
                }
                Ok(None) => return Ok(Delivered::All),
                Err(WireError::NoMemory { .. }) => {
                    self.lacks_memory(polling);
                    return Ok(Delivered::NoRoom);
                }
                Err(error) => return Err(error.into()),
            }
            *burst = rest;
        }
    }

    /// Goes on with frames like the one before, as long as each is simply put into the queue of its receiver: then as
    /// much waits as before, and that is not looked at again.
    #[inline]
    fn deliver_plain(&mut self, burst: &mut u32, polling: &mut Polling<'_>) -> Result<(), End> {
        while !burst.is_multiple_of(BEFORE_A_LOOK)
            && let Some(payload) = self.intake.next_alike()
        {
            self.note_frame();
            *burst -= 1;
            if !self.arrivals.deliver_alike(payload, polling)? {
                break;
            }
        }
        Ok(())
    }

    /// Memory was refused: it is asked for again later. The peer is not to blame for the time that passes.
    #[cold]
    fn lacks_memory(&mut self, polling: &mut Polling<'_>) {
        let held = self.intake.held();
        self.shortage.note(&self.ctx.core, held, polling);
        self.ctx.core.tally().memory_refused.add(1);
        self.last_read = self.ctx.core.now.get();
        self.frame_begun = None;
    }

    /// A whole frame has come.
    #[inline]
    fn note_frame(&mut self) {
        self.frame_begun = None;
        self.ctx.core.tally().transport.frames_read.add(1);
    }

    /// Nothing more has come: a frame that is not whole has to go on.
    fn note_progress(&mut self) {
        if self.intake.held() == 0 {
            self.frame_begun = None;
        } else {
            self.frame_begun.get_or_insert(self.last_read);
        }
    }

    /// Whether nothing is read now, for want of room or of memory.
    fn is_unread(&self) -> bool {
        self.shortage.since().is_some() || self.is_held_up()
    }

    /// Whether there is no room to read more: receivers have none, or the peer does not take its replies. A node of this
    /// make is read all the same, lest two of them that send each other much wait for each other.
    fn is_held_up(&self) -> bool {
        let connection = &self.connection;
        let takes_little = || connection.is_half_full() || !connection.covers.is_empty();
        self.arrivals.is_full() || !connection.has_notes.get() && takes_little()
    }

    /// When the connection ends if nothing moves, and for want of what.
    fn due(&self) -> Option<(Time, Want)> {
        let limits = &self.connection.terms.limits;
        if let Some(ended) = &self.ended {
            return Some(self.due_of(ended));
        }
        let is_held_up = self.is_unread();
        let begin = || self.opened.saturating_add(limits.handshake);
        let frame = |begun: Time| {
            let rate = f64::from(limits.frame_bytes_per_second_min.max(1));
            let allowed = Duration::from_secs_f64(self.intake.held() as f64 / rate);
            begun.saturating_add(limits.frame_grace.saturating_add(allowed))
        };
        let more = |idle| self.last_read.saturating_add(idle);
        let stalled = |since: Time| since.saturating_add(limits.stall);
        let taken = || self.last_write.saturating_add(limits.stall);
        let is_written = self.connection.outlet.borrow().is_empty();
        let all = [
            (!self.intake.is_open() && !is_held_up).then(|| (begin(), Want::Beginning)),
            (self.frame_begun.filter(|_| !is_held_up)).map(|begun| (frame(begun), Want::Frame)),
            (limits.idle.filter(|_| !is_held_up)).map(|idle| (more(idle), Want::More)),
            (!is_written).then(|| (taken(), Want::Reader)),
            self.closing.map(|since| (stalled(since), Want::Room)),
            self.starved
                .map(|(since, _)| (stalled(since), Want::Credit)),
            (self.shortage.since()).map(|since| (stalled(since), Want::Memory)),
        ];
        all.into_iter().flatten().min_by_key(|(time, _)| *time)
    }

    /// When a connection ends whose peer says nothing more, or is looked at again.
    fn due_of(&self, ended: &Ended<'_>) -> (Time, Want) {
        let limits = &self.connection.terms.limits;
        let last = ended.since.saturating_add(limits.stall);
        if !self.arrivals.is_empty() || !self.connection.is_written() {
            return (last, Want::Room);
        }
        let wait = match ended.is_busy {
            true => LOOK_AGAIN,
            false => limits.half_closed,
        };
        (
            ended.last_owed.saturating_add(wait).min(last),
            Want::Nothing,
        )
    }

    fn check_deadlines(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
        let core = &self.ctx.core;
        while let Some((due, want)) = self.due() {
            if core.now.get() >= due {
                let reason = || want.reason(&self.connection.terms.limits);
                let fault = || match want {
                    Want::Memory => End::Lost(reason()),
                    _ => End::Fault(reason()),
                };
                let no_fault = self.ended.as_ref().filter(|_| want == Want::Nothing);
                return Err(no_fault.map_or_else(fault, |ended| ended.why.clone()));
            }
            if self.timer.poll(core, due, polling).is_pending() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Writes from several places at once.
#[inline(never)]
fn write_parts(
    ctx: &Context,
    stream: &mut Duplex,
    outlet: &Outlet,
    polling: &mut Polling<'_>,
) -> Poll<io::Result<usize>> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    let mut count = outlet.parts(&mut parts);
    if ctx.core.rare.takes(Rare::OnePart) {
        count = count.min(1);
    }
    let parts = parts.get(..count).unwrap_or_default();
    stream.poll_write_parts(polling, parts)
}

/// How much of what had arrived was delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivered {
    All,
    /// Others of the core have their turn.
    Enough,
    /// No more can be taken now.
    NoRoom,
}

/// What a connection has waited for in vain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Beginning,
    Frame,
    More,
    Reader,
    Credit,
    Room,
    /// Which is no fault of the peer.
    Memory,
    /// The peer may have been sent all.
    Nothing,
}

impl Want {
    /// The limit that is over, in words.
    #[cold]
    fn reason(self, limits: &TcpLimits) -> String {
        let TcpLimits {
            handshake,
            frame_grace,
            frame_bytes_per_second_min: rate,
            stall,
            ..
        } = limits;
        match self {
            Self::Beginning => format!("the peer did not begin within {handshake:?} (handshake)"),
            Self::Frame => format!(
                "a frame that the peer had begun came slower than {rate} bytes a second after \
                 {frame_grace:?} (frame_grace, frame_bytes_per_second_min)"
            ),
            Self::More => format!(
                "nothing came from the peer for {:?} (idle)",
                limits.idle.unwrap_or_default()
            ),
            Self::Reader => format!("the peer has taken nothing for {stall:?} (stall)"),
            Self::Credit => {
                format!("the peer has given no credit for {stall:?}, and messages wait (stall)")
            }
            Self::Room => format!(
                "the peer has ended it, and what it sent before found no room within {stall:?} (stall)"
            ),
            Self::Memory => {
                format!("there was no memory for what the peer sends for {stall:?} (stall)")
            }
            Self::Nothing => {
                "nothing more is to come of what the peer sent (half_closed)".to_owned()
            }
        }
    }
}
