//! When a connection ends for want of something, and of what.

use std::task::Context as Polling;
use std::time::Duration;

use super::Pump;
use super::ended::Ended;
use crate::time::Time;
use crate::transport::TcpLimits;
use crate::transport::end::End;

/// When it is looked again whether a worker has handled all: it says nothing of that if it sends nothing back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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

impl Pump<'_> {
    /// Notes how long a message waits for a credit. The time begins when the peer has been given all that is before it;
    /// replies, which pass it, are no matter.
    pub(super) fn note_credit(&mut self) {
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
    pub(super) fn note_closing(&mut self, polling: &Polling<'_>) {
        if self.ended.is_some() || !self.is_unread() {
            self.closing = None;
        } else if self.closing.is_none() && self.stream.poll_read_closed(polling).is_ready() {
            self.closing = Some(self.ctx.core.now.get());
            self.connection.gives_no_credit();
        }
    }

    /// Nothing more has come: a frame that is not whole has to go on.
    pub(super) fn note_progress(&mut self) {
        if self.intake.held() == 0 {
            self.frame_begun = None;
        } else {
            self.frame_begun.get_or_insert(self.last_read);
        }
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

    pub(super) fn check_deadlines(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
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
