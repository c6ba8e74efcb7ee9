//! What is left to do when the peer says nothing more.

use std::task::Context as Polling;

use super::Pump;
use crate::time::Time;
use crate::transport::end::End;
use crate::transport::owed::{Debts, Owed};

/// The peer says nothing more.
pub(super) struct Ended<'a> {
    pub(super) since: Time,
    pub(super) why: End,
    /// What it may still be sent.
    debts: Option<Debts<'a>>,
    /// Whether not all is handled, when that was looked at last.
    pub(super) is_busy: bool,
    /// When that was so, or anything was written.
    pub(super) last_owed: Time,
}

impl Pump<'_> {
    /// Nothing more will come, or be read. What has come and waits for room, or is answered and waits for credits, still
    /// gets its time; and so do answers that are not made yet.
    pub(super) fn stop_reading(&mut self, why: End, polling: &mut Polling<'_>) -> Result<(), End> {
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
    pub(super) fn work_off(&mut self, polling: &mut Polling<'_>) -> Result<(), End> {
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
}
