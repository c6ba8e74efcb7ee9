//! Reading and writing one connection.

mod deadlines;
mod ended;
mod writing;

use std::rc::Rc;
use std::task::{Context as Polling, Poll};

use ringpost_router::wire::{Intake, WireError};

use crate::context::Context;
use crate::driver::rare::Rare;
use crate::net::Duplex;
use crate::time::Time;
use crate::transport::arrivals::Arrivals;
use crate::transport::connection::Connection;
use crate::transport::end::End;
use crate::transport::shortage::Shortage;
use crate::transport::timer::Timer;

use self::ended::Ended;

/// Reads before the other tasks of the core get their turn.
const READS_PER_POLL: usize = 4;
/// Frames before it is looked whether there is memory for more: no more than there are spare blocks for.
const BEFORE_A_LOOK: u32 = 16;

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
